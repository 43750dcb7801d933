"""How a run ended, in the last lines that it prints: a check, a dry run, and one that Ctrl-C stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from typing import Any

# Playbooks that change nothing on a host.
READS = {"check", "doctor", "inspect", "kubernetes", "logs", "releases", "report", "shell", "status"}
STOPPED = {
    "run": "the command may still run on its server: typed again, it runs a second time",
    "restore": "see first what serves: ansible-playbook playbooks/status.yml -i inventories/...",
    "": "what is done stays; the same command goes on from there, and you have nothing to clean up by hand",
}
WHOLE = "to see the new files whole: ansible-playbook … --verbose"


def counted(number: int, noun: str, whole: int = 0) -> str:
    """Return a number with its noun, out of more where there are more."""
    of = f" of {whole}" if whole > number else ""
    return f"{number}{of} {noun}{'' if max(number, whole) == 1 else 's'}"


class Verdict:
    """What is noted of a run for its last lines."""

    def __init__(self) -> None:
        self.playbook, self.runs, self.pressed, self.warned, self.short = "", False, False, False, False
        self.steps, self.changed = 0, set()

    def starts(self, path: str) -> None:
        """Note the playbook that was typed, and from now on whether Ctrl-C is pressed."""
        self.playbook = os.path.splitext(os.path.basename(path))[0]
        before = signal.getsignal(signal.SIGINT)

        def heard(number: int, frame: Any) -> None:
            self.pressed = True
            before(number, frame)

        if callable(before):  # else it is ignored, as in a shell's background
            signal.signal(signal.SIGINT, heard)

    def note(self, hosts: Collection[str]) -> None:
        """Note the hosts that a step changed, or would change."""
        self.steps += bool(hosts)
        self.changed.update(hosts)

    def lines(self, check: bool, hosts: int | None, failed: bool) -> list[str]:
        """Return the last lines, once; none for a run whose errors are the last ones.

        :param check: whether it is a dry run.
        :param hosts: how many it had; None if it did not get to its end.
        """
        runs, self.runs = self.runs, False
        if not runs or failed:
            return []
        if hosts is not None:
            return self._ended(check, hosts)
        return self._stopped(check or self.playbook in READS) if self.pressed else []

    def _stopped(self, reads: bool) -> list[str]:
        if reads:
            return ["stopped by Ctrl-C; nothing was changed"]
        return ["stopped by Ctrl-C", STOPPED.get(self.playbook, STOPPED[""])]

    def _ended(self, check: bool, hosts: int) -> list[str]:
        if self.playbook == "check":
            said = "nothing is wrong, but see the warnings above" if self.warned else "nothing is wrong"
            return [f"{said}: the inventory and {counted(hosts, 'host')} are ready for setup or a deploy"]
        if not check:
            return []
        if not self.steps:
            return [f"dry run: nothing would change on {counted(hosts, 'host')}"]
        would = f"{counted(self.steps, 'step')} would change {counted(len(self.changed), 'host', hosts)}"
        return [f"dry run: {would}; nothing was changed", *([WHOLE] if self.short else [])]
