"""Notes what roles would change while they only look, for the playbooks that tell of it; others are not noted.

Where no host got as far as being judged, it prints the JSON that was asked for, which says why.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from ansible import context
from ansible.playbook.handler import Handler
from ansible.plugins.callback import CallbackBase
from ansible.utils.display import Display

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
JUDGES = "doctor_judge"  # the action that prints the findings
RULES = os.path.join(os.path.dirname(__file__), "../../roles/doctor/plugin_utils")


class CallbackModule(CallbackBase):
    """Hands results to drift_notes, where role doctor reads them in the same process, or one that it becomes."""

    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "doctor_drift"

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self.disabled = os.path.basename(playbook._file_name) not in PLAYBOOKS
        if not self.disabled:
            drift_notes.begin()
        self.judged, self.why, self.asks_json = False, {}, False

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self.asks_json = play.get_variable_manager().extra_vars.get("doctor_format") == "json"

    def v2_runner_on_ok(self, result: Any) -> None:
        self.judged |= result.task.action == JUDGES
        if result.is_changed() and not isinstance(result.task, Handler):
            drift_notes.note(*_where(result), result.result, result.task.args)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            drift_notes.note_failure(*_where(result), error_of(result.result))
            self.why[result.host.name] = error_of(result.result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.why[result.host.name] = error_of(result.result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        lost = [host for host in sorted(stats.processed) if host in stats.dark or host in stats.failures]
        if self.asks_json and lost and not self.judged:
            Display().display(unseen(sorted(stats.processed), {host: self.why.get(host, "") for host in lost}))


def unseen(asked: list[str], why: dict[str, str]) -> str:
    """Return the JSON of a run in which nobody could look.

    :param asked: the hosts of the run.
    :param why: {host: the error}.
    """
    sys.path.append(RULES)
    import health_rules as rules  # only this needs them
    from health_rules.apps import CHECK

    told = {host: f"nobody could look: {' '.join(text.split()) or 'it did not say why'}" for host, text in why.items()}
    inventory = " -i ".join(map(os.path.relpath, context.CLIARGS["inventory"] or ("inventories/...",)))
    found = [rules.Finding(rules.BROKEN, text, "ssh", CHECK, host=host) for host, text in told.items()]
    findings = rules.data([rules.named(each, inventory) for each in found])
    answer = {"at": round(time.time()), "hosts": asked, "findings": findings}
    return json.dumps(answer, indent=2, ensure_ascii=False)


def _where(result: Any) -> tuple[str, str, str]:
    """Return host, role and task of a result."""
    role = result.task._role
    return result.host.name, role.get_name() if role else "", result.task.name
