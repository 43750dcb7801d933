"""Files for apps that read nothing else lie in the release, where the app alone reads them, and go back with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import containers, placed
from ansible.module_utils.flask_deploy.switch import steps

from tests.deploys import deploy, options, prepare

HIDDEN = "SECRET_KEY = 'h5-Xq-and-more'"
CONTAINER = options()["container"]


def given(contents, **more):
    """Return what a play gives for app_files."""
    return {"placed": contents, "container": {**CONTAINER, "files": " ".join(contents)}, **more}


def read(app, release, path):
    """Return what is mounted at a path of a release's container, and its mode."""
    words = app.record(release)["arguments"]
    (mount,) = [word for word in words if f",target={path}," in word]
    assert mount.endswith(",readonly")
    source = mount.partition("source=")[2].partition(",")[0]
    return Path(source).read_text(), files.os.lstat(source).st_mode & 0o777


def test_a_path_is_below_the_code_or_absolute(app, engine):
    release = prepare(app, **given({"instance/config.py": "A = 1\n", "/etc/shop.cfg": "[shop]\n", "b.py": "B"}))
    start = app.record(release)["found"]["workdir"].rstrip("/")
    assert read(app, release, "/etc/shop.cfg") == ("[shop]\n", 0o400)
    assert read(app, release, f"{start}/instance/config.py") == ("A = 1\n", 0o400)
    assert read(app, release, f"{start}/b.py")[0] == "B"
    files_of_app = [row for row in placed.rows(app, {"b.py": "B"}) if row[3:] == (app.uid, app.gid)]
    assert [row[2] for row in files_of_app] == [0o400]


def test_the_release_command_finds_them_too(app):
    release = prepare(app, **given({"config.py": HIDDEN}))
    words = containers.places(app, release, app.record(release))
    assert any(word.endswith("/config.py,readonly") for word in words)


def test_a_content_makes_a_release_and_a_rollback_brings_it_back(app):
    old = deploy(app, **given({"/app/config.py": "A = 1"}))
    new = deploy(app, **given({"/app/config.py": "A = 2"}))
    assert old != new and prepare(app, **given({"/app/config.py": "A = 2"})) == new
    back, *_ = steps.restore(app, options(release=None), dry=False)
    assert back == old and read(app, back, "/app/config.py")[0] == "A = 1"


def test_none_of_them_leaves_a_release_as_it_was(app):
    assert prepare(app) == prepare(app, placed={})


def test_what_they_hold_stands_nowhere_else(app, engine):
    deploy(app, **given({"config.py": "A = 1", "gone.py": "x"}))
    release, actions, planned = steps.prepare(app, options(**given({"config.py": HIDDEN, "new.py": "y"})), dry=False)
    assert "app_files: +new.py -gone.py ~config.py" in planned["lines"]
    told = json.dumps([actions, planned, app.record(release), engine.calls()])
    assert "Xq-and-more" not in told and "Xq-and-more" not in Path(app.path(release, "env.json")).read_text()
    assert not [line for line in planned["lines"] if line.startswith("files:")]


def test_a_rollback_tells_them_by_name(app):
    deploy(app, **given({"config.py": HIDDEN}))
    deploy(app, **given({}), build="b2")
    planned = steps.restore(app, options(release=None), dry=True)[2]
    assert "app_files: +config.py" in planned["lines"] and "Xq-and-more" not in str(planned)


def test_one_that_is_damaged_is_mended(app):
    release = deploy(app, **given({"config.py": HIDDEN}))
    path = Path(app.path(release, "file-0"))
    path.unlink()
    path.write_bytes(b"damaged \xff")
    prepare(app, **given({"config.py": HIDDEN}))
    assert path.read_text() == HIDDEN


@pytest.mark.parametrize("known", [{}, {"container": {}}])
def test_releases_of_earlier_versions_have_none(app, known):
    assert placed.arguments("/srv/shop/releases/a", {"container": {}, **known}) == []
