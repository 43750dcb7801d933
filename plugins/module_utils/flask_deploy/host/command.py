"""Commands that this role runs on a host: limited in time and in memory, and ended together with who began them."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from typing import IO, Any

from ansible.module_utils.flask_deploy.host import process

UNREAD = (-signal.SIGPIPE, 128 + signal.SIGPIPE)  # codes of a command, or of its shell, whose reader ended

# What may be wrong where a command hangs, and what to type.
ADVICE = {
    "docker": "the engine may hang. Type on the host: sudo journalctl -u docker; sudo systemctl restart docker",
    "nginx": "nginx's files may lie on a disk that hangs. Type on the host: systemctl status nginx; df /etc/nginx",
    "systemctl": "systemd may wait for another job. Type on the host: systemctl list-jobs",
    "systemd-run": "systemd may wait for another job. Type on the host: systemctl list-jobs",
    "git": "the repository may not answer. Type on the host: git ls-remote <build_source>",
}
OTHERWISE = "the host may be busy, or its disk may hang. Type there: top; sudo dmesg"


def attempt(*command: str, limit: float, **options: Any) -> process.Done:
    """Run a command and return what came of it, also where it failed or its time was up.

    :param limit: seconds.
    :param together: what it prints is for people: errors in their place, and of much the beginning and the end.
    :param stdin, stdout: open files.
    :param environment: {name: value}, over this process's own; None takes a name away.
    :param most: bytes that it may print.
    :param copy: an open file, without a buffer, that also gets what it prints for people.
    :raises OSError: there is no such program.
    """
    return _run([command], limit, **options)[0]


def run(*command: str, error: type[Exception], limit: float, called: str = "", **options: Any) -> bytes:
    """Run a command and return what it printed, in bytes.

    :param error: class of what is raised where it fails, takes longer, prints more than can be held or is not there.
    :param called: how messages name it, instead of by its first words.
    """
    done = pipe(command, error=error, limit=limit, called=called, **options)
    if done.lost and not options.get("together"):
        most = options.get("most", 0) or process.WHOLE
        raise error(f"{called or _words(command)} printed more than {most >> 20} MB; type it on the host to see what")
    return done.out


def pipe(
    *commands: Sequence[str], error: type[Exception], limit: float, called: str = "", **options: Any
) -> process.Done:
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
def reading(*command: str, error: type[Exception], limit: float) -> Iterator[BufferedReader]:
    """Give what a command prints as an open file, for what is too large to be held.

    :raises error: it failed, or took longer than ``limit`` seconds.
    """
    with tempfile.TemporaryFile() as errors:
        running = process.Process(command, errors=errors)
        timer = threading.Timer(limit, running.kill)
        timer.start()
        try:
            yield running.popen.stdout
            while running.popen.stdout.read(1 << 20):  # what is left must not end it early
                pass
            with suppress(subprocess.TimeoutExpired):
                running.popen.wait(limit)
        finally:
            timer.cancel()
            timer.join()
            running.end()
        errors.seek(0)
        done = running.done()
        said = errors.read(process.ENDS).decode(errors="replace").strip() or done.said
    if done.code is None:
        raise error(late(command, limit))
    if done.code:
        raise error(f"{_words(command)}: {said}")


def whole_lines(said: str) -> list[str]:
    """Return the lines of what a command said, without those that are cut where much of it is left out."""
    return re.sub(r"[^\n]*\n\[\d+ bytes are left out\]\n[^\n]*\n?", "", said).splitlines()


def late(command: Sequence[str], limit: float) -> str:
    """Return what to say of a command whose time was up, in one line."""
    return f"{_words(command)} took longer than {limit:g} s and was ended; {ADVICE.get(command[0], OTHERWISE)}"


def _words(command: Sequence[str]) -> str:
    """Return the words of a command that name it: without long options and paths, three at most."""
    words = [command[0]]
    for word in command[1:3]:
        if word.startswith("--") or "/" in word or " " in word:
            break
        words.append(word)
    return " ".join(words)


def _run(
    commands: Sequence[Sequence[str]],
    limit: float,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    together: bool = False,
    **options: Any,
) -> list[process.Done]:
    running: list[process.Process] = []
    try:
        for command in commands:
            last = command is commands[-1]
            source = running[-1].popen.stdout if running else stdin
            running.append(process.Process(command, source, stdout if last else None, together and last, **options))
            if len(running) > 1:
                source.close()  # it is the command's alone: when that ends, the one before has nobody to write to
        process.follow(running, time.monotonic() + limit)
    finally:
        for each in running:
            each.end()
    return [each.done() for each in running]
