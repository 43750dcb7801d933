"""Processes beside the web, of what several files say of them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from source_starts import files, scripts, shells

FIRST = ("Procfile", r"\b(render|railway)\b")  # files whose processes count first
PRODUCTION = re.compile("|".join(FIRST))  # files that name nothing but what runs in production
LONGEST = 16  # characters of a name, as app_processes allows
SERVES = re.compile(
    rf"\b({'|'.join(scripts.SERVERS)}|runserver|npm|yarn|node|flower|flask\b.* run|docker(-compose)?)\b"
)
# Servers of data, and what only waits: they are none of the app's processes.
OTHERS = re.compile(
    r"(exec )?(\S*/)?(redis-server|postgres|mysqld|mongod|memcached|rabbitmq-server|mailhog|sleep|tail|true)\b"
)
RELOADS = re.compile(r"(exec )?(\S*/)?(watchmedo auto-restart|hupper)\b.*? -- (?=\w)")
SCHEDULES = re.compile(r"\bcelery\b.* (beat|-B|--beat)(?!\S)|\b(rqscheduler|celerybeat)\b")  # must not run twice
KINDS = {"worker": {"worker"}, "beat": {"beat", "-B", "--beat"}}  # of Celery
RUNNERS = {
    *("celery", "rq", "flask", "python", "python3", "dramatiq", "arq", "rqscheduler"),
    *("huey_consumer", "huey_consumer.py"),
}


class Row(NamedTuple):
    """A process that a file names.

    :ivar work: {(program, app, what it does)}: where two do the same, it is done twice.
    :ivar schedules: whether it must not run twice.
    """

    name: str
    command: str
    file: str
    work: frozenset[tuple[str, str, str]]
    schedules: bool


def meant(commands: Mapping[str, tuple[str, str]]) -> Iterator[Row]:
    """Yield those of {name: (command, file)} that are processes beside the web."""
    for name, (command, file) in commands.items():
        command = _without_reloader(shells.without_waits(command))
        last = shells.last(command)
        known = PRODUCTION.search(file) or shells.program(last) in RUNNERS
        other = SERVES.search(command) or OTHERS.match(last) or files.MANAGES.match(last)
        if name not in ("web", "release", "image") and known and not other:
            yield Row(name, command, file, frozenset(_work(command)), bool(SCHEDULES.search(command)))


def _work(command: str) -> Iterator[tuple[str, str, str]]:
    words = shells.words(command)
    app = str(shells.option(words, "--app", "-A") or "")
    for kind, ways in KINDS.items():
        if "celery" in command and ways & {*words}:
            yield "celery", re.split(r"[.:]", app)[0], kind
    if "celery" not in command:
        yield ("rq", "", "worker") if "rq" in words and "worker" in words else ("", "", shells.in_shell(command))


def once(rows: list[Row], said: list[str]) -> list[Row]:
    """Return the processes without those whose work another file's do: a Procfile counts first, then a platform's.

    :param said: gets what was left out.
    """
    kept: list[Row] = []
    for row in sorted(rows, key=lambda row: [bool(re.search(each, row.file)) for each in FIRST], reverse=True):
        same = [each for each in kept if each.file != row.file and each.work & row.work]
        if row.work and row.work <= {work for each in same for work in each.work}:
            names = ", ".join(each.name for each in same)
            said.append(
                f"app_processes: {row.name} of {row.file} is left out, its work is that of {names} of {same[0].file}: "
                f"{row.command}"
            )
        else:
            kept.append(row)
    return kept


def _without_reloader(command: str) -> str:
    """Return what a program for development runs again whenever a file changes."""
    parts = shells.words(command)
    if parts[:1] == ["watchfiles"]:
        return next((part for part in parts[1:] if " " in part), command)
    return RELOADS.sub("", command)


def named(name: str, taken: Container[str]) -> str:
    """Return a name that app_processes takes, as near to a given one as can be.

    :param taken: names that others have.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789").rstrip("-") or "worker"
    if len(plain) > LONGEST:
        plain = plain[: LONGEST + 1].rpartition("-")[0] or plain[:LONGEST]
    ends = ("", *(f"-{number}" for number in range(2, 1000)))
    return next(each for each in (f"{plain[: LONGEST - len(end)]}{end}" for end in ends) if each not in taken)
