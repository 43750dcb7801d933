"""The status of all hosts of an app as a table of 74 columns, which Ansible does not fold, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

HEADINGS = ("host", "release", "age", "health", "cert", "disk")
BESIDE = ("host", "release", "process", "up", "restarts")
JOB = ("name", "last", "took", "result", "next")
JOB_HEADINGS = ("job", "last (UTC)", "took", "result", "next (UTC)")
WIDEST = 28  # characters of a host's name; all columns together keep below 74
DEPLOY = "ansible-playbook playbooks/app.yml -i inventories/..."


def table(statuses: dict[str, dict[str, Any]], asked: Sequence[str] = ()) -> list[str]:
    """Return lines: a row for each host, then what somebody should know or do.

    :param statuses: {host: what module status_look told}.
    :param asked: hosts that the play was for.
    """
    names = short(list(statuses))
    lines = aligned([HEADINGS, *(row(names[host], told) for host, told in statuses.items())])
    lines += processes(statuses, names) + jobs(statuses, names)
    return lines + uneven(statuses) + remarks(statuses) + missing(statuses, asked)


def row(name: str, told: dict[str, Any]) -> tuple[str, ...]:
    days = told["certificate_days"]
    health = told["health"] if told["health"].isdigit() else "none"
    return (
        name,
        told["release"] or "none",
        told["age"],
        f"ok {health}" if told["healthy"] else f"no: {health}",
        "none" if days is None else f"{days} d",
        f"{told['disk_free_mb'] >> 10} GB",
    )


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows as lines whose columns begin below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [" ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in rows]


def processes(statuses: dict[str, dict[str, Any]], names: dict[str, str]) -> list[str]:
    """Return a table of the processes beside the web, where there are any."""
    rows = [(names[host], each) for host, told in statuses.items() for each in told.get("processes", [])]
    shown = [(host, p["release"], p["process"], f"{p['up']}/{p['wanted']}", str(p["restarts"])) for host, p in rows]
    return aligned([BESIDE, *shown]) if rows else []


def jobs(statuses: dict[str, dict[str, Any]], names: dict[str, str]) -> list[str]:
    """Return a table of the jobs, where there are any; a host is named where not all are on one."""
    rows = [(job, names[host]) for host, told in statuses.items() for job in told.get("jobs", [])]
    many = len(statuses) > 1
    shown = [tuple(job[field] for field in JOB) + ((host,) if many else ()) for job, host in rows]
    return aligned([JOB_HEADINGS + (("on",) if many else ()), *shown]) if rows else []


def short(hosts: list[str]) -> dict[str, str]:
    """Return {host: its name in the table}: long ones are cut in the middle, where they stay apart."""
    if all(len(host) <= WIDEST for host in hosts):
        return {host: host for host in hosts}
    first, *others = (host.partition(".") for host in hosts)
    domain = "".join(first[1:]) if others and all(other[1:] == first[1:] for other in others) else ""
    names = {host: cut(host.removesuffix(domain)) for host in hosts}
    return names if len(set(names.values())) == len(hosts) else {host: host for host in hosts}


def cut(name: str) -> str:
    if len(name) <= WIDEST:
        return name
    half = WIDEST // 2
    return f"{name[: half - 1]}..{name[-(half - 1) :]}"


def uneven(statuses: dict[str, dict[str, Any]]) -> list[str]:
    """Return a line where hosts serve different releases."""
    serving: dict[str, list[str]] = {}
    for host, told in statuses.items():
        serving.setdefault(told["release"] or "none", []).append(host)
    if len(serving) < 2:
        return []
    which = ", ".join(f"{release} on {' '.join(hosts)}" for release, hosts in serving.items())
    return [f"uneven: {which}. Let all serve one release: {DEPLOY}"]


def remarks(statuses: dict[str, dict[str, Any]]) -> list[str]:
    """Return what hosts told of themselves, once for all that told the same."""
    hosts: dict[str, list[str]] = {}
    for host, told in statuses.items():
        for remark in told["remarks"]:
            hosts.setdefault(remark, []).append(host)
    return [f"{' '.join(told)}: {remark}" for remark, told in hosts.items()]


def missing(statuses: dict[str, dict[str, Any]], asked: Sequence[str]) -> list[str]:
    silent = [host for host in asked if host not in statuses]
    return [f"no answer from {' '.join(silent)}: see above"] if silent else []


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"status_table": table}
