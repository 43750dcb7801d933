"""Say who runs this playbook, see that no host is missing, and take over the lock of a run that is dead."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

WAIT = 10  # seconds between two lines that tell of waiting


def started(process):
    """Return when a process of this machine began (proc(5), stat, field 22), or None if it is gone."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def namespace():
    """Return what tells this machine's processes, since its boot, from those of others; "" where nothing does."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def owner():
    """Return who runs this playbook: the process that all workers of one run share."""
    process = os.getppid()
    place = namespace()
    return {
        "id": f"{place} {socket.gethostname()} {process} {started(process)}",
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "process": process,
        "started": started(process),
        "namespace": place,
    }


def dead(holder):
    """Tell whether an owner ran on this machine and runs no more."""
    here = bool(holder) and bool(holder["namespace"]) and holder["namespace"] == namespace()
    return here and started(holder["process"]) != holder["started"]


def missing(task_vars):
    """Return the hosts that this play was for and that an earlier step lost."""
    return sorted(set(task_vars["ansible_play_hosts_all"]) - set(task_vars["ansible_play_hosts"]))


class ActionModule(ActionBase):
    """Run the module with the owner, until it has the lock or the time to wait is over."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        lost = missing(task_vars)
        if lost:
            names = ", ".join(lost)
            said = f"{names}: lost before the deploy began; all hosts switch or none. Without them: --limit 'all:!"
            return {**result, "failed": True, "msg": f"{said}{':!'.join(lost)}'"}
        arguments = {"app": self._task.args["app"], "site": self._task.args.get("site", ""), "owner": owner()}
        left = int(self._task.args.get("wait", 0))
        while True:
            answer = self._execute_module("app_lock", {**arguments, "wait": min(left, WAIT)}, task_vars=task_vars)
            holder = answer.get("holder")
            if holder and dead(holder):
                Display().display(f"taking over from process {holder['process']} of {holder['user']}, which is gone")
                return self._execute_module("app_lock", {**arguments, "dead": holder["id"]}, task_vars=task_vars)
            left -= WAIT
            if not holder or left <= 0:
                return answer
            Display().display(f"waiting for process {holder['process']} of {holder['user']} on {holder['host']}")
