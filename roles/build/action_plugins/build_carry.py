"""Move an image from the host that built it to the others, through a file on the controller."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"))
sys.path.append(os.path.join(os.path.dirname(__file__), "../../../plugins/plugin_utils"))

import room
from step_lines import progress

ARCHIVE = "image.tar.zst"


class ActionModule(ActionBase):
    """Run the module, and carry the file that it writes or reads."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments["state"] == "looked":
            return self._execute_module("build_carry", arguments, task_vars=task_vars)
        # Ansible removes this directory when the run ends.
        name = hashlib.sha256(arguments["image"].encode()).hexdigest()
        local = os.path.join(constants.DEFAULT_LOCAL_TMP, f"{name}.tar.zst")
        self._make_tmp_path()
        folder = self._connection._shell.tmpdir
        arguments["archive"] = self._connection._shell.join_path(folder, ARCHIVE)
        try:
            if arguments["state"] == "loaded":
                sent = {"path": folder, "bytes": os.path.getsize(local), "purpose": "the image's archive"}
                kept = {"path": "engine", "bytes": arguments.get("bytes", 0), "purpose": "the image"}
                room.demand(self, [{**sent, "kind": "sent"}, {**kept, "kind": "engine"}], task_vars)
                there = f"stat -c %s {shlex.quote(arguments['archive'])}"
                with self._followed(sent["bytes"], lambda beside: int(progress.said_on(beside, there)), task_vars):
                    self._transfer_file(local, arguments["archive"])
            answer: dict[str, Any] = self._execute_module("build_carry", arguments, task_vars=task_vars)
            if arguments["state"] == "saved" and not answer.get("failed"):
                room.demand_here(os.path.dirname(local), answer["bytes"], "the image's archive")
                with self._followed(answer["bytes"], lambda _beside: os.path.getsize(local), task_vars):
                    self._connection.fetch_file(arguments["archive"], local)
            return answer
        finally:
            self._remove_tmp_path(folder)

    def _followed(
        self, whole: int, size: Callable[[Any], int], task_vars: dict[str, Any] | None
    ) -> AbstractContextManager[None]:
        """Have the share of the file shown that has come, while it is on its way."""
        host = (task_vars or {}).get("inventory_hostname", "")
        return progress.followed(self, host, lambda beside: progress.share(size(beside), whole))
