"""Run a command in the release that serves, as it was typed, and show what it printed as it is."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

sys.path.append(os.path.join(os.path.dirname(__file__), "../../../plugins/plugin_utils"))

import ssh_words

NAME = "run_command"
OTHERS = re.compile(r"(^|\s)run_(on|timeout)=")
EXAMPLE = "-e run_command='flask x' -e run_on=all"
LOST = "the command may run on there until it ends; see it: sudo docker ps --filter label=flask-deploy.aside"


def typed(given: str) -> str:
    """Return the command as it was typed: of `-e run_command="flask x a=b"` Ansible gives the first word alone.

    The shell takes those quotes away; Ansible takes the other words for variables, or drops them.
    """
    for each in reversed(context.CLIARGS.get("extra_vars") or ()):
        name, _, said = str(each).strip().partition("=")
        if name == NAME and said[:1] not in ("'", '"'):
            if OTHERS.search(said):
                raise AnsibleActionFail(f"{NAME}: give each variable an -e of its own: {EXAMPLE}")
            return said
    return given


class ActionModule(ActionBase):
    """Run the module; what the command printed goes to the screen, not into the result."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments, host = dict(self._task.args), task_vars["inventory_hostname"]
        if not arguments.get("program"):
            arguments["command"] = typed(arguments.get("command", ""))
        try:
            result: dict[str, Any] = self._execute_module(NAME, arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            raise AnsibleConnectionFailure(f"{host} was lost: {LOST}. {error}") from error
        if result.get("path"):
            result["typed"] = f"{ssh_words.line(dict(task_vars['hostvars'][host]), '-t')} sudo {result['path']}"
        output = result.pop("output", "") or result.get("would", "")
        many = arguments.get("hosts") == "all" and len(task_vars["ansible_play_hosts_all"]) > 1
        if output:
            Display().display((f"{host}:\n" if many else "") + output.removesuffix("\n"))
        return result
