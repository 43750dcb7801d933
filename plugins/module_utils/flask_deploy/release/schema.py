"""What the schema of an app's database is, before and after the release command, and who can go back to it.

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

from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.release import containers, failures

ASK_TIMEOUT = 30  # seconds
LONGEST_STATE = 500  # characters; of a longer one the beginning and a digest are kept
CHANGES_KEPT = 50
ACCEPT = "-e app_accept_schema_ahead=true"

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


def derived(command):
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


def _current(command):
    found = UPGRADE.fullmatch(command)
    rest = (found and found["rest"]) or ""
    if not found or "--sql" in rest.split():
        return ""
    return " ".join([f"{found['tool']}current", *KEPT_OPTION.findall(rest)])


def teller(options):
    """Return the command that tells the schema: the given one, or the one that belongs to the release command."""
    return options["schema_command"] or derived(options["command"] or "")


def state(command, said):
    """Return the state that a schema command's output tells, without what is no part of it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if re.search(r"\b(?:flask\b.*\bdb|alembic)\b.*\bcurrent\b", command):
        lines = sorted(found[1] for line in lines if (found := REVISION.fullmatch(line)))
    text = "\n".join(lines)
    if len(text) > LONGEST_STATE:
        return f"{text[:LONGEST_STATE]}... (SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]})"
    return text


def ask(app, release, command, timeout=ASK_TIMEOUT):
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


def shown(told):
    """Return a state in one line."""
    if told is None:
        return "unknown"
    return ", ".join(told.splitlines()) or "empty"


