"""Images that runs hold: one that was found or built is nobody else's to remove until its release is written."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import files, locks
from ansible.module_utils.flask_deploy.host.clock import now

HELD = 3600  # seconds from a build until its release is written, beside what the run waits for the lock


def hold(app: str, build: str, run: str) -> None:
    """Let no other run remove an image that this one has found or built, until its release is written.

    :param run: id of the run's owner, see lease.UNKNOWN.
    """
    with locks.locked(f"{locks.RUN}/{app}.images"):
        known = held(app)
        known.setdefault(build, {})[run] = now() + HELD
        files.write_json(f"{locks.RUN}/{app}.images.json", known)


def hold_on(app: str, run: str, wait: float) -> None:
    """Let a run hold what it holds from now on anew: it waits for the app's lock, for so many seconds."""
    with locks.locked(f"{locks.RUN}/{app}.images"):
        known = held(app)
        for runs in known.values():
            runs |= {each: now() + HELD + wait for each in runs if each == run}
        if any(run in runs for runs in known.values()):
            files.write_json(f"{locks.RUN}/{app}.images.json", known)


def let_go(app: str, build: str, run: str) -> None:
    """Leave an image to whoever clears up: a release says now that it is needed, or none will. Others hold it on."""
    with locks.locked(f"{locks.RUN}/{app}.images"):
        known = held(app)
        if known.get(build, {}).pop(run, None):
            files.write_json(f"{locks.RUN}/{app}.images.json", known)


def held(app: str) -> dict[str, dict[str, float]]:
    """Return {build: {run: until when}} of the images that runs hold; a run that is gone holds none for long."""
    known = {}
    for build, runs in files.read_json(f"{locks.RUN}/{app}.images.json", {}).items():
        times = runs.items() if isinstance(runs, dict) else [("", runs)]  # an earlier version named no run
        if living := {run: end for run, end in times if isinstance(end, (int, float)) and end > now()}:
            known[build] = living
    return known
