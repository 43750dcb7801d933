"""The status of all hosts of an app as a table of 74 columns, which Ansible does not fold, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

HEADINGS = ("host", "release", "age", "health", "cert", "disk")
WIDEST = 28  # characters of a host's name; all columns together keep below 74
DEPLOY = "ansible-playbook playbooks/app.yml -i inventories/..."


def table(statuses: dict[str, dict[str, Any]], asked: Sequence[str] = ()) -> list[str]:
    """Return lines: a row for each host, then what somebody should know or do.

    :param statuses: {host: what module app_status told}.
    :param asked: hosts that the play was for.
    """
    names = short(list(statuses))
    rows = [HEADINGS, *(row(names[host], told) for host, told in statuses.items())]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADINGS))]
    lines = [" ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in rows]
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
        return {"app_status_table": table}