def moment(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


# -- the release command -----------------------------------------------------------------------


def bring(app, options):
    """Run the release command, once for a release, on the new code; return (outcome, whether it ran).

    The outcome is what all hosts record: a command that failed is in it like any other. It runs again where the
    database is not as it left it.
    """
    release, serving, tells = options["release"], app.serving(), teller(options)
    known, own = app.schema(), _own(app, release)
    latest = known if known.get("release") == release else {}
    done_before = own.get("code") == 0
    if done_before and release == serving and own.get("schema_command", "") == tells:
        return latest, False
    before, why = ask(app, release, tells) if tells else (None, "")
    if before is not None and serving and serving != release:
        served_with(app, serving, before, tells)
    told = {"release": release, "schema_command": tells, "before": before, "after": before, "why": why}
    if done_before and (latest if before is None else before == own.get("after", before)):
        outcome = {**own, **told, "before": own.get("before")}
        return record_outcome(app, release, outcome | _history(known, outcome)), False
    outcome = {"command": "", "code": 0, "said": []}
    if options["command"]:
        outcome = release_command(app, release, options["command"], options["command_timeout"])
        told["after"], told["why"] = ask(app, release, tells) if tells else (None, "")
    outcome |= told | {"at": time.time()}
    return record_outcome(app, release, outcome | _history(known, outcome)), bool(options["command"])


def _own(app, release):
    """Return what a release's command did when it ran, also where the release failed since and is made anew."""
    return files.read_json(app.path(release, "command.json")) or failures.known(app, release).get("command") or {}


def release_command(app, release, command, timeout):
    """Run the release command; return {"command", "code": None after the timeout, "said": its first and last lines}."""
    done = containers.run_once(app, release, app.record(release), "command", command, timeout, together=True)
    return {"command": command, "code": done.code, "said": _ends(done.out.decode(errors="replace").splitlines())}


def _ends(lines, begin=5, end=20):
    """Return the first and the last of many lines."""
    return lines if len(lines) <= begin + end else [*lines[:begin], " ...", *lines[-end:]]


def _history(known, outcome):
    """Return the state as it is known now, since when, and the changes so far with this one."""
    after, last = outcome["after"], known.get("state") if outcome["before"] is None else outcome["before"]
    told = after if after is not None or outcome["code"] == 0 else last
    changes = list(known.get("changes", []))
    if after is not None and last is not None and after != last:
        change = {name: outcome[name] for name in ("release", "command", "code", "at")}
        changes.append({**change, "before": last, "after": after})
    return {"state": told, "state_at": time.time(), "changes": changes[-CHANGES_KEPT:]}


def record_outcome(app, release, outcome):
    """Remember on this host what a release command did, wherever it ran; return it. The database is one for all."""
    if app.schema() != outcome:
        tells, serving = outcome["schema_command"], app.serving()
        if outcome["before"] is not None and serving and serving != release:
            served_with(app, serving, outcome["before"], tells)
        if outcome["after"] is not None and outcome["code"] == 0:
            served_with(app, release, outcome["after"], tells)
        files.write_json(app.schema_file, outcome)
        short = {name: value for name, value in outcome.items() if name not in ("changes", "state", "state_at")}
        files.write_json(app.path(release, "command.json"), short)
    return outcome


def served_with(app, release, told, tells):
    """Remember with which state of the schema a release's code serves, or is about to."""
    path = app.path(release, "schema.json")
    if files.read_json(path, {}).get("state") != told:
        files.write_json(path, {"state": told, "schema_command": tells, "at": time.time()})


def ran_with(app, release):
    """Return {"state", "schema_command", "at"} of what a release's code served with; {} where nobody recorded it."""
    return files.read_json(app.path(release, "schema.json"), {})


def failure(outcome):
    """Return what to say of a release command that failed; None where it did not."""
    if outcome.get("code", 0) == 0:
        return None
    how = f"it ended with code {outcome['code']}" if outcome["code"] is not None else "it did not end in time"
    said = "".join(f"\n    {line}" for line in outcome["said"]) or " nothing"
    serves = f"the old release serves on{_left(outcome)}"
    return f"app_release_command: {outcome['command']!r} FAILED: {how}; {serves}. It said:{said}"


def _left(outcome):
    """Return what a failed command left behind, as the schema tells it."""
    before, after = outcome["before"], outcome["after"]
    if before is None or after is None:
        return ", and what the schema is now is not known" if outcome["schema_command"] else ""
    if before == after:
        return f", and the schema is {shown(after)}, as before"
    return f", but the schema moved from {shown(before)} to {shown(after)}"


def line(outcome):
    """Return a line for people on what became of the schema; None where no command tells."""
    if not outcome.get("schema_command"):
        return None
    before, after = outcome.get("before"), outcome.get("after")
    if after is None:
        return f"schema: not known; {outcome['why']}"
    return f"schema: {shown(after)}, as before" if before == after else f"schema: {shown(before)} -> {shown(after)}"


# -- going back --------------------------------------------------------------------------------


def recorded(app, why):
    """Return what is known of the schema without asking, in the form of ``now``."""
    known = app.schema()
    how = f"as recorded at {moment(known['state_at'])}; {why}" if known.get("state") is not None else why
    return {"state": known.get("state"), "how": how, "schema_command": known.get("schema_command", "")}


def now(app, options, dry):
    """Return {"state": of the schema, "how": it is known, "schema_command"}: asked by the code that serves."""
    serving, tells = app.serving(), teller(options) or app.schema().get("schema_command", "")
    if dry or not serving or not tells:
        return recorded(app, "a dry run does not ask" if dry else "nothing asked now")
    told, why = ask(app, serving, tells)
    if told is None:
        return recorded(app, f"now it cannot be asked: {why}")
    served_with(app, serving, told, tells)
    return {"state": told, "how": "now", "schema_command": tells}


def judge(app, release, seen):
    """Return (why a release's code may not know the database, or None; what else is to be said, or None).

    :param seen: the schema, see ``now``.
    """
    told, then = seen["state"], ran_with(app, release)
    if told is None or not then:
        return _judge_unknown(app, release, seen)
    if told == then["state"]:
        return None, None if seen["how"] == "now" else f"the schema is {shown(told)}, {seen['how']}"
    if seen["schema_command"] != then["schema_command"]:
        return _judge_unknown(app, release, seen)
    where = f"its code ran with schema {shown(then['state'])}, the database is at {shown(told)} ({seen['how']})"
    return where + _cause(app.schema().get("changes", []), told), None


def _judge_unknown(app, release, seen):
    """Judge a release of which no state was recorded: what is known to have changed stands in its way."""
    known, told = app.schema(), seen["state"]
    if told is not None and known.get("changes"):
        here = f"with which schema its code ran is not recorded, the database is at {shown(told)} ({seen['how']})"
        return here + _cause(known["changes"], told), None
    if _ran_unasked(app, release) and seen["schema_command"] + derived(known["command"]):
        return f"with which schema its code ran is not recorded{_ran(known)}", None
    if not known and not seen["schema_command"]:
        return None, None
    return None, UNKNOWN if seen["schema_command"] else NOT_LOOKED_AT


def _ran_unasked(app, release):
    """Tell whether a command ran after a release was made, in the days when no role asked for the schema."""
    known = app.schema()
    if "changes" in known or known.get("release") in (None, release):
        return False
    return known["code"] == 0 and known["at"] > app.record(release)["created"]


UNKNOWN = "whether the database is one for its code is not known: it was not recorded"
NOT_LOOKED_AT = (
    "whether the database is one for its code was not looked at; set app_schema_command to a command that prints "
    "the schema's version, example: app_schema_command: flask db current"
)


def _cause(changes, told):
    fitting = [change for change in changes if change["after"] == told] or changes
    return _ran(fitting[-1]) if fitting else "; no release command changed it"


def _ran(change):
    failed = "" if change["code"] == 0 else " and FAILED"
    return f"; {change['command']!r} of release {change['release']} ran at {moment(change['at'])}{failed}"
