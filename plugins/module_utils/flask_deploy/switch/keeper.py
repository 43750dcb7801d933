"""The keeper of an app: its serving release is started again when it was killed, which the engine takes for a wish.

The engine itself starts again what crashes. A container that was told to stop ends with code 0, and stays stopped.
"""

from __future__ import annotations

import math
import os
import select
import sys
import time
from contextlib import ExitStack
from typing import NoReturn

from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.release import processes
from ansible.module_utils.flask_deploy.release.places import App

LOOK = 1  # seconds between two looks at the link
GRACE = 2  # seconds that the engine has to start again what crashed
AGAIN = 5  # seconds until the next try where there is nothing to wait for
WISHED = (0, 143)  # codes of what was told to stop; a worker may end by the signal itself, gunicorn does not


def keep(app: App) -> NoReturn:
    """Keep the serving release up, for ever."""
    while True:
        time.sleep(look(app))


def look(app: App) -> int:
    """Follow the serving release until a part of it ends or another serves; return the seconds until the next look."""
    release = app.serving()
    if release is None or os.path.exists(app.pending):
        return LOOK
    names = [app.container(release), *processes.names(app, release)]
    try:
        states = {name: each["State"] for name, each in engine.inspect_all("container", names).items()}
        running = [state["Pid"] for state in states.values() if state["Pid"]]
        if running:
            whole = len(running) == len(names)
            if not _ended(app, release, running, math.inf if whole else AGAIN):
                return LOOK
            time.sleep(GRACE)
        if any(revive(app, release, name) for name in names if name in states):
            return LOOK
    except engine.EngineError as error:
        _tell(f"{app.container(release)}: {error}")
    return AGAIN


def _ended(app: App, release: str, running: list[int], limit: float) -> bool:
    """Wait for the end of a process; return False as soon as another release is to serve.

    :param limit: seconds, after which what does not run is looked at again.
    """
    poll, end = select.poll(), time.monotonic() + limit
    with ExitStack() as handles:
        for process in running:
            try:
                handle = os.pidfd_open(process)
            except ProcessLookupError:
                return True
            handles.callback(os.close, handle)
            poll.register(handle, select.POLLIN)
        while not poll.poll(LOOK * 1000) and time.monotonic() < end:
            if app.serving() != release or os.path.exists(app.pending):
                return False
        return True


def revive(app: App, release: str, name: str) -> bool:
    """Start what belongs to the serving release and was killed; return whether that was so."""
    found = engine.inspect("container", name)
    if app.serving() != release or os.path.exists(app.pending) or not found:
        return False
    state = found["State"]
    told = WISHED if processes.is_one(app, name) else WISHED[:1]
    if state["Running"] or state.get("Restarting") or state["ExitCode"] in told:
        return False
    engine.docker("start", name)
    if name == app.container(release):
        times = files.read_json(app.revived, {}).get("times", 0) + 1
        known = {"release": release, "code": state["ExitCode"], "at": time.time(), "times": times}
        files.write_json(app.revived, known)
    _tell(f"{name} was killed (code {state['ExitCode']}); started again")
    return True


def _tell(words: str) -> None:
    """Say it to the journal as a warning (sd-daemon(3))."""
    sys.stderr.write(f"<4>{words}\n")
    sys.stderr.flush()
