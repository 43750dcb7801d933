"""The model of make bench-fleet: hosts take their turns at each task; see bench/fleet_model.py."""

from __future__ import annotations

import heapq
import math

SIZES = (3, 25, 50, 500)
SERVED = 2  # hosts that one host in a tree serves at a time
COLUMNS = ("hosts", "waves", "uplink", "tree", "registry", "later", "prepare", "switch", "mixed", "silent", "allowed")
COLUMNS += ("whole", "memory")
NEEDED = 5  # seconds; the least app_confirm_timeout that the check takes


def waves(hosts, forks):
    return math.ceil(hosts / forks)


def turns(began, hosts, known, step, until=None):
    """Return when each host has had its turn at the tasks of a step, which begin together.

    :param known: constants.
    :param until: what a host's turn waits for, {host: time}, beside its own seconds.
    """
    for _ in range(step["tasks"]):
        ends = _task(began, hosts, known, step, until)
        began = max(ends)
    return ends


def _task(began, hosts, known, step, until):
    free = [began] * min(hosts, known["forks"])  # a heap
    ends = []
    for host in range(hosts):
        start = heapq.heappop(free)
        ends.append(max(start + step["seconds"], until[host] if until else 0.0))
        heapq.heappush(free, ends[-1])
    least = hosts * step["busy"] / known["cores"]  # the controller's processors
    span = max(ends) - began
    return [began + (end - began) * max(1.0, least / span) for end in ends]


def transport(hosts, known):
    """Return the seconds in which an image comes to all hosts but the one that built it, by each way.

    Uplink: it goes up to the controller and down to each host, over one link. Tree: each host that has it hands it to
    two others, by half of its link each. Registry: the builder pushes, the others share its link; later only layers
    that changed are on their way. Each host loads what it has got.
    """
    packed, uplink, link = known["image"]["bytes"], known["links"]["uplink"], known["links"]["host"]
    others, load = hosts - 1, known["steps"]["load"]["seconds"]
    if not others:
        return dict.fromkeys(("uplink", "tree", "registry", "later"), 0.0)
    loads = max(turns(0.0, others, known, known["steps"]["load"]))
    levels = math.ceil(round(math.log(hosts, SERVED + 1), 9))
    pulled = {
        name: size / link * (1 + others) + load
        for name, size in (("registry", packed), ("later", known["image"]["changed"]))
    }
    return {"uplink": packed * hosts / uplink + loads, "tree": levels * (SERVED * packed / link + load), **pulled}


def deploy(hosts, known, carried=None):
    """Return figures of a deploy: seconds of its parts, and how long a host is without word.

    :param carried: seconds in which the image comes to all hosts; over the controller's uplink, if not said.
    """
    steps = known["steps"]
    carried = transport(hosts, known)["uplink"] if carried is None else carried
    ready = max(turns(0.0, hosts, known, steps["before"])) + carried
    prepared = max(turns(ready, hosts, known, steps["prepare"]))
    switched = turns(prepared, hosts, known, steps["switch"])
    judged = [at + known["watch"] for at in switched]  # by the host itself, whoever looks
    watched = turns(max(switched), hosts, known, steps["watch"], judged)
    heard = turns(max(watched), hosts, known, steps["hear"])
    confirmed = turns(max(heard), hosts, known, steps["confirm"]) if hosts > 1 else heard
    silent = max(end - judgement for end, judgement in zip(confirmed, judged, strict=True))
    retired = max(turns(max(confirmed), hosts, known, steps["retire"]))
    return {
        "before": ready - carried,
        "prepare": prepared - ready,
        "switch": max(switched) - prepared,
        "mixed": max(switched) - min(switched),
        "watch": max(watched) - max(switched),
        "hear": max(heard) - max(watched),
        "confirm": max(confirmed) - max(heard),
        "retire": retired - max(confirmed),
        "silent": silent,
        "allowed": float(known["confirm_timeout"] * waves(hosts, known["forks"])),
        "whole": retired,
    }


def memory(hosts, known):
    """Return megabytes of the controller: the run itself, what it knows of each host, and its forks."""
    parts = known["memory"]
    return parts["main"] + parts["host"] * hosts + parts["fork"] * min(hosts, known["forks"])


def least_timeout(hosts, known):
    """Return the least app_confirm_timeout with which no host gives up."""
    silent = deploy(hosts, known)["silent"]
    return max(NEEDED, math.floor(silent / waves(hosts, known["forks"])) + 1)


def figures(hosts, known):
    """Return a row of the table."""
    ways, found = transport(hosts, known), deploy(hosts, known)
    return {"hosts": hosts, "waves": waves(hosts, known["forks"]), **ways, **found, "memory": memory(hosts, known)}


def table(known, sizes=SIZES):
    """Return the lines of the table: model, no measurement."""
    lines = ["seconds, and MB of memory; a model", "".join(f"{name:>9}" for name in COLUMNS)]
    for hosts in sizes:
        row = figures(hosts, known)
        lines.append("".join(f"{row[name]:>9.0f}" for name in COLUMNS))
    for hosts in sizes:
        row, least = figures(hosts, known), least_timeout(hosts, known)
        said = "is enough" if row["silent"] < row["allowed"] else "is NOT enough"
        lines.append(f"{hosts} hosts: app_confirm_timeout {known['confirm_timeout']} {said}; the least is {least}")
    return lines
