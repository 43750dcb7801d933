"""A look at real traffic after a switch: nginx's log, and a request through the public door."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing

from ansible.module_utils import app_containers as containers
from ansible.module_utils import app_site as site

LOG = "/var/log/nginx/access.log"
BEFORE = 4 << 20  # bytes of log looked at for the release before
PROBE_EVERY = 0.5  # seconds
PROBES = 3  # failures in a row that count
LOG_DELAY = 1.5  # seconds; nginx's log is flushed each second


class Log:
    """nginx's JSON access log from a point in time on, over its rotation."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.rest = b""

    def open(self, back):
        """Begin ``back`` bytes before the end."""
        try:
            self.file = open(self.path, "rb")  # noqa: SIM115 - stays open while it is followed
        except FileNotFoundError:
            return self
        self.file.seek(max(0, os.fstat(self.file.fileno()).st_size - back))
        if back and self.file.tell():
            self.file.readline()
        return self

    def close(self):
        if self.file:
            self.file.close()

    def entries(self):
        """Return what was written since the last look."""
        if self.file is None:
            self.open(0)
            return []
        text = self.rest + self.file.read()
        if self._rotated():
            self.file.close()
            self.file = open(self.path, "rb")  # noqa: SIM115
            text += self.file.read()
        *lines, self.rest = text.split(b"\n")
        return [entry for entry in map(_parse, lines) if entry]

    def _rotated(self):
        try:
            return os.stat(self.path).st_ino != os.fstat(self.file.fileno()).st_ino
        except FileNotFoundError:
            return False


def _parse(line):
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "status" in entry and "release" in entry else None


class Tally:
    """Requests of one release: how many, how many failed in the app, how long they took."""

    def __init__(self, release):
        self.release, self.seconds, self.failed = release, [], 0

    def add(self, entries):
        for entry in entries:
            if entry["release"] == self.release:
                self.seconds.append(float(entry.get("seconds") or 0))
                # What nginx answers by itself (maintenance, limits) tells nothing of the release.
                self.failed += entry["status"] >= 500 and bool(entry.get("upstream_status", "app"))

    @property
    def share(self):
        """Percent of requests that failed."""
        return 100 * self.failed / len(self.seconds) if self.seconds else 0.0

    def summary(self):
        """Return requests, failed, and the 50th and 99th percentile of seconds."""
        ranked = sorted(self.seconds)
        at = lambda share: round(ranked[int(share * (len(ranked) - 1))], 4) if ranked else None  # noqa: E731
        return {"requests": len(ranked), "failed": self.failed, "p50": at(0.5), "p99": at(0.99)}


class Probe:
    """A request through the public door, now and then."""

    def __init__(self, domain, path):
        self.domain, self.path = domain, path
        self.asked = self.failed = self.row = 0
        self.next, self.said = 0.0, ""

    @property
    def good(self):
        """Tell whether the last answer was good; before the first it was not."""
        return self.asked > 0 and self.row == 0

    def ask(self):
        if time.monotonic() < self.next:
            return
        self.asked += 1
        try:
            status = site.probe_door(self.domain, self.path)
            good, self.said = status < 400, f"status {status}"
        except Exception as error:  # whatever a door may answer with
            good, self.said = False, str(error)
        self.row = 0 if good else self.row + 1
        self.failed += not good
        self.next = time.monotonic() + PROBE_EVERY


def watch(app, release, before, rules, moved):
    """Look at a release that took over at ``moved`` until its time is up or it proves bad.

    :param rules: {"seconds": how long, "percent": 5xx share beyond that of the release before,
        "samples": requests it takes to judge by share}.
    :return: {"well": bool, "reason": str or None, "watched": {...}, "before": {...}, "probes", "probes_failed"}.
    """
    record = app.record(release)
    old, new, probe = Tally(before), Tally(release), Probe(record["domain"], record["health_path"])
    with closing(Log(LOG).open(BEFORE)) as log:
        reason = _follow(log, old, new, probe, containers.process(app, release), rules, moved)
    return {
        "well": reason is None,
        "reason": reason,
        "seconds": round(time.time() - moved, 1),
        "watched": new.summary(),
        "before": old.summary(),
        "probes": probe.asked,
        "probes_failed": probe.failed,
    }


def _follow(log, old, new, probe, container, rules, moved):
    """Look until the time is up and the door's last answer is good; return why the release must not serve on."""
    end = moved + rules["seconds"]
    while rules["seconds"]:
        over = time.time() >= end and probe.good
        if over:
            time.sleep(LOG_DELAY)  # for what nginx has not written yet
        entries = log.entries()
        old.add(entries)
        new.add(entries)
        if not over:
            probe.ask()
        reason = _bad(container, old, new, probe, rules)
        if reason or over:
            return reason
        time.sleep(0.1)
    return None


def _bad(container, old, new, probe, rules):
    """Return why a release must not serve on, or None."""
    if len(new.seconds) >= rules["samples"] and new.share > rules["percent"] + old.share:
        return (
            f"{new.failed} of {len(new.seconds)} requests failed ({new.share:.0f} %), "
            f"{old.share:.0f} % with the release before"
        )
    if probe.row >= PROBES:
        return f"{probe.path} failed {probe.row} times in a row through the public door: {probe.said}"
    if container and not os.path.exists(f"/proc/{container}"):
        return "its container ended"
    return None
