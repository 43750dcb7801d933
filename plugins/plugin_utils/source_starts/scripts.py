"""Scripts that a command starts, and what serves in them."""

from __future__ import annotations

import re

from source_starts.files import Files
from source_starts.shells import words

SERVERS = ("gunicorn", "uwsgi", "waitress-serve", "hypercorn", "uvicorn", "granian")
# How a line of a script begins that serves: by a runner, by a path, or as it is.
SERVES = re.compile(rf"((\S*/)?(uv|poetry|pipenv|pdm|rye|hatch|conda|mamba) run\s.*?)?(\S*/)?({'|'.join(SERVERS)})\b")


def script(tree: Files, command: str) -> str:
    """Return the name of a script of the source that a command starts; "" of another command."""
    bases = {word.rpartition("/")[2] for word in words(command)}
    known = [name for name in sorted(tree.names) if name.rpartition("/")[2] in bases] if command else []
    return next((name for name in known if not name.endswith((".py", ".toml"))), "")


def through_script(tree: Files, command: str) -> str:
    """Return a command, or the line that serves in a script of the source that it starts."""
    lines = [line.strip().removeprefix("exec ") for line in tree.text(script(tree, command)).splitlines()]
    return next((line for line in lines if SERVES.match(line)), command)
