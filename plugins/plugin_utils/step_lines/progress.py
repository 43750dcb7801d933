"""How far a long step is: noted by the process that runs it on a host, read by the one that prints."""

from __future__ import annotations

import copy
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible import constants as C

PLACE = "FLASK_DEPLOY_PROGRESS"  # in the environment of a run: where notes lie, if anybody reads them
PAUSE = 2.0  # seconds between two looks at the host
STAMP = re.compile(r"^#\d+ ([\d.]+ )?")  # BuildKit's number of a step, and its seconds


def invite() -> None:
    """Have notes written from now on; processes that run steps inherit it."""
    os.environ[PLACE] = C.DEFAULT_LOCAL_TMP


def invited() -> bool:
    """Tell whether anybody reads notes."""
    return PLACE in os.environ


def noted(task: str, hosts: set[str]) -> str:
    """Return what was noted of a task, by its id, on hosts; "" where there is nothing."""
    notes = []
    for host in sorted(hosts):
        with suppress(OSError, KeyError), open(_path(task, host), encoding="utf-8") as file:
            notes.append(file.read() if len(hosts) == 1 else f"{host} {file.read()}")
    return ", ".join(notes)


@contextmanager
def followed(action: Any, host: str, look: Callable[[Any], str]) -> Iterator[None]:
    """Note again and again what is seen while an action runs; nothing is looked at where nobody reads.

    :param look: returns one line; it is given a connection that is not the action's own.
    """
    if not invited():
        yield
        return
    path, ended, beside = _path(action._task._uuid, host), threading.Event(), copy.copy(action._connection)

    def follow() -> None:
        while not ended.wait(PAUSE):
            with suppress(Exception):  # the step itself tells of a host that is lost
                seen = look(beside)
                with open(f"{path}.new", "w", encoding="utf-8") as file:
                    file.write(seen)
                os.replace(f"{path}.new", path)

    threading.Thread(target=follow, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def said_on(connection: Any, command: str) -> str:
    """Return what a command prints on a host, as the user who logs in."""
    _code, out, _errors = connection.exec_command(command, sudoable=False)
    return out.decode(errors="replace")


def last_line(text: str) -> str:
    """Return the last line of what a build prints, without its stamp and what a terminal would obey."""
    lines = [STAMP.sub("", line).strip() for line in re.split(r"[\r\n]+", text)]
    return next((re.sub(r"\033\[[\d;?]*[A-Za-z]|[\x00-\x1f\x7f]", "", line) for line in reversed(lines) if line), "")


def share(done: int, whole: int) -> str:
    """Return how much of a file has come: ``40 % of 212 MB``."""
    return f"{min(100 * done // max(whole, 1), 100)} % of {max(whole // 1_000_000, 1)} MB"


def _path(task: str, host: str) -> str:
    return os.path.join(os.environ[PLACE], f"progress-{task}-{host.replace('/', '_')}")
