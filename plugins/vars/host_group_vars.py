"""Ansible's own reader of group_vars and host_vars, with errors that say in which file and line they are.

Ansible's plugin of this name wraps them in another error, without their place (ansible-core 2.19 to 2.21).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import ansible.plugins.vars
from ansible.errors import AnsibleParserError

DOCUMENTATION = """
name: host_group_vars
short_description: group_vars and host_vars, with errors that say where they are
description: It is found before the plugin of the same name that it extends.
extends_documentation_fragment: [vars_plugin_staging]
"""

SPEC = importlib.util.spec_from_file_location(
    "flask_deploy_host_group_vars", Path(ansible.plugins.vars.__file__).with_name("host_group_vars.py")
)
own = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(own)


class VarsModule(own.VarsModule):
    def get_vars(self, loader: Any, path: str, entities: Any, cache: bool = True) -> dict[str, Any]:
        try:
            return super().get_vars(loader, path, entities, cache)
        except AnsibleParserError as error:
            raise error.__context__ or error from None
