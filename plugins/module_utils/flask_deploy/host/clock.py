"""The clock that decides: times by which something is done are of this one."""

from __future__ import annotations

import time


def now() -> float:
    """Return seconds since boot, which no clock adjustment moves."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
