"""A release is there whole or not at all, and exactly one serves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import writing
from ansible.module_utils.flask_deploy.switch import steps

from tests.deploys import MARK, SITE, deploy, draining, options, prepare, snapshot


def test_a_release_holds_all_it_needs_to_run_again(app, engine):
    engine.public("hello.txt")
    release = prepare(app)
    assert sorted(os.listdir(app.path(release))) == [
        "draining",
        "env.json",
        "exec.py",
        "gunicorn.conf.py",
        "passwd",
        "release.json",
        "run",
        "site.conf",
        "state.json",
        "static",
    ]
    record = app.record(release)
    assert record["id"] == release and record["image"] == "sha256:one" and record["by"] == "tester"
    assert engine.running() == [f"shop-{release}"] and app.serving() is None
    assert draining(app, release), "until it serves"
    (holder,) = engine.calls(f"docker create --name shop-{release}-static")
    assert holder.endswith(" --network none --label flask-deploy.app=shop sha256:one true")


def test_the_same_input_is_the_same_release_and_no_change(app, engine):
    release = deploy(app)
    engine.forget()
    again, actions, planned = steps.prepare(app, options(), dry=False)
    assert (again, actions, planned) == (release, [], {"lines": [], "diff": []})
    assert steps.begin_switch(app, options(release=release), dry=True) == (None, [])
    assert not [call for call in engine.calls() if call.split()[1] in ("create", "start", "stop", "rm", "update")]
    assert not engine.calls("systemctl")


@pytest.mark.parametrize(
    "change",
    [
        {"build": "b2"},
        {"wsgi": "shop:other"},
        {"static": ""},
        {"container": {"memory": "65m", "cpus": 0, "pids": 16, "stop_timeout": 10}},
        {"files": {"site.conf": SITE, "gunicorn.conf.py": "#", "exec.py": ""}},
        {"environment": {"A": "y"}},
        {"environment": {"A": "x", "B": ""}},
        {"secrets": {"KEY": "another-value"}},
        {"secret_files": {"users.json": "{}"}},
        {"uid": 10002},
    ],
    ids=lambda change: " ".join(change),
)
def test_each_input_decides_the_release(app, change):
    writing.ensure_places(app)
    ids = [steps.prepare(app, options(**more), dry=False)[0] for more in ({}, change, {})]
    assert ids[0] == ids[2] != ids[1]


def test_a_note_of_who_deployed_does_not_decide_the_release(app):
    assert prepare(app) == prepare(app, by="another", source={"kind": "git"})


def test_values_of_the_environment_arrive_as_they_are(app):
    values = {"A": "{{ x }} $HOME %s 'it' \"q\"\nüß🌍", "N": 3, "T": True, "L": [1, "ü"], "E": ""}
    release = prepare(app, environment=values)
    read = json.loads(Path(app.path(release, "env.json")).read_text(encoding="utf-8"))
    assert read == {**values, "N": "3", "T": "true", "L": '[1,"ü"]'}


def test_a_dry_run_on_a_bare_host_predicts_and_changes_nothing(app, tmp_path, engine):
    before = snapshot(tmp_path)
    _release, actions, planned = steps.prepare(app, options(), dry=True)
    assert any(action.startswith("release ") for action in actions) and app.root in actions
    names = ["app_env (names alone)", "app_secrets (names alone)", "app_secret_files (names alone)", "site.conf"]
    assert [shown["before_header"] for shown in planned["diff"]] == names
    assert MARK not in str([actions, planned])
    assert steps.begin_switch(app, options(release="0" * 12), dry=True)[1] == [f"current -> {'0' * 12}"]
    assert [row for row in snapshot(tmp_path) if "/engine/" not in row[0]] == [
        row for row in before if "/engine/" not in row[0]
    ]
    assert engine.running() == []


def test_a_dry_run_predicts_the_release_that_comes(app):
    deploy(app)
    predicted = steps.prepare(app, options(build="b2"), dry=True)[0]
    assert predicted == prepare(app, build="b2")


def test_an_aborted_write_leaves_no_release(app, monkeypatch):
    writing.ensure_places(app)
    monkeypatch.setattr(writing, "extract_static", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare(app)
    assert app.known() == []
    monkeypatch.undo()


def test_damage_is_seen_by_a_dry_run_and_mended(app, engine):
    engine.public("hello.txt")
    release = deploy(app)
    Path(app.path(release, "gunicorn.conf.py")).write_text("damaged")
    Path(app.path(release, "static", "hello.txt")).write_text("damaged")
    files.os.chmod(app.path(release, "env.json"), 0o644)
    expected = [app.path(release, name) for name in ("gunicorn.conf.py", "env.json", "static")]
    assert steps.prepare(app, options(), dry=True)[1] == expected
    assert steps.prepare(app, options(), dry=False)[1] == expected
    assert steps.prepare(app, options(), dry=False)[1] == []
    assert Path(app.path(release, "static", "hello.txt")).read_text() == "hello"


def test_a_release_s_directory_that_nginx_cannot_enter_is_mended(app):
    release = deploy(app)
    files.os.chmod(app.path(release), 0o700)
    for dry in (True, False):
        assert steps.prepare(app, options(), dry=dry)[1] == [app.path(release)]
    assert files.os.lstat(app.path(release)).st_mode & 0o777 == 0o755


def test_only_the_app_reads_its_environment(app):
    release = prepare(app)
    found = {name: files.os.lstat(app.path(release, name)) for name in ("env.json", "site.conf")}
    modes = {name: (info.st_mode & 0o777, info.st_uid, info.st_gid) for name, info in found.items()}
    assert modes == {"env.json": (0o400, 10001, 10001), "site.conf": (0o644, 0, 0)}
