"""An app writes where its user, Flask or its image say; what is kept is the app's, and never led elsewhere by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from ansible.module_utils.flask_deploy.release import inside, writable
from ansible.module_utils.flask_deploy.release.writable import Place
from ansible.module_utils.flask_deploy.switch import steps
from ansible.modules import remove_app

from tests.deploys import deploy, options, prepare, restore

LIMITS = {"memory": "512m", "cpus": 0, "pids": 16, "stop_timeout": 10}
FOUND = {"workdir": "/app", "instance": "/app/instance", "volumes": []}


def record(words="", **found):
    return {"container": {**LIMITS, "writable": words}, "found": {**FOUND, **found}}


@pytest.mark.parametrize(
    ("words", "found", "places"),
    [
        ("", {}, [Place("/app/instance", "instance")]),
        ("", {"instance": "/venv/var/shop-instance"}, [Place("/venv/var/shop-instance", "instance")]),
        (
            "uploads static/.cache:memory /opt/x:10m",
            {},
            [
                Place("/app/uploads", "uploads"),
                Place("/app/static/.cache", "", "64m"),
                Place("/opt/x", "", "10m"),
                Place("/app/instance", "instance"),
            ],
        ),
        ("instance:memory", {}, [Place("/app/instance", "", "64m")]),
        ("/app/a/b", {}, [Place("/app/a/b", "a+b"), Place("/app/instance", "instance")]),
        ("/srv/up", {"workdir": ""}, [Place("/srv/up", "srv+up"), Place("/app/instance", "instance")]),
        # each VOLUME of the image, where nothing else is said of it
        (
            "uploads:memory",
            {"volumes": ["/app/uploads", "/var/lib/shop/", "/tmp", "/data/x", "/run", "/app", "/app/instance/x"]},
            [
                Place("/app/uploads", "", "64m"),
                Place("/app/instance", "instance"),
                Place("/var/lib/shop", "var+lib+shop"),
            ],
        ),
        ("/tmp:1g", {}, [Place("/app/instance", "instance")]),
    ],
)
def test_places_are_those_of_user_flask_and_image_in_that_order(words, found, places):
    assert writable.places(record(words, **found)) == places


def test_a_release_of_which_nothing_is_known_writes_where_it_did():
    assert writable.arguments("/kept", {"container": LIMITS}) == [
        *("--tmpfs", "/tmp:rw,nosuid,nodev,noexec,size=64m,mode=1777")
    ]


@pytest.mark.parametrize(
    ("words", "memory", "said"),
    [
        ("/tmp:128m", "512m", "--tmpfs /tmp:rw,nosuid,nodev,noexec,size=128m,mode=1777"),
        ("a /tmp:129m", "512m", "--mount type=volume,target=/tmp"),
        ("/tmp:1g b", "4g", "--tmpfs /tmp:rw,nosuid,nodev,noexec,size=1g,mode=1777"),
    ],
)
def test_a_large_tmp_lies_on_disk_and_goes_with_its_container(words, memory, said):
    made = {"container": {**LIMITS, "memory": memory, "writable": words}}
    assert said in " ".join(writable.arguments("/kept", made))


@pytest.fixture
def wanted(engine):
    (engine.place / "inside").write_text(json.dumps({"passwd": "", "instance": "/app/instance", "gunicorn": True}))
    return {"container": {**LIMITS, "writable": "uploads cache:memory"}}


def test_what_is_kept_is_made_once_with_what_the_image_has_there(app, engine, wanted):
    assert f"{app.kept}/uploads" in steps.prepare(app, options(**wanted), dry=True)[1]
    assert not os.path.exists(app.kept)
    old = deploy(app, **wanted)
    assert sorted(os.listdir(app.kept)) == ["instance", "uploads"]
    (copied,) = engine.calls(f"docker run --name shop-{old}-copy")
    for said in ("--network none", "--read-only", "--cap-drop ALL", "--user 10001:10001"):
        assert said in copied
    assert "/run/kept/0 /app/uploads /run/kept/1 /app/instance\n" in (engine.place / "calls").read_text()
    (created,) = engine.calls(f"docker create --name shop-{old} ")
    assert f"type=bind,source={app.kept}/uploads,target=/app/uploads" in created
    assert "--tmpfs /app/cache:rw,nosuid,nodev,size=64m,mode=1777" in created
    open(f"{app.kept}/uploads/mine", "w").close()
    new = deploy(app, **wanted, build="b2")
    restore(app, old)
    assert old != new and os.path.exists(f"{app.kept}/uploads/mine")
    assert len([call for call in engine.calls("docker run") if "-copy " in call]) == 1
    assert steps.prepare(app, options(**wanted, build="b2"), dry=False)[1] == []


def test_what_a_killed_copy_left_is_begun_anew(app, wanted):
    os.makedirs(f"{app.kept}/.new-uploads/half")
    deploy(app, **wanted)
    assert sorted(os.listdir(app.kept)) == ["instance", "uploads"] and os.listdir(f"{app.kept}/uploads") == []


def test_a_copy_that_fails_stops_before_a_release_is_written(app, engine, wanted):
    (engine.place / "no-copy").touch()
    with pytest.raises(steps.ReleaseError, match="app_writable: what the image has there could not be copied: it is"):
        prepare(app, **wanted)
    assert app.known() == [] and not os.path.exists(f"{app.kept}/uploads")


def test_it_is_data_and_stays_as_data_does(app, wanted):
    deploy(app, **wanted)
    assert app.kept not in remove_app.goes(app, data=False)
    assert app.root in remove_app.goes(app, data=True)


def copy(*pairs):
    return subprocess.run([sys.executable, "-I", "-c", writable.COPY, *pairs], capture_output=True, text=True)


def test_the_copy_takes_all_that_lies_there_and_refuses_a_file(tmp_path):
    (tmp_path / "image/sub").mkdir(parents=True)
    (tmp_path / "image/sub/.hidden").write_text("x")
    (tmp_path / "image/link").symlink_to("/etc/passwd")
    (tmp_path / "new").mkdir()
    assert copy(tmp_path / "new", tmp_path / "image", tmp_path / "new", tmp_path / "missing").returncode == 0
    assert (tmp_path / "new/sub/.hidden").read_text() == "x" and (tmp_path / "new/link").is_symlink()
    done = copy(tmp_path / "new", tmp_path / "image/sub/.hidden")
    assert done.returncode and done.stderr.endswith("is a file of the image, and app_writable names directories\n")


@pytest.mark.parametrize(
    ("code", "wsgi"),
    [
        ("shop.py", "shop"),
        ("shop/__init__.py", "shop"),
        ("src/shop/__init__.py", "shop"),
        ("odd.py", "missing"),
    ],
)
def test_the_instance_folder_is_where_flask_looks_for_it(tmp_path, code, wsgi):
    path = tmp_path / code
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("import flask; app = flask.Flask(__name__); print(app.instance_path)")
    told = subprocess.check_output([sys.executable, "-I", "-c", inside.PROGRAM, wsgi], cwd=tmp_path, text=True)
    asked = f"import sys; sys.path[:0] = ['', 'src']; import {wsgi}" if wsgi == "shop" else ""
    flask = subprocess.check_output([sys.executable, "-I", "-c", asked], cwd=tmp_path, text=True)
    assert json.loads(told)["instance"] == (flask.strip() or f"{tmp_path}/instance")
