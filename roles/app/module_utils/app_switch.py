"""The switch of one app to another release: a unit on the host that outlives whoever began it.

It moves the link, watches, and goes back by itself unless it is confirmed before a deadline. What it
is at lies in /srv/<app>/switch.json, written before each step; killed at any point, it goes on from there.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress

from ansible.module_utils import app_containers as containers
from ansible.module_utils import app_engine as engine
from ansible.module_utils import app_files as files
from ansible.module_utils import app_log as log
from ansible.module_utils import app_retire as retire
from ansible.module_utils import app_site as site
from ansible.module_utils import app_unit as unit
from ansible.module_utils import app_watch as watch
from ansible.module_utils.app_lease import Lease, LeaseError, now

POLL = 0.1  # seconds
STARTED_IN = 20  # seconds the release before has to answer again, when traffic goes back to it


def begin(app, release, leaving, rules, drain, confirm):
    """Write down a switch to a prepared release; return its id.

    :param leaving: state that the release before gets: "retired", or "rejected" by a rollback.
    :param rules: of the watch, see app_watch.watch.
    :param drain: seconds that requests in flight have to finish, should it go back.
    :param confirm: seconds after the watch within which it is to be confirmed.
    """
    old = app.serving()
    known = {"id": secrets.token_hex(8), "from": old, "to": release, "leaving": leaving, "phase": "moving"}
    known |= {"rules": rules, "drain": drain, "confirm": confirm, "log": log.position(log.LOG)}
    known["reload"] = old is None or app.site(old) != app.site(release)
    forget_decision(app)
    files.write_json(app.pending, known)
    return known["id"]


def pending(app):
    """Return the switch under way, or None."""
    return files.read_json(app.pending)


def carry_out(app):
    """Do all that is left of a switch under way; return what came of it, or None where there is none."""
    steps = {"moving": move, "watching": look, "waiting": wait, "confirming": confirm, "reverting": revert}
    result = None
    while known := pending(app):
        result = steps[known["phase"]](app, known)
    return result


def _go_on(app, known, phase, **more):
    files.write_json(app.pending, {**known, "phase": phase, **more})


def move(app, known):
    """Move traffic: one rename, and a reload only where the site file differs."""
    old, new = known["from"], known["to"]
    try:
        with site.lock():
            app.set_restart(new, "unless-stopped")
            app.mark_draining(new, False)
            if old and old != new:
                files.link(app.previous, f"releases/{old}")
            if app.serving() != new:
                files.link(app.current, f"releases/{new}")
            if known["reload"]:
                site.reload()
            moved, moved_at = os.lstat(app.current).st_mtime, now()
            if old and old != new:
                app.mark_draining(old, True)
                app.set_restart(old, "no")
                app.set_state(old, known["leaving"])
            app.set_state(new, "live", previous=old, switched=moved)
    except site.SiteError as error:
        return _go_on(app, known, "reverting", reason=str(error), reject=False)
    return _go_on(app, known, "watching", moved=moved, moved_at=moved_at)


def look(app, known):
    """Watch the new release serve."""
    since = known.get("log") or log.position(log.LOG)
    moved_at = known.get("moved_at", now())  # a switch that an earlier commit began tells neither
    seen = watch.watch(app, known["to"], known["from"], known["rules"], moved_at, known["moved"], since)
    if seen["well"]:
        return _go_on(app, known, "waiting", seen=seen, deadline=now() + known["confirm"])
    return _go_on(app, known, "reverting", seen=seen, reason=seen["reason"], reject=True)


def wait(app, known):
    """Wait for the word of whoever began: confirmed, or back, which also silence means."""
    deadline = known["deadline"]
    while True:
        said = files.read_json(app.decision) or {}
        if said.get("id") == known["id"]:
            if "confirm" not in said:
                deadline = max(deadline, said["heard"] + known["confirm"])
            elif said["confirm"]:
                return _go_on(app, known, "confirming")
            else:
                return _go_on(app, known, "reverting", reason=said["reason"], reject=said["reject"])
        if now() >= deadline:
            break
        time.sleep(POLL)
    if known["from"] is None:  # there is nothing to go back to
        return _go_on(app, known, "confirming")
    reason = f"nobody confirmed it within {known['confirm']} s"
    return _go_on(app, known, "reverting", reason=reason, reject=False)


def hear(app, switch):
    """Let a switch wait anew, as whoever began it is there; return what is known of it, or None if it does not."""
    if not _waiting(app, switch):
        return None
    files.write_json(app.decision, {"id": switch, "heard": now()})
    time.sleep(3 * POLL)  # should its time have been up just now, it has gone back by then
    return _waiting(app, switch)


def _waiting(app, switch):
    known = pending(app) or {}
    return known if known.get("id") == switch and known["phase"] == "waiting" else None


def confirm(app, known):
    return _end(app, known, "confirmed")


def revert(app, known):
    """Let the release before serve again; a release that has none before it stops serving."""
    old, new = known["from"], known["to"]
    if old and not _answers(app, old):
        return _end(app, known, "kept", reason=f"{known['reason']}; {old} did not answer any more, so {new} serves on")
    with site.lock():
        if old:
            app.set_restart(old, "unless-stopped")
            app.mark_draining(old, False)
            files.link(app.current, f"releases/{old}")
        elif os.path.lexists(app.current):
            files.remove(app.current)
        if known["reload"]:
            site.reload()
        app.mark_draining(new, True)
        app.set_restart(new, "no")
        app.set_state(new, "rejected" if known["reject"] else "reverted", reason=known["reason"])
        if old:
            app.set_state(old, "live", switched=os.lstat(app.current).st_mtime)
    retire.retire(app, known["drain"], known["drain"] + 10)
    return _end(app, known, "reverted", reason=known["reason"])


def _answers(app, release):
    """Tell whether a release answers at all: what ails the new one, a database perhaps, may ail it too."""
    record, end = app.record(release), time.monotonic() + STARTED_IN
    try:
        containers.ensure_running(app, release, record)
    except engine.EngineError:
        return False
    while True:
        try:
            site.probe_socket(app.path(release, "run", "gunicorn.sock"), record["health_path"], record["domain"])
            return True
        except Exception:  # whatever an app may answer with
            if time.monotonic() >= end:
                return False
            time.sleep(POLL)


def _end(app, known, result, reason=None):
    outcome = {
        "id": known["id"],
        "from": known["from"],
        "to": known["to"],
        "result": result,
        "reason": reason,
        "reload": known["reload"],
        "moved": known.get("moved"),
        "watch": known.get("seen"),
    }
    files.write_json(app.path(known["to"], "switch.json"), outcome)
    files.remove(app.pending)
    forget_decision(app)
    return outcome


def forget_decision(app):
    """Remove what was said of a switch that ended."""
    with suppress(FileNotFoundError):
        files.remove(app.decision)


def give_up(app, reason):
    """End a switch that did not begin to move."""
    _end(app, pending(app), "reverted", reason)


def outcome(app, release, switch):
    """Return what came of a switch that ended, or None."""
    known = files.read_json(app.path(release, "switch.json"))
    return known if known and known["id"] == switch else None


def decide(app, switch, confirm, reason="", reject=False):
    """Tell a switch whether it stays."""
    files.write_json(app.decision, {"id": switch, "confirm": confirm, "reason": reason, "reject": reject})


def settle(app, dry=False):
    """Put right what a killed run left; return what was, or would be, put right.

    A switch that nobody confirmed goes back while the release before still runs, and stays otherwise.
    To be called by who holds the lease.
    """
    done = []
    if os.path.lexists(app.pending):
        done.append("an interrupted switch")
        if not dry:
            _settle_pending(app)
    serving = app.serving()
    for release in app.known() if serving else []:  # where none serves, the switch to come puts them right
        leaving = release != serving
        if leaving != app.draining(release) and (dry or app.mark_draining(release, leaving)):
            done.append(f"the drain marker of {release}")
        if not dry and app.set_restart(release, "no" if leaving else "unless-stopped"):
            done.append(f"the restart policy of {release}")
    return done + [f"abandoned {name}" for name in retire.abandon(app, dry)]


def _settle_pending(app):
    known = pending(app)
    if known is None:
        files.remove(app.pending)
        return
    decide(app, known["id"], False, "a later deploy took over")
    unit.wait_for_end(app)
    known = pending(app)
    if known is None:
        return
    old = known["from"]
    _end_cut_off(app, back=app.serving() != known["to"] or bool(old and containers.running(app, old)))


def settle_at_boot(app):
    """End a switch that the end of the host cut off: unless it was confirmed, the release before serves again."""
    lease = Lease(app.name, {"id": "boot", "user": "root", "host": os.uname().nodename, "process": os.getpid()})
    try:
        lease.take()
    except LeaseError:
        return  # a run was quicker, and settles it
    with lease.held():
        known, said = pending(app), files.read_json(app.decision) or {}
        if known:
            confirmed = said.get("id") == known["id"] and said.get("confirm", False)
            _end_cut_off(app, back=known["from"] is not None and not confirmed)
    lease.release()


def _end_cut_off(app, back):
    known = pending(app)
    if known["phase"] not in ("confirming", "reverting"):
        if not back:
            move(app, known)
        _go_on(app, pending(app), "reverting" if back else "confirming", reason="it was cut off", reject=False)
    carry_out(app)
