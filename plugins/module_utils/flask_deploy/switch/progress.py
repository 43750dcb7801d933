"""How far a switch is, what was said of it, and what came of it: files, written before each step.

An app has switch.json, where it is at, and switch.decision, what it was told; a release has switch.json, how it ended.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.host.clock import now
from ansible.module_utils.flask_deploy.release import processes
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import log, unit

PHASES = ("moving", "watching", "waiting", "trying", "confirming", "reverting", "draining")
CUT_OFF = "it was cut off"
DEFAULTS = {  # what an earlier version may not have written
    "from": None,
    "before": None,
    "leaving": "retired",
    "reload": True,
    "rules": {"seconds": 0, "percent": 100, "samples": 1},
    "drain": 30,
    "stop": 0,
    "start": 60,  # see record.UNKNOWN
    "confirm": 30,
    "moved": 0.0,
    "deadline": 0.0,
    "reason": CUT_OFF,
    "reject": False,
    "tried": False,
    "ended": {},  # by the trial, see workers.try_out
    "kept": None,
    "ailing": None,  # container that may tell why it goes back
}


class Unwritten(OSError):
    """That a switch goes on could not be written down.

    :ivar told: what was to be written: the phase, and what else changes.
    """

    def __init__(self, error: OSError, told: dict[str, Any]) -> None:
        super().__init__(*error.args)
        self.filename, self.told = error.filename, told


def begin(app: App, release: str, leaving: str, rules: dict[str, Any], drain: int, confirm: int) -> str:
    """Write down a switch to a prepared release; return its id.

    :param leaving: state that the release before gets: "retired", or "rejected" by a rollback.
    :param rules: of the watch, see watch.watch.
    :param drain: seconds that requests in flight have to finish, should it go back.
    :param confirm: seconds after the watch within which it is to be confirmed.
    """
    old = app.serving()
    known: dict[str, Any] = {
        "id": secrets.token_hex(8),
        "from": old,
        "to": release,
        "leaving": leaving,
        "phase": "moving",
    }
    known |= {"rules": rules, "drain": drain, "confirm": confirm, "log": log.position(log.LOG)}
    known["stop"] = processes.stop_time(app, old, release)
    known["start"] = app.record(old)["start_timeout"] if old else 0
    known["before"] = app.link(app.previous)
    known["reload"] = old is None or app.site(old) != app.site(release)
    forget_decision(app)
    files.write_json(app.pending, known)
    return known["id"]


def pending(app: App) -> dict[str, Any] | None:
    """Return the switch under way, or None; what is no switch that this code can carry out is none."""
    known = files.read_json(app.pending) or {}
    whole = known.get("phase") in PHASES and all(isinstance(known.get(name), str) for name in ("id", "to"))
    return {**DEFAULTS, **known} if whole else None


def said_of(app: App, known: dict[str, Any]) -> dict[str, Any]:
    """Return what was said of a switch."""
    said = files.read_json(app.decision) or {}
    return said if said.get("id") == known["id"] else {}


def go_on(app: App, known: dict[str, Any], phase: str, **more: Any) -> None:
    """Write down a phase, and what else changes.

    :raises Unwritten: the disk does not take it.
    """
    told = {"phase": phase, **more}
    try:
        files.write_json(app.pending, {**known, **told})
    except OSError as error:
        raise Unwritten(error, told) from error


def hear(app: App, switch: str) -> dict[str, Any] | None:
    """Let a switch wait anew, as whoever began it is there; return what is known of it, or None if it does not."""
    with unit.word(app):
        known = pending(app) or {}
        if known.get("id") != switch or known["phase"] != "waiting":
            return None
        said = said_of(app, known)
        if "confirm" not in said:
            files.write_json(app.decision, {**said, "id": switch, "heard": now()})
        return None if said.get("try") and not known["tried"] else known


def let_try(app: App, switch: str) -> None:
    """Tell a switch that all hosts are well: the processes beside the web may be tried."""
    with unit.word(app):
        known = pending(app) or {}
        if known.get("id") == switch and known["phase"] == "waiting" and "confirm" not in said_of(app, known):
            files.write_json(app.decision, {"id": switch, "heard": now(), "try": True})


def decide(app: App, switch: str, confirm: bool, reason: str = "", reject: bool = False) -> None:
    """Tell a switch whether it stays."""
    with unit.word(app):
        files.write_json(app.decision, {"id": switch, "confirm": confirm, "reason": reason, "reject": reject})


def forget_decision(app: App) -> None:
    """Remove what was said of a switch that ended."""
    with suppress(FileNotFoundError):
        files.remove(app.decision)


def end(
    app: App, known: dict[str, Any], result: str, reason: str | None = None, changed: dict[str, Any] | None = None
) -> dict[str, Any]:
    """End a switch.

    :param changed: what became of the processes beside the web, see workers.change_over.
    """
    outcome = {
        "id": known["id"],
        "from": known["from"],
        "to": known["to"],
        "result": result,
        "reason": reason,
        "reject": result == "reverted" and known["reject"],
        "reload": known["reload"],
        "moved": known.get("moved"),
        "watch": known.get("seen"),
        "processes": changed or {},
    }
    with suppress(FileNotFoundError):  # somebody has removed the release
        files.write_json(app.path(known["to"], "switch.json"), outcome)
    files.remove(app.pending)
    forget_decision(app)
    return outcome


def give_up(app: App, reason: str) -> None:
    """End a switch that did not begin to move; one that ended meanwhile has said how."""
    if known := pending(app):
        end(app, known, "reverted", reason)


def outcome(app: App, release: str, switch: str) -> dict[str, Any] | None:
    """Return what came of a switch that ended, or None."""
    known = files.read_json(app.path(release, "switch.json")) or {}
    if known.get("id") != switch:
        return None
    unknown = {"from": None, "result": "reverted", "reason": None, "reject": False, "watch": None, "processes": {}}
    return {**unknown, **known}


def explain(app: App, known: dict[str, Any], said: str) -> None:
    """Keep why a process of a switch's release did not stay up: root alone reads what an app said."""
    files.write_json(app.path(known["to"], "trial.json"), {"id": known["id"], "said": said}, 0o600)


def explained(app: App, release: str, switch: str | None) -> list[str]:
    """Return the lines that were kept of a switch, if any."""
    known = files.read_json(app.path(release, "trial.json")) or {}
    return str(known.get("said")).splitlines() if switch and known.get("id") == switch else []
