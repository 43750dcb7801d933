#!/usr/bin/python
"""Let a balancer hand an app's requests to its hosts."""

from __future__ import annotations

from ansible.module_utils import balancer_haproxy as haproxy
from ansible.module_utils.flask_deploy.host import locks, systemd
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: balancer_site
short_description: Let a balancer hand an app's requests to its hosts
description:
  - C(looked) fails where HAProxy or keepalived is somebody else's, or a port is taken.
  - C(absent) takes an app away, with HAProxy's configuration where it was the last.
  - C(present) writes what HAProxy reads, has it test that, and reloads it. Files that it refuses are put back.
options:
  state: {type: str, required: true, choices: [looked, present, absent], description: How far to go.}
  app: {type: str, description: Name of the app.}
  names: {type: list, elements: str, description: Names that visitors call the app by.}
  config: {type: str, description: Content of haproxy.cfg.}
  backend: {type: str, description: Content of the app's own file.}
  trusted: {type: str, description: CA of the hosts' certificates in PEM.}
  unit: {type: str, description: What is laid over HAProxy's unit.}
  moves: {type: str, description: What is laid over keepalived's unit.}
  pages: {type: dict, description: "{name of a file: content} of what HAProxy answers itself."}
  keepalived: {type: str, default: "", description: Content of keepalived.conf; empty for none.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look at whose HAProxy the balancer has
  balancer_site:
    state: looked
"""

RETURN = r"""
actions: {type: list, returned: always, description: "What was, or would be, done."}
"""

TEXTS = ("config", "backend", "trusted", "unit", "moves")


def main() -> None:
    module = QuietModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["looked", "present", "absent"]},
            "app": {"type": "str"},
            "names": {"type": "list", "elements": "str"},
            **{name: {"type": "str"} for name in TEXTS},
            "pages": {"type": "dict"},
            "keepalived": {"type": "str", "default": ""},
        },
        required_if=[("state", "absent", ("app",)), ("state", "present", ("app", "names", "pages", *TEXTS))],
        supports_check_mode=True,
    )
    options, actions = module.params, []
    try:
        if options["state"] == "looked":
            if said := haproxy.foreign():
                module.fail_json(msg="nothing was changed; to be mended:\n" + "\n".join(f"  {line}" for line in said))
        else:
            with locks.locked(haproxy.LOCK):
                app, dry = options["app"], module.check_mode
                wanted = options["state"] == "present"
                actions = haproxy.present(app, options, dry) if wanted else haproxy.absent(app, dry)
    except (haproxy.BalancerError, systemd.UnitError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
