"""The switch of one app to another release: a unit on the host that outlives whoever began it.

It moves the link, watches, and goes back by itself unless it is confirmed before a deadline. What it
is at lies in /srv/<app>/switch.json, written before each step; killed at any point, it goes on from there.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import contextmanager, suppress

from ansible.module_utils.flask_deploy.host import engine, files, nginx
from ansible.module_utils.flask_deploy.host.clock import now
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.switch import log, retire, unit, watch
from ansible.module_utils.flask_deploy.switch.lease import Lease, LeaseError, boot_owner

POLL = 0.1  # seconds
SETTLED_IN = 120  # seconds that a switch may take beside its watch and drain
STARTED_IN = 20  # seconds the release before has to answer again, when traffic goes back to it
PHASES = ("moving", "watching", "waiting", "confirming", "reverting", "draining")
CUT_OFF = "it was cut off"
DEFAULTS = {  # what an earlier version may not have written
    "from": None,
    "before": None,
    "leaving": "retired",
    "reload": True,
    "rules": {"seconds": 0, "percent": 100, "samples": 1},
    "drain": 30,
    "confirm": 30,
    "moved": 0.0,
    "deadline": 0.0,
    "reason": CUT_OFF,
    "reject": False,
}


def begin(app, release, leaving, rules, drain, confirm):
    """Write down a switch to a prepared release; return its id.

    :param leaving: state that the release before gets: "retired", or "rejected" by a rollback.
    :param rules: of the watch, see watch.watch.
    :param drain: seconds that requests in flight have to finish, should it go back.
    :param confirm: seconds after the watch within which it is to be confirmed.
    """
    old = app.serving()
    known = {"id": secrets.token_hex(8), "from": old, "to": release, "leaving": leaving, "phase": "moving"}
    known |= {"rules": rules, "drain": drain, "confirm": confirm, "log": log.position(log.LOG)}
    known["before"] = app.link(app.previous)
    known["reload"] = old is None or app.site(old) != app.site(release)
    forget_decision(app)
    files.write_json(app.pending, known)
    return known["id"]


def pending(app):
    """Return the switch under way, or None; what is no switch that this code can carry out is none."""
    known = files.read_json(app.pending) or {}
    whole = known.get("phase") in PHASES and all(isinstance(known.get(name), str) for name in ("id", "to"))
    return {**DEFAULTS, **known} if whole else None


def said_of(app, known):
    """Return what was said of a switch."""
    said = files.read_json(app.decision) or {}
    return said if said.get("id") == known["id"] else {}


def carry_out(app):
    """Do all that is left of a switch under way; return what came of it, or None where there is none."""
    steps = {"moving": move, "watching": look, "waiting": wait, "confirming": confirm}
    steps |= {"reverting": revert, "draining": drain}
    result = None
    while known := pending(app):
        result = steps[known["phase"]](app, known)
    return result


def _go_on(app, known, phase, **more):
    files.write_json(app.pending, {**known, "phase": phase, **more})


def move(app, known):
    """Move traffic: one rename, and a reload only where the site file differs.

    The engine is told before and after, not under the lock: all apps, and the renewal of certificates, wait for that.
    Cut off between, this phase is done once more, or gone back from: either tells the engine of both releases.
    """
    old, new = known["from"], known["to"]
    app.set_restart(new, "unless-stopped")
    try:
        with nginx.lock():
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
                app.set_state(old, known["leaving"])
            app.set_state(new, "live", previous=old, switched=moved, order=app.next_order(), moved=moved_at)
    except nginx.SiteError as error:
        return _go_on(app, known, "reverting", reason=str(error), reject=False)
    if old and old != new:
        app.set_restart(old, "no")
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
    while True:
        with unit.word(app):  # who is heard while it waits is heard before it goes back
            if _heard(app, known):
                return
        time.sleep(POLL)


def _heard(app, known):
    """Do as was said, or as silence has it; return whether it goes on."""
    said = said_of(app, known)
    if "confirm" in said:
        word = {name: said.get(name) for name in ("reason", "reject")}
        _go_on(app, known, "confirming" if said["confirm"] else "reverting", **word)
        return True
    if now() < max(known["deadline"], said.get("heard", 0) + known["confirm"]):
        return False
    reason = f"nobody confirmed it within {known['confirm']} s"
    _go_on(app, known, "reverting" if known["from"] else "confirming", reason=reason, reject=False)
    return True


def hear(app, switch):
    """Let a switch wait anew, as whoever began it is there; return what is known of it, or None if it does not."""
    with unit.word(app):
        known = pending(app) or {}
        if known.get("id") != switch or known["phase"] != "waiting":
            return None
        if "confirm" not in said_of(app, known):
            files.write_json(app.decision, {"id": switch, "heard": now()})
        return known


def confirm(app, known):
    return _end(app, known, "confirmed")


def revert(app, known):
    """Let the release before serve again; a release that has none before it stops serving."""
    old, new = known["from"], known["to"]
    if old and not _answers(app, old):
        return _keep(app, known)
    if old:
        app.set_restart(old, "unless-stopped")
    with nginx.lock():
        _turn_back(app, known)
        if known["reload"]:
            nginx.reload()
    app.set_restart(new, "no")
    return _go_on(app, known, "draining")


def _turn_back(app, known):
    """Let links, markers and states say that the release before serves; that takes no engine and no nginx."""
    old, new = known["from"], known["to"]
    if old:
        app.mark_draining(old, False)
        files.link(app.current, f"releases/{old}")
    elif os.path.lexists(app.current):
        files.remove(app.current)
    if known["before"]:
        files.link(app.previous, known["before"])
    elif os.path.lexists(app.previous):
        files.remove(app.previous)
    app.mark_draining(new, True)
    app.set_state(new, "rejected" if known["reject"] else "reverted", reason=known["reason"])
    if old:
        again = {"switched": os.lstat(app.current).st_mtime, "order": app.next_order(), "moved": now()}
        app.set_state(old, "live", **again)


def _keep(app, known):
    """Let the new release serve on, as the one before it does not answer any more."""
    old, new = known["from"], known["to"]
    if app.serving() != new:  # a boot let the link go back before anybody could ask the release before
        move(app, known)
    app.set_restart(old, "no")
    return _end(app, known, "kept", reason=f"{known['reason']}; {old} did not answer any more, so {new} serves on")


def drain(app, known):
    """Let the release that was left end what is in flight."""
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
            nginx.probe_socket(app.socket(release), record["health_path"], record["domain"])
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
    known = files.read_json(app.path(release, "switch.json")) or {}
    if known.get("id") != switch:
        return None
    return {"from": None, "result": "reverted", "reason": None, "watch": None, **known}


def decide(app, switch, confirm, reason="", reject=False):
    """Tell a switch whether it stays."""
    with unit.word(app):
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
    known = app.known() if serving else []  # where none serves, the switch to come puts them right
    for release in known:
        leaving = release != serving
        if leaving != app.draining(release) and (dry or app.mark_draining(release, leaving)):
            done.append(f"the drain marker of {release}")
    policies = {release: "unless-stopped" if release == serving else "no" for release in known}
    done += [f"the restart policy of {release}" for release in ([] if dry else app.set_restarts(policies))]
    return done + [f"abandoned {name}" for name in retire.abandon(app, dry)]


def _settle_pending(app):
    known = pending(app)
    if known is None:
        unit.wait_for_end(app, SETTLED_IN)
        files.remove(app.pending)
        return
    decide(app, known["id"], False, "a later deploy took over")
    unit.wait_for_end(app, patience(known))
    known = pending(app)
    if known is None:
        return
    old = known["from"]
    _end_cut_off(app, back=app.serving() != known["to"] or bool(old and containers.running(app, old)))


def patience(known):
    """Return the seconds that a switch may still take, once it is told whether it stays."""
    return SETTLED_IN + STARTED_IN + 2 * known["drain"] + known["rules"].get("seconds", 0)


def settle_links(app):
    """Before nginx and the engine start, let the links say what serves: no visitor sees a switch that goes back."""
    with _boot_lease(app) as mine:
        known = pending(app) if mine else None
        if known and _goes_back(app, known):
            if known["phase"] not in ("reverting", "draining"):
                known |= {"reason": CUT_OFF, "reject": False}
            _go_on(app, known, "reverting")
            _turn_back(app, known)


def settle_at_boot(app):
    """End a switch that the end of the host cut off: unless it was confirmed, the release before serves again."""
    with _boot_lease(app) as mine:
        known = pending(app) if mine else None
        if known:
            _end_cut_off(app, back=_goes_back(app, known))


@contextmanager
def _boot_lease(app):
    """Hold the lease as the host itself; tell whether it was to be had: a run that is quicker settles by itself."""
    lease = Lease(app.name, boot_owner())
    try:
        lease.take()
    except LeaseError:
        yield False
        return
    with lease.held():
        yield True
    lease.release()


def _goes_back(app, known):
    """Tell whether a switch that was cut off goes back: unless it was confirmed, or there is nothing before it."""
    confirmed = known["phase"] == "confirming" or said_of(app, known).get("confirm", False)
    return known["phase"] in ("reverting", "draining") or (known["from"] is not None and not confirmed)


def _end_cut_off(app, back):
    known = pending(app)
    if known["phase"] not in ("confirming", "reverting", "draining"):
        if not back:
            move(app, known)
        _go_on(app, pending(app), "reverting" if back else "confirming", reason=CUT_OFF, reject=False)
    carry_out(app)
