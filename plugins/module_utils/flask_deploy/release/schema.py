"""What the schema of an app's database is: it is asked, by the code of a release, and written down.

The state is a text: what the schema command prints. Equal texts are equal schemas. What is known lies in
/srv/<app>/schema.json (the last command, the state it left, the changes so far) and in the schema.json of each
release (the state that its code served with).
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.release.places import App

ASK_TIMEOUT = 30  # seconds
LONGEST_STATE = 500  # characters; of a longer one the beginning and a digest are kept

SHELLS = {"sh", "bash", "dash"}
SEPARATOR = re.compile(r"&&|\|\|?|;|\n")
SETS_UP = re.compile(r"(?:cd|export|set)\s")
UPGRADE = re.compile(
    r"(?P<tool>(?:\S+\s+)*?(?:\S*/)?(?:flask\s+(?:\S+\s+)*?db|alembic(?:\s+\S+)*?)\s+)upgrade(?P<rest>\s.*)?"
)
KEPT_OPTION = re.compile(r"(?<!\S)(?:-d|--directory|-x|--x-arg)(?:=|\s+)\S+")
# What alembic says of a revision depends on the code that looks, not on the database.
MARKS = r"(?: \((?:head|effective head|current|branchpoint|mergepoint)\))*"
REVISION = re.compile(rf"([\w.+-]+){MARKS}")


def derived(command: str) -> str:
    """Return the command that tells the schema which a known release command changes; "" for any other."""
    try:
        words = shlex.split(command)
        if len(words) < 3 or os.path.basename(words[0]) not in SHELLS or not re.fullmatch(r"-\w*c", words[1]):
            return _current(command.strip())
        parts = [part.strip() for part in SEPARATOR.split(words[2])]
        script = " && ".join(filter(None, (_current(part) or (SETS_UP.match(part) and part) for part in parts)))
        shlex.split(script)
    except ValueError:
        return ""
    return shlex.join([words[0], words[1], script]) if any(map(_current, parts)) else ""


def _current(command: str) -> str:
    found = UPGRADE.fullmatch(command)
    rest = (found and found["rest"]) or ""
    if not found or "--sql" in rest.split():
        return ""
    return " ".join([f"{found['tool']}current", *KEPT_OPTION.findall(rest)])


def teller(options: dict[str, Any]) -> str:
    """Return the command that tells the schema: the given one, or the one that belongs to the release command."""
    return options["schema_command"] or derived(options["command"] or "")


def state(command: str, said: str) -> str:
    """Return the state that a schema command's output tells, without what is no part of it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if re.search(r"\b(?:flask\b.*\bdb|alembic)\b.*\bcurrent\b", command):
        lines = sorted(found[1] for line in lines if (found := REVISION.fullmatch(line)))
    text = "\n".join(lines)
    if len(text) > LONGEST_STATE:
        return f"{text[:LONGEST_STATE]}... (SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]})"
    return text


def ask(app: App, release: str, command: str, timeout: float = ASK_TIMEOUT) -> tuple[str | None, str]:
    """Ask the database, by a release's own code; return (its state or None, why there is none)."""
    try:
        done = containers.run_once(app, release, app.record(release), "schema", command, timeout)
    except engine.EngineError as error:
        return None, str(error)
    if done.code == 0:
        return state(command, done.out.decode(errors="replace")), ""
    how = f"ended with code {done.code}" if done.code is not None else f"did not end within {timeout} s"
    said = done.said.splitlines() if done.code else []
    return None, f"{command!r} {how}: {(said or ['it said nothing'])[-1]}"


def shown(told: str | None) -> str:
    """Return a state in one line."""
    if told is None:
        return "unknown"
    return ", ".join(told.splitlines()) or "empty"


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def served_with(app: App, release: str, told: str, tells: str) -> None:
    """Remember with which state of the schema a release's code serves, or is about to."""
    path = app.path(release, "schema.json")
    if files.read_json(path, {}).get("state") != told:
        files.write_json(path, {"state": told, "schema_command": tells, "at": time.time()})


def ran_with(app: App, release: str) -> dict[str, Any]:
    """Return {"state", "schema_command", "at"} of what a release's code served with; {} where nobody recorded it."""
    return files.read_json(app.path(release, "schema.json"), {})
