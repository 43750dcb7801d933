"""The programs that keep backups are asked, and whoever restores names what would be lost."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import command

PROGRAM = "/usr/local/lib/flask-deploy"
LIMIT = 20 * 3600  # seconds


class Refused(Exception):
    """Nothing was changed; the message says why, and what to type."""


def ask(program: str, *words: str) -> dict[str, Any]:
    """Let a program that keeps backups do something, and tell.

    :raises Refused: it cannot; its message holds the cause.
    """
    words = ("python3", "-B", "-m", program, *words)
    done = command.attempt(*words, limit=LIMIT, environment={"PYTHONPATH": PROGRAM})
    if done.code != 0:
        raise Refused(done.said)
    return json.loads(done.out)


def word(app: str, moment: float, server: str = "") -> str:
    """Return what names all that an app wrote since a backup, or all that it has on a server."""
    return f"{app}-on-{server}" if server else f"{app}-since-{time.strftime('%Y-%m-%dT%H:%M', time.gmtime(moment))}"
