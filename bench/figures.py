"""Figures of make bench: medians of rounds, ratios to the recipe, and the tables that show them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

REFERENCE = "recipe"
LOADED = 0.1  # share of the processors that others may take, before a machine counts as loaded
PARTS = {  # of a side in a case; what they are called, and their unit for a person
    "rate": ("a second", 1, 0),
    "cpu": ("CPU ms", 1000, 3),
    "p50": ("p50 ms", 1, 1),
    "p99": ("p99 ms", 1, 1),
    "pss": ("MB", 1 / 1_000_000, 0),
}
RATIOS = ("rate", "cpu", "p99", "pss")


@dataclass(frozen=True)
class Figure:
    """One load of one side in one round.

    :ivar rate: answers a second.
    :ivar cpu: processor seconds of the side for each answer.
    :ivar p50: median of the milliseconds that an answer took.
    :ivar p99: 99th percentile of these.
    :ivar pss: bytes of memory of the side's processes.
    :ivar errors: requests and connections that failed.
    :ivar requests: answers.
    :ivar size: bytes of an answer.
    :ivar protocol: of HTTP.
    :ivar others: share of all processors that was taken by what was not measured.
    :ivar flat: whether all that was measured competed in one group of the processor.
    """

    rate: float
    cpu: float
    p50: float
    p99: float
    pss: int
    errors: int
    requests: int
    size: int
    protocol: str
    others: float
    flat: bool


def figure(load, took):
    """Return the figure of a load and of what on_host says it took."""
    return Figure(
        rate=load.rate,
        cpu=took["cpu"] / load.requests,
        p50=load.p50,
        p99=load.p99,
        pss=took["pss"],
        errors=load.errors,
        requests=load.requests,
        size=load.size,
        protocol=load.protocol,
        others=took["others"],
        flat=took["flat"],
    )


def summary(rounds):
    """Return {case: {side: medians, sums and ratios}} of [{case: {side: Figure}}].

    A ratio is of medians, to the reference of the same case; there is none where the reference was not asked.
    """
    found = {}
    for case in dict.fromkeys(case for seen in rounds for case in seen):
        runs = {}
        for seen in rounds:
            for side, figure in seen.get(case, {}).items():
                runs.setdefault(side, []).append(figure)
        found[case] = {side: middle(figures) for side, figures in runs.items()}
        reference = found[case].get(REFERENCE)
        for side in found[case].values():
            side["ratios"] = {part: ratio(side[part], reference[part]) for part in RATIOS} if reference else {}
    return found


def middle(figures):
    medians = {part: statistics.median(getattr(one, part) for one in figures) for part in (*PARTS, "size", "others")}
    sums = {part: sum(getattr(one, part) for one in figures) for part in ("errors", "requests")}
    return {**medians, **sums, "protocol": figures[-1].protocol, "flat": all(one.flat for one in figures)}


def ratio(value, reference):
    return round(value / reference, 3) if reference else None


def labels(found):
    """Return what disturbed these figures so that no claim can rest on them."""
    sides = [side for case in found.values() for side in case.values()]
    others = statistics.median(side["others"] for side in sides)
    said = []
    if others > LOADED:
        said.append(f"a loaded machine: other processes took {others:.0%} of its processors")
    if not all(side["flat"] for side in sides):
        said.append("not one group: processes compete as their services and containers do")
    return said


def rows(found):
    """Return the lines of the table as lists of words, the head first."""
    head = ["case", "side", "HTTP"]
    for part, (name, _, _) in PARTS.items():
        head += [name, "ratio"] if part in RATIOS else [name]
    lines = [[*head, "errors"]]
    for case, sides in found.items():
        for name, side in sides.items():
            line = [case, name, side["protocol"].removeprefix("HTTP/")]
            for part, (_, scale, digits) in PARTS.items():
                line.append(f"{side[part] * scale:,.{digits}f}")
                if part in RATIOS:
                    value = side["ratios"].get(part)
                    line.append("" if value is None else f"{value:.2f}")
            lines.append([*line, str(side["errors"])])
    return lines


def plain(lines):
    """Return a table as text; its first two columns begin at the left."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            word.ljust(width) if column < 2 else word.rjust(width)
            for column, (word, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(lines):
    head, *rest = lines
    rule = ["---"] * 2 + ["---:"] * (len(head) - 2)
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rest])
