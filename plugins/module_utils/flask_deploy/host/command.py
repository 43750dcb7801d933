"""Commands that this role runs on a host: limited in time and in memory, and ended together with who began them."""

from __future__ import annotations

import errno
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass

WHOLE = 16 << 20  # bytes of an answer, which is of no use cut short
ENDS = 16 << 10  # bytes of what people read: half from its beginning, half from its end
UNREAD = (-signal.SIGPIPE, 128 + signal.SIGPIPE)  # codes of a command, or of its shell, whose reader ended
GRACE = 1  # seconds that the others have, and what is still on its way, once a command has ended
POLL = 0.05  # seconds
# A command dies with the module that runs it (prctl(2), PR_SET_PDEATHSIG): who takes over must not find it at work.
TIED = ("setpriv", "--pdeathsig", "KILL")

# What may be wrong where a command hangs, and what to type.
ADVICE = {
    "docker": "the engine may hang. Type on the host: sudo journalctl -u docker; sudo systemctl restart docker",
    "nginx": "nginx's files may lie on a disk that hangs. Type on the host: systemctl status nginx; df /etc/nginx",
    "systemctl": "systemd may wait for another job. Type on the host: systemctl list-jobs",
    "systemd-run": "systemd may wait for another job. Type on the host: systemctl list-jobs",
    "git": "the repository may not answer. Type on the host: git ls-remote <app_source>",
}
OTHERWISE = "the host may be busy, or its disk may hang. Type there: top; sudo dmesg"


class Kept:
    """Bytes up to a size; of more, the beginning and the end."""

    def __init__(self, size):
        self.half, self.head, self.tail, self.lost = size // 2, bytearray(), bytearray(), 0

    def add(self, data):
        free = self.half - len(self.head)
        self.head += data[:free]
        self.tail += data[free:]
        over = len(self.tail) - self.half
        if over > 0:
            del self.tail[:over]
            self.lost += over

    def __bytes__(self):
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


class _Process:
    def __init__(self, command, stdin=None, stdout=None, together=False, environment=None, most=0, errors=None):
        if not shutil.which(command[0]):
            raise FileNotFoundError(errno.ENOENT, "not installed", command[0])
        self.out, self.errors = Kept(ENDS if together else most or WHOLE), Kept(ENDS)
        known = {**os.environ, **(environment or {})}
        self.popen = subprocess.Popen(
            [*TIED, *command],
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=errors or (subprocess.STDOUT if together else subprocess.PIPE),
            env={name: value for name, value in known.items() if value is not None},
            umask=0o022,  # what it makes is as on any other host
        )

    def kill(self):
        """Kill it with all that it started, where it still runs.

        It stays in the process group of who runs it: whoever takes over from that ends the group.
        """
        if self.popen.poll() is None:
            self.ended, seen, pid = True, [], self.popen.pid
            while new := [each for each in [pid, *_started_by(pid)] if each not in seen]:
                seen += new
                _send(signal.SIGSTOP, new)  # what they start just now would lose its parent, and not be found
            _send(signal.SIGKILL, seen)

    def end(self):
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # one that waits for a disk cannot be killed
            self.popen.wait(GRACE)
        for stream in (self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()

    ended = False

    def done(self):
        said = (bytes(self.errors) or bytes(self.out)).decode(errors="replace").strip()
        code = None if self.ended else self.popen.returncode
        return Done(code, bytes(self.out), said or f"it ended with code {code}", self.out.lost)


def _send(number, processes):
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each, number)


