"""The release command: it runs once for a release, on the new code, and what it did to the schema is told."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.flask_deploy.host import files, postgres
from ansible.module_utils.flask_deploy.release import containers, diagnosis, failures, schema
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError
from ansible.module_utils.flask_deploy.release.schema import shown

CHANGES_KEPT = 50
LATE = "it did not end in time"
OTHERWISE = "mend what it says, and deploy again: it runs once more for the same release"
LATER = "give it more, app_release_command_timeout: 1800, or see what it waits for; then deploy again"


def bring(app: App, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Run the release command, once for a release, on the new code; return (outcome, whether it ran).

    The outcome is what all hosts record: a command that failed is in it like any other. It runs again where the
    database is not as it left it.
    """
    release, serving, tells = options["release"], app.serving(), schema.teller(options)
    known, own = app.schema(), _own(app, release)
    latest = known if known.get("release") == release else {}
    done_before = own.get("code") == 0
    if done_before and release == serving and own.get("schema_command", "") == tells:
        return latest, False
    before, why = schema.ask(app, release, tells) if tells else (None, "")
    if before is not None and serving and serving != release:
        schema.served_with(app, serving, before, tells)
    told = {"release": release, "schema_command": tells, "before": before, "after": before, "why": why}
    if done_before and (latest if before is None else before == own.get("after", before)):
        outcome = {**own, **told, "before": own.get("before")}
        return record_outcome(app, release, outcome | _history(known, outcome)), False
    outcome = {"command": "", "code": 0, "said": []}
    if options["command"]:
        point = postgres.restore_point(app.name, release, ReleaseError)
        outcome = run(app, release, options["command"], options["command_timeout"])
        outcome |= {"restore_point": point} if point else {}
        told["after"], told["why"] = schema.ask(app, release, tells) if tells else (None, "")
    outcome |= told | {"at": time.time()}
    return record_outcome(app, release, outcome | _history(known, outcome)), bool(options["command"])


def _own(app: App, release: str) -> dict[str, Any]:
    """Return what a release's command did when it ran, also where the release failed since and is made anew."""
    return files.read_json(app.path(release, "command.json")) or failures.known(app, release).get("command") or {}


def run(app: App, release: str, command: str, timeout: float) -> dict[str, Any]:
    """Run the release command; return {"command", "code": None after the timeout, "said": its first and last lines}."""
    done = containers.run_once(app, release, app.record(release), "command", command, timeout, together=True)
    return {"command": command, "code": done.code, "said": _ends(done.out.decode(errors="replace").splitlines())}


def _ends(lines: list[str], begin: int = 5, end: int = 60) -> list[str]:
    """Return the first and the last of many lines."""
    return lines if len(lines) <= begin + end else [*lines[:begin], " ...", *lines[-end:]]


def _history(known: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
    """Return the state as it is known now, since when, and the changes so far with this one."""
    after, last = outcome["after"], known.get("state") if outcome["before"] is None else outcome["before"]
    told = after if after is not None or outcome["code"] == 0 else last
    changes = list(known.get("changes", []))
    if after is not None and last is not None and after != last:
        change = {name: outcome[name] for name in ("release", "command", "code", "at")}
        point = {"restore_point": outcome["restore_point"]} if outcome.get("restore_point") else {}
        changes.append({**change, **point, "before": last, "after": after})
    return {"state": told, "state_at": time.time(), "changes": changes[-CHANGES_KEPT:]}


def record_outcome(app: App, release: str, outcome: dict[str, Any]) -> dict[str, Any]:
    """Remember on this host what a release command did, wherever it ran; return it. The database is one for all."""
    if app.schema() != outcome:
        tells, serving = outcome["schema_command"], app.serving()
        if outcome["before"] is not None and serving and serving != release:
            schema.served_with(app, serving, outcome["before"], tells)
        if outcome["after"] is not None and outcome["code"] == 0:
            schema.served_with(app, release, outcome["after"], tells)
        files.write_json(app.schema_file, outcome)
        short = {name: value for name, value in outcome.items() if name not in ("changes", "state", "state_at")}
        files.write_json(app.path(release, "command.json"), short)
    return outcome


def failure(app: App, outcome: dict[str, Any]) -> str | None:
    """Return what to say of a release command that failed; None where it did not."""
    if outcome.get("code", 0) == 0:
        return None
    how = f"it ended with code {outcome['code']}" if outcome["code"] is not None else LATE
    serves = "the old release serves on" if app.serving() else "no release serves yet"
    first = f"app_release_command: {outcome['command']!r} FAILED: {how}; {serves}{_left(outcome)}"
    lines = diagnosis.explain(how, outcome["said"], diagnosis.about(app, outcome["release"]))
    if not lines or diagnosis.WHAT not in lines[-1]:
        lines.append(f"  {diagnosis.WHAT}: {OTHERWISE if outcome['code'] is not None else LATER}")
    return "\n".join([first, *lines])


def _left(outcome: dict[str, Any]) -> str:
    """Return what a failed command left behind, as the schema tells it."""
    before, after = outcome["before"], outcome["after"]
    if before is None or after is None:
        return ", and what the schema is now is not known" if outcome["schema_command"] else ""
    if before == after:
        return f", and the schema is {shown(after)}, as before"
    return f", but the schema moved from {shown(before)} to {shown(after)}"


def line(outcome: dict[str, Any]) -> str | None:
    """Return a line for people on what became of the schema; None where no command tells."""
    lines = [_schema(outcome), f"restore point: {outcome['restore_point']}" if outcome.get("restore_point") else None]
    return "; ".join(line for line in lines if line) or None


def _schema(outcome: dict[str, Any]) -> str | None:
    if not outcome.get("schema_command"):
        return None
    before, after = outcome.get("before"), outcome.get("after")
    if after is None:
        return f"schema: not known; {outcome['why']}"
    return f"schema: {shown(after)}, as before" if before == after else f"schema: {shown(before)} -> {shown(after)}"
