"""Read a repository on the controller, and print the variables that its app needs; nothing of it is run."""

from __future__ import annotations

import os
import sys
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# A role's plugins find no code beside them by themselves; a collection's do, under this name.
sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"))

from source_inspect.report import read
from source_inspect.tree import TreeError

NEEDED = "build_source: what is to be read? example: -e build_source=https://git.example.com/shop.git"


class ActionModule(ActionBase):
    """Print the variables; change nothing."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        given = {name: str(value) for name, value in self._task.args.items() if value}
        if not given.get("build_source"):
            raise AnsibleActionFail(NEEDED)
        try:
            text = read(given)
        except TreeError as error:
            raise AnsibleActionFail(str(error)) from None
        Display().display(f"\n{text}\n")
        return {"changed": False}
