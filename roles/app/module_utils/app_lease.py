"""Who deploys an app on this host: a lease that ends by itself when its owner is gone."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import contextmanager

from ansible.module_utils import app_files as files

RUN = "/run/flask-deploy"  # a reboot ends every lease
LIFE = 60  # seconds that a lease lives after its owner's last step ended


class LeaseError(Exception):
    """Somebody else deploys this app on this host; the message says who and since when."""


def now():
    """Return seconds since boot, which no clock adjustment moves."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def started(pid):
    """Return when a process began, in clock ticks since boot (proc(5), stat, field 22); None if it is gone."""
    stat = files.read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] == b"Z" else int(fields[19])


class Lease:
    """The right to change one app on this host.

    It lives as long as a step of its owner runs here, and LIFE seconds more.

    :param app: the app's name.
    :param owner: {"id", "user", "host", "process", "namespace"}, made by the controller for one run.
    """

    def __init__(self, app, owner):
        self.app, self.owner = app, owner
        self.path = f"{RUN}/{app}.lease"

    def take(self, wait=0, dead=""):
        """Become the owner.

        :param wait: seconds to wait for another owner's end.
        :param dead: id of an owner that is known to be gone: what it left running here is killed.
        :raises LeaseError: it belongs to somebody else.
        """
        end = now() + wait
        while True:
            with self._locked():
                found = self._other()
                if found and found["owner"]["id"] == dead:
                    _kill(found["worker"])
                    found = None
                if not found:
                    return self._write()
            if now() >= end:
                raise LeaseError(self._refusal(found))
            time.sleep(0.5)

    @contextmanager
    def held(self):
        """Do one step as the owner; the lease cannot end meanwhile.

        :raises LeaseError: it ended, and somebody else took it.
        """
        with self._locked():
            found = self._other()
            if found:
                raise LeaseError(self._refusal(found))
            self._write([os.getpid(), started(os.getpid())])
        try:
            yield
        finally:
            with self._locked():
                if not self._other():
                    self._write()

    def release(self):
        """Give it back, unless somebody else has it."""
        with self._locked():
            if not self._other() and os.path.exists(self.path):
                os.unlink(self.path)

    def holder(self):
        """Return what is known of whoever else holds it, or None."""
        with self._locked():
            return self._other()

    def _other(self):
        found = files.read_json(self.path)
        if not found or found["owner"]["id"] == self.owner["id"]:
            return None
        return found if found["expires"] > now() or _runs(found["worker"]) else None

    def _write(self, worker=None):
        known = files.read_json(self.path) or {}
        mine = known.get("owner", {}).get("id") == self.owner["id"]
        since = known["since"] if mine else time.time()
        files.write_json(
            self.path, {"owner": self.owner, "since": since, "expires": now() + LIFE, "worker": worker}, 0o600
        )

    def _refusal(self, found):
        owner, since = found["owner"], time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found["since"]))
        says = f"{self.app} is locked: {owner['user']} on {owner['host']} (process {owner['process']}) "
        says += f"deploys it since {since}. "
        if _runs(found["worker"]):
            says += f"A step of that runs here now, as process {found['worker'][0]}. "
        else:
            says += f"If that is gone, the lock ends by itself in {max(1, round(found['expires'] - now()))} s. "
        return says + "To wait for it: -e app_lock_wait=300"

    @contextmanager
    def _locked(self):
        os.makedirs(RUN, mode=0o755, exist_ok=True)
        with open(f"{self.path}.lock", "w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _runs(worker):
    return bool(worker) and started(worker[0]) == worker[1]


def _kill(worker):
    """End a step whose owner is gone: whatever it was at, the next run settles it."""
    if _runs(worker):
        os.kill(worker[0], signal.SIGKILL)
        while _runs(worker):
            time.sleep(0.05)
