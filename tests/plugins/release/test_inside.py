"""What an image holds is asked once, in a container that may do nothing, and the app's user gets a name by it."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files, nginx
from ansible.module_utils.flask_deploy.release import containers, inside
from ansible.module_utils.flask_deploy.switch import steps, summary

from tests.deploys import deploy, options, prepare, restore, serve

ROOT = "root:x:0:0:root:/root:/bin/bash\n"


def looks(engine):
    return [call for call in engine.calls("docker run") if "-look " in call]


@pytest.fixture
def image(engine):
    """Let an image hold this, from now on."""

    def hold(**found):
        usual = {"passwd": ROOT, "instance": "/app/instance", "gunicorn": True}
        (engine.place / "inside").write_text(json.dumps({**usual, **found}))

    return hold


@pytest.mark.parametrize(
    ("text", "added"),
    [
        (ROOT, "app:x:10001:10001:app:/tmp:/usr/sbin/nologin\n"),
        (ROOT[:-1], "\napp:x:10001:10001:app:/tmp:/usr/sbin/nologin\n"),
        ("", "app:x:10001:10001:app:/tmp:/usr/sbin/nologin\n"),
        ("app:x:999:999::/app:/bin/sh\n", "app10001:x:10001:10001:app:/tmp:/usr/sbin/nologin\n"),
        ("odd\n\n", "app:x:10001:10001:app:/tmp:/usr/sbin/nologin\n"),
    ],
)
def test_the_app_s_user_gets_a_name_that_is_nobody_else_s(text, added):
    assert inside.passwd(10001, text) == text + added


def test_a_user_that_the_image_names_keeps_its_name(app, engine, image):
    image(passwd="shop:x:10001:10001::/home/shop:/bin/sh\n")
    release = prepare(app)
    assert not os.path.exists(app.path(release, "passwd"))
    assert "/etc/passwd" not in engine.calls("docker create --name")[-1]


def test_every_process_of_a_release_has_the_name(app, engine):
    release = deploy(app, command="flask db upgrade")
    path = app.path(release, "passwd")
    mount = f"--mount type=bind,source={path},target=/etc/passwd,readonly"
    steps.command(app, options(release=release, command="flask db upgrade"))
    assert mount in engine.calls(f"docker create --name shop-{release} ")[-1]
    assert mount in engine.calls(f"docker run --name shop-{release}-command ")[-1]
    assert files.read(path).decode().splitlines()[-1].startswith("app:x:10001:")
    assert os.stat(path).st_mode & 0o777 == 0o644


def test_an_image_is_looked_into_once_and_by_nobody_with_rights(app, engine, two_images):
    old = deploy(app)
    (look,) = looks(engine)
    for said in ("--network none", "--read-only", "--cap-drop ALL", "--user 10001:10001", "--memory 64m"):
        assert said in look
    assert "--mount" not in look and f"shop-{old}-look" not in os.listdir(engine.place / "containers")
    prepare(app)
    new = deploy(app, environment={"A": "y"})
    assert new != old and len(looks(engine)) == 1, "another release of the same image"
    restore(app, old)
    assert len(looks(engine)) == 1
    deploy(app, image="sha256:two", build="b2")
    assert len(looks(engine)) == 2


def test_a_dry_run_looks_into_no_image(app, engine):
    assert steps.prepare(app, options(), dry=True)[0]
    assert not looks(engine)


def test_what_is_damaged_is_looked_for_again(app, engine):
    release = deploy(app)
    record = {**app.record(release), "found": {"uid": app.uid, "passwd": 5}}
    files.write_json(app.path(release, "release.json"), record)
    os.unlink(app.path(release, "passwd"))
    prepare(app)
    assert len(looks(engine)) == 2 and os.path.exists(app.path(release, "passwd"))


def test_a_release_without_its_names_is_not_gone_back_to(app):
    old = deploy(app)
    deploy(app, build="b2")
    os.unlink(app.path(old, "passwd"))
    with pytest.raises(steps.ReleaseError, match="its directory is damaged, it lacks passwd"):
        restore(app, old)


def test_an_image_without_python_stops_before_a_release_is_written(app, engine):
    (engine.place / "no-python").touch()
    with pytest.raises(steps.ReleaseError, match=r"the image has no python3 .*\n  what to do: install python3"):
        prepare(app)
    assert app.known() == []


@pytest.mark.parametrize("answer", ["", "hello", "[]", "{}", "[" * 200_000], ids=lambda answer: answer[:9])
def test_an_odd_answer_is_an_error(app, engine, answer):
    (engine.place / "inside").write_text(answer)
    with pytest.raises((steps.ReleaseError, engines.EngineError)):
        prepare(app)


@pytest.mark.parametrize("path", ["/x,source=/", "instance", '/x"y', "/x\n/y", ""])
def test_what_an_image_says_of_itself_mounts_nothing_else(app, engine, image, path):
    """Its python3 runs what any package of the app brings, and the engine reads words behind a comma."""
    image(instance=path)
    with pytest.raises(steps.ReleaseError, match="as its instance folder, which is no directory that can be mounted"):
        prepare(app)
    assert engine.calls("docker create") == []


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"WorkingDir": "/a,source=", "Volumes": {"/a,source=/etc": {}}}, "WORKDIR"),
        ({"WorkingDir": "/app", "Volumes": {"/x,type=volume,source=somebody_s": {}}}, "VOLUME"),
        ({"WorkingDir": "/app", "Volumes": {"cache": {}}}, "VOLUME"),
    ],
)
def test_what_an_image_is_made_with_mounts_nothing_else(app, engine, config, said, what):
    config(**said)
    with pytest.raises(steps.ReleaseError, match=f"as its {what}, which is no directory that can be mounted"):
        prepare(app)
    assert engine.calls("docker create") == []


def test_what_an_earlier_version_took_from_an_image_is_judged_again(app, engine, image):
    release = deploy(app)
    record = app.record(release)
    record["found"]["instance"] = "/x,source=/"
    files.write_json(app.path(release, "release.json"), record)
    again = prepare(app, build="b2")
    assert len(looks(engine)) == 2 and app.record(again)["found"]["instance"] == "/app/instance"
    with pytest.raises(engines.EngineError, match="'/x,source=/' cannot be mounted"):
        containers.create_arguments(app, release, app.record(release))


def test_the_look_itself_says_what_is_there(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["-c", "shop"])
    monkeypatch.setattr("sys.path", [])
    exec(inside.PROGRAM, {})
    assert pwd.getpwuid(0).pw_name in json.loads(capsys.readouterr().out)["passwd"]


@pytest.mark.parametrize(
    ("files_of", "module", "names", "modules"),
    [
        ({"shop.py": "from flask import Flask\napplication = Flask(__name__)\n"}, "shop", ["application"], ["shop"]),
        ({"shop.py": "def create_app():\n    pass\nclass A: pass\n"}, "shop", ["create_app()"], ["shop"]),
        (
            {"shop.py": "try:\n    from web import create_app as app\nexcept ImportError:\n    app = 1\n"},
            "shop",
            ["app"],
            None,
        ),
        ({"shop.py": "import x\nserver = x.make_server()\n"}, "shop", ["server"], ["shop"]),
        (
            {"src/shop/__init__.py": "", "src/shop/web.py": "app = f()\n", "t.py": ""},
            "shop.web",
            ["app"],
            ["shop", "t"],
        ),
        ({"shop.py": "syntax error\n", "setup.py": "", "test_a.py": "", "data/a.txt": ""}, "shop", [], ["shop"]),
        ({"wsgi.py": ""}, "shop", [], ["wsgi"]),
    ],
)
def test_the_look_tells_what_app_wsgi_could_mean(tmp_path, files_of, module, names, modules):
    for name, text in files_of.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-I", "-c", inside.PROGRAM, module]
    told = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    assert told["names"] == names and modules in (None, told["modules"])


def test_a_directory_that_the_app_s_user_may_not_read_gives_no_hints(tmp_path):
    """Root may read all, so the test says no in its place."""
    no = "import os\ndef no(place): raise PermissionError(13, 'no', place)\n"
    no += "os.listdir, os.access = no, lambda path, mode: False\n"
    command = [sys.executable, "-I", "-c", no + inside.PROGRAM, "shop"]
    told = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    assert (told["names"], told["modules"]) == ([], [])


@pytest.mark.parametrize("hint", [None, "app", [1, "\x1b[2J", *["a"] * 50]])
def test_hints_of_an_image_that_is_not_trusted_are_plain_and_few(app, image, hint):
    image(names=hint)
    told = app.record(prepare(app))["found"]["names"]
    assert len(told) <= inside.MOST_HINTS and all(each.isprintable() for each in told)


PORT = {"container": {"memory": "64m", "cpus": 0, "pids": 16, "stop_timeout": 10, "server": "port:5000"}}
SERVES = {"Entrypoint": ["/entry.sh"], "Cmd": ["gunicorn", "-b", ":5000", "shop:app"], "ExposedPorts": {"5000/tcp": {}}}


@pytest.fixture
def config(engine, monkeypatch):
    """Let the image's Dockerfile say this."""

    def say(**config):
        known = engines.inspect
        monkeypatch.setattr(
            inside.engine, "inspect", lambda kind, name: {"Config": config} if kind == "image" else known(kind, name)
        )

    return say


