"""The end of a switch: it was watched, is told whether it stays, and what served before is retired."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.flask_deploy.host import files, leftovers
from ansible.module_utils.flask_deploy.release import aside, jobs, processes, release_command, secrets, tool
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError
from ansible.module_utils.flask_deploy.switch import progress, retire, settling, summary, switch, unit, workers

OUTCOME_MARGIN = 60  # seconds a watch may take longer than it should
STARTED_IN = 2  # seconds that each process beside the web may take to start
HEARD_IN = 10  # seconds in which a switch reads what it is told


def watched(app: App, release: str, begun: str | None, seconds: float) -> dict[str, Any]:
    """Wait until a switch was watched; return {"well", "reason", "reject", "seen"}."""
    if begun is None:
        well = app.serving() == release and progress.pending(app) is None
        reason = None if well else "whether its switch began is not known"
        return {"well": well, "reason": reason, "reject": False, "seen": None}
    wait = (progress.pending(app) or {}).get("stop", 0) + STARTED_IN * len(processes.names(app, release))
    end = time.monotonic() + seconds + OUTCOME_MARGIN + wait
    while time.monotonic() < end:
        ended = progress.outcome(app, release, begun)
        known = progress.pending(app) or {}
        if ended:
            return {"well": False, **{name: ended[name] for name in ("reason", "reject")}, "seen": ended["watch"]}
        if waiting := progress.hear(app, begun):
            return {"well": True, "reason": None, "reject": False, "seen": waiting["seen"]}
        if known.get("id") == begun and known["phase"] in ("reverting", "draining"):
            return {"well": False, **{name: known.get(name) for name in ("reason", "reject", "seen")}}
        time.sleep(switch.POLL)
    reason = f"the switch gave no sign; look at: sudo journalctl -u {unit.name(app)}"
    return {"well": False, "reason": reason, "reject": False, "seen": None}


def tried(app: App, options: dict[str, Any]) -> None:
    """Let a switch try its processes beside the web, where all hosts are well; who hears it next waits for that."""
    if options["switch"] and all(told.get("well") for told in options["outcomes"].values()):
        progress.let_try(app, options["switch"])


def tell(app: App, release: str, begun: str | None, outcomes: dict[str, dict[str, Any]]) -> str | None:
    """Confirm a switch where all hosts are well, or take it back on this one, and wait until it has heard that.

    Nothing drains here: the hosts whose turn comes later hear it in time.

    :param outcomes: {host: what `watched` told there, or anything else for a host that was lost}.
    :return: why it is taken back, or None.
    """
    why = "; ".join(_lost(host, told) for host, told in outcomes.items() if not told.get("well")) or None
    if begun and progress.pending(app):
        progress.decide(app, begun, why is None, why or "", _rejected(outcomes))
        end = time.monotonic() + HEARD_IN
        while (progress.pending(app) or {}).get("phase") == "waiting" and time.monotonic() < end:
            time.sleep(switch.POLL)
    return why


def _rejected(outcomes: dict[str, dict[str, Any]]) -> bool:
    return any(told.get("reject") for told in outcomes.values())


def _lost(host: str, told: dict[str, Any]) -> str:
    reason = told.get("reason") or "it was lost; if it switched, it goes back by itself"
    return f"{host}: {reason}"


def conclude(app: App, release: str, begun: str | None, outcomes: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Tell a switch what becomes of it and wait for its end; return its outcome.

    :raises ReleaseError: it was taken back.
    """
    why = tell(app, release, begun, outcomes)
    if begun:
        known = progress.pending(app)
        if known:
            unit.wait_for_end(app, settling.patience(known))
        progress.forget_decision(app)  # a switch that had gone back by itself has not read it
    ended = progress.outcome(app, release, begun) if begun else None
    if why or (begun and (ended or {}).get("result") not in ("confirmed", "kept")):
        why = why or (ended or {}).get("reason") or "the switch gave no sign"
        if _rejected(outcomes) and _was_left(app, release):  # it may have gone back before anybody could tell it
            app.set_state(release, "rejected", reason=why)
        said = "".join(f"{line}\n" for line in progress.explained(app, release, begun)[1:])
        raise ReleaseError(
            f"release {release} does not serve: {why}\n{said}  {app.serving() or 'nothing'} serves here\n"
            "  what serves on each host: ansible-playbook playbooks/status.yml -i inventories/..."
        )
    return ended


def _was_left(app: App, release: str) -> bool:
    return release in app.known() and release != app.serving() and app.state(release).get("state") != "rejected"


def confirmed(app: App, options: dict[str, Any]) -> str | None:
    """Give a switch the word, and do nothing that takes long."""
    return tell(app, options["release"], options["switch"], options["outcomes"])


def retired(app: App, options: dict[str, Any], dry: bool) -> tuple[list[str], dict[str, Any], list[str]]:
    """Conclude a switch, end what no longer serves and clear up; return (what was done, record, summary)."""
    release, begun = options["release"], options["switch"]
    if dry:
        return [], {}, []
    ended = conclude(app, release, begun, options["outcomes"])
    actions = unit.ensure(app) + secrets.ensure_digest_key(app, secrets.renewed(app))
    kept, undone = keep_beside(app, options)
    retired, pruned, left = clear_up(app, options)
    beside = (ended or {}).get("processes", {})
    retired, left = beside.get("stopped", []) + retired, beside.get("stays", []) + left
    actions += kept + [f"stopped {each['container']}" for each in retired] + [f"removed {gone}" for gone in pruned]
    record = {
        "release": release,
        "switched": bool(ended),
        "previous": ended and ended["from"],
        "watch": ended and ended["watch"],
        "retired": retired,
        "removed": pruned,
        "stays": undone + left,
        "by": options["by"],
        "at": time.time(),
        "seconds": {name: float(spent) for name, spent in options["steps"].items()},
    }
    told = app.schema() if app.schema().get("release") == release else {}
    record["schema"] = release_command.line(told)
    record["unused"] = app.record(release)["found"].get("unused")
    record["remarks"] = summary.remarks(app, release)
    record["back"] = summary.way_back(app) if begun else None
    record["seconds"]["retire"] = sum(each["seconds"] for each in retired)
    if begun:
        files.write_json(app.path(release, "deploy.json"), record)
    return actions, record, summary.summarise(record)


def keep_beside(app: App, options: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Let jobs of the release that serves have their timers, and where nothing was switched, its processes run.

    This host may be the first since this run.

    :return: (what changed, what could not be done).
    """
    changed, left = [], leftovers.Leftovers()
    if not options["switch"]:
        with left.unless_gone("a process beside the web as it was before", "systemctl status docker"):
            changed += workers.settle(app)
    with left.unless_gone("a job as it was before", "systemctl status 'flask-deploy-job-*'"):
        changed += tool.ensure(app)
        changed += jobs.ensure(app, options["first"] or options["shares"])
        aside.sweep(app)
    return changed, left.lines


def clear_up(app: App, options: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """End what no longer serves, remove what is no longer kept; return (what was stopped, what went, what stays).

    The release serves: what does not go is said, and tried again by the next deploy.
    """
    retired, pruned, left = [], [], leftovers.Leftovers()
    with left.unless_gone("what served before", "systemctl status docker"):
        retired = retire.retire(app, options["drain_timeout"], options["drain_timeout"] + 10, left)
        pruned = retire.prune(app, options["keep"], left)
    return retired, pruned, left.lines
