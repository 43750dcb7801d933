"""What a killed run or the end of a host cut off: it is ended, forward or back, before anything new begins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import back, progress, retire, switch, unit, workers
from ansible.module_utils.flask_deploy.switch.lease import Lease, LeaseError, boot_owner

SETTLED_IN = 120  # seconds that a switch may take beside its watch and drain


def settle(app: App, dry: bool = False) -> list[str]:
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
    done += workers.settle(app, dry) if serving else []
    return done + [f"abandoned {name}" for name in retire.abandon(app, dry)]


def _settle_pending(app: App) -> None:
    known = progress.pending(app)
    if known is None:
        unit.wait_for_end(app, SETTLED_IN)
        files.remove(app.pending)
        return
    progress.decide(app, known["id"], False, "a later deploy took over")
    unit.wait_for_end(app, patience(known))
    known = progress.pending(app)
    if known is None:
        return
    old = known["from"]
    _end_cut_off(app, goes_back=app.serving() != known["to"] or bool(old and containers.running(app, old)))


def patience(known: dict[str, Any]) -> float:
    """Return the seconds that a switch may still take, once it is told whether it stays."""
    least = SETTLED_IN + max(switch.STARTED_IN, known.get("start", 0)) + known.get("stop", 0)
    return least + 2 * known["drain"] + known["rules"].get("seconds", 0)


def settle_links(app: App) -> None:
    """Before nginx and the engine start, let the links say what serves: no visitor sees a switch that goes back."""
    with _boot_lease(app) as mine:
        known = progress.pending(app) if mine else None
        if known and _goes_back(app, known):
            if known["phase"] not in ("reverting", "draining"):
                known |= {"reason": progress.CUT_OFF, "reject": False}
            undone = back.Undone()
            back.turn(app, known, undone)  # whether or not that can be written down
            with undone.going_on():
                progress.go_on(app, known, "reverting")
            undone.tell()


def settle_at_boot(app: App) -> None:
    """End a switch that the end of the host cut off: unless it was confirmed, the release before serves again."""
    with _boot_lease(app) as mine:
        known = progress.pending(app) if mine else None
        if known:
            _end_cut_off(app, goes_back=_goes_back(app, known))


@contextmanager
def _boot_lease(app: App) -> Iterator[bool]:
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


def _goes_back(app: App, known: dict[str, Any]) -> bool:
    """Tell whether a switch that was cut off goes back: unless it was confirmed, or there is nothing before it."""
    confirmed = known["phase"] == "confirming" or progress.said_of(app, known).get("confirm", False)
    return known["phase"] in ("reverting", "draining") or (known["from"] is not None and not confirmed)


def _end_cut_off(app: App, goes_back: bool) -> None:
    known = progress.pending(app)
    if known["phase"] not in ("confirming", "reverting", "draining"):
        if goes_back:
            switch.go_back(app, known, reason=progress.CUT_OFF, reject=False)
        else:
            moved = switch.shift(app, known)
            progress.go_on(app, known, "confirming", reason=progress.CUT_OFF, reject=False, **moved)
    switch.carry_out(app)
