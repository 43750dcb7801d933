"""What a repository tells of how its app is deployed: read within bounds, and never run.

What roles build and check know of a source and of variables is read here too.
"""

from __future__ import annotations

import os
import sys

import ansible.module_utils

_ROLES = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
ansible.module_utils.__path__.append(os.path.join(_ROLES, "build", "module_utils"))
_BESIDE = (("check", "plugin_utils"), ("build", "action_plugins"), ("..", "plugins", "plugin_utils"))
sys.path += [os.path.join(_ROLES, *place) for place in _BESIDE]
