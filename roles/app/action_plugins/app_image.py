"""Move an image from the host that built it to the others, through a file on the controller."""

from __future__ import annotations

import hashlib
import os

from ansible import constants
from ansible.plugins.action import ActionBase

ARCHIVE = "image.tar.zst"


class ActionModule(ActionBase):
    """Run the module, and carry the file that it writes or reads."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments["state"] == "looked":
            return self._execute_module("app_image", arguments, task_vars=task_vars)
        # Ansible removes this directory when the run ends.
        name = hashlib.sha256(arguments["image"].encode()).hexdigest()
        local = os.path.join(constants.DEFAULT_LOCAL_TMP, f"{name}.tar.zst")
        self._make_tmp_path()
        arguments["archive"] = self._connection._shell.join_path(self._connection._shell.tmpdir, ARCHIVE)
        try:
            if arguments["state"] == "loaded":
                self._transfer_file(local, arguments["archive"])
            answer = self._execute_module("app_image", arguments, task_vars=task_vars)
            if arguments["state"] == "saved" and not answer.get("failed"):
                self._connection.fetch_file(arguments["archive"], local)
            return answer
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
