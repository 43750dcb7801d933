#!/usr/bin/python
"""Look at a host, and tell what was seen; judge nothing and change nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils import doctor_beside as beside
from ansible.module_utils import doctor_host as itself
from ansible.module_utils.flask_deploy.host import condition
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: doctor_look
short_description: Look at a host, and tell what was seen
description: Reads files and asks programs; changes nothing. What cannot be looked at does not hide the rest.
options:
  app: {type: str, required: true, description: Name of the app.}
  certificate: {type: str, required: true, description: Name of the app whose certificate it has.}
  backup: {type: bool, default: false, description: Whether the app is to be backed up.}
  paths: {type: list, elements: str, default: [], description: Files of which it is to be told when they changed.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look at the host
  doctor_look:
    app: shop
    certificate: shop
"""

RETURN = r"""
facts: {type: dict, returned: always, description: What was seen, by subject.}
unseen: {type: dict, returned: always, description: "What could not be looked at, and why."}
"""


def look(params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (facts, {what could not be looked at: why})."""
    app, owner = params["app"], params["certificate"]
    questions: dict[str, Callable[[], Any]] = {
        "disks": itself.disks,
        "memory": itself.memory,
        "limits": itself.limits,
        "units": condition.units,
        "packages": itself.packages,
        "reboot": itself.reboot,
        "clock": condition.clock,
        "apparmor": itself.apparmor,
        "accounts": itself.accounts,
        "sshd": itself.sshd,
        "engine": beside.containers,
        "listening": beside.listening,
        "sites": beside.sites,
        "certificate": lambda: condition.told("keep_certificates", owner),
        "backup": lambda: condition.told("keep_backups", app) if params["backup"] else {},
        "release": lambda: beside.release(app),
        "fingerprint": lambda: beside.fingerprint(owner),
        "changed": lambda: itself.changed(params["paths"]),
    }
    facts, unseen = {"now": time.time()}, {}
    for name, question in questions.items():
        try:
            facts[name] = question()
        except Exception as error:  # whatever is wrong with a host must not hide the rest of it
            unseen[name] = f"{type(error).__name__}: {error}"[:300]
    return facts, unseen


def main() -> None:
    module = QuietModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "certificate": {"type": "str", "required": True},
            "backup": {"type": "bool", "default": False},
            "paths": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    facts, unseen = look(module.params)
    module.exit_json(changed=False, facts=facts, unseen=unseen)


if __name__ == "__main__":
    main()
