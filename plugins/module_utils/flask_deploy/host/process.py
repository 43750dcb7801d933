"""A process that a command is: what it prints is held in bounded room, and it ends with all that it started."""

from __future__ import annotations

import errno
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

WHOLE = 16 << 20  # bytes of an answer, which is of no use cut short
ENDS = 16 << 10  # bytes of what people read: half from its beginning, half from its end
GRACE = 1  # seconds that the others have, and what is still on its way, once a command has ended
POLL = 0.05  # seconds
# A command dies with the module that runs it (prctl(2), PR_SET_PDEATHSIG): who takes over must not find it at work.
TIED = ("setpriv", "--pdeathsig", "KILL")


class Kept:
    """Bytes up to a size; of more, the beginning and the end. All of it goes to a file as well, if one is given."""

    def __init__(self, size: int, copy: IO[bytes] | None = None) -> None:
        self.half, self.head, self.tail, self.lost, self.copy = size // 2, bytearray(), bytearray(), 0, copy

    def add(self, data: bytes) -> None:
        if self.copy:
            self.copy.write(data)
        free = self.half - len(self.head)
        self.head += data[:free]
        self.tail += data[free:]
        over = len(self.tail) - self.half
        if over > 0:
            del self.tail[:over]
            self.lost += over

    def __bytes__(self) -> bytes:
        gap = b"\n[%d bytes are left out]\n" % self.lost if self.lost else b""
        return bytes(self.head) + gap + bytes(self.tail)


@dataclass
class Done:
    """What came of a command.

    :ivar code: exit code, or None where it was ended: its time was up, or a command it was tied to failed.
    :ivar out: what it printed, without what went to a file.
    :ivar said: what it printed for people, as text: errors where there are any.
    :ivar lost: bytes of ``out`` that are left out.
    """

    code: int | None
    out: bytes
    said: str
    lost: int


class Process:
    def __init__(
        self,
        command: Sequence[str],
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        together: bool = False,
        environment: Mapping[str, str | None] | None = None,
        most: int = 0,
        errors: IO[bytes] | None = None,
        copy: IO[bytes] | None = None,
    ) -> None:
        if not shutil.which(command[0]):
            raise FileNotFoundError(errno.ENOENT, "not installed", command[0])
        self.out, self.errors = Kept(most or (ENDS if together else WHOLE)), Kept(ENDS, copy)
        known = {**os.environ, **(environment or {})}
        self.popen = subprocess.Popen(
            [*TIED, *command],
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=errors or (subprocess.STDOUT if together else subprocess.PIPE),
            env={name: value for name, value in known.items() if value is not None},
            umask=0o022,  # what it makes is as on any other host
        )

    def kill(self) -> None:
        """Kill it with all that it started, where it still runs.

        It stays in the process group of who runs it: whoever takes over from that ends the group.
        """
        if self.popen.poll() is None:
            self.ended, seen, pid = True, [], self.popen.pid
            while new := [each for each in [pid, *_started_by(pid)] if each not in seen]:
                seen += new
                _send(signal.SIGSTOP, new)  # what they start just now would lose its parent, and not be found
            _send(signal.SIGKILL, seen)

    def end(self) -> None:
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # one that waits for a disk cannot be killed
            self.popen.wait(GRACE)
        for stream in (self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()

    ended = False

    def done(self) -> Done:
        said = (bytes(self.errors) or bytes(self.out)).decode(errors="replace").strip()
        code = None if self.ended else self.popen.returncode
        return Done(code, bytes(self.out), said or f"it ended with code {code}", self.out.lost)


def stat_of(pid: int) -> list[bytes] | None:
    """Return the fields of a process from its state on (proc(5), stat); None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split() or None
    except (FileNotFoundError, ProcessLookupError):
        return None


def started(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot; None if it is gone."""
    fields = stat_of(pid)
    return None if fields is None or fields[0] == b"Z" else int(fields[19])


def _send(number: int, processes: Iterable[int]) -> None:
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each, number)


def _started_by(pid: int) -> list[int]:
    """Return the processes that one started, and those that they did (proc(5), stat, field 4)."""
    parents = {}
    for each in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{each}/stat", "rb") as file:
            parents[int(each)] = int(file.read().rpartition(b")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [each for each, parent in parents.items() if parent == one]
    return found[1:]


def follow(running: Sequence[Process], end: float) -> None:
    """Take what commands print until all have ended, one has failed, or the time is up."""
    with selectors.DefaultSelector() as open_streams:
        for each in running:
            for stream, kept in ((each.popen.stdout, each.out), (each.popen.stderr, each.errors)):
                if stream and not stream.closed:
                    open_streams.register(stream, selectors.EVENT_READ, kept)
        while True:
            left = [each for each in running if each.popen.poll() is None]
            if not left and not open_streams.get_map():
                return
            if not left or any(each.popen.returncode for each in running):
                end = min(end, time.monotonic() + GRACE)
            if time.monotonic() >= end:
                return
            if open_streams.get_map():
                _take(open_streams)
            else:
                with suppress(subprocess.TimeoutExpired):
                    left[0].popen.wait(POLL)


def _take(open_streams: selectors.BaseSelector) -> None:
    for key, _events in open_streams.select(POLL):
        data = os.read(key.fd, 1 << 16)
        if data:
            key.data.add(data)
        else:
            open_streams.unregister(key.fileobj)
