"""What a host's systemd says to times of an inventory."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import command


def senseless_times(calendars: dict[str, str]) -> list[str]:
    """Return those times that this host's systemd does not understand, or which never come."""
    mistakes = []
    for what, at in calendars.items():
        words = ("systemd-analyze", "calendar", "--", at)
        done = command.attempt(*words, limit=10, environment={"LC_ALL": "C"})
        if done.code != 0:
            mistakes.append(f"{what}: at {at!r} is no time; try: systemd-analyze calendar '*-*-* 03:00'")
        elif b"Next elapse: never" in done.out:
            mistakes.append(f"{what}: at {at!r} has passed, and never comes again")
    return mistakes