def test_an_image_without_gunicorn_stops_and_names_the_port_that_it_exposes(app, image, config):
    image(gunicorn=False)
    config(**SERVES)
    with pytest.raises(steps.ReleaseError, match=r"no gunicorn .*\n  what to do: .* app_server: port:5000"):
        prepare(app, static="")
    assert prepare(app, static="", **PORT)


def test_the_image_s_own_command_serves_behind_a_port(app, engine, config):
    config(**SERVES)
    release = prepare(app, **PORT)
    (created,) = engine.calls(f"docker create --name shop-{release} ")
    assert created.endswith("/release/exec.py --port 5000 /entry.sh gunicorn -b :5000 shop:app")
    assert app.record(release)["found"]["unused"] == "" and "--publish" not in created


def test_an_image_without_a_command_serves_on_no_port(app, config):
    config(WorkingDir="/app")
    with pytest.raises(steps.ReleaseError, match="neither CMD nor ENTRYPOINT"):
        prepare(app, **PORT)


@pytest.mark.parametrize(
    ("says", "own", "named"),
    [
        ({}, "", ""),
        ({"Cmd": ["python3"], "User": "10001"}, "", ""),
        (SERVES, "", "ENTRYPOINT /entry.sh, CMD gunicorn -b :5000 shop:app, EXPOSE 5000"),
        (SERVES, "5000", ""),
        (SERVES, "8000", "EXPOSE 5000"),
        ({"User": "999:999", "Healthcheck": {"Test": ["CMD", "x"]}}, "5000", "USER 999, HEALTHCHECK"),
        ({"Cmd": ["flask", "run", "a b"]}, "", "CMD flask run 'a b'"),
    ],
)
def test_what_a_dockerfile_says_and_is_not_used_is_named(says, own, named):
    whole = f"not used of the Dockerfile: {named}; docs/how-to/dockerfile.md says what is in their place"
    assert inside.unused(says, 10001, own) == (whole if named else "")


def test_it_is_named_when_the_release_serves_and_when_it_does_not_get_ready(app, config, monkeypatch):
    config(User="999")
    release = prepare(app)
    record = serve(app, release)
    assert record["unused"].startswith("not used of the Dockerfile: USER 999")
    assert record["unused"] in summary.summarise(record)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 503)
    with pytest.raises(containers.NotReady, match="not used of the Dockerfile: USER 999"):
        prepare(app, environment={"A": "y"}, start_timeout=0)
