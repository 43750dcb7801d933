"""Print what all hosts of an app told, merged by time, and what to type to follow it."""

from __future__ import annotations

import os
import shlex
import sys
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

sys.path.append(os.path.join(os.path.dirname(__file__), "../../../plugins/plugin_utils"))

import ssh_words

WAYS = {"grep": "logs_grep", "process": "logs_process", "release": "logs_release"}
MANY = 8  # releases that are named, the newest ones


def merged(told: dict[str, list[list[Any]]], most: int) -> list[str]:
    """Return the newest lines of all hosts, the oldest first.

    :param told: {host: rows that logs_read told}.
    """
    rows = sorted((at, host, *more) for host, rows in told.items() for at, *more in rows)[-most:]
    hosts, processes = (max((len(row[number]) for row in rows), default=0) for number in (1, 2))
    return [
        f"{moment(at)} {host:<{hosts}} {process:<{processes}} {release[:12] or '-':<12} {text}".rstrip()
        for at, host, process, release, text in rows
    ]


def moment(microseconds: int) -> str:
    """Return a time in UTC, to the millisecond."""
    at = datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"


def nothing(asked: dict[str, Any], known: dict[str, list[str]]) -> list[str]:
    """Return the lines for no line.

    :param known: the "releases", the newest first, and the "processes" that the hosts have.
    :raises AnsibleActionFail: there is no such process or release, so that nothing will ever be printed.
    """
    app, releases = asked["app"], known["releases"]
    ways = [f"{variable}: {asked[name]}" for name, variable in WAYS.items() if asked[name]]
    only = f" with {', '.join(ways)}" if ways else ""
    said = [f"{app} printed nothing since {asked['since']}{only}; further back: -e logs_since=yesterday"]
    if not releases:
        return [*said, f"{app} has no release on these hosts; deploy it first, or correct app_name"]
    if asked["process"] not in ("", *known["processes"]):
        there = f"it has: {', '.join(known['processes'])}"
        raise AnsibleActionFail(f"logs_process: {app} has no process {asked['process']}; {there}")
    if asked["release"] not in ("", *releases):
        there = f"the newest are: {', '.join(releases[:MANY])}"
        raise AnsibleActionFail(f"logs_release: {app} has no release {asked['release']}; {there}")
    return said


def together(told: dict[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    """Return what all hosts know, each once and in their order."""
    return {
        what: list(dict.fromkeys(name for host in told.values() for name in host.get(what, [])))
        for what in ("releases", "processes")
    }


def follow(asked: dict[str, Any], hosts: list[dict[str, Any]]) -> list[str]:
    """Return a command for each host that shows what comes."""
    matches = [f"FLASK_DEPLOY_APP={asked['app']}"]
    matches += [f"FLASK_DEPLOY_RELEASE={asked['release']}"] if asked["release"] else []
    matches += [f"FLASK_DEPLOY_PROCESS={asked['process']}"] if asked["process"] not in ("", "web") else []
    remote = shlex.join(["sudo", "journalctl", "--follow", "--output=cat", *matches])
    return [f"to follow: {ssh_words.line(host)} {shlex.quote(remote)}" for host in hosts]


class ActionModule(ActionBase):
    """Print it; change nothing."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        asked = dict(self._task.args)
        told = asked["told"]
        lines = merged({host: each["rows"] for host, each in told.items()}, int(asked["lines"]))
        lines = lines or nothing(asked, together(told))
        hosts = [{"inventory_hostname": host, **dict(task_vars["hostvars"][host])} for host in told]
        Display().display("\n".join(["", *lines, "", *follow(asked, hosts), ""]))
        return {"changed": False}
