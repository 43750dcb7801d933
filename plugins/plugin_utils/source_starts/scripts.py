"""Scripts that a command starts, and what serves in them."""

from __future__ import annotations

from source_starts.files import Files
from source_starts.shells import words

SERVERS = ("gunicorn", "uwsgi", "waitress-serve", "hypercorn", "uvicorn", "granian")


def through_script(tree: Files, command: str) -> str:
    """Return a command, or the line that serves in a script of the source that it starts."""
    bases = {word.rpartition("/")[2] for word in words(command)}
    for name in sorted(tree.names) if command else ():
        if name.rpartition("/")[2] in bases and not name.endswith((".py", ".toml")):
            lines = [line.strip().removeprefix("exec ") for line in tree.text(name).splitlines()]
            return next((line for line in lines if line.startswith(SERVERS)), command)
    return command
