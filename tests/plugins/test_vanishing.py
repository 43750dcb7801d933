"""What the engine listed a moment ago may be gone: somebody removed it by hand, or the engine did."""

from __future__ import annotations

import shutil

import pytest
from ansible.module_utils import build_bases as bases
from ansible.module_utils import build_run
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files, leftovers
from ansible.module_utils.flask_deploy.release import containers, places
from ansible.module_utils.flask_deploy.switch import discarding, retire, settling
from ansible.modules import build_image, remove_app

from tests.deploys import deploy, prepare

RUNNING = {"State": {"Running": True, "Pid": 1, "ExitCode": 0}, "HostConfig": {"RestartPolicy": {"Name": "other"}}}


@pytest.fixture
def app(host, monkeypatch):
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 0)
    app = host()
    deploy(app)
    return app


@pytest.fixture(params=["before it is looked at", "after that"])
def vanishing(request, app, engine, monkeypatch):
    """List a container that is gone before it is inspected, or just after that; return its name."""
    listed = engines.containers(app.name)
    monkeypatch.setattr(engines, "containers", lambda name: {**listed, "shop-abc": "running", "shop-abc-x": "running"})
    if request.param == "after that":
        inspect = engines.inspect

        def known(kind, name):
            return inspect(kind, name) or (RUNNING if name.startswith("shop-abc") else None)

        monkeypatch.setattr(engines, "inspect", known)
        found = {name: {**RUNNING, "Name": f"/{name}"} for name in ("shop-abc", "shop-abc-x")}
        listing = lambda kind, names: {name: found[name] for name in names if name in found}  # noqa: E731
        monkeypatch.setattr(engines, "inspect_all", listing)
    return "shop-abc"


@pytest.mark.parametrize(
    "act",
    [
        lambda app: retire.retire(app, drain=0, stop_timeout=1),
        lambda app: retire.prune(app, 3),
        lambda app: retire.abandon(app),
        lambda app: discarding.discard(app, "abc", {}, "it failed", 0),
        lambda app: settling.settle(app),
        lambda app: app.set_restarts({"abc": "no", "abc-x": "no"}),
        lambda app: engines.remove("shop-abc"),
        lambda app: containers.end_commands(app.name),
        lambda app: remove_app.remove(app, data=False, dry=False),
    ],
    ids=[
        "retire",
        "prune",
        "abandon",
        "discard",
        "settle",
        "set_restarts",
        "remove",
        "end_commands",
        "remove",
    ],
)
def test_a_container_that_vanishes_is_gone_and_no_error(app, vanishing, act):
    files.ensure_directory(app.path("abc"))
    files.write_json(app.path("abc", "release.json"), {"id": "abc", "image": "sha256:one"})
    act(app)


def test_a_candidate_that_vanishes_before_it_is_made_anew_is_made(app, engine, monkeypatch):
    release = prepare(app, build="b2")
    stopped = {**engines.inspect("container", f"shop-{release}"), "State": {"Running": False}}
    shutil.rmtree(engine.place / "containers" / f"shop-{release}")
    monkeypatch.setattr(engines, "inspect", lambda kind, name: stopped if kind == "container" else {})
    (engine.place / "bin" / "docker").write_text(
        (engine.place / "bin" / "docker")
        .read_text()
        .replace('"start "*)', '"start "*)\n    [ -d "$ENGINE/containers/$2" ] || missing container "$2"')
    )
    assert containers.ensure_running(app, release, app.record(release))
    assert f"shop-{release}" in engine.running()


def test_an_image_that_vanishes_before_its_files_are_taken_out_is_said(app):
    with pytest.raises(places.ReleaseError, match=r"image sha256:gone is not on this host any more.*again"):
        prepare(app, build="b2", image="sha256:gone")


def build_options(**more):
    known = {"app": "shop", "rebuild": False, "run": "me", "base_image": "sha256:gone", "base_archive": None}
    known |= {"ready": "", "target": ""}
    return {**known, "base_can_be_sent": False, "build_args": {}, "source_archive": "x", **more}


def test_a_base_image_that_vanishes_after_it_was_pulled_is_said(engine):
    with pytest.raises(bases.BaseError, match=r"sha256:gone.*is not there"):
        bases.find(build_options(), "FROM $BASE_IMAGE")


def test_an_image_that_vanishes_after_it_was_built_is_said(engine, monkeypatch):
    monkeypatch.setattr(build_image, "build", lambda *arguments: None)
    with pytest.raises(bases.BaseError, match=r"flask-deploy/shop:[0-9a-f]{12} is not there"):
        source = build_run.Source({"digest": "d"}, "FROM x", {}, None)
        build_image.make_of(source, "FROM x", "", [], build_options(), dry=False)


@pytest.mark.parametrize("ends", ["exit status 1", "Status: , Code: 1"])
def test_a_network_that_vanishes_is_gone_however_docker_ends_what_it_says(engine, ends):
    """Docker 28 ends the errors of `network rm` with a line that gives no reason; alone it tells nothing."""
    left, gone = leftovers.Leftovers(), "Error response from daemon: network shop not found"
    for said, lines in ((f"{gone}\\n{ends}", 0), (ends, 1)):
        (engine.place / "bin" / "docker").write_text(f"#!/bin/sh\nprintf '{said}\\n' >&2; exit 1\n")
        left.remove_network("shop")
        assert len(left.lines) == lines
