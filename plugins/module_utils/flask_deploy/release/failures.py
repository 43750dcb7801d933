"""What became of releases that never served: they are gone, with their images; what failed and why stays for people."""

from __future__ import annotations

import re
import textwrap
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import diagnosis, secrets
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.release.record import NUMBER, SOURCE, TEXT, fits, origin

KEPT = 10
LONGEST, LONGEST_CAUSE = 600, 200  # characters of a reason, and of the cause in it
CAUSE, LAST = (f"  {title}:" for title in diagnosis.PARTS)
LONGEST_WORDS = 1000  # characters of a command, and of the schema that it left
WORDS = re.compile(r"    (?! |File \")")  # of an error, below the places in the code that it came from
WIDTH, LINES = 70, 8  # of a reason that is shown
OF_RECORD = ("by", "build", "image", "source")
OF_COMMAND: dict[str, Any] = {
    **dict.fromkeys(("release", "command", "schema_command", "before", "after"), TEXT),
    **dict.fromkeys(("code", "at"), NUMBER),
}
TYPES: dict[str, Any] = {
    **dict.fromkeys(("id", "by", "build", "image", "reason"), TEXT),
    **{"at": NUMBER, "source": SOURCE, "command": OF_COMMAND},
}


def remember(app: App, release: str, record: dict[str, Any], reason: str) -> None:
    """Write down that a release failed: root alone reads it."""
    ran = files.read_json(app.path(release, "command.json")) or known(app, release).get("command") or {}
    entry = {name: record.get(name) for name in OF_RECORD}
    entry |= {"id": release, "at": time.time(), "reason": short(app, reason)}
    entry["command"] = {name: _plain(app, ran[name]) for name in OF_COMMAND if name in ran}
    others = [each for each in recall(app) if each["id"] != release]
    files.write_json(app.failed, {"failed": [entry, *others][:KEPT]}, 0o600)


def short(app: App, reason: str) -> str:
    """Return the first line of a reason, its cause, and the last line where that is advice.

    A secret that a command was given on its line, or that the cause shows, is not shown here.
    """
    first, *more = reason.strip().splitlines() or ["it did not say why"]
    advice = more[-1].strip() if more and more[-1].strip().startswith("what to do: ") else ""
    shown = more[: more.index(LAST)] if LAST in more else more
    cause = next((line.strip() for line in shown if WORDS.match(line)), "") if more[:1] == [CAUSE] else ""
    known = f": {cause[:LONGEST_CAUSE]}" if cause else ""
    text = " ".join([f"{first.rstrip(': ')}{known}", *([f"({advice})"] if advice else [])])
    return _plain(app, text)[:LONGEST]


def _plain(app: App, value: Any) -> Any:
    """Return a value without the app's secrets, and no longer than anything here may be."""
    if not isinstance(value, str):
        return value
    return secrets.masked(value, secrets.shown(app))[:LONGEST_WORDS]


def recall(app: App) -> list[dict[str, Any]]:
    """Return what failed, the newest first, whatever the file holds."""
    listed = files.read_json(app.failed, {}).get("failed")
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    fitting = [{name: each[name] for name, types in TYPES.items() if fits(each.get(name), types)} for each in entries]
    return [each for each in fitting if "id" in each and "at" in each]


def known(app: App, release: str) -> dict[str, Any]:
    """Return what is known of a release that failed; {} of any other."""
    return next((each for each in recall(app) if each["id"] == release), {})


def lines(app: App) -> list[str]:
    """Return for each that failed a line in the columns of App.describe, and its reason below.

    One that was made anew and has served since is among the releases.
    """
    told, here = [], app.known()
    for each in recall(app):
        if each["id"] in here and "switched" in app.state(each["id"]):
            continue
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(each["at"]))
        who, what = (each.get("by") or "unknown")[:10], origin(each.get("source") or {})
        told.append(f"{each['id']} {'stays' if each['id'] in here else 'gone':<8} {when} {who:<10} {what}")
        told += [f"  {line}" for line in textwrap.wrap(str(each.get("reason")), WIDTH)[:LINES]]
    return told
