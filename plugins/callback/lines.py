"""What a run prints for people: a line a step as it ends, then the summary, then each error once."""

from __future__ import annotations

import atexit
import os
import sys
from collections import defaultdict
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.callback import CallbackBase, default
from ansible.utils.display import Display

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"))

from step_lines import diffs, terminal
from step_lines.step import Step, error_of, is_rescued, log_in, reached, text_of, together
from step_lines.verdict import Verdict

DOCUMENTATION = """
name: lines
type: stdout
short_description: a line a step, then the summary, then each error once
description: With -v or more it is Ansible's own C(default).
extends_documentation_fragment: [default_callback, result_format_callback]
"""
SUMMARY = "Summarise"  # the task whose message ends the run, with the messages after it


class Lines(CallbackBase):
    """Ansible's events as lines."""

    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "lines"

    def __init__(self) -> None:
        super().__init__()
        self.heading, self.steps, self.errors, self.kept = "", {}, defaultdict(list), []
        self.verdict, self.looks, self.aside = Verdict(), False, False
        atexit.register(self.v2_playbook_on_stats, None)
        terminal.keep(self._running, self._display._lock)

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self.verdict.starts(playbook._file_name)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._close(whole=True)
        self.play, self.heading, self.verdict.runs = play, play.get_name().strip(), True
        self.looks = bool(play.check_mode) and not context.CLIARGS["check"]  # what it would change is no change
        self.aside = play.get_variable_manager().extra_vars.get("doctor_format") == "json"

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool = False) -> None:
        self._close()

    v2_playbook_on_handler_task_start = v2_playbook_on_task_start

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._step(task).started.add(host.name)

    def v2_runner_on_ok(self, result: Any) -> None:
        told = []
        if self._step(result.task).says:
            self._clean_results(result.result, result.task.action)
            of = result.result.get("results") or [result.result]
            told = [each["msg"] if "msg" in each else self._dump_results(each).strip("\n") for each in of]
        self._note(result, "changed" if result.is_changed() else "ok", text_of(told))

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._note(result, "skipped")

    def v2_runner_item_on_failed(self, result: Any) -> None:
        item = f"{self._get_item_label(result.result)}: {error_of(result.result)}"
        self._step(result.task).items[result.host.name].append(item)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if self._step(result.task).looks and (ignore_errors or is_rescued(result.task)):
            self._note(result, "ignored")  # whoever looks tells of it
            return
        why = text_of(self._step(result.task).items[result.host.name]) or error_of(result.result)
        self._note(result, "ignored" if ignore_errors else "failed", why, goes_on=ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        why = text_of([error_of(result.result), *log_in(reached(result.host, self.play))])
        self._note(result, "lost", why, goes_on=result.task.ignore_unreachable)

    def v2_on_file_diff(self, result: Any) -> None:
        if self._step(result.task).looks and not context.CLIARGS["diff"]:
            return
        of = result.result.get("results") or [result.result]
        found = [each["diff"] for each in of if each.get("diff") and each.get("changed")]
        told, short = diffs.text(found, self._get_diff)
        self.verdict.short |= short
        self._note(result, "changed", told.strip("\n"))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """End with the hosts' counts where one failed, the summary, the errors and a verdict; also what is stopped."""
        self._close(whole=True)
        self.heading = ""
        counts = {host: stats.summarize(host) for host in sorted(stats.processed)} if stats else {}
        failed = [host for host in counts if counts[host]["failures"] or counts[host]["unreachable"]]
        for blank, host in enumerate(counts if failed and not self.looks else ()):
            told = [f"{key.replace('failures', 'failed')}={count}" for key, count in counts[host].items() if count]
            self._say("\n" * (not blank) + f"{host}: {' '.join(told)}")
        if self.kept:
            self._say(text_of(["", *self.kept]))
        for text, color in self._explain(failed if stats else list(self.errors)):
            self._say(f"\n{text}", color)
        said = self.verdict.lines(context.CLIARGS["check"], len(counts) if stats else None, bool(failed))
        if said:
            self._say(text_of(["", *said]))
        self.errors, self.kept = defaultdict(list), []

    def _running(self) -> str:
        return next(filter(None, [step.running() for step in [*self.steps.values()]]), "")

    def _step(self, task: Any) -> Step:
        return self.steps.setdefault(task._uuid, Step(task))

    def _say(self, text: str, color: str | None = None) -> None:
        """Write lines, the first of a play below its name."""
        heading, self.heading = self.heading, ""
        if heading:
            self._display.display(f"\n{heading}", stderr=self.aside)
        self._display.display(text, color, stderr=self.aside)

    def _note(self, result: Any, word: str, told: str = "", goes_on: bool = True) -> None:
        """Note what became of a task on a host; an error that the run stops for is told at its end."""
        self.verdict.warned |= bool(result.result.get("warnings"))
        self._handle_warnings(result.result)
        step, host = self._step(result.task), result.host.name
        step.note(host, word, told if goes_on else "")
        if not goes_on:
            self.errors[host].append((step.name, told))

    def _close(self, whole: bool = False) -> None:
        """Tell of the steps that ended."""
        for key, step in [*self.steps.items()]:
            if not whole and len(step.done) < len(step.started):
                continue
            del self.steps[key]
            line, color = step.ends(context.CLIARGS["check"])
            self.verdict.note([host for host, word in step.done.items() if word == "changed"])
            if line:
                self._say(line, color)
            said = together(step.told, len(step.started))
            if step.says and (self.kept or step.task_name == SUMMARY):
                self.kept += said
            elif said:
                self._say(text_of(said))

    def _explain(self, hosts: list[str]) -> list[tuple[str, str | None]]:
        """Return why hosts failed, each text once: what a rescue left out, then what it said, the longest last."""
        found = defaultdict(list)
        for host in hosts:
            for place, (name, text) in enumerate(self.errors[host], start=1):
                later = self.errors[host][place:]
                again = text_of([text for _name, text in later]).splitlines()
                left = text_of([line for line in text.splitlines() if line not in again])
                if left:
                    found[not later, name if later else self.errors[host][0][0], left].append(host)
        ends = sorted(found.items(), key=lambda end: (end[0][0], end[0][2].count("\n")))
        return [
            (f"{'ERROR' if last else 'said'} on {', '.join(names)} in {name}:\n{text}", C.COLOR_ERROR if last else None)
            for (last, name, text), names in ends
        ]


# -v or more: Ansible's own output, whole.
CallbackModule = type("CallbackModule", (default.CallbackModule if Display().verbosity else Lines,), {})
