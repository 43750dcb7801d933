"""A restart is a deploy of what serves, under another id, with the secrets of now."""

from __future__ import annotations

import base64
import os

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release.places import ReleaseError
from ansible.module_utils.flask_deploy.switch import again, discarding, progress, steps, switch

from tests.deploys import Killed, begin, deploy, options, serve, settled, snapshot

KEY = base64.b64encode(b"another" * 5).decode()
ONCE = {"command": "flask db upgrade"}


def renew(app, dry=False, **more):
    return again.renew(app, options(release_key=KEY, **more), dry)


def restart(app, **more):
    """Restart what serves; return the id under which it serves now."""
    release = renew(app, **more)[0]
    serve(app, release, **more)
    return release


def test_a_restart_serves_the_same_under_another_id(app, engine):
    old = deploy(app, environment={"A": "y"})
    made = {name: files.read(app.path(old, name)) for name in ("site.conf", "exec.py", "env.json")}
    record = app.record(old)
    new = restart(app)
    assert new != old and settled(app, engine, new) == []
    assert {name: files.read(app.path(new, name)) for name in made} == made
    same = ("image", "build", "wsgi", "container", "source", "domain", "static")
    assert {name: app.record(new)[name] for name in same} == {name: record[name] for name in same}
    assert engine.running() == [f"shop-{new}"]


def test_its_processes_restart_with_it_as_they_were(app, engine):
    worker = {"worker": {"command": "rq worker", "count": 2, "memory": "32m"}}
    old = deploy(app, processes=worker)
    new = restart(app, processes={})
    assert [*app.record(new)["processes"]] == ["worker"] and new != old
    assert [name for name in engine.running() if "-worker-" in name] == [f"shop-{new}-worker-{n}" for n in (1, 2)]
    assert steps.prepare(app, options(processes=worker), dry=False)[:2] == (new, [])


def test_it_reads_the_secrets_of_now_and_nothing_else_of_the_inventory(app, engine):
    old = deploy(app)
    new = restart(app, secrets={"KEY": "changed-since"}, environment={"A": "changed"}, image="sha256:two", build="b2")
    assert files.read_json(f"{app.etc}/secrets/env.json") == {"KEY": "changed-since"}
    assert app.record(new)["image"] == "sha256:one" and files.read_json(app.path(new, "env.json")) == {"A": "x"}
    assert new != old


def test_the_next_deploy_of_the_same_inventory_changes_nothing(app, engine):
    deploy(app)
    new = restart(app)
    assert steps.prepare(app, options(), dry=False)[:2] == (new, [])


def taken_back(app, release, monkeypatch):
    progress.decide(app, begin(app, release), False, "/ failed 3 of 6 times: status 503", True)
    switch.carry_out(app)


def refused_elsewhere(app, release, monkeypatch):
    discarding.discarded(app, options(release=release, build=""), dry=False)


def killed_before_it_moved(app, release, monkeypatch):
    pass


def killed_as_it_was_made(app, release, monkeypatch):
    discarding.discarded(app, options(release=release, build=""), dry=False)
    with monkeypatch.context() as patched:
        patched.setattr(app, "set_state", killed)
        with pytest.raises(Killed):
            renew(app)


def killed(*_given, **_more):
    raise Killed


@pytest.mark.parametrize("ends", [taken_back, refused_elsewhere, killed_before_it_moved, killed_as_it_was_made])
def test_a_restart_that_does_not_come_to_stay_changes_no_deploy(app, engine, monkeypatch, ends):
    """The next deploy of the same inventory was refused, or was another release that nobody asked for."""
    old = deploy(app)
    ends(app, renew(app)[0], monkeypatch)
    assert app.serving() == old
    release, actions, _planned = steps.prepare(app, options(), dry=False)
    assert release == old and [each for each in actions if not each.startswith("abandoned ")] == []


def test_a_restart_whose_run_was_lost_when_it_served_is_found_by_the_next_deploy(app, engine):
    deploy(app)
    new = renew(app)[0]
    progress.decide(app, begin(app, new), True)
    switch.carry_out(app)
    assert steps.prepare(app, options(), dry=False)[0] == new == app.serving()
    serve(app, new)
    assert steps.prepare(app, options(), dry=False)[:2] == (new, [])


def test_the_app_does_not_read_the_key_of_its_own_id(app, engine):
    deploy(app)
    key = app.path(restart(app), "release.key")
    assert files.read(key) == files.read(f"{app.etc}/release.key") and os.stat(key).st_mode & 0o777 == 0o400


def test_each_restart_makes_another_release(app, engine):
    old = deploy(app)
    first = restart(app)
    second = again.renew(app, options(release_key=base64.b64encode(b"a third" * 5).decode()), False)[0]
    assert len({old, first, second}) == 3


def test_it_takes_no_place_of_a_release_to_go_back_to(app, engine):
    first = deploy(app, build="b1", keep=2)
    deploy(app, build="b2", keep=2)
    new = restart(app, keep=2)
    assert app.known() == sorted([first, new])


def test_one_that_does_not_get_ready_leaves_what_serves(app, engine):
    old = deploy(app)
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(Exception, match="nginx"):
        renew(app)
    (engine.place / "nginx-refuses").unlink()
    assert app.serving() == old and app.known() == [old]
    assert steps.prepare(app, options(), dry=False)[:2] == (old, [])


def test_no_release_command_runs_again(app, engine):
    (engine.place / "schema").write_text("0001\n")
    release = steps.prepare(app, options(**ONCE), dry=False)[0]
    assert steps.command(app, options(release=release, **ONCE))[1]
    serve(app, release)
    new = restart(app, **ONCE)
    assert app.schema()["release"] == new
    assert not steps.command(app, options(release=new, **ONCE))[1]
    assert files.read_json(app.path(new, "schema.json"))["state"] == "0001"


def test_a_dry_run_says_what_would_be_and_changes_nothing(app, engine, tmp_path):
    old = deploy(app)
    before = snapshot(app.root), snapshot(app.etc)
    release, actions, planned = renew(app, dry=True, secrets={"KEY": "changed-since", "MORE": "of-it"})
    assert (release, actions) == (old, [f"release {old} once more"])
    assert planned["lines"] == [
        f"restarts: release {old} under another id, with its image, code and settings",
        "app_secrets: KEY, MORE as they are now",
    ]
    assert (snapshot(app.root), snapshot(app.etc)) == before


def test_where_nothing_serves_it_says_what_to_type(app):
    with pytest.raises(ReleaseError, match=r"shop does not serve on this host yet; type: ansible-playbook site\.yml"):
        renew(app)
