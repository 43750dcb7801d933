"""The switch of one app to another release: a unit on the host that outlives whoever began it.

It moves the link, watches, and goes back by itself unless it is confirmed before a deadline, or where it cannot
watch. What it is at lies in /srv/<app>/switch.json, written before each step; killed, it goes on from there.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextlib import ExitStack
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files, locks, nginx
from ansible.module_utils.flask_deploy.host.clock import now
from ansible.module_utils.flask_deploy.host.process import started
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import back, log, progress, retire, unit, watch, workers

POLL = 0.1  # seconds
STARTED_IN = 20  # seconds the release before has to answer again, when traffic goes back to it; see _answers
AGAIN = 1  # seconds between two tries to write down that it goes back
LOCK_WAIT = 30  # seconds that others may have nginx's lock while traffic waits for its way back
UNCONFIRMED = ("moving", "watching", "waiting", "trying")  # phases that no release stays in


def carry_out(app: App) -> dict[str, Any] | None:
    """Do all that is left of a switch under way; return what came of it, or None where there is none."""
    steps = {"moving": move, "watching": look, "waiting": wait, "trying": try_out, "confirming": confirm}
    steps |= {"reverting": revert, "draining": drain}
    result = None
    while known := progress.pending(app):
        try:
            result = steps[known["phase"]](app, known)
        except engine.EngineError:  # it may be away for a while; the unit is started again
            raise
        except Exception as error:
            unwritten = error.told if isinstance(error, progress.Unwritten) else {}
            if known["phase"] not in UNCONFIRMED or unwritten.get("phase") == "confirming":
                raise
            traceback.print_exc()
            reason = (
                f"its watch broke off: {type(error).__name__}: {error}; look at: sudo journalctl -u {unit.name(app)}"
            )
            why = unwritten if unwritten.get("phase") == "reverting" else {"reason": reason, "reject": False}
            _insist(app, known, why)
    return result


def _insist(app: App, known: dict[str, Any], why: dict[str, Any]) -> None:
    """Go back until that is written down: no other process knows why."""
    while True:
        try:
            return go_back(app, known, **why)
        except OSError as error:
            sys.stderr.write(f"that it goes back cannot be written down: {error}\n")
        time.sleep(AGAIN)


def go_back(app: App, known: dict[str, Any], **told: Any) -> None:
    """Write down that a switch goes back; where the disk takes nothing, traffic does so before anybody is told.

    :raises Unwritten: it is to be written once more.
    """
    try:
        progress.go_on(app, known, **{**told, "phase": "reverting"})
    except OSError:
        undone = back.Undone()
        with undone.going_on():
            if known["from"] is None or _answers(app, known["from"]):
                back.lead(app, known)
        raise


def move(app: App, known: dict[str, Any]) -> None:
    """Move traffic; go back where nginx refuses."""
    try:
        moved = shift(app, known)
    except nginx.SiteError as error:
        return progress.go_on(app, known, "reverting", reason=str(error), reject=False)
    return progress.go_on(app, known, "watching", **moved)


def shift(app: App, known: dict[str, Any], wait: float = locks.LOCK_WAIT) -> dict[str, Any]:
    """Move traffic: one rename, and a reload only where the site file differs; return when, by either clock.

    The engine is told before and after, not under the lock: all apps, and the renewal of certificates, wait for that.
    Cut off between, this phase is done once more, or gone back from: either tells the engine of both releases.

    :param wait: seconds that others may have the lock.
    :raises SiteError: nginx did not take the site, and nobody may be told that it serves.
    """
    old, new = known["from"], known["to"]
    app.set_restart(new, "unless-stopped")
    with nginx.lock(wait):
        app.mark_draining(new, False)
        if old and old != new:
            files.link(app.previous, f"releases/{old}")
        if app.serving() != new:
            files.link(app.current, f"releases/{new}")
        if known["reload"]:
            nginx.reload()
        moved, moved_at = os.lstat(app.current).st_mtime, now()
        if old and old != new:
            app.mark_draining(old, True)
            app.set_state(old, known["leaving"], reason=None)  # that of an earlier time is none
        served = {"switched": moved, "order": app.next_order(), "moved": moved_at}
        app.set_state(new, "live", reason=None, previous=old, **served)
    if old and old != new:
        app.set_restart(old, "no")
    return {"moved": moved, "moved_at": moved_at}


def look(app: App, known: dict[str, Any]) -> None:
    """Watch the new release serve."""
    since = known.get("log") or log.position(log.LOG)
    moved_at = known.get("moved_at", now())  # a switch that an earlier commit began tells neither
    seen = watch.watch(app, known["to"], known["from"], known["rules"], moved_at, known["moved"], since)
    if seen["well"]:
        return progress.go_on(app, known, "waiting", seen=seen, deadline=now() + known["confirm"])
    why = {"reason": seen["reason"], "reject": True, "ailing": app.container(known["to"])}
    return progress.go_on(app, known, "reverting", seen=seen, **why)


def wait(app: App, known: dict[str, Any]) -> None:
    """Wait for the word of whoever began: confirmed, or back, which also silence means."""
    while True:
        with unit.word(app):  # who is heard while it waits is heard before it goes back
            if _heard(app, known):
                return
        time.sleep(POLL)


def _heard(app: App, known: dict[str, Any]) -> bool:
    """Do as was said, or as silence has it; return whether it goes on."""
    said = progress.said_of(app, known)
    if "confirm" in said:
        word = {name: said.get(name) for name in ("reason", "reject")}
        progress.go_on(app, known, "confirming" if said["confirm"] else "reverting", **word)
        return True
    if said.get("try") and not known["tried"]:
        progress.go_on(app, known, "trying")
        return True
    if now() < max(known["deadline"], said.get("heard", 0) + known["confirm"]):
        return False
    reason = f"nobody confirmed it within {known['confirm']} s"
    progress.go_on(app, known, "reverting" if known["from"] else "confirming", reason=reason, reject=False)
    return True


def try_out(app: App, known: dict[str, Any]) -> None:
    """Start the processes beside the web: one that does not stay up is a reason to go back."""
    try:
        ended = workers.try_out(app, known["to"])
    except containers.NotReady as error:
        ailing = error.name if isinstance(error, workers.Ended) else None
        return progress.go_on(app, known, "reverting", reason=str(error), reject=True, ailing=ailing)
    return progress.go_on(app, known, "waiting", tried=True, ended=ended, deadline=now() + known["confirm"])


def confirm(app: App, known: dict[str, Any]) -> dict[str, Any]:
    """Let the new release's processes run for good, and those before them finish."""
    changed = workers.change_over(app)
    changed |= {what: [*before, *changed[what]] for what, before in known["ended"].items()}
    return progress.end(app, known, "kept" if known["kept"] else "confirmed", known["kept"], changed)


