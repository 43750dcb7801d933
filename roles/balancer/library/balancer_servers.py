#!/usr/bin/python
"""Say to a balancer which of an app's hosts get requests."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils import balancer_haproxy as haproxy
from ansible.module_utils.flask_deploy.host import locks
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: balancer_servers
short_description: Say to a balancer which of an app's hosts get requests
description:
  - C(left_out) keeps requests from hosts that a run does not switch. It fails for one that serves, as that would go on
    with the release before.
  - C(level) gives requests again to hosts that were left out; others that were drained stay so.
  - C(drained) gives hosts no new requests, and waits for those that they have. It fails where no other host serves.
  - C(undrained) gives drained hosts requests again. It fails for one that was left out meanwhile.
options:
  state:
    type: str
    required: true
    choices: [left_out, level, drained, undrained]
    description: What becomes of hosts.
  app: {type: str, required: true, description: Name of the app.}
  hosts: {type: list, elements: str, required: true, description: Names of hosts, as the inventory has them.}
  wait: {type: float, default: 30, description: Seconds that the requests of drained hosts have.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Give a host no new requests
  balancer_servers:
    state: drained
    app: shop
    hosts: [web2]
"""

RETURN = r"""
hosts: {type: dict, returned: success, description: "State of each of the app's hosts: up, out, drained, sessions."}
busy: {type: dict, returned: success, description: Sessions of drained hosts whose time was up.}
"""

NEXT = {"left_out": "maint", "level": "ready", "drained": "drain", "undrained": "ready"}


def due(state: str, hosts: list[str], known: dict[str, dict[str, Any]]) -> list[str]:
    """Return the hosts whose state is to change.

    :param known: {host: its state}, as HAProxy has it.
    :raises BalancerError: visitors would get an older release, or nothing.
    """
    named = [host for host in hosts if host in known]  # the others are yet to be set up
    away = {host for host, each in known.items() if each["out"] or each["drained"]}
    serving = [host for host, each in known.items() if each["up"] and host not in away]
    if state == "left_out":
        if behind := [host for host in named if host in serving]:
            said = f"{', '.join(behind)} would go on serving the release before, as this run leaves it out"
            raise haproxy.BalancerError(f"{said}; deploy to all hosts, or drain it first: playbooks/drain.yml")
        return [host for host in named if not known[host]["out"]]
    left_out = [host for host in named if known[host]["out"]]
    if state == "level":
        return left_out
    if state == "undrained":
        if left_out:
            said = f"{', '.join(left_out)} was left out of a deploy, and would serve the release before"
            raise haproxy.BalancerError(f"{said}; deploy to all hosts: that gives it requests again")
        return [host for host in named if host in away]
    if not set(serving) - set(hosts):
        raise haproxy.BalancerError(f"no other host than {', '.join(hosts)} serves: visitors would get nothing")
    return [host for host in named if host not in away]


def main() -> None:
    module = QuietModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(NEXT)},
            "app": {"type": "str", "required": True},
            "hosts": {"type": "list", "elements": "str", "required": True},
            "wait": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    state, app, hosts = (module.params[name] for name in ("state", "app", "hosts"))
    if not os.path.exists(f"{haproxy.PLACE}/{app}.cfg"):  # site.yml has yet to make it a balancer of this app
        module.exit_json(changed=False, hosts={}, busy={})
    try:
        with locks.locked(haproxy.LOCK):
            changes = due(state, hosts, haproxy.servers(app))
            for host in [] if module.check_mode else changes:
                haproxy.tell(app, host, NEXT[state])
        waits = state == "drained" and not module.check_mode
        busy = haproxy.wait_until_idle(app, changes, module.params["wait"]) if waits else {}
        known = haproxy.servers(app)
    except (haproxy.BalancerError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), hosts=known, busy=busy)


if __name__ == "__main__":
    main()
