"""The engine is asked no more than it takes, and what it does not answer is told from what is not there."""

from __future__ import annotations

import os
import socket
import sys
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import nginx, process
from ansible.module_utils.flask_deploy.switch import settling, steps
from ansible.modules import status_look

from tests.deploys import kept, options, prepare, serve

LARGE = """
import json, sys
policy = {"RestartPolicy": {"Name": "no"}}
print(json.dumps([{"Name": f"/{name}", "HostConfig": policy, "more": "x" * 9000} for name in sys.argv[3:]]))
"""


def test_no_volume_of_an_image_stays(app, engine):
    """An image with VOLUME gives each container a volume without a name, which goes with it when that is said."""
    for number in range(5):
        release = prepare(app, build=f"b{number}", command="flask db upgrade")
        steps.command(app, options(release=release, command="flask db upgrade", schema_command="tell"))
        serve(app, release, keep=2)
    with pytest.raises(nginx.SiteError):
        (engine.place / "nginx-refuses").touch()
        prepare(app, build="fails at the gate")
    (engine.place / "nginx-refuses").unlink()
    candidate = prepare(app, build="left by a killed run")
    settling.settle(app)
    assert engine.running() == [f"shop-{release}"] and f"shop-{candidate}" not in engine.running()
    held = sorted(os.listdir(engine.place / "containers"))
    assert engine.volumes() == [f"of-{name}" for name in held] and len(held) == 2
    assert all(" -v " in call for call in engine.calls("docker rm "))


def test_the_engine_is_asked_as_often_for_many_releases_as_for_few(host, engine, monkeypatch):
    monkeypatch.setattr(status_look.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 30))
    few, many = kept(host(), engine, 2), kept(host("blog"), engine, 20)
    assert len(few) == len(many) < 22


def test_images_that_are_gone_are_told_from_an_engine_that_is(engine):
    assert list(engines.inspect_all("image", {"sha256:one", "sha256:two"})) == ["sha256:one"]
    assert engines.inspect_all("image", [f"sha256:{number:064}" for number in range(400)]) == {}
    gone = "#!/bin/sh\necho '[]'; echo Cannot connect to the Docker daemon >&2; exit 1\n"
    (engine.place / "bin" / "docker").write_text(gone)
    with pytest.raises(engines.EngineError, match="Cannot connect"):
        engines.inspect_all("image", {"sha256:one"})


def test_a_thousand_containers_are_told_although_one_answer_cannot_hold_them(engine, monkeypatch):
    """As many releases may be kept, and each container takes some 17 KB."""
    monkeypatch.setattr(process, "WHOLE", 1 << 20)
    docker = engine.place / "bin/docker"
    docker.write_text(f"#!{sys.executable}\n{LARGE}")
    names = {f"shop-{number:012x}": "no" for number in range(1000)}
    assert len(engines.inspect_all("container", names)) == 1000
    assert engines.set_restarts(names) == []


def test_the_last_lines_are_asked_for_once_the_journal_has_them(engine):
    """An engine before 23 reads the journal as it is: of a container that just ended it would lack the cause."""
    journal = engine.place / "bin" / "journalctl"
    journal.write_text(f'#!/bin/sh\necho "journalctl $*" >> {engine.place}/calls\n')
    journal.chmod(0o755)
    engines.logs("x")
    assert engine.calls() == ["journalctl --sync", "docker logs --tail 20 x"]
    journal.write_text("#!/bin/sh\nexit 1\n")
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\necho said\n")
    assert engines.logs("x") == ["said"]


def test_a_failed_command_says_what_and_why(engine):
    with pytest.raises(engines.EngineError, match="docker container inspect: Error: No such container: x"):
        engines.docker("container", "inspect", "x")
    assert engines.inspect("container", "x") is None


def test_a_broken_engine_is_not_taken_for_a_missing_container(engine):
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2; exit 1\n")
    with pytest.raises(engines.EngineError, match="Cannot connect"):
        engines.inspect("container", "x")


def test_a_command_that_hangs_is_given_up(engine):
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\nexec sleep 9\n")
    with pytest.raises(engines.EngineError, match=r"docker ps took longer than 0\.1 s"):
        engines.docker("ps", timeout=0.1)


def test_connections_in_flight_are_those_that_the_container_holds(tmp_path, monkeypatch):
    """The path is the same for every release; who holds the connection tells which one it is."""
    monkeypatch.undo()
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        assert engines.in_flight(os.getpid(), path) == 0
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            server = listening.accept()[0]
            assert engines.in_flight(os.getpid(), path) == 1
            assert engines.in_flight(os.getpid(), f"{path}2") == 0
            monkeypatch.setattr(engines, "_sockets", lambda pid: {"1"})
            assert engines.in_flight(os.getpid(), path) == 0
            monkeypatch.undo()
            server.close()
        assert engines.in_flight(os.getpid(), path) == 0
    assert engines.in_flight(2**22 + 1, path) == 0
