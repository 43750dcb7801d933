"""Say who runs this playbook, see that no host is missing, and take over the lock of a run that is dead.

``step`` and ``once``: seconds that one step of the run may take on each host, and on one host while the others wait.
"""

from __future__ import annotations

import getpass
import math
import os
import socket
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

WAIT = 10  # seconds between two lines that tell of waiting
LIFE = 60  # seconds that a lease lives while its run is between two steps
SETTLES = 60  # seconds that a host may take to settle a switch that its last end cut off


def started(process: int) -> str | None:
    """Return when a process of this machine began (proc(5), stat, field 22), or None if it is gone."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def namespace() -> str:
    """Return what tells this machine's processes, since its boot, from those of others; "" where nothing does."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def owner(life: int = LIFE) -> dict[str, Any]:
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
        "life": life,
        "settles": False,
    }


def life(task_vars: dict[str, Any], step: int, once: int) -> int:
    """Return how long a lease must live between two steps on its host: the others take their turns meanwhile."""
    hosts, forks = len(task_vars["ansible_play_hosts_all"]), int(task_vars["ansible_forks"])
    return LIFE if hosts == 1 else LIFE + once + step * math.ceil(hosts / forks)


def dead(holder: dict[str, Any]) -> bool:
    """Tell whether an owner ran on this machine and runs no more."""
    place = holder.get("namespace")
    return bool(place) and place == namespace() and started(holder["process"]) != holder.get("started")


def refuse(task_vars: dict[str, Any], strategy: str) -> str | None:
    """Return why this run cannot promise that all hosts switch or none; None if it can."""
    hosts, left = task_vars["ansible_play_hosts_all"], task_vars["ansible_play_hosts"]
    lost = sorted(set(hosts) - set(left))
    if lost:
        said = f"{', '.join(lost)}: lost before the deploy began; all hosts switch or none. Without them: --limit"
        return f"{said} 'all:!{':!'.join(lost)}'"
    if strategy != "linear":
        return f"the play's strategy is {strategy}; all hosts switch or none only with: strategy: linear"
    if len(task_vars["ansible_play_batch"]) < len(hosts):
        return "the play has serial; all hosts switch or none, so take it out of the play"
    return None


def tell(holder: dict[str, Any]) -> str:
    """Return a line for whoever waits for a lock."""
    if holder.get("settles"):
        return f"{holder['host']} settles a switch that its last end cut off; waiting for it"
    return f"waiting for process {holder['process']} of {holder['user']} on {holder['host']}"


class ActionModule(ActionBase):
    """Run the module with the owner, until it has the lock or the time to wait is over."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        given = self._task.args
        refusal = refuse(task_vars, self._task.play.strategy)
        if refusal:
            return {**result, "failed": True, "msg": refusal}
        lives = life(task_vars, int(given.get("step", 0)), int(given.get("once", 0)))
        arguments = {"app": given["app"], "site": given.get("site", ""), "look": bool(given.get("look", False))}
        arguments["owner"] = owner(lives)
        return self._take(arguments, int(given.get("wait", 0)), task_vars)

    def _take(self, arguments: dict[str, Any], wait: int, task_vars: dict[str, Any]) -> dict[str, Any]:
        waited, taken = 0, ""
        while True:
            turn = max(0, min(wait - waited, WAIT))
            given = {**arguments, "wait": turn, "dead": taken}
            answer: dict[str, Any] = self._execute_module("app_lock", given, task_vars=task_vars)
            for name in answer.get("ended", []):
                Display().display(f"ended {name}, the release command of a run that is gone")
            holder, tried, taken = answer.get("holder"), taken, ""
            if holder and dead(holder):
                if tried == holder["id"]:  # what it left running does not end
                    return answer
                Display().display(f"taking over from process {holder['process']} of {holder['user']}, which is gone")
                taken = holder["id"]
                continue
            if holder and holder.get("settles"):
                wait = max(wait, SETTLES)
            if not holder or waited >= wait:
                return answer
            Display().display(tell(holder))
            waited += turn or 1
