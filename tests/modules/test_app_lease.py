"""One run at a time changes an app on a host, and a dead one does not stand in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible.module_utils import app_lease
from ansible.plugins.action import app_lock


def owner(name):
    return {"id": name, "user": name, "host": "laptop", "process": 42, "started": "7", "namespace": "here"}


@pytest.fixture(autouse=True)
def run_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(app_lease, "RUN", str(tmp_path / "run"))


@pytest.fixture
def ann():
    return app_lease.Lease("shop", owner("ann"))


@pytest.fixture
def bob():
    return app_lease.Lease("shop", owner("bob"))


@pytest.fixture
def worker():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_the_second_is_told_who_was_first(ann, bob):
    ann.take()
    ann.take()
    with pytest.raises(app_lease.LeaseError, match=r"locked: ann on laptop \(process 42\) deploys it since 20") as said:
        bob.take()
    assert "ends by itself in 60 s" in str(said.value) and "-e app_lock_wait=300" in str(said.value)


def test_another_app_is_another_lock(ann):
    ann.take()
    app_lease.Lease("blog", owner("bob")).take()


def test_a_silent_owner_loses_it_after_a_minute(ann, bob, monkeypatch):
    ann.take()
    later = app_lease.now() + app_lease.LIFE + 1
    monkeypatch.setattr(app_lease, "now", lambda: later)
    bob.take()
    with pytest.raises(app_lease.LeaseError, match="bob"), ann.held():
        raise AssertionError("a step of ann's began")


def test_a_running_step_keeps_it_however_long_that_takes(ann, bob, monkeypatch):
    ann.take()
    with ann.held():
        later = app_lease.now() + 10 * app_lease.LIFE
        monkeypatch.setattr(app_lease, "now", lambda: later)
        with pytest.raises(app_lease.LeaseError, match=f"A step of that runs here now, as process {os.getpid()}"):
            bob.take()


def test_a_step_whose_owner_is_dead_is_ended(ann, bob, worker):
    ann.take()
    ann._write([worker.pid, app_lease.started(worker.pid)])
    bob.take(dead="ann")
    assert worker.wait(5) == -signal.SIGKILL


def test_a_process_that_has_the_number_of_a_dead_step_lives_on(ann, bob, worker):
    ann.take()
    ann._write([worker.pid, app_lease.started(worker.pid) - 1])
    bob.take(dead="ann")
    assert worker.poll() is None


def test_the_dead_owner_s_heir_does_not_take_it_from_a_third(ann, bob):
    ann.take()
    with pytest.raises(app_lease.LeaseError):
        bob.take(dead="carl")


def test_who_waits_gets_it_when_it_is_given_back(ann, bob):
    ann.take()
    with pytest.raises(app_lease.LeaseError):
        bob.take(wait=0.1)
    ann.release()
    bob.take(wait=0.1)


def test_only_its_owner_gives_it_back(ann, bob):
    ann.take()
    bob.release()
    with pytest.raises(app_lease.LeaseError):
        bob.take()


def test_a_zombie_does_not_run(worker):
    assert app_lease.started(worker.pid)
    worker.kill()
    end = time.monotonic() + 5
    while app_lease.started(worker.pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert app_lease.started(worker.pid) is None


def test_a_controller_knows_its_own_dead(worker):
    holder = {"namespace": app_lock.namespace(), "process": worker.pid, "started": app_lock.started(worker.pid)}
    assert not app_lock.dead(holder)
    assert app_lock.dead({**holder, "started": "1"})
    assert not app_lock.dead({**holder, "started": "1", "namespace": "another machine"})
    worker.kill()
    worker.wait()
    assert app_lock.dead(holder)


def test_an_owner_is_the_run_not_its_workers():
    told = app_lock.owner()
    assert told["process"] == os.getppid()
    assert told["started"] == Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[19]


def test_a_host_that_an_earlier_play_lost_stops_the_deploy():
    play = {"ansible_play_hosts_all": ["web1", "web2", "web3"], "ansible_play_hosts": ["web1", "web3"]}
    assert app_lock.missing(play) == ["web2"]
