"""A task on its hosts, as one line; and what it says, as lines."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from typing import Any

import ssh_words
from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleError
from ansible.playbook.handler import Handler
from ansible.template import Templar

from . import progress

SHORT = 1.0  # seconds; a step that does nothing and takes less is not told
WORDS = {  # the first that is true of a host tells of the step
    "failed": (", FAILED", C.COLOR_ERROR),
    "lost": (", UNREACHABLE", C.COLOR_UNREACHABLE),
    "ignored": (", failed and is ignored", C.COLOR_WARN),
    "changed": (", changed", C.COLOR_CHANGED),
    "ok": ("", C.COLOR_OK),
    "skipped": (", skipped", C.COLOR_SKIP),
}
SHOWS = ("inspect_source", "logs_show")  # what these print is their whole say
PRINTED = ("module_stderr", "stderr", "module_stdout", "stdout")


def text_of(value: Any) -> str:
    """Return a message, or several, as lines."""
    return "\n".join(map(text_of, value)) if isinstance(value, list) else str(value).rstrip()


def error_of(result: dict[str, Any]) -> str:
    """Return why a task failed: its message and what a command printed."""
    said = text_of(result.get("msg") or result.get("censored") or "it did not say why").removeprefix("Task failed: ")
    return text_of([said, *(text_of(result[key]) for key in PRINTED if result.get(key) and result[key] not in said)])


def reached(host: Any, play: Any) -> dict[str, Any]:
    """Return what the inventory says of how to reach a host of a play: its own variables and those of its groups."""
    known = play.get_variable_manager().get_vars(play=play, host=host, include_hostvars=False)
    said = {name: known[name] for name in ssh_words.NAMES if name in known}
    with suppress(AnsibleError):
        said = Templar(play.get_loader(), variables=known).template(said)
    return {**said, "inventory_hostname": host.name}


def log_in(host: dict[str, Any]) -> list[str]:
    """Return the line that tells how to reach a host by hand; none where its variables are templates.

    :param host: its variables.
    """
    where = ssh_words.line(host)
    template = "{{" in where or "{%" in where
    return [] if template else [f"Log in by hand first, which also makes the host key known: {where}"]


def is_rescued(task: Any) -> bool:
    """Tell whether a task is in a block that goes on where it fails."""
    block = task._parent
    while block is not None and not getattr(block, "rescue", None):
        block = block._parent
    return block is not None


def together(texts: dict[str, str], hosts: int) -> list[str]:
    """Return each text once, below the names of its hosts unless those are all."""
    of = {texts[name]: [host for host in sorted(texts) if texts[host] == texts[name]] for name in sorted(texts)}
    return [text if len(of[text]) == hosts else f"{', '.join(of[text])}:\n{text}" for text in of]


class Step:
    """A task on its hosts."""

    def __init__(self, task: Any) -> None:
        self.began = self.ended = time.monotonic()
        self.id = task._uuid
        self.name, self.task_name = task.get_name().replace(" : ", ": ", 1), task.name
        self.says = task.action in C._ACTION_DEBUG or "success_msg" in task.args
        self.includes = task.action in C._ACTION_ALL_INCLUDES
        self.validates = task.action.endswith("validate_argument_spec")
        self.shows = task.action in SHOWS
        self.looks = bool(task.check_mode) and not context.CLIARGS.get("check")  # in a run that says itself what it saw
        self.handles = isinstance(task, Handler)
        self.asks = task.action.endswith("pause")  # a question stays on the terminal
        self.started, self.done, self.told, self.items = set(), {}, {}, defaultdict(list)

    def note(self, host: str, word: str, told: str) -> None:
        """Note what became of it on a host, and what it tells people."""
        self.started.add(host)
        self.done[host], self.ended = word, time.monotonic()
        if told:
            self.told[host] = f"{self.told[host]}\n{told}" if host in self.told else told

    def running(self) -> str:
        """Return the line while it runs."""
        done, started = len(self.done), len(self.started)
        if done == started or self.asks:
            return ""
        line = f"{time.monotonic() - self.began:7.0f} s  {self.name}"
        line += f", {done} of {started} hosts" if started > 1 else ""
        noted = progress.noted(self.id, self.started - self.done.keys())
        return f"{line}: {noted}" if noted else line

    def ends(self, check: bool) -> tuple[str, str]:
        """Return the line at its end, if there is any to tell, and its colour."""
        if self.started - self.done.keys():
            return f"{time.monotonic() - self.began:7.1f} s  {self.name}, interrupted", C.COLOR_WARN
        line, hosts = f"{self.ended - self.began:7.1f} s  {self.name}", len(self.started)
        word = next((word for word in WORDS if word in self.done.values()), "skipped")
        short = self.ended - self.began < SHORT
        silent = self.says or self.shows or self.validates or (short and self.includes)
        if self.looks:
            return ("", "") if short or silent or self.handles else (line, C.COLOR_OK)
        if (short and word == "skipped") or (word == "ok" and silent):
            return "", ""
        names = sorted(host for host in self.done if self.done[host] == word)
        said, color = WORDS[word]
        said = ", would change" if check and word == "changed" else said
        who = len(names) if word in ("changed", "skipped") else ", ".join(names)
        return line + said + (f" on {who} of {hosts} hosts" if said and len(names) < hosts else ""), color
