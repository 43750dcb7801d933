#!/usr/bin/python
"""Let a host of an app say to its balancers whether it may get requests."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.flask_deploy.host import files, fragment, nginx, systemd, told
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: balancer_member
short_description: Let a host of an app say to its balancers whether it may get requests
description:
  - nginx gets a server for the balancers alone. It answers with what the app says on its health path, under
    maintenance too, and with status 404 from when the host begins to shut down.
  - It is no part of a release, so a rollback to one of before the balancers keeps it.
options:
  app: {type: str, required: true, description: Name of the app.}
  site: {type: str, required: true, description: What nginx reads.}
  unit: {type: str, required: true, description: The unit that holds a shutdown until balancers have seen it.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Let the host say whether it may get requests
  balancer_member:
    app: shop
    site: "{{ lookup('ansible.builtin.template', 'balanced.conf.j2') }}"
    unit: "{{ lookup('ansible.builtin.file', 'flask-deploy-leave.service') }}"
"""

RETURN = r"""
actions: {type: list, returned: success, description: "What was, or would be, done."}
"""

UNIT = "flask-deploy-leave.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"


def site_path(app: str) -> str:
    return f"{nginx.CONF}/conf.d/{app}_balanced.conf"  # no app's name has a _


def stay(text: bytes, dry: bool) -> list[str]:
    """Keep the unit that tells balancers of a shutdown.

    :raises UnitError: systemd does not answer.
    """
    differs = files.differs(UNIT_PATH, text, 0o644, 0, 0)
    asleep = [word for word in ("is-active", "is-enabled") if systemd.ask(word, UNIT).strip() not in RIGHT]
    if dry:
        return [UNIT_PATH] if differs or asleep else []
    if differs:
        files.write(UNIT_PATH, text)
    telling = told.tell("balancer.leave", {UNIT_PATH: text}, differs, ("daemon-reload",))
    if asleep:
        systemd.ask("enable", "--now", UNIT)
    return [UNIT_PATH] if differs or telling or asleep else []


RIGHT = ("active", "enabled")


def main() -> None:
    texts = {name: {"type": "str", "required": True} for name in ("app", "site", "unit")}
    module = QuietModule(argument_spec=texts, supports_check_mode=True)
    options: dict[str, Any] = module.params
    try:
        path = site_path(options["app"])
        actions = fragment.ensure("balancer.nginx", path, options["site"].encode(), module.check_mode)
        actions += stay(options["unit"].encode(), module.check_mode)
    except (nginx.SiteError, systemd.UnitError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
