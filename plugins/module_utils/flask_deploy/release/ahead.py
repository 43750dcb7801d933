"""Whether the database is ahead of a release: its code may not know a schema that it never ran with."""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.flask_deploy.release import schema
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.release.schema import shown

ACCEPT = "-e app_accept_schema_ahead=true"
UNKNOWN = "whether the database is one for its code is not known: it was not recorded"
NOT_LOOKED_AT = (
    "whether the database is one for its code was not looked at; set app_schema_command to a command that prints "
    "the schema's version, example: app_schema_command: flask db current"
)


def recorded(app: App, why: str) -> dict[str, Any]:
    """Return what is known of the schema without asking, in the form of ``now``."""
    known = app.schema()
    how = f"as recorded at {schema.moment(known['state_at'])}; {why}" if known.get("state") is not None else why
    return {"state": known.get("state"), "how": how, "schema_command": known.get("schema_command", "")}


def now(app: App, options: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Return {"state": of the schema, "how": it is known, "schema_command"}: asked by the code that serves."""
    serving, tells = app.serving(), schema.teller(options) or app.schema().get("schema_command", "")
    if dry or not serving or not tells:
        return recorded(app, "a dry run does not ask" if dry else "nothing asked now")
    told, why = schema.ask(app, serving, tells)
    if told is None:
        return recorded(app, f"now it cannot be asked: {why}")
    schema.served_with(app, serving, told, tells)
    return {"state": told, "how": "now", "schema_command": tells}


def judge(app: App, release: str, seen: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return (why a release's code may not know the database, or None; what else is to be said, or None).

    :param seen: the schema, see ``now``.
    """
    told, then = seen["state"], schema.ran_with(app, release)
    if told is None or not then:
        return _judge_unknown(app, release, seen)
    if told == then["state"]:
        return None, None if seen["how"] == "now" else f"the schema is {shown(told)}, {seen['how']}"
    if seen["schema_command"] != then["schema_command"]:
        return _judge_unknown(app, release, seen)
    where = f"its code ran with schema {shown(then['state'])}, the database is at {shown(told)} ({seen['how']})"
    return where + _cause(app.schema().get("changes", []), told), None


def _judge_unknown(app: App, release: str, seen: dict[str, Any]) -> tuple[str | None, str | None]:
    """Judge a release of which no state was recorded: what is known to have changed stands in its way."""
    known, told = app.schema(), seen["state"]
    if told is not None and known.get("changes"):
        here = f"with which schema its code ran is not recorded, the database is at {shown(told)} ({seen['how']})"
        return here + _cause(known["changes"], told), None
    if _ran_unasked(app, release) and seen["schema_command"] + schema.derived(known["command"]):
        return f"with which schema its code ran is not recorded{_ran(known)}", None
    if not known and not seen["schema_command"]:
        return None, None
    return None, UNKNOWN if seen["schema_command"] else NOT_LOOKED_AT


def _ran_unasked(app: App, release: str) -> bool:
    """Tell whether a command ran after a release was made, in the days when no role asked for the schema."""
    known = app.schema()
    if "changes" in known or known.get("release") in (None, release):
        return False
    return known["code"] == 0 and known["at"] > app.record(release)["created"]


def _cause(changes: list[dict[str, Any]], told: str) -> str:
    fitting = [change for change in changes if change["after"] == told] or changes
    return _ran(fitting[-1]) if fitting else "; no release command changed it"


def _ran(change: dict[str, Any]) -> str:
    failed = "" if change["code"] == 0 else " and FAILED"
    said = f"; {change['command']!r} of release {change['release']} ran at {schema.moment(change['at'])}{failed}"
    return said + _point(change.get("restore_point"))


def _point(name: str | None) -> str:
    """Return how the database goes back to the moment before a command."""
    if not name:
        return ""
    app = re.split(r"-\d{8}T\d{6}Z-", name)[0]
    go = f"ansible-playbook playbooks/restore.yml -e restore_app={app} -e restore_point={name}"
    return f". To bring the database back to before that command, which loses what was written since, type: {go}"


def refusal(release: str, why: str) -> str:
    """Return what to say to who goes back, and how it may be done all the same."""
    may = f"If that code can work with the database as it is, add: {ACCEPT}"
    return f"the database is ahead of release {release}: {why}. {may}"
