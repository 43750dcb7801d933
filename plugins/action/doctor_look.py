"""Look at a host by the module of this name, also at when those files were changed that roles found to differ."""

from __future__ import annotations

import os
import sys
from typing import Any

from ansible.plugins.action import ActionBase

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"))

import drift_notes


class ActionModule(ActionBase):
    """Add the files to what the module is asked, and what was noted of the host to its answer."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        host = (task_vars or {})["inventory_hostname"]
        arguments = {**self._task.args, "paths": drift_notes.paths(host)}
        answer = self._execute_module("doctor_look", arguments, task_vars=task_vars)
        return {**answer, "notes": drift_notes.of(host), "compared": drift_notes.NOTES is not None}
