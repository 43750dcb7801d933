"""What requests of one release came to: how many, how many failed, how long they took; in bounded room.

Whether more of them failed than chance explains is told here too.
"""

from __future__ import annotations

import math
import random
from typing import Any

from ansible.module_utils.flask_deploy.switch.log import Entry

SAMPLE = 4096  # times that are kept, whatever their number
DEVIATIONS = 3  # how far beyond what is allowed a share must be, in standard deviations of chance


class Times:
    """A fair sample of times, of bounded size (reservoir sampling)."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[float] = []

    def add(self, seconds: float) -> None:
        self.count += 1
        if len(self.kept) < SAMPLE:
            self.kept.append(seconds)
        elif (place := random.randrange(self.count)) < SAMPLE:  # noqa: S311 - a sample, no secret
            self.kept[place] = seconds

    def at(self, share: float) -> float | None:
        """Return the time that a share of all is not above, or None where there is none."""
        return round(sorted(self.kept)[int(share * (len(self.kept) - 1))], 4) if self.kept else None


class Tally:
    """Requests of one release.

    :param slow: seconds to the first byte from which an answer counts as slow; 0 where none does.
    :ivar doubtful: failures of which only the release itself can tell whether it was asked.
    :ivar firsts: seconds to the first byte, where the log tells them.
    """

    def __init__(self, release: str | None, slow: float = 0) -> None:
        self.release, self.limit = release, slow
        self.requests = self.failed = self.doubtful = self.slow = 0
        self.times, self.firsts = Times(), Times()

    def add(self, entry: Entry, doubtful: bool = False) -> None:
        if entry.given_up and not self._slow(entry.seconds):
            return
        if entry.failed and doubtful:
            self.doubtful += 1
            return
        self.requests += 1
        self.failed += entry.failed
        if entry.websocket:  # lasts as long as its ends like
            return
        waited = entry.seconds if entry.first is None else entry.first
        self.times.add(waited)
        self.slow += not entry.failed and self._slow(waited)
        if entry.first is not None:
            self.firsts.add(entry.first)

    def _slow(self, seconds: float) -> bool:
        return 0 < self.limit <= seconds

    @property
    def share(self) -> float:
        """Percent of requests that failed, or were as slow."""
        return 100 * (self.failed + self.slow) / self.requests if self.requests else 0.0

    def summary(self) -> dict[str, Any]:
        """Return requests, failed, and the 50th and 99th percentile of seconds."""
        return {"requests": self.requests, "failed": self.failed, "p50": self.times.at(0.5), "p99": self.times.at(0.99)}


def beyond(failed: int, asked: int, percent: float) -> bool:
    """Tell whether more failed than is allowed, and more than chance makes of what is allowed."""
    share = min(percent / 100, 1.0)
    return failed > asked * share + DEVIATIONS * math.sqrt(asked * share * (1 - share))
