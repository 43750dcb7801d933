"""The verdict on a history: exactly one good answer for each request, from a release that may have given it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from statistics import quantiles

from bench.kinds import KINDS, QUICK

SLACK = 1.0  # seconds of a busy host between what it decides and what nginx and the clients see
INSIDE = 5.0  # seconds after a switch that count as inside it


@dataclass
class Verdict:
    """What a load has shown.

    :ivar failures: the answers that are not good, each with the reason.
    :ivar by_kind: {kind: (requests, failed)}.
    :ivar in_flight: requests without a whole answer at each switch.
    :ivar notes: {what: how often} of what is counted and no failure (:class:`bench.history.Note`).
    :ivar latency: {"inside" or "outside" switches: {"p50", "p99", "max"}} in milliseconds, of quick kinds.
    """

    requests: int
    failures: list = field(default_factory=list)
    by_kind: dict = field(default_factory=dict)
    in_flight: list = field(default_factory=list)
    notes: dict = field(default_factory=dict)
    latency: dict = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def failed(self):
        return len(self.failures)

    def __str__(self):
        rows = [f"{self.failed} failed of {self.requests} requests in {self.seconds:.0f} s"]
        rows += [f"  {kind:<15}{count:>8}{failed:>7} failed" for kind, (count, failed) in self.by_kind.items()]
        rows += [f"  in flight at the switches: {min(self.in_flight)} at least"] if self.in_flight else []
        rows += [f"  {what}: {count}" for what, count in self.notes.items()]
        rows += [
            f"  {where} switches: p50 {figures['p50']:.0f} ms, p99 {figures['p99']:.0f} ms, max {figures['max']:.0f} ms"
            for where, figures in self.latency.items()
        ]
        rows += [
            f"  {failure.started:.3f} {failure.kind}/{failure.number}: {failure.failure}"
            for failure in self.failures[:20]
        ]
        return "\n".join(rows)

    def as_json(self):
        """Return the verdict as values that JSON knows."""
        return {**asdict(self), "failed": self.failed}


def judge(history, switches, keepalive=4.0):
    """Return the verdict on a history.

    :param switches: in order; [] for none; None leaves releases unjudged.
    """
    answers = history.answers
    if not answers:
        raise ValueError("a history without a request shows nothing")
    if switches is not None:
        before = first(answers)
        for answer in answers:
            answer.failure = answer.failure or misplaced(answer, switches, keepalive, before)
    failed = Counter(answer.kind for answer in answers if answer.failure)
    count = Counter(answer.kind for answer in answers)
    return Verdict(
        requests=len(answers),
        failures=[answer for answer in answers if answer.failure],
        by_kind={kind: (count[kind], failed[kind]) for kind in sorted(count)},
        in_flight=[in_flight(answers, switch.began) for switch in switches or []],
        notes=dict(Counter(note.what for note in history.notes)),
        latency=latencies(answers, switches or []),
        seconds=max(answer.ended for answer in answers) - min(answer.started for answer in answers),
    )


def first(answers):
    """Return the release that answered first."""
    named = [answer for answer in answers if answer.release]
    return min(named, key=lambda answer: answer.ended).release if named else ""


def misplaced(answer, switches, keepalive, before):
    """Return why a release must not have given this answer, or "".

    Ended before a switch: the old one. Started after it and nginx's keepalive: the new one. Between them: either.
    """
    kind = KINDS.get(answer.kind)
    if kind is None or not kind.named:  # messages and ends of a websocket belong to its handshake's release
        return ""
    allowed, since = set(), (switches[0].old or before) if switches else before
    for switch in switches:
        if answer.started <= switch.ended + keepalive + SLACK:
            allowed.add(since)
        if answer.ended < switch.began:
            break
        since = switch.new
    else:
        allowed.add(since)
    if answer.release in allowed:
        return ""
    return f"answered by release {answer.release or 'unknown'}, not by {' or '.join(sorted(allowed))}"


def in_flight(answers, at):
    """Count the requests that had been sent and not wholly answered at a time."""
    return sum(1 for answer in answers if answer.kind in KINDS and answer.started <= at < answer.ended)


def latencies(answers, switches):
    """Return {"inside", "outside": figures in ms} of quick requests by whether a switch was on."""
    parts = {"inside": [], "outside": []}
    for answer in answers:
        if answer.kind in QUICK and not answer.failure:
            near = any(answer.ended >= s.began and answer.started <= s.ended + INSIDE for s in switches)
            parts["inside" if near else "outside"].append((answer.ended - answer.started) * 1000)
    return {name: figures(values) for name, values in parts.items() if len(values) > 1}


def figures(values):
    cuts = quantiles(values, n=100)
    return {"p50": cuts[49], "p99": cuts[98], "max": max(values), "requests": len(values)}
