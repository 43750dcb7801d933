"""What no longer serves ends in time, and what is asked of a release that served is answered from its state."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import clock, files
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.switch import progress, retire, switch

from tests.deploys import begin, deploy, move, prepare


@pytest.fixture
def leaving(app):
    """Move traffic and go no further; return (the release that is left, the one that serves)."""
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new)
    switch.move(app, progress.pending(app))
    return old, new


def stops(monkeypatch):
    """Return a list that gets what docker is told to stop: (seconds for the app, seconds for the engine)."""
    docker, seen = engines.docker, []

    def watching(*words, **more):
        if words[0] == "stop":
            seen.append((int(words[2]), more["timeout"]))
        return docker(*words, **more)

    monkeypatch.setattr(engines, "docker", watching)
    return seen


# -- the end of a release --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "ends"),
    [("running", True), ("paused", True), ("restarting", True), ("exited", False), ("created", False), ("dead", False)],
)
def test_what_runs_in_any_way_is_stopped(app, monkeypatch, state, ends):
    serving = deploy(app)
    monkeypatch.setattr(engines, "containers", lambda name: {f"shop-{serving}": "running", "shop-abc": state})
    assert [each["container"] for each in retire.retire(app, 0, 1)] == ["shop-abc"] * ends


@pytest.mark.parametrize("flying", [0, 3])
def test_the_engine_is_not_given_up_while_it_waits_for_an_app(app, leaving, monkeypatch, flying):
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: flying)
    seen = stops(monkeypatch)
    assert [each["cut"] for each in retire.retire(app, 0, 40)] == [flying]
    ((seconds, limit),) = seen
    assert seconds == (retire.CUT_TIMEOUT if flying else 40) and limit > seconds


def test_what_is_in_flight_is_asked_of_the_release_that_is_left(app, leaving, monkeypatch):
    old, _new = leaving
    asked, inspect = [], engines.inspect

    def found(kind, name):
        known = inspect(kind, name)
        return {**known, "State": {**known["State"], "Pid": 4711}} if name == f"shop-{old}" else known

    monkeypatch.setattr(engines, "inspect", found)
    monkeypatch.setattr(engines, "in_flight", lambda *of: asked.append(of) or 0)
    retire.retire(app, 0, 1)
    assert asked == [(4711, containers.SOCKET)]


def took(app, drain=0):
    began = time.monotonic()
    retire.retire(app, drain, 1)
    return time.monotonic() - began


def test_a_release_that_nginx_left_long_ago_is_stopped_at_once(app, leaving, monkeypatch):
    app.set_state(leaving[1], "live", moved=clock.now() - 3600)
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 5)
    assert took(app) < 5


def test_a_move_before_a_boot_lengthens_no_drain(app, leaving, monkeypatch):
    """The boot clock began anew since: that moment may be far ahead."""
    app.set_state(leaving[1], "live", moved=clock.now() + 1e6)
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0.5)
    assert 0.5 <= took(app, drain=20) < 10


def test_a_short_drain_gives_what_nginx_still_asks_its_time(app, leaving, monkeypatch):
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0.6)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 1)
    assert 0.6 <= took(app, drain=0) < 5


def test_a_release_that_does_not_get_ready_again_keeps_its_state_and_says_why(app, engine):
    old = deploy(app)
    deploy(app, build="b2")
    for state in ("rejected", None):
        known = {name: value for name, value in app.state(old).items() if name != "state"}
        files.write_json(app.path(old, "state.json"), known | ({"state": state} if state else {}))
        retire.leave(app, old, "it did not answer", 0)
        left = app.state(old)
        assert (left["state"], left["reason"]) == (state or "retired", "it did not answer")
        assert left["switched"] == known["switched"]
    assert not (engine.place / "containers" / f"shop-{old}").exists()


# -- what goes, and what stays ---------------------------------------------------------------


def test_what_served_last_is_gone_back_to_first_and_goes_last(app, engine):
    first, second, serving = (deploy(app, build=f"b{number}") for number in range(3))
    prepare(app, build="never served")
    assert retire.targets(app) == [second, first]
    app.set_state(second, "rejected")
    assert (retire.targets(app), retire.targets(app, cause=False)) == ([second, first], [first])
    assert [release for release in retire.surplus(app, 2) if release in (first, second, serving)] == [first]
    (engine.place / "images").write_text("sha256:another\n")
    assert retire.targets(app) == []


@pytest.mark.parametrize("state", ["prepared", "failed"])
def test_what_serves_is_never_surplus_whatever_its_state_says(app, state):
    """A switch that is cut off moves the link before it writes the state."""
    release = deploy(app)
    app.set_state(release, state)
    assert retire.surplus(app, 1) == []
    other = prepare(app, build="b2")
    app.set_state(other, state)
    assert retire.surplus(app, 9) == [other]


def test_a_candidate_that_a_killed_run_left_is_stopped_and_no_other(app, engine):
    old, serving = deploy(app), deploy(app, build="b2")
    candidate = prepare(app, build="b3")
    engines.docker("stop", "-t", "0", f"shop-{candidate}")
    assert retire.abandon(app) == [] and (engine.place / "containers" / f"shop-{candidate}").exists()
    for release in (old, candidate):
        engines.docker("start", f"shop-{release}")
    assert retire.abandon(app, dry=True) == [f"shop-{candidate}"]
    assert f"shop-{candidate}" in engine.running()
    assert retire.abandon(app) == [f"shop-{candidate}"]
    assert engine.running() == sorted([f"shop-{old}", f"shop-{serving}"])


def test_a_host_that_never_had_a_release_needs_no_engine(app, engine):
    """A dry run on a bare host comes here before there is one."""
    assert retire.abandon(app, dry=True) == [] and retire.abandon(app) == []
    assert engine.calls() == []


def test_an_image_without_a_tag_goes_by_its_id(app, engine):
    (engine.place / "tags").write_text("sha256:one flask-deploy/shop:b1\nsha256:lost flask-deploy/shop:<none>\n")
    deploy(app)
    engine.forget()
    assert retire.prune(app, 3) == ["sha256:lost"]
    assert engine.calls("docker rmi") == ["docker rmi sha256:lost"]


def test_a_release_that_never_served_goes_with_what_was_half_written_of_it(app, engine):
    serving, release = deploy(app), prepare(app, build="b2", image="sha256:one")
    stage = Path(app.releases, f".new-{release}")
    stage.mkdir()
    (stage / "site.conf").touch()
    retire.remove(app, release)
    assert os.listdir(app.releases) == [serving] and engine.running() == [f"shop-{serving}"]
    stage.mkdir()
    retire.remove(app, release)
    assert os.listdir(app.releases) == [serving]


def test_an_old_release_is_stopped_once_nothing_is_in_flight(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    move(app, new)
    answers = iter([2, 1, 0])
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: next(answers))
    retired = retire.retire(app, drain=30, stop_timeout=40)
    assert [(each["container"], each["cut"]) for each in retired] == [(f"shop-{old}", 0)]
    assert engine.calls("docker stop") == [f"docker stop -t 40 shop-{old}"]


def test_what_outlasts_the_drain_is_cut(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    move(app, new)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 1)
    began = time.monotonic()
    retire.retire(app, drain=0.3, stop_timeout=40)
    assert 0.3 <= time.monotonic() - began < 2
    assert engine.calls("docker stop") == [f"docker stop -t {retire.CUT_TIMEOUT} shop-{old}"]


def test_an_old_release_lives_until_nginx_let_go_of_it(app, monkeypatch):
    deploy(app)
    new = prepare(app, build="b2")
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0.5)
    move(app, new)
    retire.retire(app, drain=0, stop_timeout=40)
    assert clock.now() - app.state(new)["moved"] >= 0.5


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
def test_a_clock_that_is_set_changes_no_drain(app, engine, monkeypatch, hours):
    """What is in flight has the time that it was promised, and no more."""
    deploy(app)
    new = prepare(app, build="b2")
    move(app, new)
    began, wall = time.monotonic(), time.time
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 1)
    moments = iter([wall()])
    monkeypatch.setattr(time, "time", lambda: next(moments, wall() + hours * 3600))
    retired = retire.retire(app, drain=0.5, stop_timeout=40)
    assert 0.5 <= time.monotonic() - began < 5 and 0.5 <= retired[0]["seconds"] < 5


def test_the_newest_releases_are_kept_and_never_the_serving_one_removed(app, engine):
    releases = [deploy(app, build=f"b{number}", keep=3) for number in range(5)]
    assert app.known() == sorted(releases[-3:])
    failed = prepare(app, build="never served")
    gone = retire.prune(app, 1)
    assert app.known() == [releases[-1]] and app.serving() == releases[-1]
    assert failed in gone and engine.running() == [f"shop-{releases[-1]}"]


def test_an_image_that_a_kept_release_needs_is_kept(app, engine):
    for number in range(3):
        image = f"sha256:{number}"
        with open(engine.place / "images", "a") as file:
            file.write(f"{image}\n")
        with open(engine.place / "tags", "a") as file:
            file.write(f"{image} flask-deploy/shop:{number}\n")
        deploy(app, build=f"b{number}", image=image, keep=2)
    assert engine.calls("docker rmi") == ["docker rmi flask-deploy/shop:0"]


def test_half_written_releases_are_cleared_away(app):
    deploy(app)
    os.mkdir(f"{app.releases}/.new-abc")
    Path(app.releases, ".new-abc", "release.json").touch()
    retire.prune(app, 3)
    assert os.listdir(app.releases) == app.known() != []


def test_a_removal_that_is_cut_off_is_ended_by_the_next(app, monkeypatch):
    """Whichever file goes first, what is left of a release is none, and does not stay."""
    releases = [deploy(app, build=f"b{number}") for number in range(3)]

    def cut_off(path):
        raise KeyboardInterrupt(path)

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(files, "remove_tree", cut_off)
        retire.prune(app, 2)
    assert app.known() == sorted(releases[1:])
    retire.prune(app, 2)
    assert sorted(os.listdir(app.releases)) == sorted(releases[1:])


def test_what_is_no_release_of_ours_is_left_alone(app):
    deploy(app)
    os.mkdir(f"{app.releases}/kept by hand")
    retire.prune(app, 3)
    assert os.path.isdir(f"{app.releases}/kept by hand")


@pytest.mark.parametrize("field", ["image", "domain"])
def test_a_record_without_an_image_or_a_domain_is_damaged(app, field):
    os.makedirs(app.path("abc"))
    files.write_json(app.path("abc", "release.json"), {"image": "sha256:one", "domain": "x.example", field: ""})
    assert retire.lack(app, "abc", {"sha256:one"}) == "its release.json is damaged"
