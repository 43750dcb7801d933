"""Make a change that could lock this controller out: the host takes it back unless a new connection confirms it.

``module`` is what makes the change, in its steps ``try`` and ``confirm``; ``options`` are the module's.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

BACK = 40  # seconds until the host has taken the change back, however busy it is
TAKEN_BACK = "{}: a new connection did not come through ({}). The host took the change back, and is as it was; {}"
LOST = "{}: a new connection did not come through ({}). The host takes the change back within 30 s of it; {}"
WAYS_OUT = {
    "host_firewall": "correct host_ssh_from, or look from where the host sees you: echo $SSH_CONNECTION",
    "host_ssh": "look at what the host says of it: sudo journalctl -u ssh",
}


class ActionModule(ActionBase):
    """Try, connect anew, confirm."""

    _VALID_ARGS = frozenset({"module", "options"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        module, options = self._task.args["module"], self._task.args.get("options", {})
        result = self._step(module, "try", options, task_vars)
        if result.get("failed") or not result.get("trial"):
            return result
        try:
            self._connection.reset()  # or the next step would go by the connection that stands
            confirmed = self._step(module, "confirm", options, task_vars)
        except (AnsibleConnectionFailure, AnsibleError) as error:
            return {"failed": True, "msg": self._after(module, error)}
        return {**result, **confirmed}

    def _step(self, module: str, step: str, options: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """Run the module, as a task of its own would."""
        arguments = {**options, "step": step}
        answer: dict[str, Any] = self._execute_module(module, module_args=arguments, task_vars=task_vars)
        return answer

    def _after(self, module: str, error: AnsibleError) -> str:
        """Wait until the host is as it was, and say so."""
        Display().display(f"a new connection did not come through; the host takes the change back within {BACK} s")
        said, end = str(error).splitlines()[0], time.monotonic() + BACK
        while time.monotonic() < end:
            time.sleep(2)
            try:
                self._connection.reset()
                if self._low_level_execute_command("true")["rc"] == 0:
                    return TAKEN_BACK.format(self._task.get_name(), said, WAYS_OUT[module])
            except AnsibleError:
                continue
        return LOST.format(self._task.get_name(), said, WAYS_OUT[module])
