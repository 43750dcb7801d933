"""Sections of the page about hosts: findings, certificate, disks, backups, jobs and processes."""

from __future__ import annotations

from typing import Any

from .figures import moment, percent, room
from .markup import Html, join, table, tag

FULL, NEAR = 95, 85  # percent of a disk, as the doctor judges it


def findings(known: dict[str, Any]) -> Html:
    """Return what the doctor found, the worst first, each with the command to type."""
    rows = []
    for each in known["findings"]:
        where = " (on the server)" if each["place"] == "host" else ""
        way = [tag("p", f"Type{where}: ", tag("code", each["type"]))] if each["type"] else []
        since = f", since {moment(each['since'])} UTC" if each["since"] else ""
        host = [tag("strong", each["host"]), ": "] if each["host"] else []
        what = tag(
            "p", tag("span", each["severity"], class_=f"badge {each['severity']}"), " ", *host, each["what"], since
        )
        rows.append(tag("li", what, *way))
    return tag("ul", *rows, class_="findings") if rows else tag("p", "The doctor found nothing.")


def hosts(known: dict[str, Any]) -> Html:
    """Return a row for each host; those that did not answer too."""
    rows = []
    for host in known["hosts"]:
        told = known["statuses"].get(host, {})
        if host not in known["seen"]:
            rows.append([host, badge("broken", "no answer"), *["-"] * 5])
        elif "healthy" not in told:
            rows.append([host, badge("broken", "not set up"), *["-"] * 5])
        else:
            rows.append(_host(host, told, known["seen"][host]["facts"].get("memory")))
    headings = ["Host", "Health", "Release", "Serves since (UTC)", "Certificate", "Free disk", "Free memory"]
    return table("Each host, as it answered", headings, rows)


def _host(host: str, told: dict[str, Any], memory: dict[str, int] | None) -> list[Any]:
    days = told["certificate_days"]
    free = f"{room(memory['free'])} of {room(memory['total'])}" if memory else "-"
    health = badge("good", "ok") if told["healthy"] else badge("broken", "no")
    return [
        *(host, join([health, " ", told["health"]]), tag("code", told["release"] or "none"), moment(told["since"])),
        *("none" if days is None else f"{days} days", room(told["disk_free_mb"] << 20), free),
    ]


def badge(kind: str, word: str) -> Html:
    """Return a word in the colour of its kind: good, note, soon or broken."""
    return tag("span", word, class_=f"badge {kind}")


def certificates(known: dict[str, Any]) -> Html:
    """Return the certificate of each host."""
    rows = []
    for host, facts in _facts(known):
        told = facts.get("certificate")
        if told:
            left = told.get("days_left")
            state = badge("soon", "look") if told.get("problems") else badge("good", "good")
            said = "; ".join(map(str, told.get("problems") or [])) or "-"
            names = ", ".join(map(str, told.get("names") or [])) or "-"
            until = str(told.get("not_after") or "-")[:16].replace("T", " ")
            days = "-" if left is None else str(left)
            rows.append([host, state, until, days, str(told.get("serving") or "-"), names, said])
    headings = ["Host", "State", "Expires (UTC)", "Days left", "From", "Names", "What is wrong"]
    return (
        table("The certificate of each host", headings, rows, texts=(5, 6))
        if rows
        else tag("p", "Nobody looks after certificates on these hosts.")
    )


def disks(known: dict[str, Any]) -> Html:
    """Return each file system of each host."""
    rows = []
    for host, facts in _facts(known):
        for each in facts.get("disks", []):
            whole = each["used"] + each["free"]
            inodes = each["inodes_used"] + each["inodes_free"]
            files = percent(each["inodes_used"], inodes) if inodes else "-"
            used = [bar(100 * each["used"] / whole if whole else 0), " ", percent(each["used"], whole)]
            rows.append([host, tag("code", each["path"]), join(used), room(each["free"]), room(whole), files])
    headings = ["Host", "Path", "Used", "Free", "Size", "Inodes used"]
    return table("File systems of each host", headings, rows) if rows else tag("p", "No disk was looked at.")


def bar(share: float) -> Html:
    """Return a small bar that is so many percent full; the number stands beside it."""
    kind = "broken" if share >= FULL else "soon" if share >= NEAR else "good"
    width = {"width": "60", "height": "10", "class_": "meter", "aria_hidden": "true", "focusable": "false"}
    full = tag("rect", width=f"{min(share, 100):.0f}%", height="10", class_=kind)
    return tag("svg", tag("rect", width="100%", height="10", class_="empty"), full, **width)


def backups(known: dict[str, Any]) -> Html:
    """Return what each host tells of its backups."""
    items = []
    for host, facts in _facts(known):
        told = facts.get("backup") or {}
        lines = [*map(str, told.get("problems") or []), *map(str, told.get("lines") or [])]
        state = badge("broken", "look") if told.get("problems") else badge("good", "good")
        if lines:
            items.append(tag("li", tag("p", state, " ", tag("strong", host)), *(tag("p", each) for each in lines)))
    return tag("ul", *items, class_="findings") if items else tag("p", "The inventory names no place for backups.")


def jobs(known: dict[str, Any]) -> Html:
    """Return the jobs and the processes beside the web."""
    told = known["statuses"].items()
    rows = [
        [each["name"], host, _result(each["result"]), each["last"], each["took"], each["next"]]
        for host, own in told
        for each in own.get("jobs", [])
    ]
    parts = (
        [table("Jobs, as they last ran", ["Job", "Host", "Result", "Last (UTC)", "Took", "Next (UTC)"], rows)]
        if rows
        else []
    )
    rows = [
        [
            each["process"],
            host,
            f"{each['up']} of {each['wanted']}",
            str(each["restarts"]),
            tag("code", each["release"]),
        ]
        for host, own in told
        for each in own.get("processes", [])
    ]
    parts += [table("Processes beside the web", ["Process", "Host", "Up", "Restarts", "Release"], rows)] if rows else []
    return join(parts) if parts else tag("p", "The app has no jobs, and no processes beside the web.")


def _result(word: str) -> Html:
    return badge("good" if word in ("ok", "runs") else "note" if word == "never ran" else "broken", word)


def _facts(known: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(host, told["facts"]) for host, told in known["seen"].items()]
