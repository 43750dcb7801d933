"""Sections of the page about releases and requests."""

from __future__ import annotations

from typing import Any

from . import charts, figures
from .figures import DAY, Traffic, count, moment, percent, took
from .markup import Html, join, table, tag

LONGEST, SHORTEST = 30 * DAY, DAY  # of the line of time
DEFINED = (
    "A request counts when it ends, and if nginx asked the app: files and redirects that nginx answers by itself do "
    "not count. An error is an answer from 500 to 599. Given up: the client left before an answer. p50 and p99 are "
    "times to the first byte of an answer: the shortest measured time that 50 or 99 percent of the requests did not "
    "exceed (nearest rank), without websockets and requests that were given up. Nothing is sampled."
)


def coloured(release: str, colours: dict[str, str]) -> Html:
    """Return a release's id with a patch of its colour."""
    return join([tag("span", class_=f"patch {colours.get(release, '')}", aria_hidden="true"), tag("code", release)])


def releases(known: dict[str, Any]) -> Html:
    """Return which release served when, and what failed before it served."""
    told, now = known["told"], known["at"]
    spans = {host: figures.spans(each["releases"], now) for host, each in told.items()}
    failed = [(host, each["at"]) for host, own in told.items() for each in own["failures"]]
    begins = [each.begin for own in spans.values() for each in own] + [when for _host, when in failed]
    begin = now - min(max(now - min(begins, default=now), SHORTEST), LONGEST)
    colours = colours_of(known)
    parts = [charts.lanes(spans, failed, colours, begin)] if any(spans.values()) else []
    rows = together({host: [_release(each) for each in reversed(own["releases"])] for host, own in told.items()})
    rows = [[coloured(row[0], colours), *row[1:]] for row in sorted(rows, key=lambda row: row[1], reverse=True)]
    headings = ["Release", "Began to serve (UTC)", "State", "Deployed by", "From", "Hosts"]
    said = "Releases that are kept, the newest first"
    parts.append(table(said, headings, rows, texts=(5,)) if rows else tag("p", "No release."))
    rows = together({host: [_failure(each) for each in own["failures"]] for host, own in told.items()})
    rows = [[tag("code", row[0]), *row[1:]] for row in sorted(rows, key=lambda row: row[1], reverse=True)]
    headings = ["Release", "When (UTC)", "Deployed by", "Why", "Hosts"]
    said = "Releases that failed before they served"
    return join([*parts, table(said, headings, rows, texts=(3, 4)) if rows else ""])


def colours_of(known: dict[str, Any]) -> dict[str, str]:
    """Return {release: its colour}, which is the same in all charts."""
    told = known["told"].values()
    kept = [each["id"] for own in told for each in own["releases"]]
    return charts.colours([*kept, *figures.traffic(known["told"])])


def together(told: dict[str, list[list[str]]]) -> list[list[str]]:
    """Return each row once, with its hosts behind it.

    :param told: {host: rows}.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for host, rows in told.items():
        for row in rows:
            found.setdefault(tuple(row), []).append(host)
    return [[*row, ", ".join(hosts)] for row, hosts in found.items()]


def _release(told: dict[str, Any]) -> list[str]:
    state = "serves" if told["serves"] else told["state"]
    return [told["id"], moment(told["switched"]) if told["switched"] else "never", state, told["by"], told["source"]]


def _failure(told: dict[str, Any]) -> list[str]:
    return [told["id"], moment(told["at"]), told["by"], told["reason"]]


def requests(known: dict[str, Any], parts: dict[str, Traffic]) -> Html:
    """Return requests, errors and times by release."""
    told = known["told"]
    begin, end = known["at"] - DAY, known["at"]
    unread = [f"{host}: {line}" for host, each in told.items() for line in each["traffic"]["unread"]]
    warned = tag("p", "Not all of nginx's log was read: ", "; ".join(unread), class_="warn") if unread else ""
    if not parts:
        return join([warned, tag("p", f"The app was asked nothing from {moment(begin)} to {moment(end)} UTC.")])
    colours = colours_of(known)
    rows = [_row(coloured(release, colours), each) for release, each in parts.items()]
    rows += [_row("all", figures.total(parts))] if len(parts) > 1 else []
    headings = [
        "Release",
        "Requests",
        "Errors",
        "Share",
        "p50",
        "p99",
        "Given up",
        "Websockets",
        "First (UTC)",
        "Last (UTC)",
    ]
    charted = [
        charts.hours("asked", "Requests by hour (UTC)", parts, colours, end),
        charts.hours("failed", "Errors by hour (UTC)", parts, colours, end),
        charts.times(parts, colours),
    ]
    span = f"From {moment(begin)} to {moment(end)} UTC, on {len(told)} host{'' if len(told) == 1 else 's'}."
    shown = table("Requests, errors and times by release", headings, rows, tuple(range(1, 8)))
    return join([warned, tag("p", span), shown, *charted, errors(told), tag("p", DEFINED, class_="note")])


def _row(name: Any, told: Traffic) -> list[Any]:
    share = percent(told.failed, told.requests)
    numbers = [count(told.requests), count(told.failed), share, took(told.at(50)), took(told.at(99))]
    ends = [moment(told.first, short=True), moment(told.last, short=True)]
    return [name, *numbers, count(told.given_up), count(told.websockets), *ends]


def errors(told: dict[str, dict[str, Any]]) -> Html:
    """Return which paths failed most."""
    found = figures.errors(told)
    rows = [
        [tag("code", path or "-"), str(status), count(times), tag("code", release), moment(last, short=True)]
        for release, path, status, times, last in found
    ]
    if not rows:
        return tag("p", "No request ended with an error.")
    rest = sum(each["traffic"]["uncounted"] for each in told.values())
    more = tag("p", f"{count(rest)} more errors were of other paths.") if rest else ""
    headings = ["Path", "Status", "Errors", "Release", "Last (UTC)"]
    return join([table("Paths with the most errors", headings, rows, (2,)), more])
