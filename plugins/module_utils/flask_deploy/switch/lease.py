"""Who deploys an app on this host: a lease that ends by itself when its owner is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from ansible.module_utils.flask_deploy.host import files, locks
from ansible.module_utils.flask_deploy.host.clock import now
from ansible.module_utils.flask_deploy.host.process import started, stat_of

LIFE = 60  # seconds that a lease lives after its owner's last step ended, unless its owner says otherwise
ENDED_IN = 30  # seconds that a step has to end once it is killed
UNKNOWN = {
    "id": "",
    "user": "somebody",
    "host": "a host",
    "process": 0,
    "started": None,
    "namespace": "",
    "life": LIFE,
    "settles": False,
}


class LeaseError(Exception):
    """Somebody else deploys this app on this host; the message says who and since when."""


def an_owner(known: dict[str, Any]) -> dict[str, Any]:
    """Return an owner with every field that a reader may look at; an earlier version wrote fewer."""
    return {name: known.get(name, default) for name, default in UNKNOWN.items()}


def boot_owner() -> dict[str, Any]:
    """Return the host itself as an owner: what the end of its last run cut off is settled by it."""
    me = os.getpid()
    here = {"user": "root", "host": os.uname().nodename, "process": me, "started": str(started(me))}
    return an_owner({**here, "id": "boot", "settles": True})


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a lock that only root can see: whoever may open its file may hold it, and lets all others wait."""
    try:
        with locks.locked(f"{locks.RUN}/{name}"):
            yield
    except locks.LockError as error:
        raise LeaseError(str(error)) from error


class Lease:
    """The right to change one app on this host.

    It lives as long as a step of its owner runs here, and some time more.

    :param app: the app's name.
    :param owner: see UNKNOWN; made by the controller for one run.
    """

    def __init__(self, app: str, owner: dict[str, Any]) -> None:
        self.app, self.owner = app, an_owner(owner)
        self.path = f"{locks.RUN}/{app}.lease"

    def take(self, wait: float = 0, dead: str = "", look: bool = False) -> dict[str, Any] | None:
        """Become the owner; return what is known of an owner that did not give it back, or None.

        What that one's last step left running here is killed.

        :param wait: seconds to wait for another owner's end.
        :param dead: id of an owner that is known to be gone.
        :param look: only see that nobody else is.
        :raises LeaseError: it belongs to somebody else, or what that one left running does not end.
        """
        end = now() + wait
        while True:
            with self._locked():
                found = self._other()
                if found and (found["owner"]["id"] == dead or not _lives(found)):
                    end_step(found["worker"])
                    os.unlink(self.path)
                    return self._taken(found, look)
                if not found:
                    return self._taken(None, look)
            if now() >= end:
                raise LeaseError(self._refusal(found))
            time.sleep(0.5)

    def _taken(self, found: dict[str, Any] | None, look: bool) -> dict[str, Any] | None:
        if not look:
            self._write()
        return found

    @contextmanager
    def held(self) -> Iterator[None]:
        """Do one step as the owner; the lease cannot end meanwhile.

        :raises LeaseError: it ended, and somebody else took it.
        """
        with self._locked():
            found = self.holder()
            if found:
                raise LeaseError(self._refusal(found))
            lead_group()
            self._write([os.getpid(), started(os.getpid())])
        try:
            yield
        finally:
            with self._locked():
                if not self.holder():
                    self._write()

    def release(self) -> None:
        """Give it back, unless somebody else has it."""
        with self._locked():
            if not self.holder() and os.path.exists(self.path):
                os.unlink(self.path)

    def holder(self) -> dict[str, Any] | None:
        """Return what is known of whoever else holds it, or None."""
        found = self._other()
        return found if found and _lives(found) else None

    def _known(self) -> dict[str, Any] | None:
        """Return what the file holds, whoever wrote it; None where it holds no lease."""
        known = files.read_json(self.path)
        if not known or not isinstance(known.get("owner"), dict):
            return None
        worker, times = known.get("worker"), {name: known.get(name) for name in ("since", "expires")}
        good = isinstance(worker, list) and [type(each) for each in worker] == [int, int]
        times = {name: value if isinstance(value, (int, float)) else 0 for name, value in times.items()}
        return {"owner": an_owner(known["owner"]), "worker": worker if good else None, **times}

    def _other(self) -> dict[str, Any] | None:
        found = self._known()
        return None if not found or found["owner"]["id"] == self.owner["id"] else found

    def _write(self, worker: list[int | None] | None = None) -> None:
        known = self._known()
        mine = known and known["owner"]["id"] == self.owner["id"]
        since = known["since"] if mine else time.time()  # for people to read
        expires = now() + int(self.owner["life"])
        written = {"owner": self.owner, "since": since, "expires": expires, "worker": worker}
        files.write_json(self.path, written, 0o600)

    def _refusal(self, found: dict[str, Any]) -> str:
        owner, since = found["owner"], time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found["since"]))
        says = f"{self.app} is locked: {owner['user']} on {owner['host']} (process {owner['process']}) "
        says += f"deploys it since {since}. "
        if owner["settles"]:
            says = f"{self.app} is locked: its host settles a switch that its last end cut off, since {since}. "
        if _runs(found["worker"]):
            says += f"A step of that runs here now, as process {found['worker'][0]}. "
        else:
            says += f"If that is gone, the lock ends by itself in {max(1, round(found['expires'] - now()))} s. "
        return says + "To wait for it: -e app_lock_wait=300"

    def _locked(self) -> AbstractContextManager[None]:
        return lock(f"{self.app}.lease.lock")


def _lives(found: dict[str, Any]) -> bool:
    return found["expires"] > now() or _runs(found["worker"])


def _runs(worker: list[int] | None) -> bool:
    return bool(worker) and started(worker[0]) == worker[1]


def lead_group() -> None:
    """Become the leader of a process group: who ends this process later ends what it started, too."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)


def _group(worker: list[int]) -> list[int]:
    """Return the processes of a step: itself and its group, which may outlive it."""
    pid, born = worker
    if started(pid) not in (None, born):  # another process has its number now
        return []
    found = []
    for each in map(int, filter(str.isdigit, os.listdir("/proc"))):
        fields = stat_of(each)
        mine = fields and fields[0] != b"Z" and (each == pid or int(fields[2]) == pid)
        if mine and int(fields[19]) >= born:
            found.append(each)
    return found


def end_step(worker: list[int] | None) -> None:
    """End a step whose owner is gone, and what it started: whatever it was at, the next run settles it.

    :raises LeaseError: something of it does not end; what waits for a disk cannot be killed.
    """
    end = time.monotonic() + ENDED_IN
    while worker and (left := _group(worker)):
        for each in left:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        if time.monotonic() >= end:
            pids = ",".join(map(str, left))
            raise LeaseError(
                f"process {pids} of a run that is gone does not end, although it was killed {ENDED_IN} s ago: "
                f"the host's disk may hang. Type there: sudo dmesg; ps -o pid,stat,wchan,args -p {pids}"
            )
        time.sleep(0.05)
