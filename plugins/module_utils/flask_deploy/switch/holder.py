"""The holder of an app: where hosts share a database, one of them at a time runs what must run once.

It claims that in the database, see release/claims.py. Where it can no longer renew the claim, it ends those processes
at once, before another host may begin them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import NoReturn

from ansible.module_utils.flask_deploy.host import engine, files, locks, process
from ansible.module_utils.flask_deploy.release import claims, processes
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import workers


def hold(app: App) -> NoReturn:
    """Hold the claim whenever it is to be had, for ever."""
    holder = Holder(app)
    while True:
        began = time.monotonic()
        holder.turn()
        time.sleep(max(0.0, claims.RENEW - (time.monotonic() - began)))


class Holder:
    """What this host knows of the claim of an app's processes.

    :ivar renewed: when it was surely this host's, on the monotonic clock.
    :ivar ids: {container: (process id, when that began)} of what runs by it, for a time when the engine is stopped.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.renewed = time.monotonic() - claims.LOST
        self.ids: dict[str, tuple[int, int | None]] = {}
        self.silent = False  # whether it was told that the database does not say
        self.token_file = f"{locks.RUN}/{app.name}.claim"  # it outlives this program, and no boot

    def turn(self) -> None:
        """Take or renew the claim, and let what runs by it follow."""
        has, asked = os.path.exists(self.app.holds), time.monotonic()
        try:
            claim = self._claim()
            holds = bool(claim) and claim.take()[0]
        except claims.Unknown as error:
            holds = has and asked - self.renewed < claims.LOST
            if not self.silent:
                _tell(str(error))
            self.silent = True
        else:
            self.silent = False
            self.renewed = asked if holds else self.renewed
        if has and not holds:
            self._end()
        elif holds:
            self.app.mark_alone(True)
            self._run(began=not has)

    def _claim(self) -> claims.Claim | None:
        serving = self.app.serving()
        if not serving or not processes.any_once(self.app, serving):
            return None
        token = (files.read(self.token_file) or b"").decode()
        claim = claims.of(self.app, serving, "processes", token)
        if claim and not token:
            files.ensure_directory(locks.RUN, 0o700)
            files.write(self.token_file, claim.token.encode(), 0o600)
        return claim

    def _run(self, began: bool) -> None:
        """Start what does not run, unless a switch is under way, which starts it itself."""
        if began:
            _tell("this host runs now what one host runs")
        try:
            wanted = {name: words for name, words in self._once().items() if not os.path.exists(self.app.pending)}
            states = processes.here(self.app) if wanted else {}
            if any(states.get(name) not in workers.RUNS for name in wanted):
                for line in workers.change_over(self.app)["stays"]:
                    _tell(line)
            found = engine.inspect_all("container", wanted)
            running = {name: each["State"]["Pid"] for name, each in found.items() if each["State"]["Pid"]}
            self.ids |= {name: (pid, process.started(pid)) for name, pid in running.items()}
        except engine.EngineError as error:
            _tell(str(error))

    def _once(self) -> dict[str, list[str]]:
        known = processes.names(self.app, self.app.serving())
        return {name: words for name, words in known.items() if processes.runs_once(self.app, name)}

    def _end(self) -> None:
        """End at once what ran by the claim, of whatever release; where the engine is stopped, its processes."""
        self.app.mark_alone(False)
        _tell("this host no longer runs what one host runs: another may")
        try:
            engine.remove(*(name for name in processes.here(self.app) if processes.runs_once(self.app, name)))
        except engine.EngineError as error:
            _tell(str(error))
            for pid, began in self.ids.values():
                with suppress(ProcessLookupError):
                    if began is not None and process.started(pid) == began:
                        os.kill(pid, signal.SIGKILL)
        self.ids = {}


def _tell(words: str) -> None:
    """Say it to the journal as a warning (sd-daemon(3))."""
    sys.stderr.write(f"<4>{words}\n")
    sys.stderr.flush()
