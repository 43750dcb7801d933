"""A clock that decides what is deleted: it never runs ahead of the time that really passed.

The wall clock can stand an hour or a year ahead for the length of one login. If that deleted
revocations, tokens that were logged out would count again when the clock is set right. So a store
keeps the time it believes in. That time goes on by twice the time that passed since the last look
at most, by the clock of the machine that nobody can set, and never beyond the wall clock. After
days switched off it lags, and catches up: what is over is deleted late, never early. If the wall
clock goes back, it goes back too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Believed:
    """The time that a store believes in.

    :param now: seconds since 1970
    :param ticks: the machine's own clock at that look, in seconds since it started
    :param boot: which start of the machine that was
    """

    now: float
    ticks: float
    boot: str

    def later(self) -> Believed:
        """The time to believe in at this look."""
        ticks, boot = _ticks(), _boot()
        passed = max(0.0, ticks - self.ticks) if boot == self.boot else 0.0
        return Believed(min(time.time(), self.now + 2 * passed), ticks, boot)


def first() -> Believed:
    """For a store that has not looked at a clock yet: the wall clock, which is all there is."""
    return Believed(time.time(), _ticks(), _boot())


def _ticks() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
