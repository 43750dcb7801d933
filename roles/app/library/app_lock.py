#!/usr/bin/python
"""Lock an app on this host for one run of a playbook."""

from __future__ import annotations

from ansible.module_utils import app_certificate as certificate
from ansible.module_utils import app_lease as leases
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: app_lock
short_description: Lock an app on this host for one run of a playbook
description:
  - The lock is a lease. It lives as long as a step of its owner runs on the host, and a minute more.
  - The action plugin of the same name tells who the owner is, and takes over from one that it sees is dead.
options:
  app: {type: str, required: true, description: Name of the app.}
  owner: {type: dict, required: true, description: "id, user, host, process and namespace of the run."}
  site:
    type: str
    default: ""
    description: >-
      The site file that is to be served. Where this host has no certificate for its names nothing is locked, so that
      a deploy ends before its build; in check mode that is left to who prepares the release.
  wait: {type: int, default: 0, description: Seconds to wait while somebody else has the lock.}
  dead: {type: str, default: "", description: Id of an owner that is known to be gone.}
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
holder: {type: dict, returned: failure, description: Who has it instead.}
"""


def main():
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "owner": {"type": "dict", "required": True},
            "site": {"type": "str", "default": ""},
            "wait": {"type": "int", "default": 0},
            "dead": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params
    lease = leases.Lease(options["app"], options["owner"])
    if not module.check_mode:
        why, remark = certificate.judge(options["site"])
        if why:
            module.fail_json(msg=f"nothing was changed; to be mended:\n  {why}")
        if remark:
            module.warn(remark)
        try:
            lease.take(options["wait"], options["dead"])
        except leases.LeaseError as error:
            module.fail_json(msg=str(error), holder=(lease.holder() or {}).get("owner"))
    module.exit_json(changed=False, owner=options["owner"])


if __name__ == "__main__":
    main()
