#!/usr/bin/python
"""Lock an app on this host for one run of a playbook."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import certificate, engine
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import containers, images
from ansible.module_utils.flask_deploy.switch import lease as leases

DOCUMENTATION = r"""
module: app_lock
short_description: Lock an app on this host for one run of a playbook
description:
  - The lock is a lease. It lives as long as a step of its owner runs on the host, and some time more.
  - What a dead owner left running is ended first, a release command in the engine too.
  - The action plugin of the same name tells who the owner is, and takes over from one that it sees is dead.
options:
  app: {type: str, required: true, description: Name of the app.}
  owner: {type: dict, required: true, description: "id, user, host, process, started, namespace, life of the run."}
  site:
    type: str
    default: ""
    description: >-
      The site file that is to be served. Where this host has no certificate for its names nothing is locked, so that
      a deploy ends before its build; in check mode that is left to who prepares the release.
  wait: {type: int, default: 0, description: Seconds to wait while somebody else has the lock.}
  dead: {type: str, default: "", description: Id of an owner that is known to be gone.}
  look: {type: bool, default: false, description: Only see that nobody else has it.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Lock the app
  app_lock:
    app: shop
    wait: 300
  register: __app_lock
"""

RETURN = r"""
owner: {type: dict, returned: success, description: Who has the lock now.}
ended: {type: list, returned: success, description: Containers of a dead run's release command that were ended.}
holder: {type: dict, returned: failure, description: Who has it instead.}
"""


def main() -> None:
    module = QuietModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "owner": {"type": "dict", "required": True},
            "site": {"type": "str", "default": ""},
            "wait": {"type": "int", "default": 0},
            "dead": {"type": "str", "default": ""},
            "look": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options, ended = module.params, []
    lease = leases.Lease(options["app"], options["owner"])
    if not module.check_mode:
        why, remark = certificate.judge(options["site"])
        if why:
            module.fail_json(msg=f"nothing was changed; to be mended:\n  {why}")
        if remark:
            module.warn(remark)
        try:
            images.hold_on(options["app"], options["owner"]["id"], options["wait"])  # what it built before it waits
            if lease.take(options["wait"], options["dead"], options["look"]) and engine.installed():
                ended = containers.end_commands(options["app"])
        except leases.LeaseError as error:
            module.fail_json(msg=str(error), holder=(lease.holder() or {}).get("owner"))
        except (engine.EngineError, OSError) as error:
            module.fail_json(msg=str(error))
    module.exit_json(changed=False, owner=options["owner"], ended=ended)


if __name__ == "__main__":
    main()
