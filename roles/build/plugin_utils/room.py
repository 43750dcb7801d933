"""Room for what travels between the controller and the hosts, asked before it is on its way."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

OTHERS = 16 << 20  # bytes that stay free for whatever else writes there


def demand(action: ActionBase, needs: list[dict[str, Any]], task_vars: dict[str, Any] | None) -> None:
    """Stop where the host of an action has too little room.

    :param needs: see module host_room.
    """
    answer: dict[str, Any] = action._execute_module("host_room", {"needs": needs}, task_vars=task_vars)
    lines = [answer.get("msg", "it did not tell its room")] if answer.get("failed") else answer["mistakes"]
    if lines:
        raise AnsibleActionFail("\n".join(lines))


def demand_here(folder: str, size: int, purpose: str) -> None:
    """Stop where the controller has too little room."""
    disk = os.statvfs(folder)
    free, needed = disk.f_bavail * disk.f_frsize, size + OTHERS
    if free < needed:
        raise AnsibleActionFail(
            f"{folder} on the controller has {free >> 20} MB free; {-(-needed >> 20)} MB are needed for {purpose}; "
            "make room there, or name another directory: ANSIBLE_LOCAL_TEMP=/var/tmp/ansible ansible-playbook ..."
        )
