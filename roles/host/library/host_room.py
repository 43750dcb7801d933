#!/usr/bin/python
"""Look whether a host has room for files that are about to be sent to it."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import engine, room
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: host_room
short_description: Look whether a host has room for files that are about to be sent to it
description: Action plugins ask before they send an image or a source; changes nothing.
options:
  needs:
    type: list
    elements: dict
    required: true
    description: "For each place its path (or `engine`), bytes, purpose and kind of way out."
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look for room
  host_room:
    needs: [{path: /var/tmp, bytes: 1000000, purpose: the source, kind: unpacked}]
"""

RETURN = r"""
mistakes: {type: list, returned: always, description: One line for each file system that has too little.}
"""


def main() -> None:
    module = QuietModule(
        argument_spec={"needs": {"type": "list", "elements": "dict", "required": True}}, supports_check_mode=True
    )
    try:
        module.exit_json(changed=False, mistakes=room.lacking(module.params["needs"]))
    except (engine.EngineError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