def revert(app: App, known: dict[str, Any]) -> None:
    """Let the release before serve again; a release that has none before it stops serving.

    Nothing keeps traffic from that: what fails beside it is told at the end, and done again.
    """
    old, new = known["from"], known["to"]
    if old and not _answers(app, old):
        return _keep(app, known)
    undone, policies = back.Undone(), {new: "no", **({old: "unless-stopped"} if old else {})}
    with ExitStack() as held:
        with undone.going_on():
            held.enter_context(nginx.lock(LOCK_WAIT))
        back.turn(app, known, undone)
        if known["reload"]:
            with undone.going_on():
                nginx.reload()
    with undone.going_on():
        if old:  # what answers may have been started otherwise than its record says, or be about to end
            containers.ensure_running(app, old, app.record(old))
    with undone.going_on():
        app.set_restarts(policies)
    undone.tell()
    return progress.go_on(app, known, "draining")


def _keep(app: App, known: dict[str, Any]) -> None:
    """Let the new release serve on, as the one before it does not answer any more.

    Traffic is moved once more: a boot may have let the link go back, or nginx may have refused the site.
    """
    old, new = known["from"], known["to"]
    moved = shift(app, known, LOCK_WAIT)
    reason = f"{known['reason']}; {old} did not answer any more, so {new} serves on"
    progress.go_on(app, known, "confirming", kept=reason, **moved)


def drain(app: App, known: dict[str, Any]) -> dict[str, Any]:
    """Let the release that was left end what is in flight, and its processes finish, once it is known what ailed it."""
    back.explain(app, known)
    changed = workers.change_over(app)
    retire.retire(app, known["drain"], known["drain"] + 10)
    return progress.end(app, known, "reverted", known["reason"], changed)


def _answers(app: App, release: str) -> bool:
    """Tell whether a release answers at all: what ails the new one, a database perhaps, may ail it too.

    One that was started just now, here or by a boot, has as long as it had to get ready; one that ended has not.
    """
    record, end = app.record(release), now() + STARTED_IN
    if _answered(app, release, record):  # no engine is needed for that
        return True
    try:
        containers.ensure_running(app, release, record)
    except Exception:  # it cannot be started, for whatever reason
        traceback.print_exc()
        return False
    process = containers.process(app, release)
    while not _answered(app, release, record):
        if now() >= end and not _starts(process, record["start_timeout"]):
            return False
        time.sleep(POLL)
    return True


def _starts(process: int | None, seconds: float) -> bool:
    """Tell whether a process runs, and began less than so many seconds ago."""
    ticks = started(process) if process else None
    return ticks is not None and now() < ticks / os.sysconf("SC_CLK_TCK") + seconds


def _answered(app: App, release: str, record: dict[str, Any]) -> bool:
    try:
        nginx.probe_socket(app.socket(release), record["health_path"], record["domain"])
    except Exception:  # whatever an app may answer with
        return False
    return True
