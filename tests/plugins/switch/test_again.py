"""A restart is a deploy of what serves, under another id, with the secrets of now."""

from __future__ import annotations

import base64

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release.places import ReleaseError
from ansible.module_utils.flask_deploy.switch import again, steps

from tests.deploys import deploy, options, serve, settled, snapshot

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
