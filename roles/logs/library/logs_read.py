#!/usr/bin/python
"""Read from this host's journal what an app printed."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from ansible.module_utils.flask_deploy.host import process
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import jobs
from ansible.module_utils.flask_deploy.release.places import App

DOCUMENTATION = r"""
module: logs_read
short_description: Read from this host's journal what an app printed
description: Reads backwards until there are enough lines, or nothing older than asked for; changes nothing.
options:
  app: {type: str, required: true, description: Name of the app.}
  since: {type: str, required: true, description: "Time, as journalctl reads it."}
  grep: {type: str, default: "", description: Regular expression that a line must match.}
  process: {type: str, default: "", description: "Process that printed it, `web` or another."}
  release: {type: str, default: "", description: Release that printed it.}
  lines: {type: int, required: true, description: Lines at most, the newest ones.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Read what the workers printed
  logs_read:
    app: shop
    since: 1 hour ago
    process: worker
    lines: 200
"""

RETURN = r"""
rows: {type: list, returned: success, description: "[microseconds since 1970, process, release, text] of each line."}
releases: {type: list, returned: where there is no line, description: "Ids of those on this host, the newest first."}
processes: {type: list, returned: where there is no line, description: What could have printed one.}
"""

FIELDS = ("MESSAGE", "FLASK_DEPLOY_PROCESS", "FLASK_DEPLOY_RELEASE")
LIMIT = 120  # seconds
LONGEST = 2000  # characters that are shown of a line
WEB = "web"
ONCE = ("command", "schema")  # what runs for a release and ends


class JournalError(Exception):
    """journalctl refused; the message is for people."""


def words(options: dict[str, Any]) -> list[str]:
    """Return the command that prints the newest lines first, one JSON object each."""
    asked = ["journalctl", "--quiet", "--no-pager", "--reverse", "--all", "--output=json"]
    asked += [f"--output-fields={','.join(FIELDS)}", f"--since={options['since']}"]
    asked += [f"--grep={options['grep']}"] if options["grep"] else []
    asked.append(f"FLASK_DEPLOY_APP={options['app']}")
    asked += [f"FLASK_DEPLOY_RELEASE={options['release']}"] if options["release"] else []
    return asked + ([f"FLASK_DEPLOY_PROCESS={options['process']}"] if options["process"] not in ("", WEB) else [])


def row(line: bytes) -> list[Any] | None:
    """Return what is told of a line of the journal; None where it is none of a container's."""
    told = json.loads(line)
    text = told.get("MESSAGE")
    if isinstance(text, list) and all(isinstance(each, int) for each in text):  # bytes that are no UTF-8
        text = bytes(text).decode(errors="replace")
    if not isinstance(text, str):
        return None
    text = "".join(char if char.isprintable() else "?" for char in text[:LONGEST].rstrip().expandtabs(4))
    by = [str(told.get(name) or "") for name in ("FLASK_DEPLOY_PROCESS", "FLASK_DEPLOY_RELEASE")]
    return [int(told["__REALTIME_TIMESTAMP"]), by[0] or WEB, by[1], text]


def read(options: dict[str, Any]) -> list[list[Any]]:
    """Return the newest lines, the oldest of them first."""
    if options["lines"] < 1:  # would never be reached: all there is
        raise JournalError(f"logs_lines: {options['lines']} is not 1 or more; example: -e logs_lines=500")
    rows = []
    with closing(printed(words(options))) as lines:
        for told in filter(None, map(row, lines)):
            rows += [told] if options["process"] in ("", told[1]) else []
            if len(rows) == options["lines"]:
                break
    return rows[::-1]


def known(app: App) -> dict[str, list[str]]:
    """Return which releases and processes of an app are on this host, for somebody who asked for others."""
    releases = sorted(app.known(), key=app.order, reverse=True)
    beside = sorted({name for release in releases for name in app.record(release)["processes"]})
    timed = [f"job-{name}" for name in jobs.known(app)]
    return {"releases": releases, "processes": [WEB, *beside, *timed, *ONCE] if releases else []}


def view(name: str) -> App | None:
    """Return an app's places here; None on a host where nothing was deployed yet."""
    try:
        return App(name)
    except KeyError:  # nginx's user
        return None


def printed(command: list[str]) -> Iterator[bytes]:
    """Yield what a command prints, line by line; one that is not read to its end is ended."""
    with tempfile.TemporaryFile() as errors:
        running = process.Process(command, errors=errors)
        timer = threading.Timer(LIMIT, running.kill)
        timer.start()
        told = False
        try:
            for line in running.popen.stdout:
                told = True
                yield line
            running.popen.wait()
        finally:
            timer.cancel()
            ended = running.ended
            running.end()
        errors.seek(0)
        said = errors.read(1000).decode(errors="replace").strip()
    if ended:
        raise JournalError(f"the journal was not read in {LIMIT} s; look at less of it: -e logs_since='10 min ago'")
    if said and running.popen.returncode and not told:  # else a warning, as of a file that was cut off
        raise JournalError(explained(said))


def explained(said: str) -> str:
    """Return what journalctl says of what a user wrote, with the variable to change."""
    if re.search("parse timestamp", said):
        return f"logs_since: {said}; example: -e logs_since='2 hours ago', or yesterday, or '2026-11-27 18:00'"
    if re.search("pattern|regex", said, re.IGNORECASE):
        return f"logs_grep: {said}; example: -e logs_grep='Traceback|ERROR'"
    return f"journalctl: {said}"


def main() -> None:
    module = QuietModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "since": {"type": "str", "required": True},
            **{name: {"type": "str", "default": ""} for name in ("grep", "process", "release")},
            "lines": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        rows = read(module.params)
        app = None if rows else view(module.params["app"])
        module.exit_json(changed=False, rows=rows, **(known(app) if app else {"releases": [], "processes": []}))
    except (JournalError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
