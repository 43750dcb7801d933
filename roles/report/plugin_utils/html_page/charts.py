"""Charts as inline SVG. Across, all is told in percent and texts keep their size, so a chart fits any screen."""

from __future__ import annotations

import math
from typing import Any

from .figures import DAY, HOUR, Span, Traffic, count, moment, took
from .markup import Html, join, tag

COLOURS = 6  # classes c0 to c5 of report.css
LANE, BAR, TOP, AXIS = 34, 20, 6, 22  # pixels
HEIGHT = 120  # pixels of the bars of hours
ROOM = 16  # percent of the width in which a release's id can be read
NONE = {"asked": "no requests", "failed": "no errors"}  # of a chart of hours
ROW = 44  # pixels of a release's times


def colours(releases: list[str]) -> dict[str, str]:
    """Return {release: the class that colours it}."""
    return {release: f"c{place % COLOURS}" for place, release in enumerate(dict.fromkeys(releases))}


def figure(name: str, title: str, described: str, height: int, parts: list[Html]) -> Html:
    """Return a chart with its name and description, for those who do not see it."""
    told = tag("title", title, id=f"{name}-t"), tag("desc", described, id=f"{name}-d")
    labels = {"aria_labelledby": f"{name}-t", "aria_describedby": f"{name}-d"}
    drawn = tag("svg", *told, *parts, role="img", width="100%", height=height, **labels)
    return tag("figure", tag("figcaption", title), drawn)


def at(share: float) -> str:
    """Return a place across."""
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%"


def scale(begin: float, end: float, height: int) -> list[Html]:
    """Return the line below a chart, with the times at its begin, middle and end."""
    ends = [("start", "0%", begin), ("middle", "50%", (begin + end) / 2), ("end", "100%", end)]
    marks = [tag("text", moment(when, short=True), x=x, y=height + 16, text_anchor=side) for side, x, when in ends]
    return [tag("line", x1="0%", x2="100%", y1=height, y2=height, class_="axis"), *marks]


def lanes(hosts: dict[str, list[Span]], failed: list[tuple[str, float]], known: dict[str, str], begin: float) -> Html:
    """Return which release served when: a lane for each host, until now.

    :param failed: (host, when) of releases that did not get to serve.
    :param known: the class that colours a release.
    """
    end = max(each.end for spans in hosts.values() for each in spans)
    parts, width = [], end - begin
    for number, (host, spans) in enumerate(hosts.items()):
        top = TOP + number * (LANE + 14)
        parts.append(tag("text", host, x="0%", y=top + 10))
        for each in (each for each in spans if each.end > begin):
            left, right = max(each.begin, begin), min(each.end, end)
            parts.append(_bar(each, known, top + 15, (left - begin) / width, (right - left) / width))
        for when in (when for where, when in failed if where == host and when >= begin):
            place, label = at((when - begin) / width), tag("title", f"a release failed, {moment(when)}")
            parts.append(tag("g", label, tag("circle", cx=place, cy=top + 14, r=5, class_="bad")))
    height = TOP + len(hosts) * (LANE + 14) + 4
    told = "; ".join(
        f"{host}: " + (", ".join(f"{each.release[:7]} from {moment(each.begin)}" for each in spans) or "none")
        for host, spans in hosts.items()
    )
    return figure("line", "Releases that served (UTC)", told, height + AXIS, parts + scale(begin, end, height))


def _bar(span: Span, known: dict[str, str], top: int, left: float, width: float) -> Html:
    label = tag("title", f"{span.release}: {moment(span.begin)} to {moment(span.end)}")
    bar = tag("rect", x=at(left), y=top, width=at(width), height=BAR, class_=f"bar {known[span.release]}")
    if 100 * width < ROOM:
        return tag("g", label, bar)
    middle = tag("text", span.release[:7], x=at(left + width / 2), y=top + 15, text_anchor="middle", class_="on")
    return tag("g", label, bar, middle)


def hours(name: str, title: str, parts: dict[str, Traffic], known: dict[str, str], end: float) -> Html:
    """Return a bar for each hour of the last day, by release; where there would be none, that is written in place.

    :param name: asked, or failed.
    """
    last, column = math.ceil(end / HOUR) - 1, ("asked", "failed").index(name)
    first = int((end - DAY) // HOUR)
    slots = range(first, last + 1)
    sums = {hour: sum(each.hours.get(hour, (0, 0))[column] for each in parts.values()) for hour in slots}
    most = max(sums.values(), default=0)
    drawn = [tag("text", f"at most {count(most)} in an hour", x="0%", y=12)] if most else [_none(NONE[name])]
    for place, hour in enumerate(slots):
        drawn.append(_stack(parts, known, (column, hour), (place / len(slots), 0.8 / len(slots)), most))
    peak = max(sums, key=sums.get)
    told = (
        f"{count(sum(sums.values()))} in {len(slots)} hours; most in the hour from {moment(peak * HOUR)}: {count(most)}"
    )
    below = HEIGHT + 20
    return figure(name, title, told, below + AXIS, drawn + scale(first * HOUR, (last + 1) * HOUR, below))


def _none(what: str) -> Html:
    return tag("text", what, x="50%", y=HEIGHT // 2 + 20, text_anchor="middle")


def _stack(
    parts: dict[str, Traffic], known: dict[str, str], of: tuple[int, int], place: tuple[float, float], most: int
) -> Html:
    """Return the bar of an hour: its releases on top of each other."""
    (column, hour), (left, width) = of, place
    bars, bottom, said = [], float(HEIGHT + 20), []
    for release, each in parts.items():
        number = each.hours.get(hour, (0, 0))[column]
        if number:
            height = max(1.0, number / most * HEIGHT)
            bottom -= height
            mark = {"x": at(left), "y": f"{bottom:.1f}", "width": at(width), "height": f"{height:.1f}"}
            bars.append(tag("rect", **mark, class_=f"bar {known[release]}"))
            said.append(f"{release[:7]} {count(number)}")
    return tag("g", tag("title", f"{moment(hour * HOUR)}: {', '.join(said)}"), *bars) if bars else join([])


def times(parts: dict[str, Traffic], known: dict[str, str]) -> Html:
    """Return for each release a line from the median to the 99th percentile of its times."""
    found = [(release, each.at(50), each.at(99)) for release, each in parts.items() if each.times]
    most = max([high for _release, _low, high in found], default=0) or 1
    drawn: list[Any] = []
    for number, (release, low, high) in enumerate(found):
        top = number * ROW
        said = f"{release[:7]}: p50 {took(low)}, p99 {took(high)}"
        drawn.append(tag("text", said, x="0%", y=top + 14))
        span = {"x": at(low / most), "width": at((high - low) / most), "y": top + 21, "height": 12}
        drawn.append(tag("line", x1="0%", x2="100%", y1=top + 27, y2=top + 27, class_="axis"))
        drawn.append(tag("rect", **span, class_=f"bar {known[release]}"))
        for value in (low, high):
            place = min(value / most, 0.995)
            drawn.append(tag("rect", x=at(place), width=3, y=top + 18, height=18, class_="mark"))
    told = "; ".join(f"{release[:7]}: p50 {took(low)}, p99 {took(high)}" for release, low, high in found)
    return figure("times", f"Time to the first byte: p50 to p99, 0 to {took(most)}", told, len(found) * ROW + 4, drawn)
