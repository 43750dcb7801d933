"""All processes of a release see the sockets of the services that it needs; a rollback brings them back with it."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.release import aside, containers, needed, processes
from ansible.module_utils.flask_deploy.switch import steps

from tests.deploys import deploy, options, prepare

FOLDERS = ("/run/postgresql", "/run/valkey-shop-queue")
MOUNTS = [f"type=bind,source={folder},target={folder},readonly" for folder in FOLDERS]
CONTAINER = options()["container"]


def needs(*folders, **more):
    """Return what a play gives for app_needs."""
    return {"container": {**CONTAINER, "needs": " ".join(folders)}, **more}


def mounted(words):
    return [word for word in words if word in MOUNTS]


def test_web_workers_release_command_and_one_off_commands_see_the_same(app):
    release = prepare(app, **needs(*FOLDERS, processes={"worker": {"command": "celery -A shop worker"}}))
    record = app.record(release)
    assert mounted(record["arguments"]) == MOUNTS
    assert mounted(processes.of(record)["worker"]["arguments"]) == MOUNTS
    assert mounted(containers.places(app, release, record)) == MOUNTS
    assert mounted(aside.arguments(app, release, "run", ["flask"])) == MOUNTS


def test_a_need_makes_a_release_and_the_plan_names_it(app):
    old = deploy(app)
    new, _actions, planned = steps.prepare(app, options(**needs(*FOLDERS)), dry=False)
    assert old != new and f"app_needs: None -> {' '.join(FOLDERS)}" in planned["lines"]


def test_a_rollback_to_a_release_without_needs_mounts_none_and_the_way_back_all(app):
    old = deploy(app)
    new = deploy(app, **needs(*FOLDERS))
    back, *_ = steps.restore(app, options(release=None), dry=False)
    assert back == old and mounted(containers.arguments(app, back, app.record(back))) == []
    assert mounted(containers.arguments(app, new, app.record(new))) == MOUNTS


def test_no_need_leaves_a_release_as_an_earlier_version_made_it(app):
    assert "needs" not in CONTAINER
    assert needed.arguments({"container": {}}) == needed.arguments({"container": {"needs": ""}}) == []


def test_an_app_without_needs_has_no_line_of_them(app):
    deploy(app)
    planned = steps.prepare(app, options(build="b2"), dry=False)[2]
    assert not [line for line in planned["lines"] if "needs" in line]
