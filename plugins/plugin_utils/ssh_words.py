"""The command that logs in to a host of the inventory, as a line that can be pasted."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

USUAL = 22  # port
KEYS = ("ansible_ssh_private_key_file", "ansible_private_key_file")
MORE = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
NAMES = ("ansible_host", "ansible_user", "ansible_ssh_user", "ansible_port", *KEYS, *MORE)


def line(host: Mapping[str, Any], *options: str) -> str:
    """Return the command.

    :param host: variables of the host, as the inventory has them.
    :param options: of ssh.
    """
    port, key = host.get("ansible_port"), next(filter(None, map(host.get, KEYS)), None)
    name = host.get("ansible_host") or host["inventory_hostname"]
    user = host.get("ansible_user") or host.get("ansible_ssh_user")
    words = ["ssh", *options, *(("-p", str(port)) if port and int(port) != USUAL else ())]
    words += ["-i", str(key)] if key else []
    words += [word for each in MORE for word in shlex.split(str(host.get(each) or ""))]
    return shlex.join([*map(shorter, words), f"{user}@{name}" if user else str(name)])


def shorter(word: str) -> str:
    """Return a path below this directory as it is typed here, and any other word as it is."""
    here = os.path.relpath(word) if os.path.isabs(word) else ""
    return here if here and not here.startswith("..") else word
