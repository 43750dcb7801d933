"""Where what a container prints goes: to the host's journal, which outlives it, with its labels as fields."""

from __future__ import annotations

PREFIX = "flask-deploy"
FIELDS = ("app", "release", "process")
# An app never waits for the journal; for the engine, see output.py of role app.
ARGUMENTS = (
    *("--log-driver", "journald", "--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=4m"),
    *("--log-opt", f"labels={','.join(f'{PREFIX}.{field}' for field in FIELDS)}"),
)


def labels(app: str, release: str, process: str = "") -> tuple[str, ...]:
    """Return docker's arguments for whose a container is.

    :param process: what it is; of the web it is not said.
    """
    known = {"app": app, "release": release} | ({"process": process} if process else {})
    return tuple(word for field, value in known.items() for word in ("--label", f"{PREFIX}.{field}={value}"))
