"""Run what takes long beside a gevent worker's event loop."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Background:
    """Native threads for a worker whose threads gevent has replaced; elsewhere it just calls.

    :param threads: how many calls run at once in a process; the others wait their turn
    :param niceness: how far the threads stand back for the rest of the machine (Linux, 0 to 19)
    """

    def __init__(self, threads: int, niceness: int = 0) -> None:
        self._threads = threads
        self._niceness = niceness
        self._pool: Any = None
        self._process = 0

    def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """The function's result; other requests go on while it runs."""
        if not _gevent_runs():
            return function(*args)
        result: Result
        result, error = self._own_pool().apply(self._call, (function, *args))
        if error is not None:
            raise error
        return result

    def _own_pool(self) -> Any:
        if self._process != os.getpid():  # threads do not survive a fork
            from gevent.threadpool import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
                ThreadPool,
            )

            self._pool, self._process = ThreadPool(self._threads), os.getpid()
        return self._pool

    def _call(self, function: Callable[..., Any], *args: Any) -> tuple[Any, Exception | None]:
        """What the function gave, or raised: gevent prints what leaves a thread of its own."""
        try:
            if self._niceness:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
            return function(*args), None
        except Exception as error:
            return None, error


def _gevent_runs() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")
