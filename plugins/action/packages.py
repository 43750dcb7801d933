"""Install Debian packages. What apt does is shown while it runs; it never removes a package, whatever a task says."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from ansible.plugins.action import ActionBase

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"))

from step_lines import progress

LOG = "/var/log/dpkg.log"
WRITTEN = re.compile(r"[\d-]+ [\d:]+ (?:status )?(?!startup)([\w-]+ [^\s:]+)")
ALWAYS = {"install_recommends": False, "fail_on_autoremove": True, "update_cache": True, "cache_valid_time": 86400}
STALE = "Unable to fetch some archives"  # the mirror has newer ones than those that the host's lists name


class ActionModule(ActionBase):
    """Hand a list of names to apt, and read dpkg's log beside it."""

    _VALID_ARGS = frozenset({"name", "policy_rc_d"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = {**self._task.args, **ALWAYS}
        with progress.followed(self, (task_vars or {}).get("inventory_hostname", ""), Log()):
            done = self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars)
            if done.get("failed") and STALE in str(done.get("msg")):
                arguments["cache_valid_time"] = 0
                done = self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars)
            return done


class Log:
    """Tells what dpkg wrote last, once it has written anything since the first look."""

    before: str | None = None

    def __call__(self, connection: Any) -> str:
        last = progress.said_on(connection, f"tail -n 1 {LOG}").strip()
        if self.before is None:
            self.before = last
        written = WRITTEN.match(last)
        return written[1] if written and last != self.before else ""