def _started_by(pid):
    """Return the processes that one started, and those that they did (proc(5), stat, field 4)."""
    parents = {}
    for each in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{each}/stat", "rb") as file:
            parents[int(each)] = int(file.read().rpartition(b")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [each for each, parent in parents.items() if parent == one]
    return found[1:]


def attempt(*command, limit, **options):
    """Run a command and return what came of it, also where it failed or its time was up.

    :param limit: seconds.
    :param together: what it prints is for people: errors in their place, and of much the beginning and the end.
    :param stdin, stdout: open files.
    :param environment: {name: value}, over this process's own; None takes a name away.
    :param most: bytes that it may print.
    :raises OSError: there is no such program.
    """
    return _run([command], limit, **options)[0]


def run(*command, error, limit, called="", **options):
    """Run a command and return what it printed, in bytes.

    :param error: class of what is raised where it fails, takes longer, prints more than can be held or is not there.
    :param called: how messages name it, instead of by its first words.
    """
    done = pipe(command, error=error, limit=limit, called=called, **options)
    if done.lost and not options.get("together"):
        most = options.get("most", 0) or WHOLE
        raise error(f"{called or _words(command)} printed more than {most >> 20} MB; type it on the host to see what")
    return done.out


def pipe(*commands, error, limit, called="", **options):
    """Run commands, each reading what the one before it writes; when one fails, all end. Return what came of the last.

    :raises error: one of them failed, or they took longer than ``limit`` seconds.
    """
    try:
        done = _run(commands, limit, **options)
    except FileNotFoundError as missing:
        raise error(f"{missing.filename} is not installed here; type: ansible-playbook site.yml") from missing
    except OSError as refused:
        raise error(f"{called or _words(commands[0])}: {refused}") from refused
    both = list(zip(commands, done, strict=True))
    failed = [(command, each) for command, each in both if each.code]
    if failed:  # one whose reader ended is no cause, where there is another
        failed = [(command, each) for command, each in failed if each.code not in UNREAD] or failed
        raise error("; ".join(f"{called or _words(command)}: {each.said}" for command, each in failed))
    for command, each in both:
        if each.code is None:
            raise error(f"{called}: {late(command, limit)}" if called else late(command, limit))
    return done[-1]


@contextmanager
def reading(*command, error, limit):
    """Give what a command prints as an open file, for what is too large to be held.

    :raises error: it failed, or took longer than ``limit`` seconds.
    """
    with tempfile.TemporaryFile() as errors:
        process = _Process(command, errors=errors)
        timer = threading.Timer(limit, process.kill)
        timer.start()
        try:
            yield process.popen.stdout
            while process.popen.stdout.read(1 << 20):  # what is left must not end it early
                pass
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(limit)
        finally:
            timer.cancel()
            timer.join()
            process.end()
        errors.seek(0)
        done = process.done()
        said = errors.read(ENDS).decode(errors="replace").strip() or done.said
    if done.code is None:
        raise error(late(command, limit))
    if done.code:
        raise error(f"{_words(command)}: {said}")


def whole_lines(said):
    """Return the lines of what a command said, without those that are cut where much of it is left out."""
    return re.sub(r"[^\n]*\n\[\d+ bytes are left out\]\n[^\n]*\n?", "", said).splitlines()


def late(command, limit):
    """Return what to say of a command whose time was up, in one line."""
    return f"{_words(command)} took longer than {limit:g} s and was ended; {ADVICE.get(command[0], OTHERWISE)}"


def _words(command):
    """Return the words of a command that name it: without long options and paths, three at most."""
    words = [command[0]]
    for word in command[1:3]:
        if word.startswith("--") or "/" in word or " " in word:
            break
        words.append(word)
    return " ".join(words)


def _run(commands, limit, stdin=None, stdout=None, together=False, **options):
    running = []
    try:
        for command in commands:
            last = command is commands[-1]
            source = running[-1].popen.stdout if running else stdin
            running.append(_Process(command, source, stdout if last else None, together and last, **options))
            if len(running) > 1:
                source.close()  # it is the command's alone: when that ends, the one before has nobody to write to
        _follow(running, time.monotonic() + limit)
    finally:
        for each in running:
            each.end()
    return [each.done() for each in running]


def _follow(running, end):
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


def _take(open_streams):
    for key, _events in open_streams.select(POLL):
        data = os.read(key.fd, 1 << 16)
        if data:
            key.data.add(data)
        else:
            open_streams.unregister(key.fileobj)
