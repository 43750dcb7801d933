"""When traffic moved: what the host itself has on record."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Switch:
    """Traffic moved from one release to another.

    :ivar began: epoch seconds at which the new release could first answer: the link moved.
    :ivar ended: epoch seconds from which the old release let go of connections that nginx keeps: its drain marker.
    """

    old: str
    new: str
    began: float
    ended: float


def switch_record(run, app="app", old=""):
    """Return the host's last switch.

    :param run: takes a shell command and returns what it prints as root, such as testinfra's ``host.check_output``.
    :param old: the release before, where the host's record does not say it.
    """
    current, markers = f"/srv/{app}/current", f"/srv/{app}/releases/*/draining /srv/{app}/releases/*/run/draining"
    link, moved, left, state = run(
        f"readlink {current}; stat -c %.6Y {current}; {{ echo 0; stat -c %.6Y {markers}; }} 2>/dev/null | sort -n"
        f" | tail -1; tr -d '\\n' <{current}/state.json"
    ).splitlines()
    record, began = json.loads(state), float(moved)
    return Switch(old or record.get("previous") or "", link.rpartition("/")[2], began, max(began, float(left)))
