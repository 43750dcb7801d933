"""What a backup brought takes the place of what is there, which stays beside it until all is well.

What is to be done is written down first: a run that is killed half-way is put back by the next one.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files
from ansible.module_utils.flask_deploy.release.places import App

COPY = 600  # seconds
MOUNTS = "/proc/self/mountinfo"
MOUNTED = (
    "{0} is a mount of its own, which cannot be exchanged in one step; unmount it, on the host: sudo umount {0}. "
    "Restore, copy what is in {0} to the disk, and mount it again"
)


def mounted() -> list[str]:
    """Return where something is mounted (proc(5), mountinfo)."""
    rows = [line.split()[4] for line in (files.read(MOUNTS) or b"").decode(errors="surrogateescape").splitlines()]
    return [re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), path) for path in rows]


class SwapError(Exception):
    """Nothing was exchanged; the message says why."""


class Swap:
    """The places of an app that a backup brings back.

    :ivar tree: where the backup is fetched to; what is to be /srv/<app>/data lies there under that path.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.place = f"{app.root}/restore"
        self.tree = f"{self.place}/tree"
        self.journal = f"{self.place}/journal.json"

    def prepare(self) -> bool:
        """Make room for a backup; return whether a run that was cut off was put back."""
        back = self.undo()
        self.clean()
        files.ensure_directory(self.app.root)
        files.ensure_directory(self.place, 0o711)
        files.ensure_directory(self.tree, 0o711)
        return back

    def moves(self) -> list[dict[str, Any]]:
        """Return what of the backup goes where, and where what is there stays meanwhile."""
        name, app = self.place, self.app
        beside = [
            {"path": f"{app.root}/data", "new": f"{self.tree}{app.root}/data", "before": f"{name}/data"},
            {"path": app.kept, "new": f"{self.tree}{app.kept}", "before": f"{name}/writable"},
            {"path": app.etc, "new": f"{app.etc}.restored", "before": f"{app.etc}.before"},
        ]
        if os.path.isdir(f"{self.tree}{app.etc}"):  # another disk, perhaps
            self._drop(beside[2]["new"])
            command.run("cp", "-a", f"{self.tree}{app.etc}", beside[2]["new"], error=SwapError, limit=COPY)
        found = [{**each, "was": os.path.lexists(each["path"])} for each in beside if os.path.isdir(each["new"])]
        for path in (path for path in mounted() for each in found if f"{path}/".startswith(f"{each['path']}/")):
            raise SwapError(MOUNTED.format(path))
        return found

    def exchange(self, moves: list[dict[str, Any]], paused: dict[str, Any]) -> None:
        """Let what the backup brought take its places.

        :param paused: what was stopped for it, for whoever has to put it back.
        """
        for each in moves:
            files.flush(each["new"])
        self.note(moves, paused)
        for each in moves:
            if each["was"]:
                os.rename(each["path"], each["before"])
            os.rename(each["new"], each["path"])
            files.sync(os.path.dirname(each["path"]))

    def note(self, moves: list[dict[str, Any]], paused: dict[str, Any]) -> None:
        """Write down what is under way."""
        files.write_json(self.journal, {"moves": moves, "paused": paused}, 0o600)

    def paused(self) -> dict[str, Any]:
        """Return what a run that was cut off had stopped."""
        return files.read_json(self.journal, {}).get("paused", {})

    def undo(self) -> bool:
        """Put back what was there before an exchange, as far as that came; return whether one was under way."""
        known = files.read_json(self.journal)
        if not known:
            return False
        for each in known["moves"]:
            moved = os.path.lexists(each["before"]) if each["was"] else not os.path.lexists(each["new"])
            if moved and os.path.lexists(each["path"]):
                self._away(each["path"], each["new"])
            if moved and each["was"]:
                os.rename(each["before"], each["path"])
            files.sync(os.path.dirname(each["path"]))
        files.remove(self.journal)
        return True

    def _away(self, path: str, new: str) -> None:
        """Make room for what was there before: for what the backup brought, or for what somebody made meanwhile."""
        if not os.path.lexists(new):
            os.rename(path, new)
        elif os.listdir(path):
            os.rename(path, f"{path}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        else:
            os.rmdir(path)

    def keep(self) -> None:
        """Let go of what was there before: all is well."""
        if os.path.exists(self.journal):
            files.remove(self.journal)
        self.clean()

    def clean(self) -> None:
        """Remove what no exchange needs: nothing that is written down is under way."""
        for path in (f"{self.app.etc}.restored", f"{self.app.etc}.before", self.place):
            self._drop(path)

    def _drop(self, path: str) -> None:
        if os.path.lexists(path):
            files.remove_tree(path)
