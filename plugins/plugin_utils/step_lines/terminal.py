"""A line of a terminal that is rewritten while something runs; all else is written above it."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TextIO

from . import progress

TICK = 0.5  # seconds between two looks at what runs
ERASE = "\r\033[K"


class Above:
    """One of the terminal's streams; what anybody writes to it takes the line away."""

    drawn = False  # on the terminal, so for all its streams

    def __init__(self, stream: TextIO, lock: AbstractContextManager) -> None:
        self.stream, self.lock = stream, lock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str, line: bool = False) -> int:
        """Write; ``line`` says that the text is the line."""
        with self.lock:
            erase, Above.drawn = ERASE if Above.drawn else "", line
            return self.stream.write(erase + text)


class Read:
    """A stream in a pipe, whose reader may go away: the run goes on to its end, and what is left is read by nobody."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except BrokenPipeError:
            nobody = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nobody, self.stream.fileno())
            os.close(nobody)
            return len(text)


def keep(running: Callable[[], str], lock: AbstractContextManager) -> None:
    """Keep the line where stdout is a terminal; elsewhere have each line written as it ends.

    :param running: returns the line, or nothing while there is none to show.
    :param lock: the one that is held while a process is forked: a child never waits for it.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        sys.stdout.reconfigure(line_buffering=True)
        sys.stdout = Read(sys.stdout)
        return
    progress.invite()
    sys.stdout = Above(sys.stdout, lock)
    if sys.stderr.isatty():
        sys.stderr = Above(sys.stderr, lock)
    threading.Thread(target=draw, args=(sys.stdout, running, lock), daemon=True).start()


def draw(stdout: Above, running: Callable[[], str], lock: AbstractContextManager) -> None:
    """Rewrite the line until the process ends."""
    pause = threading.Event()
    while not pause.wait(TICK):
        with lock:
            line = running()[: shutil.get_terminal_size().columns - 1]
            if line or Above.drawn:
                stdout.write(line, line=bool(line))
                stdout.flush()
