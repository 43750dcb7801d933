#!/usr/bin/python
"""Set the host's firewall, in a way that brings the old one back unless a new connection confirms it."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils import host_before as before
from ansible.module_utils import host_firewalls as firewalls
from ansible.module_utils.flask_deploy.host import connection, files, trial
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.host_ruleset import TABLE, ruleset

DOCUMENTATION = r"""
module: host_firewall
short_description: Set the host's firewall
description:
  - C(look) fails where the host has a firewall already, names what would be closed or changed, and changes nothing.
  - C(try) loads the rules, and lets systemd take them back after 30 seconds.
  - C(confirm) keeps them. It must come by a new connection.
options:
  step: {type: str, choices: [look, try, confirm], required: true, description: What is to be done.}
  ssh_from: {type: list, elements: str, default: [], description: Networks that may reach sshd; empty means all.}
  ssh_rate: {type: int, default: 30, description: New connections to sshd a minute, for each source.}
  ports: {type: dict, default: {}, description: "What else is open, by name: port, protocol, from."}
  egress: {type: dict, default: {}, description: "What containers may reach, by name: to, port, protocol."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look at the host's firewall
  host_firewall:
    step: look
    ports:
      metrics: {port: 9100, from: [10.0.0.0/8]}
"""

RETURN = r"""
told: {type: list, returned: success, description: One line for each thing that the firewall would close or change.}
trial: {type: bool, returned: success, description: Whether the change waits for its confirmation.}
"""

RULES = "/etc/nftables.d/flask-deploy.nft"
STATE = "/var/lib/flask-deploy/firewall.json"
TRIED = f"{trial.PLACE}/firewall.nft"
BACK = f"{trial.PLACE}/firewall-back.nft"
OPEN = {"ports", "egress", "ssh_from"}  # options that open something
NONE = f"table {TABLE}\ndelete table {TABLE}\n"


def wanted(params: dict[str, Any]) -> str:
    """Return the rules as they are to be.

    :raises TrialError: there is no port of sshd to leave open.
    """
    ssh = connection.ports()
    if not ssh:
        raise trial.TrialError("no port of sshd was found, so nothing could get in any more; look at: sudo sshd -T")
    chosen = {name: params[name] for name in ("ssh_from", "ssh_rate", "ports", "egress")}
    return ruleset(ssh, uplinks=firewalls.uplinks(), **chosen)


def loaded() -> str | None:
    """Return the digest of the table that the kernel has, without counters and what it learned; None without one."""
    code, said = before.run("nft", "--stateless", "--terse", "list", "table", *TABLE.split())
    return None if code else files.digest(said)


def is_set(text: str) -> bool:
    """Tell whether these rules are on the disk, and the kernel has them as nobody changed them."""
    known = files.read_json(STATE, {}).get("loaded")
    return files.read(RULES) == text.encode() and known is not None and known == loaded()


def attempt(text: str) -> None:
    """Load rules for a while.

    :raises TrialError: nft refuses them, or nothing would take them back.
    """
    files.ensure_directory(trial.PLACE, 0o700)
    files.write(TRIED, text.encode(), 0o600)
    code, said = before.run("nft", "--check", "--file", TRIED)
    if code:
        raise trial.TrialError(f"nft refuses the rules: {' '.join(said.split())[:500]}")
    files.write(BACK, files.read(RULES, NONE.encode()), 0o600)
    trial.begin("firewall", f"nft --file {BACK}", {"connection": connection.current(), "digest": files.digest(text)})
    code, said = before.run("nft", "--file", TRIED)
    if code:
        trial.give_up("firewall")
        raise trial.TrialError(f"nft refuses the rules: {' '.join(said.split())[:500]}")


def keep(params: dict[str, Any]) -> None:
    """Write the rules that were tried, so the host has them when it starts.

    :raises TrialError: they were taken back, or this is the connection that they were loaded by.
    """
    trial.judge("firewall", connection.current())
    trial.confirm("firewall")
    for path in (RULES, STATE):
        before.open_directory(os.path.dirname(path))
    files.write(RULES, files.read(TRIED))
    remember(params)


def remember(params: dict[str, Any]) -> None:
    """Write down what is loaded, and what is open by it, for the next run to compare with."""
    files.write(STATE, files.canonical({"loaded": loaded(), **{name: params[name] for name in OPEN}}))


def run(params: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Take a step; return what the module says."""
    if params["step"] == "confirm":
        keep(params)
        return {"changed": True, "trial": False, "told": []}
    text = wanted(params)
    if params["step"] == "look":
        there, known = os.path.exists(RULES), files.read_json(STATE, {})
        told = firewalls.changed(known, params) if there else firewalls.closed(params["ports"])
        return {"changed": False, "trial": False, "told": told}
    changed = not is_set(text)
    if not changed and not dry and OPEN - files.read_json(STATE, {}).keys():  # an earlier version wrote it
        remember(params)
    if changed and not dry:
        attempt(text)
    return {"changed": changed, "trial": changed and not dry, "told": []}


def main() -> None:
    module = QuietModule(
        argument_spec={
            "step": {"type": "str", "choices": ["look", "try", "confirm"], "required": True},
            "ssh_from": {"type": "list", "elements": "str", "default": []},
            "ssh_rate": {"type": "int", "default": 30},
            "ports": {"type": "dict", "default": {}},
            "egress": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    mistakes = [] if module.params["step"] == "confirm" or os.path.exists(RULES) else firewalls.others()
    if mistakes:
        module.fail_json(msg="\n".join(["nothing was changed; to be mended:", *(f"  {line}" for line in mistakes)]))
    try:
        module.exit_json(**run(module.params, module.check_mode))
    except trial.TrialError as error:
        module.fail_json(msg=f"the firewall is as it was: {error}")


if __name__ == "__main__":
    main()
