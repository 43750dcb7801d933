"""The keeper of an app: its serving release is started again when it was killed, which the engine takes for a wish.

The engine itself starts again what crashes. A container that was told to stop ends with code 0, and stays stopped.
"""

from __future__ import annotations

import os
import select
import sys
import time
from typing import NoReturn

from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.release.places import App

LOOK = 1  # seconds between two looks at the link
GRACE = 2  # seconds that the engine has to start again what crashed
AGAIN = 5  # seconds until the next try where there is nothing to wait for


def keep(app: App) -> NoReturn:
    """Keep the serving release up, for ever."""
    while True:
        time.sleep(look(app))


def look(app: App) -> int:
    """Follow the serving release until it ends or another serves; return the seconds to wait before the next look."""
    release = app.serving()
    if release is None or os.path.exists(app.pending):
        return LOOK
    try:
        process = containers.process(app, release)
        if process:
            if not _ended(app, release, process):
                return LOOK
            time.sleep(GRACE)
        if process is not None and revive(app, release):
            return LOOK
    except engine.EngineError as error:
        _tell(f"{app.container(release)}: {error}")
    return AGAIN


def _ended(app: App, release: str, process: int) -> bool:
    """Wait for the end of a process; return False as soon as another release is to serve."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        while not poll.poll(LOOK * 1000):
            if app.serving() != release or os.path.exists(app.pending):
                return False
        return True
    finally:
        os.close(handle)


def revive(app: App, release: str) -> bool:
    """Start a release that serves and was killed; return whether that was so."""
    found = engine.inspect("container", app.container(release))
    if app.serving() != release or os.path.exists(app.pending) or not found:
        return False
    state = found["State"]
    if state["Running"] or state.get("Restarting") or state["ExitCode"] == 0:
        return False
    engine.docker("start", app.container(release))
    times = files.read_json(app.revived, {}).get("times", 0) + 1
    files.write_json(app.revived, {"release": release, "code": state["ExitCode"], "at": time.time(), "times": times})
    _tell(f"{app.container(release)} was killed (code {state['ExitCode']}); started again")
    return True


def _tell(words: str) -> None:
    """Say it to the journal as a warning (sd-daemon(3))."""
    sys.stderr.write(f"<4>{words}\n")
    sys.stderr.flush()
