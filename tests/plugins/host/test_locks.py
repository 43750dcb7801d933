"""A lock is root's, is waited for no longer than it takes, and tells who holds it."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from ansible.module_utils import balancer_haproxy
from ansible.module_utils.flask_deploy.certificates import store
from ansible.module_utils.flask_deploy.host import files, locks, nginx

from tests.conftest import ROOT

CONTROLLER = {"action_plugins", "plugin_utils", "rules.py"}


@pytest.fixture
def holder(tmp_path):
    """Return a lock that another process holds."""
    path = tmp_path / "run" / "some.lock"
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)
    command = ["flock", path, "-c", "echo held; sleep 30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        process.stdout.readline()
        yield str(path), process.pid
        os.killpg(process.pid, signal.SIGKILL)


def test_a_lock_that_is_not_free_in_time_is_an_error_that_says_who_has_it(holder):
    path, pid = holder
    began = time.monotonic()
    said = rf"some\.lock was not free for 0\.3 s: process {pid} \(flock .*\) has it; .*on the host: sudo kill {pid}$"
    with pytest.raises(locks.LockError, match=said), locks.locked(path, 0.3):
        pass
    assert time.monotonic() - began < 5


def test_a_lock_is_held_by_one_alone_until_that_ends(tmp_path):
    path = str(tmp_path / "run" / "x")
    with locks.locked(path), pytest.raises(locks.LockError), locks.locked(path, 0.1):
        pass
    with locks.locked(path, 0.1):
        pass


def test_nobody_but_root_reaches_a_lock(tmp_path):
    (tmp_path / "run").mkdir(mode=0o755)
    with locks.locked(str(tmp_path / "run" / "x")):
        assert os.lstat(tmp_path / "run").st_mode & 0o777 == 0o700
        assert os.lstat(tmp_path / "run" / "x").st_mode & 0o777 == 0o600
    (tmp_path / "run" / "y").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), locks.locked(str(tmp_path / "run" / "y")):
        pass
    assert not os.path.exists(tmp_path / "elsewhere")


def test_all_that_change_nginx_s_files_take_one_lock():
    assert nginx.LOCK == store.SERVERS["nginx"].lock == f"{locks.RUN}/nginx.lock"


def test_all_that_change_haproxy_s_files_take_one_lock():
    assert balancer_haproxy.LOCK == store.SERVERS["haproxy"].lock == f"{locks.RUN}/haproxy.lock"


def test_no_lock_of_a_host_is_waited_for_without_end():
    """Nor is a directory locked that a container sees: it can be locked there, though it is mounted read-only."""
    wrong = [
        f"{path}: {line.strip()}"
        for room in ("roles", "plugins")
        for path in (ROOT / room).rglob("*.py")
        for line in path.read_text().splitlines()
        if "flock(" in line
        and "LOCK_NB" not in line
        and not {"action_plugins", "plugin_utils", "flask_deploy_tool", "rules.py"} & set(path.parts)
    ]
    assert wrong == []


def test_a_lock_s_holders_are_told_by_number_and_command(tmp_path, holder):
    path, _pid = holder
    with open(path, "rb") as file:
        said = locks.holders(file.fileno())
        (number,) = {int(word) for word in said.replace("(", " ").split() if word.isdigit()}
        assert said.startswith(f"process {number} (flock {path} -c echo held; sleep 30)")
    with open(tmp_path / "free", "wb") as file:
        assert locks.holders(file.fileno()).startswith("the kernel does not say who has it; see all locks")


def test_of_a_long_command_the_begin_is_told():
    with subprocess.Popen(["sh", "-c", "sleep 60; :", "x" * 500]) as process:
        while not files.read(f"/proc/{process.pid}/cmdline"):  # exec(2) is not done yet
            pass
        assert locks._command(process.pid) == "sh -c sleep 60; : " + "x" * 102
        process.kill()
    assert locks._command(process.pid) == "it just ended"


def test_a_lock_is_free_again_however_its_holder_left(tmp_path):
    path = str(tmp_path / "run" / "x")
    with pytest.raises(ZeroDivisionError), locks.locked(path):
        raise ZeroDivisionError
    with locks.locked(path, 0), pytest.raises(locks.LockError, match="was not free for 0 s"), locks.locked(path, 0):
        pass
