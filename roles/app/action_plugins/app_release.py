"""Bring a release one step further, and say what becomes of a deploy that loses a host, or its own run, meanwhile."""

from __future__ import annotations

import math
import os
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

LOOK = "what serves on each host: ansible-playbook playbooks/status.yml -i inventories/..."
BEFORE = "no host has switched: where a release served before, it serves on"
NEXT = "the same command again goes on from there"
LOST = {
    "switched": "if it has begun to switch, it goes back by itself within {silence} s, and so do the others",
    "watched": "it goes back by itself within {silence} s, and the others are taken back now",
    "tried": "it goes back by itself within {silence} s, and the others are taken back now",
    "confirmed": "it serves the new release if the word reached it; if not, it goes back by itself within {silence} s",
    "retired": "it serves the new release if it was confirmed; what served before runs on there until the next deploy",
}
INTERRUPTED = (
    "each host now switches, and goes back by itself unless this run confirms it; after Ctrl-C within {silence} s\n"
    "{look}"
)

PLACE = "inventories/..."  # in what a host says: it does not know from where it is deployed to
SHOWN = ("msg", "summary", "said", "plan", "reason")


def used(task_vars: dict[str, Any]) -> str:
    """Return the inventory of this run, as one would type it."""
    sources = [
        source if "," in source else os.path.relpath(source) for source in task_vars["ansible_inventory_sources"]
    ]
    return " -i ".join(sources) or PLACE


def named(value: Any, inventory: str) -> Any:
    """Return a message, or several, with the inventory of this run in the commands that it shows."""
    if isinstance(value, list):
        return [named(each, inventory) for each in value]
    return value.replace(PLACE, inventory) if isinstance(value, str) else value


def waves(task_vars: dict[str, Any]) -> int:
    """Return in how many turns the hosts are served: with more hosts than forks some wait for the others."""
    return math.ceil(len(task_vars["ansible_play_hosts_all"]) / int(task_vars["ansible_forks"]))


class ActionModule(ActionBase):
    """Run the module with times that the turns of all hosts fit into."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        arguments["confirm"] = int(arguments.get("confirm", 30)) * waves(task_vars)
        watched = (arguments.get("watch") or {}).get("seconds", 0)
        silence = int(arguments["confirm"]) + int(watched)
        inventory = used(task_vars)
        host, state = task_vars["inventory_hostname"], arguments["state"]
        if state == "switched" and host == task_vars["ansible_play_hosts"][0] and not task_vars["ansible_check_mode"]:
            Display().display(INTERRUPTED.format(silence=silence, look=named(LOOK, inventory)))
        try:
            answer = self._execute_module("app_release", arguments, task_vars=task_vars)
            return {**answer, **{name: named(answer[name], inventory) for name in SHOWN if name in answer}}
        except AnsibleConnectionFailure as error:
            becomes = LOST.get(state, BEFORE).format(silence=silence)
            look = named(LOOK, inventory)
            raise AnsibleConnectionFailure(f"{host} was lost: {becomes}; {NEXT}; {look}. {error}") from error
