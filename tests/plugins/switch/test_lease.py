"""One run at a time changes an app on a host, and a dead one does not stand in the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import clock, locks
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.plugins.action import app_lock


def owner(name):
    return {"id": name, "user": name, "host": "laptop", "process": 42, "started": "7", "namespace": "here"}


@pytest.fixture(autouse=True)
def run_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))
    monkeypatch.setattr(leases, "lead_group", lambda: None)  # pytest stays in the group of whoever began it


@pytest.fixture
def ann():
    return leases.Lease("shop", owner("ann"))


@pytest.fixture
def bob():
    return leases.Lease("shop", owner("bob"))


@pytest.fixture
def worker():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_the_second_is_told_who_was_first(ann, bob):
    ann.take()
    ann.take()
    with pytest.raises(leases.LeaseError, match=r"locked: ann on laptop \(process 42\) deploys it since 20") as said:
        bob.take()
    assert "ends by itself in 60 s" in str(said.value) and "-e app_lock_wait=300" in str(said.value)


def test_another_app_is_another_lock(ann):
    ann.take()
    leases.Lease("blog", owner("bob")).take()


def test_a_silent_owner_loses_it_after_a_minute(ann, bob, monkeypatch):
    ann.take()
    later = clock.now() + leases.LIFE + 1
    monkeypatch.setattr(leases, "now", lambda: later)
    bob.take()
    with pytest.raises(leases.LeaseError, match="bob"), ann.held():
        raise AssertionError("a step of ann's began")


def test_a_running_step_keeps_it_however_long_that_takes(ann, bob, monkeypatch):
    ann.take()
    with ann.held():
        later = clock.now() + 10 * leases.LIFE
        monkeypatch.setattr(leases, "now", lambda: later)
        with pytest.raises(leases.LeaseError, match=f"A step of that runs here now, as process {os.getpid()}"):
            bob.take()


def test_a_step_whose_owner_is_dead_is_ended(ann, bob, worker):
    ann.take()
    ann._write([worker.pid, leases.started(worker.pid)])
    bob.take(dead="ann")
    assert worker.wait(5) == -signal.SIGKILL


def test_a_step_that_no_signal_ends_is_told_of_in_time(ann, bob, worker, monkeypatch):
    """A process that waits for a disk ends when that answers, which may be never."""
    clock = [0.0]

    def sleep(seconds):
        clock[0] += max(seconds, 0.05)
        assert clock[0] < 60, "it is waited for without an end"

    ann.take()
    ann._write([worker.pid, leases.started(worker.pid)])
    with monkeypatch.context() as patched:
        patched.setattr(leases.os, "kill", lambda *given: None)
        patched.setattr(leases, "time", SimpleNamespace(sleep=sleep, time=time.time, monotonic=lambda: clock[0]))
        with pytest.raises(leases.LeaseError) as error:
            bob.take(dead="ann")
    assert str(error.value) == (
        f"process {worker.pid} of a run that is gone does not end, although it was killed 30 s ago: the host's disk "
        f"may hang. Type there: sudo dmesg; ps -o pid,stat,wchan,args -p {worker.pid}"
    )
    assert 30 <= clock[0] < 31
    bob.take(dead="ann")
    assert worker.wait(5) == -signal.SIGKILL, "the next run tries again"


STEP = """
import subprocess, sys
from ansible.module_utils.flask_deploy.host import locks
from ansible.module_utils.flask_deploy.switch import lease as leases
locks.RUN = sys.argv[1]
lease = leases.Lease("shop", {"id": "ann", "user": "ann", "host": "laptop", "process": 42})
lease.take()
with lease.held():
    child = subprocess.Popen(["sh", "-c", "sleep 60 & wait"])
    print(child.pid, flush=True)
    child.wait()
"""


@pytest.fixture
def step(tmp_path):
    """A step of ann's that has started a command, which has started another."""
    path = f"{Path(leases.__file__).parents[2]}"
    code = f"import ansible.module_utils as m; m.__path__.append({path!r})\n{STEP}"
    process = subprocess.Popen([sys.executable, "-c", code, locks.RUN], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline()

    def children():
        listed = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True)
        rows = [line.split() for line in listed.stdout.splitlines()]
        return [int(each) for each, group, stat in rows if int(group) == process.pid != int(each) and stat[0] != "Z"]

    yield process, children
    for each in children():
        os.kill(each, signal.SIGKILL)
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("module", ["runs", "was killed"])
def test_what_a_dead_owner_s_step_has_started_is_ended_with_it(bob, step, module):
    """A migration must not go on beside the next one."""
    process, children = step
    assert len(children()) >= 2
    if module == "was killed":
        process.kill()
        process.wait()
        assert children(), "they outlive it"
    assert bob.take(dead="ann")["owner"]["id"] == "ann"
    assert children() == []


