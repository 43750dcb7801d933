"""What hosts told of an app, put together: requests by release and hour, times, and when a release served."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

HOUR = 3600
DAY = 24 * HOUR


@dataclass
class Traffic:
    """Requests of one release, or of all, on all hosts.

    :ivar times: {milliseconds to the first byte: requests}.
    :ivar hours: {hours since 1970: [requests, failed]}.
    """

    requests: int = 0
    failed: int = 0
    given_up: int = 0
    websockets: int = 0
    first: float = float("inf")
    last: float = 0.0
    times: Counter[int] = field(default_factory=Counter)
    hours: dict[int, list[int]] = field(default_factory=dict)

    def add(self, told: dict[str, Any]) -> None:
        """Add what one host told of one release."""
        for name in ("requests", "failed", "given_up", "websockets"):
            setattr(self, name, getattr(self, name) + told[name])
        self.first, self.last = min(self.first, told["first"]), max(self.last, told["last"])
        for milliseconds, number in told["times"]:
            self.times[milliseconds] += number
        for hour, requests, failed in told["hours"]:
            known = self.hours.setdefault(hour, [0, 0])
            known[0] += requests
            known[1] += failed

    def at(self, percent: float) -> int | None:
        """Return a percentile in milliseconds: the shortest time that so many percent of requests did not exceed.

        That is the nearest rank: no time is made up between two that were measured.
        """
        rank, passed = math.ceil(percent / 100 * self.times.total()), 0
        for milliseconds in sorted(self.times):
            passed += self.times[milliseconds]
            if passed >= rank:
                return milliseconds
        return None


@dataclass(frozen=True)
class Span:
    """When a release served on a host, in seconds since 1970."""

    release: str
    begin: float
    end: float


def traffic(told: dict[str, dict[str, Any]]) -> dict[str, Traffic]:
    """Return {release: its requests on all hosts}, the release that was first asked first.

    :param told: {host: what module report_read told}.
    """
    found: dict[str, Traffic] = {}
    for each in told.values():
        for release, own in each["traffic"]["releases"].items():
            found.setdefault(release, Traffic()).add(own)
    return dict(sorted(found.items(), key=lambda each: (each[1].first, each[0])))


def total(parts: dict[str, Traffic]) -> Traffic:
    """Return the requests of all releases."""
    whole = Traffic()
    for each in parts.values():
        whole.add(
            {
                **{name: getattr(each, name) for name in ("requests", "failed", "given_up", "websockets")},
                **{"first": each.first, "last": each.last, "times": each.times.items()},
                "hours": [[hour, *counts] for hour, counts in each.hours.items()],
            }
        )
    return whole


def errors(told: dict[str, dict[str, Any]], most: int = 10) -> list[list[Any]]:
    """Return [release, path, status, how often, when last] of what failed most on all hosts."""
    found: dict[tuple[str, str, int], list[float]] = {}
    for each in told.values():
        for release, path, status, times, last in each["traffic"]["errors"]:
            known = found.get((release, path, status), [0, 0.0])
            found[release, path, status] = [known[0] + times, max(known[1], last)]
    worst = sorted(found.items(), key=lambda each: (-each[1][0], each[0]))
    return [[*of, *counted] for of, counted in worst[:most]]


def spans(releases: list[dict[str, Any]], now: float) -> list[Span]:
    """Return when releases served: each until the next one did. One that never served has none.

    :param releases: of a host, in the order in which they began to serve.
    """
    served = [each for each in releases if each["switched"]]
    begins = [each["switched"] for each in served]
    found = [Span(each["id"], *ends) for each, ends in zip(served, itertools.pairwise([*begins, now]), strict=True)]
    return [each for each in found if each.end > each.begin]  # a clock that was set back tells nothing


def moment(seconds: float | None, short: bool = False) -> str:
    """Return a time in UTC; "-" of none."""
    if not seconds:
        return "-"
    return time.strftime("%m-%d %H:%M" if short else "%Y-%m-%d %H:%M", time.gmtime(seconds))


def took(milliseconds: int | None) -> str:
    """Return a time as people read it."""
    if milliseconds is None:
        return "-"
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"


def count(number: float) -> str:
    """Return a whole number in groups of three digits."""
    return f"{int(number):,}"


def percent(part: float, whole: float) -> str:
    """Return a share; one that is not nothing is never shown as nothing."""
    if not part or not whole:
        return "0 %"
    share = 100 * part / whole
    return f"{share:.1f} %" if share >= 0.1 else "< 0.1 %"


def room(size: float) -> str:
    """Return bytes in a unit of their size."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
