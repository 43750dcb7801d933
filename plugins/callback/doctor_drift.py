"""Notes what roles would change while they only look, for the playbooks that tell of it; others are not noted."""

from __future__ import annotations

import os
import sys
from typing import Any

from ansible.playbook.handler import Handler
from ansible.plugins.callback import CallbackBase

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"))

import drift_notes
from step_lines.step import error_of

DOCUMENTATION = """
name: doctor_drift
type: aggregate
short_description: note what roles would change, for the doctor
description: Does nothing in a run of another playbook.
"""
PLAYBOOKS = ("doctor.yml", "report.yml")


class CallbackModule(CallbackBase):
    """Hands results to drift_notes, where role doctor reads them in the same process, or one that it becomes."""

    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "doctor_drift"

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self.disabled = os.path.basename(playbook._file_name) not in PLAYBOOKS
        if not self.disabled:
            drift_notes.begin()

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.is_changed() and not isinstance(result.task, Handler):
            drift_notes.note(*_where(result), result.result, result.task.args)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            drift_notes.note_failure(*_where(result), error_of(result.result))


def _where(result: Any) -> tuple[str, str, str]:
    """Return host, role and task of a result."""
    role = result.task._role
    return result.host.name, role.get_name() if role else "", result.task.name
