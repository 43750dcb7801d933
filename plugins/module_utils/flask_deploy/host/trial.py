"""A change that the host takes back by itself, unless a new connection confirms it in time."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files

PLACE = "/run/flask-deploy-trial"  # a reboot ends each trial: what is tried is not on the disk yet
SECONDS = 30  # until the change is taken back; one attempt of Ansible's to connect takes 20
PATIENCE = 10  # seconds that systemd has for an answer
TAKE_BACK = 'mv "$0" "$0.taken-back" && {{ {}; }}'  # whoever moves the record away decides


class TrialError(Exception):
    """A change cannot be tried, or was taken back; the message says why."""


def begin(what: str, back: str, known: dict[str, Any]) -> None:
    """Start the clock; call it before the change.

    :param what: `firewall` or `ssh`.
    :param back: a line of shell that takes the change back, whether it was made or not.
    :param known: what confirm() returns.
    :raises TrialError: another run tries such a change now, or systemd refuses.
    """
    if command.attempt("systemctl", "is-active", "--quiet", f"{unit(what)}.timer", limit=PATIENCE).code == 0:
        raise TrialError(f"another run is trying a change of its {what}; try again in {SECONDS} s")
    files.ensure_directory(PLACE, 0o700)
    files.write_json(_record(what), known, 0o600)
    options = ("--quiet", "--collect", f"--unit={unit(what)}", f"--on-active={SECONDS}")
    script = ("sh", "-c", TAKE_BACK.format(back), _record(what))
    done = command.attempt("systemd-run", *options, "--timer-property=AccuracySec=100ms", *script, limit=PATIENCE)
    if done.code != 0:
        give_up(what)
        raise TrialError(f"systemd would not take the change back, so it was not made: {done.said[:300]}")


def confirm(what: str) -> dict[str, Any]:
    """End the trial: the change stays. Return what begin() was told.

    :raises TrialError: it was taken back, or there is no trial.
    """
    mine = f"{_record(what)}.confirmed"
    try:
        os.rename(_record(what), mine)
    except FileNotFoundError:
        raise TrialError(f"the change was not confirmed within {SECONDS} s and was taken back") from None
    command.attempt("systemctl", "stop", f"{unit(what)}.timer", limit=PATIENCE)
    known = files.read_json(mine, {})
    files.remove(mine)
    return known


def judge(what: str, now: tuple[Any, ...] | None) -> None:
    """See that a connection is another one than that which made the change; one that is none of SSH's is not judged.

    :raises TrialError: it is the same, and shows nothing; the change is then taken back.
    """
    if now and files.read_json(_record(what), {}).get("connection") == list(now):
        raise TrialError(f"the connection is the old one, which shows nothing; the change of its {what} is taken back")


def give_up(what: str) -> None:
    """End the trial of a change that was not made."""
    command.attempt("systemctl", "stop", f"{unit(what)}.timer", limit=PATIENCE)
    files.remove(_record(what))


def unit(what: str) -> str:
    """Return the name of the timer, without its ending."""
    return f"flask-deploy-{what}-back"


def _record(what: str) -> str:
    return f"{PLACE}/{what}.json"