def test_what_an_owner_left_that_is_silent_for_long_is_ended_too(bob, step, monkeypatch):
    process, children = step
    process.kill()
    process.wait()
    later = clock.now() + leases.LIFE + 1
    monkeypatch.setattr(leases, "now", lambda: later)
    bob.take()
    assert children() == []


def test_who_looks_takes_nothing(ann, bob):
    assert bob.take(look=True) is None
    ann.take()
    with pytest.raises(leases.LeaseError, match="locked: ann"):
        bob.take(look=True)
    assert bob.take(dead="ann", look=True)["owner"]["id"] == "ann"
    ann.take()


def test_a_lease_lives_as_long_as_its_owner_says(bob):
    leases.Lease("shop", {**owner("ann"), "life": 600}).take()
    with pytest.raises(leases.LeaseError, match="ends by itself in 600 s"):
        bob.take()


def test_locks_are_root_s_alone(ann):
    ann.take()
    assert os.stat(locks.RUN).st_mode & 0o777 == 0o700


def test_a_process_that_has_the_number_of_a_dead_step_lives_on(ann, bob, worker):
    ann.take()
    ann._write([worker.pid, leases.started(worker.pid) - 1])
    bob.take(dead="ann")
    assert worker.poll() is None


def test_the_dead_owner_s_heir_does_not_take_it_from_a_third(ann, bob):
    ann.take()
    with pytest.raises(leases.LeaseError):
        bob.take(dead="carl")


def test_who_waits_gets_it_when_it_is_given_back(ann, bob):
    ann.take()
    with pytest.raises(leases.LeaseError):
        bob.take(wait=0.1)
    ann.release()
    bob.take(wait=0.1)


def test_only_its_owner_gives_it_back(ann, bob):
    ann.take()
    bob.release()
    with pytest.raises(leases.LeaseError):
        bob.take()


