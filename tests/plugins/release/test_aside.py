"""What runs beside what serves has all that a release's processes have, and no deploy ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.release import aside, containers, logged, tool
from ansible.module_utils.flask_deploy.release.places import ReleaseError
from ansible.module_utils.flask_deploy.switch import retire
from ansible.modules import remove_app

from tests.deploys import deploy, prepare


def beside(engine, release, what="run", waits=None):
    """Let a container run beside what serves; return its name."""
    name = f"shop-{release}-{what}-1"
    place = engine.place / "containers" / name
    place.mkdir()
    for label, text in {"aside": what, "release": release, "waits": waits or aside._me(), "app": "shop"}.items():
        (place / label).write_text(f"{text}\n")
    (place / "running").touch()
    return name


def test_a_command_has_what_the_release_command_has(app, engine):
    release = deploy(app)
    engine.forget()
    done = aside.run(app, release, ["flask", "create-admin"], 5)
    assert (done.code, done.out) == (0, b"migrated\n")
    (call,) = engine.calls("docker run")
    places = " ".join(containers.places(app, release, app.record(release)))
    places = places.replace(" ".join(logged.ARGUMENTS) + " ", "")  # its output goes to whoever asked
    assert call.startswith(f"docker run --name shop-{release}-run-{os.getpid()} --rm --label flask-deploy.app=shop ")
    assert f" {places} " in call
    assert call.endswith("--entrypoint python3 sha256:one /release/exec.py flask create-admin")


def test_what_it_prints_is_logged_by_who_waits_alone(app, monkeypatch):
    """Docker's client refuses options of a log together with the driver `none`."""
    release = deploy(app)
    monkeypatch.setattr(
        containers, "places", lambda *more: ["--log-driver", "journald", "--log-opt", "a=b", "--user", "1:1"]
    )
    words = " ".join(aside.arguments(app, release, "run", ["true"]))
    assert "--network shop --user 1:1 --log-driver none " in words and "--log-opt" not in words


def test_it_tells_both_streams_and_the_exit_code(app, engine):
    release = deploy(app)
    engine.schema("1a")
    assert aside.run(app, release, ["false"], 5).code == 7
    said = aside.run(app, release, ["flask", "db", "current"], 5).out
    assert b"Context impl" in said and b"1a" in said


def test_much_that_it_prints_is_told(app, engine):
    """More than of a release command, whose last lines are shown: it is what the command was run for."""
    release = deploy(app)
    (engine.place / "schema").write_text("x" * 200_000)
    done = aside.run(app, release, ["flask", "db", "current"], 5)
    assert not done.lost and len(done.out) > 200_000


def test_what_takes_too_long_is_ended(app, engine, monkeypatch):
    release = deploy(app)
    docker = engine.place / "bin" / "docker"
    docker.write_text(docker.read_text().replace('"run --name")\n', '"run --name")\n    sleep 30\n'))
    assert aside.run(app, release, ["flask", "loop"], 0.5).code is None
    assert engine.calls(f"docker rm -f -v shop-{release}-run-")


def test_no_release_is_one_line(app):
    with pytest.raises(ReleaseError, match=r"^shop: no release serves here yet; deploy one: ansible-playbook site\."):
        aside.release_of(app)


@pytest.mark.parametrize("command", ["", "  ", "flask 'x"])
def test_what_is_no_command_is_refused(command):
    with pytest.raises(ReleaseError, match="example: flask create-admin"):
        aside.split(command)


def test_a_deploy_leaves_what_somebody_waits_for_and_its_release(app, engine):
    first = deploy(app)
    name = beside(engine, first)
    for number in (2, 3, 4):
        deploy(app, build=f"b{number}", keep=2)
    assert first in app.known() and name in engine.running()
    (engine.place / "containers" / name / "waits").write_text("1:0\n")
    deploy(app, build="b5", keep=2)
    assert first not in app.known() and name not in engine.running()


def test_a_run_that_takes_over_and_a_retirement_leave_it(app, engine):
    release = deploy(app)
    name = beside(engine, release, "job-purge")
    containers.end_commands("shop")
    prepare(app, build="b2")
    retire.retire(app, 0, 1)
    assert name in engine.running()


def test_what_nobody_waits_for_any_more_is_ended(app, engine):
    """Its process was killed, or another has its number now."""
    release = deploy(app)
    left = [beside(engine, release, "run", waits) for waits in (f"{os.getpid()}:1",)]
    assert aside.sweep(app) == left
    name = beside(engine, release)
    assert aside.sweep(app) == [] and name in engine.running()


def test_containers_of_others_are_not_taken_for_it(app, engine):
    release = deploy(app)
    name = beside(engine, release, waits="1:1")
    (engine.place / "containers" / name).rename(engine.place / "containers" / "mine")
    assert aside.here(app) == {}


def test_it_goes_with_its_app(app, engine):
    name = beside(engine, deploy(app))
    assert f"removed container {name}" in remove_app.remove(app, data=False, dry=False)
    assert name not in engine.running()


class Became(BaseException):
    pass


@pytest.fixture
def became(monkeypatch):
    """Return the commands that would have become this process."""
    calls = []

    def become(program, words):
        calls.append(words)
        raise Became

    monkeypatch.setattr(aside.os, "execvp", become)
    return calls


@pytest.mark.parametrize(("terminal", "typed"), [(True, "--rm -i -t --label"), (False, "--rm -i --label")])
def test_by_hand_it_has_a_terminal_where_there_is_one(app, became, monkeypatch, terminal, typed):
    release = deploy(app)
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    with pytest.raises(Became):
        aside.by_hand(app, [])
    with pytest.raises(Became):
        aside.by_hand(app, ["flask", "routes"])
    shell, routes = (" ".join(words) for words in became)
    assert typed in shell and f"shop-{release}-run-" in shell and shell.endswith("exec bash; exec sh")
    assert routes.endswith("/release/exec.py flask routes")


def test_the_tool_finds_all_its_parts_by_itself(app, tmp_path):
    """It runs there without Ansible."""
    Path(app.root).mkdir(parents=True)
    assert tool.ensure(app) == [app.tool] and tool.ensure(app) == []
    done = subprocess.run([sys.executable, "-I", "-S", app.tool, "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "sudo /srv/shop/run flask create-admin" in done.stdout
    assert os.access(app.tool, os.X_OK) and Path(app.tool).read_bytes().startswith(b"#!/usr/bin/python3 -I\n")


def test_the_tool_says_what_is_wrong_in_one_line(app, monkeypatch):
    monkeypatch.setattr(tool.os, "geteuid", lambda: 0)
    assert tool.main(app, ["flask", "routes"]).startswith("shop: no release serves here yet")
    monkeypatch.setattr(tool.os, "geteuid", lambda: 1000)
    assert tool.main(app, ["flask", "routes"]) == f"this takes root; type: sudo {app.tool} flask routes"


def test_an_engine_that_is_away_is_one_line_too(app, monkeypatch):
    deploy(app)

    def away(*words, **options):
        raise engines.EngineError("Cannot connect to the Docker daemon")

    monkeypatch.setattr(tool.os, "geteuid", lambda: 0)
    monkeypatch.setattr(engines, "docker", away)
    assert "Cannot connect" in tool.main(app, ["flask", "routes"])
