"""A serving release that was killed is started again, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.switch import keeper

INSPECT = """#!/bin/sh
echo "docker $*" >> "$ENGINE/calls"
[ "$1" = start ] && exit
[ -e "$ENGINE/away" ] && { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
printf '[{"Name":"/%s",' "$3"; cat "$ENGINE/state"
"""


@pytest.fixture
def app(host, engine, monkeypatch):
    app = host()
    for release in ("aaa", "bbb"):
        os.makedirs(app.path(release))
        Path(app.path(release, "release.json")).write_text("{}")
    files.link(app.current, "releases/aaa")
    (engine.place / "bin" / "docker").write_text(INSPECT)
    monkeypatch.setattr(keeper, "GRACE", 0)
    return app


@pytest.fixture
def state(engine):
    def write(pid=0, running="false", code=137, restarting="false"):
        told = f'"Pid":{pid},"Running":{running},"ExitCode":{code},"Restarting":{restarting}'
        (engine.place / "state").write_text(f'"State":{{{told}}}}}]')

    return write


@pytest.fixture
def container():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_it_looks_again_and_again_after_the_seconds_that_it_was_told(app, monkeypatch):
    told, slept = iter([1, 5, 2]), []
    monkeypatch.setattr(keeper, "look", lambda app: next(told))
    monkeypatch.setattr(keeper.time, "sleep", slept.append)
    with pytest.raises(StopIteration):
        keeper.keep(app)
    assert slept == [1, 5, 2]


def test_what_was_killed_is_started_again_within_seconds(app, engine, state, container, capsys):
    state(pid=container.pid, running="true")
    killing = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {container.pid}"])
    ended, began = keeper._ended, time.monotonic()

    def end(*arguments):
        told = ended(*arguments)
        state(code=137)
        return told

    keeper._ended = end
    try:
        keeper.look(app)
    finally:
        keeper._ended = ended
        killing.wait()
    assert time.monotonic() - began < 5
    assert engine.calls("docker start") == ["docker start shop-aaa"]
    assert files.read_json(app.revived)["times"] == 1
    assert "shop-aaa was killed (code 137); started again" in capsys.readouterr().err


def test_what_an_operator_stopped_stays_stopped(app, engine, state):
    state(code=0)
    keeper.look(app)
    assert not engine.calls("docker start")


@pytest.mark.parametrize("told", [{"running": "true"}, {"restarting": "true"}], ids=str)
def test_what_the_engine_starts_again_is_left_to_it(app, engine, state, told):
    state(**told)
    keeper.look(app)
    assert not engine.calls("docker start")


def test_a_switch_under_way_is_left_alone(app, engine, state):
    state()
    Path(app.pending).write_text("{}")
    keeper.look(app)
    assert engine.calls() == []


@pytest.mark.parametrize("meanwhile", ["a switch begins", "another serves"])
def test_what_changes_while_the_engine_is_asked_is_seen(app, engine, state, meanwhile):
    state()
    if meanwhile == "a switch begins":
        Path(app.pending).write_text("{}")
    else:
        files.link(app.current, "releases/bbb")
    assert keeper.revive(app, "aaa", "shop-aaa") is False
    assert not engine.calls("docker start")


def test_it_follows_the_link_and_asks_the_engine_once(app, engine, state, container):
    state(pid=container.pid, running="true")
    moving = subprocess.Popen(["sh", "-c", f"sleep 1.5; ln -sfn releases/bbb {app.current}"])
    assert keeper.look(app) == keeper.LOOK
    moving.wait()
    assert app.serving() == "bbb" and len(engine.calls("docker")) == 1


@pytest.fixture
def worker(app):
    """Let the serving release have a worker beside its web; return the worker's name."""
    process = {"command": ["x"], "count": 1, "stop_timeout": 1, "arguments": ["x"]}
    files.write_json(app.path("aaa", "release.json"), {"processes": {"worker": process}})
    return "shop-aaa-worker-1"


@pytest.mark.parametrize(("code", "again"), [(137, True), (1, True), (0, False), (143, False)])
def test_a_worker_that_was_killed_is_started_again_and_one_that_was_stopped_is_not(
    app, engine, state, worker, capsys, code, again
):
    state(code=code)
    assert keeper.revive(app, "aaa", worker) is again
    assert engine.calls("docker start") == [f"docker start {worker}"] * again
    assert not os.path.exists(app.revived), "what status says of the web is not said of a worker"
    assert (worker in capsys.readouterr().err) is again


def test_a_worker_that_does_not_run_is_looked_at_again_while_the_web_does(
    app, engine, state, worker, container, monkeypatch
):
    """Its engine may start it again, later and as another process."""
    told = {"shop-aaa": {"Pid": container.pid, "Running": True}, worker: {"Pid": 0, "Running": False, "ExitCode": 137}}
    monkeypatch.setattr(
        keeper.engine, "inspect_all", lambda kind, names: {name: {"State": told[name]} for name in names}
    )
    monkeypatch.setattr(keeper.engine, "inspect", lambda kind, name: {"State": told[name]})
    monkeypatch.setattr(keeper, "AGAIN", 0)
    assert keeper.look(app) == keeper.LOOK
    assert engine.calls("docker start") == [f"docker start {worker}"]


@pytest.mark.parametrize("away", ["the engine", "the release"])
def test_what_is_away_is_waited_for(app, engine, state, away):
    if away == "the engine":
        (engine.place / "away").touch()
    else:
        os.unlink(app.current)
    assert keeper.look(app) > 0
    assert not engine.calls("docker start")
