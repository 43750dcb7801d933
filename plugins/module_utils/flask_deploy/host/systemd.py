"""systemd, asked and told."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import command

PATIENCE = 60  # seconds that systemd has for an answer


class UnitError(Exception):
    """A unit does not start or end; the message holds what systemd said."""


def ask(*arguments: str, limit: float | None = None) -> str:
    """Ask systemd, or tell it; what it refuses is no error here, but that it does not answer is.

    :raises UnitError: it took too long.
    """
    limit = limit or PATIENCE
    done = command.attempt("systemctl", *arguments, limit=limit)
    if done.code is None:
        raise UnitError(command.late(("systemctl", *arguments), limit))
    return done.out.decode(errors="replace")
