"""How many requests of visitors each release answered, and how soon, from nginx's log: each is counted once.

What was counted and how far the log was read is one file, so a look that is killed is done again.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import log

from . import places
from .exposition import Sample

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds to the first byte
LOOKS = 32  # pieces of the log that one run reads: a gigabyte


def count(apps: Iterable[str]) -> dict[str, list[Sample]]:
    """Count what was logged since the last time; return {app: samples}. The first time nothing was logged before."""
    known = files.read_json(places.COUNTS, {})
    owners = {release: app for app in apps for release in App(app).known()}
    # Of a release that is gone nobody asks any more; and an earlier version may have had other bounds.
    counted = {
        release: each
        for release, each in known.get("counted", {}).items()
        if release in owners and len(each["within"]) == len(BOUNDS) + 1
    }
    read = log.Log(log.LOG, known["position"] if "position" in known else log.position(log.LOG))
    reached = None
    for _look in range(LOOKS):
        for entry in read.entries(owners):
            if entry.asked(owners[entry.release]):
                _add(counted.setdefault(entry.release, _nothing()), entry)
        if reached == (reached := read.reached()):
            break
    files.write_json(places.COUNTS, {"position": reached, "counted": counted}, 0o600)
    read.close()
    samples: dict[str, list[Sample]] = {app: [] for app in apps}
    for release, each in sorted(counted.items()):
        samples[owners[release]] += _samples({"app": owners[release], "release": release}, each)
    return samples


def _nothing() -> dict[str, Any]:
    return {"statuses": {}, "within": [0] * (len(BOUNDS) + 1), "seconds": 0.0}


def _add(counted: dict[str, Any], entry: log.Entry) -> None:
    status = str(entry.status)
    counted["statuses"][status] = counted["statuses"].get(status, 0) + 1
    if entry.first is not None and not entry.websocket:
        counted["within"][bisect.bisect_left(BOUNDS, entry.first)] += 1
        counted["seconds"] = round(counted["seconds"] + entry.first, 3)


def _samples(labels: dict[str, str], counted: dict[str, Any]) -> list[Sample]:
    found: list[Sample] = [
        ("requests_total", {**labels, "status": status}, number)
        for status, number in sorted(counted["statuses"].items())
    ]
    so_far = 0
    for bound, number in zip((*BOUNDS, "+Inf"), counted["within"], strict=True):
        so_far += number
        found.append(("first_byte_seconds_bucket", {**labels, "le": bound}, so_far))
    found.append(("first_byte_seconds_sum", labels, counted["seconds"]))
    found.append(("first_byte_seconds_count", labels, so_far))
    return found
