"""A page that shows how an app and its hosts are: one file, which needs no other and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from . import figures, health, serving
from .figures import Traffic, count, moment, percent, took
from .markup import Html, join, tag

MARK = "flask-deploy report"  # of a page of ours, which another one may replace
SECTIONS = ("findings", "hosts", "releases", "requests", "certificate", "disks", "backups", "jobs")


def page(known: dict[str, Any], style: str) -> str:
    """Return the page.

    :param known: {"app", "environment", "at": seconds since 1970, "hosts": those that were asked, "told": {host: what
        report_read told}, "seen": {host: what doctor_look did}, "statuses": {host: what status_look did}, "findings"}.
    :param style: CSS.
    """
    parts = figures.traffic(known["told"])
    inside = {
        "findings": health.findings(known),
        "hosts": health.hosts(known),
        "releases": serving.releases(known),
        "requests": serving.requests(known, parts),
        "certificate": health.certificates(known),
        "disks": health.disks(known),
        "backups": health.backups(known),
        "jobs": health.jobs(known),
    }
    links = [tag("li", tag("a", name.capitalize(), href=f"#{name}")) for name in SECTIONS]
    body = [
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag("header", *heading(known)),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag("main", summary(known, parts), *(section(name, inside[name]) for name in SECTIONS), id="content"),
        tag("footer", tag("p", "Times are UTC. The page is of one moment: make it anew to see the next.")),
    ]
    told = tag("html", head(f"{known['app']} in {known['environment']}", style), tag("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{told}\n"


def head(title: str, style: str) -> Html:
    """Return the head: nothing is loaded, and nothing but this style takes effect, whatever a text holds."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rule = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="generator", content=MARK),
        tag("meta", http_equiv="Content-Security-Policy", content=rule),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("title", title),
        tag("style", Html(style)),
    )


def heading(known: dict[str, Any]) -> list[Html]:
    """Return what stands above all."""
    silent = [host for host in known["hosts"] if host not in known["seen"]]
    said = f"As it was at {moment(known['at'])} UTC, on {len(known['hosts'])} host"
    said += "" if len(known["hosts"]) == 1 else "s"
    lost = (
        [tag("p", f"No answer from {', '.join(silent)}: their figures are missing.", class_="warn")] if silent else []
    )
    return [tag("h1", f"{known['app']} in {known['environment']}"), tag("p", said), *lost]


def section(name: str, inside: Html) -> Html:
    """Return a part of the page below its heading."""
    return tag("section", tag("h2", name.capitalize(), id=name), inside, aria_labelledby=name)


def summary(known: dict[str, Any], parts: dict[str, Traffic]) -> Html:
    """Return the figures that tell most."""
    whole = figures.total(parts)
    counts = [
        (word, sum(each["severity"] == word for each in known["findings"])) for word in ("broken", "soon", "note")
    ]
    found = [health.badge(word, f"{number} {word}") for word, number in counts if number]
    serving_now = dict.fromkeys(told.get("release") or "none" for told in known["statuses"].values())
    cards = {
        "Findings": join(found or [health.badge("good", "none")]),
        "Release": join(tag("code", each) for each in serving_now or ["none"]),
        "Requests in 24 h": count(whole.requests),
        "Errors": f"{count(whole.failed)} ({percent(whole.failed, whole.requests)})",
        "p50": took(whole.at(50)),
        "p99": took(whole.at(99)),
    }
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in cards.items()), class_="cards")