def test_a_zombie_does_not_run(worker):
    assert leases.started(worker.pid)
    worker.kill()
    end = time.monotonic() + 5
    while leases.started(worker.pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert leases.started(worker.pid) is None


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


PLAY = {"ansible_play_hosts_all": ["web1", "web2", "web3"], "ansible_play_hosts": ["web1", "web2", "web3"]}
PLAY |= {"ansible_play_batch": ["web1", "web2", "web3"], "ansible_forks": 2}


def test_a_host_that_an_earlier_play_lost_stops_the_deploy():
    said = app_lock.refuse({**PLAY, "ansible_play_hosts": ["web1", "web3"]}, "linear")
    assert "web2: lost before the deploy began" in said and "--limit 'all:!web2'" in said


def test_a_play_that_does_not_take_its_hosts_together_is_refused():
    assert app_lock.refuse(PLAY, "linear") is None
    assert "strategy is free" in app_lock.refuse(PLAY, "free") and "strategy: linear" in app_lock.refuse(PLAY, "free")
    assert "the play has serial" in app_lock.refuse({**PLAY, "ansible_play_batch": ["web1"]}, "linear")


def test_a_lease_outlives_the_turns_of_the_other_hosts():
    alone = {"ansible_play_hosts_all": ["web1"], "ansible_forks": 1}
    assert app_lock.life(alone, 90, 600) == app_lock.LIFE
    assert app_lock.life(PLAY, 90, 600) == app_lock.LIFE + 600 + 2 * 90


def test_an_app_that_waits_for_its_host_is_told_so():
    assert app_lock.tell({**leases.boot_owner(), "host": "web1"}) == (
        "web1 settles a switch that its last end cut off; waiting for it"
    )
    assert app_lock.tell(owner("ann")) == "waiting for process 42 of ann on laptop"


class Host:
    """Answers that a host's module gives, one after another, and what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def ask(self, name, arguments, task_vars=None):
        self.asked.append(arguments)
        return self.answers.pop(0)


def taking(host, wait=0):
    action = app_lock.ActionModule.__new__(app_lock.ActionModule)
    action._execute_module = host.ask
    return action._take({"app": "shop"}, wait, {})


def test_a_host_that_settles_a_switch_is_waited_for_though_nobody_asked_to():
    host = Host(*[{"failed": True, "holder": leases.boot_owner()}] * 3, {"owner": owner("ann")})
    assert taking(host) == {"owner": owner("ann")}
    assert [asked["wait"] for asked in host.asked] == [0, 10, 10, 10]


def test_a_host_that_never_settles_it_is_not_waited_for_for_ever():
    host = Host(*[{"failed": True, "holder": leases.boot_owner()}] * 20)
    assert taking(host)["failed"] and sum(asked["wait"] for asked in host.asked) <= app_lock.SETTLES


def test_a_dead_holder_is_taken_over_from_whoever_asks(worker):
    worker.kill()
    worker.wait()
    gone = {"id": "x", "user": "u", "namespace": app_lock.namespace(), "process": worker.pid, "started": "1"}
    host = Host({"failed": True, "holder": gone}, {"owner": owner("ann"), "ended": ["shop-1-command"]})
    assert taking(host)["owner"] and host.asked[1]["dead"] == "x"


def test_a_dead_holder_that_cannot_be_taken_over_from_is_asked_for_once(worker):
    worker.kill()
    worker.wait()
    gone = {"id": "x", "user": "u", "namespace": app_lock.namespace(), "process": worker.pid, "started": "1"}
    refused = {"failed": True, "msg": "process 7 does not end", "holder": gone}
    host = Host(*[refused] * 3)
    assert taking(host, wait=300) == refused and len(host.asked) == 2


# What a lease file may hold: an earlier version's, this one's, one that something else wrote.
BOOT_OF_A4F4D54 = {"id": "boot", "user": "root", "host": "web1", "process": 7}
RUN_OF_A4F4D54 = {**BOOT_OF_A4F4D54, "id": "run", "started": "7", "namespace": "here"}
TIMES = {"since": 1.0, "expires": 1e9}
LEASES = {
    "the boot's, of a4f4d54": {**TIMES, "owner": BOOT_OF_A4F4D54, "worker": [1, 1]},
    "a run's, of a4f4d54": {**TIMES, "owner": RUN_OF_A4F4D54, "worker": None},
    "the boot's": {**TIMES, "owner": leases.boot_owner(), "worker": [1, 1]},
    "a run's": {**TIMES, "owner": app_lock.owner(), "worker": None},
    "without times": {"owner": RUN_OF_A4F4D54},
    "odd inside": {"owner": {"id": "x"}, "since": "x", "expires": None, "worker": [None, "x"]},
    "a step that is half one": {**TIMES, "expires": 0, "owner": RUN_OF_A4F4D54, "worker": [1]},
    "a step that is none": {**TIMES, "expires": 0, "owner": RUN_OF_A4F4D54, "worker": 1},
    "an owner that is none": {"owner": [], **TIMES},
    "a list": [1],
    "a number": 1,
    "cut short": '{"owner": {"id',
    "no text": b"\xff\xfe",
    "empty": "",
}


@pytest.mark.parametrize("found", LEASES.values(), ids=LEASES.keys())
@pytest.mark.parametrize("reader", [leases.boot_owner(), app_lock.owner()], ids=["the boot", "a run"])
def test_each_reader_of_a_lease_takes_what_any_writer_wrote(reader, found):
    """Told who holds it, or it is taken; nothing else."""
    lease = leases.Lease("shop", reader)
    Path(locks.RUN).mkdir()
    raw = found if isinstance(found, (str, bytes)) else json.dumps(found)
    Path(lease.path).write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    for act in (
        lease.take,
        lambda: lease.take(look=True),
        lambda: lease.take(dead="x"),
        lambda: lease.held().__enter__(),
    ):
        try:
            act()
        except leases.LeaseError as error:
            assert "shop is locked" in str(error)
            holder = lease.holder()["owner"]
            assert app_lock.tell(holder) and app_lock.dead(holder) in (True, False)
    lease.release()


def test_a_process_is_found_whatever_it_calls_itself():
    """Field 2 of its stat is its name in parentheses, which may hold parentheses and spaces (proc(5))."""
    code = "open('/proc/self/comm', 'w').write('a) Z (b'); print('ready', flush=True); import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        began = leases.started(process.pid)
        process.kill()
    ticks = clock.now() * os.sysconf("SC_CLK_TCK")
    assert 0 <= ticks - began < 60 * os.sysconf("SC_CLK_TCK")


def test_a_wait_ends_as_soon_as_it_is_given_back(ann, bob):
    ann.take()
    giving = threading.Timer(0.6, ann.release)
    giving.start()
    began = time.monotonic()
    bob.take(wait=30)
    assert 0.5 < time.monotonic() - began < 10
    giving.join()


def test_it_is_told_since_when_the_first_step_has_it(ann, bob, monkeypatch):
    monkeypatch.setattr(leases.time, "time", lambda: 1_800_000_000.0)
    ann.take()
    monkeypatch.setattr(leases.time, "time", lambda: 1_800_000_900.0)
    with ann.held():
        pass
    with pytest.raises(leases.LeaseError, match=r"deploys it since 2027-01-15 08:00:00 UTC\. If that is gone"):
        bob.take()


def test_it_is_told_whose_step_runs(ann, bob):
    ann.take()
    with ann.held(), pytest.raises(leases.LeaseError) as said:
        bob.take()
    assert "shop is locked: ann on laptop (process 42) deploys it since" in str(said.value)
    assert f"runs here now, as process {os.getpid()}. To wait for it" in str(said.value)


def test_a_lease_is_read_by_root_alone(ann):
    ann.take()
    assert os.stat(ann.path).st_mode & 0o777 == 0o600


def test_who_gives_it_back_waits_for_who_looks_at_it(ann):
    ann.take()
    with leases.lock("shop.lease.lock"):
        giving = threading.Thread(target=ann.release)
        giving.start()
        giving.join(0.3)
        assert os.path.exists(ann.path)
    giving.join()
    assert not os.path.exists(ann.path)


def test_a_host_that_settles_is_an_owner_as_any_other():
    told = leases.boot_owner()
    assert set(told) == set(leases.UNKNOWN) == set(leases.an_owner({}))
    me = {"process": os.getpid(), "started": str(leases.started(os.getpid())), "host": os.uname().nodename}
    assert told == {**leases.UNKNOWN, **me, "id": "boot", "user": "root", "settles": True}


def test_an_earlier_version_s_owner_has_what_is_missing_and_nothing_more():
    assert leases.an_owner({"id": "x", "user": "ann", "more": 1}) == {**leases.UNKNOWN, "id": "x", "user": "ann"}


def test_a_host_that_settles_is_told_so(ann):
    leases.Lease("shop", leases.boot_owner()).take()
    with pytest.raises(leases.LeaseError) as said:
        ann.take()
    assert str(said.value).startswith("shop is locked: its host settles a switch that its last end cut off, since 20")
    assert "ends by itself in 60 s. To wait for it" in str(said.value)


def test_only_who_lives_and_is_another_holds_it(ann, bob, monkeypatch):
    assert bob.holder() is None
    ann.take()
    assert ann.holder() is None and bob.holder()["owner"]["id"] == "ann"
    later = bob.holder()["expires"]
    monkeypatch.setattr(leases, "now", lambda: later)
    assert bob.holder() is None


def test_a_step_that_ends_by_itself_meanwhile_is_ended_too(worker, monkeypatch):
    real = os.kill

    def too_late(pid, number):
        real(pid, number)
        worker.wait()
        raise ProcessLookupError

    monkeypatch.setattr(leases.os, "kill", too_late)
    leases.end_step([worker.pid, leases.started(worker.pid)])
    assert worker.poll() == -signal.SIGKILL


@pytest.mark.parametrize("known", [None, []])
def test_an_owner_without_a_step_has_none_to_end(known, monkeypatch):
    monkeypatch.setattr(leases.os, "kill", pytest.fail)
    leases.end_step(known)


def test_a_step_ends_the_processes_of_its_group_and_no_others(worker, monkeypatch):
    """Nor one that was there before the step began."""
    group = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True)
    try:
        leases.end_step([group.pid, leases.started(group.pid)])
        assert group.wait(5) == -signal.SIGKILL and worker.poll() is None
        assert leases._group([group.pid, leases.started(worker.pid)]) == []
        assert leases._group([worker.pid, leases.started(worker.pid)]) == [worker.pid]
    finally:
        group.poll() is None and os.killpg(group.pid, signal.SIGKILL)


def test_who_leads_a_group_stays_its_leader():
    """A step that began one keeps it; another becomes the leader of its own."""
    code = "import os\nfrom ansible.module_utils.flask_deploy.switch.lease import lead_group\n"
    code += "for _ in (1, 2): lead_group()\n"
    code = f"import ansible.module_utils as m; m.__path__.append({str(Path(leases.__file__).parents[2])!r})\n{code}"
    code += "print(os.getpgrp() == os.getpid())"
    for apart in (False, True):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=apart)
        assert done.stdout == "True\n"


def test_times_are_those_since_boot():
    """No clock that somebody sets."""
    with open("/proc/uptime", encoding="ascii") as file:
        assert clock.now() == pytest.approx(float(file.read().split()[0]), abs=5)


def test_who_gives_back_what_nobody_holds_is_not_told_off(ann):
    ann.release()
    ann.take()
    ann.release()
    ann.release()
    assert not os.path.exists(ann.path)


def test_what_a_step_did_not_give_back_is_held_on_from_its_end(ann, bob, monkeypatch):
    moment = clock.now()
    monkeypatch.setattr(leases, "now", lambda: moment)
    with ann.held():
        moment += 1000
    assert bob.holder()["expires"] == moment + leases.LIFE and bob.holder()["worker"] is None


def test_a_step_whose_lease_somebody_took_meanwhile_leaves_it_to_them(ann, bob):
    with ann.held():
        os.unlink(ann.path)
        bob.take()
    assert ann.holder()["owner"]["id"] == "bob"


def test_a_lock_that_ends_at_once_is_told_to_end_in_a_second(ann, bob, monkeypatch):
    ann.take()
    soon = bob.holder()["expires"] - 0.1
    monkeypatch.setattr(leases, "now", lambda: soon)
    with pytest.raises(leases.LeaseError, match=r"ends by itself in 1 s\."):
        bob.take()
