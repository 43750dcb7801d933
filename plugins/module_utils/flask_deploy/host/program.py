"""Programs that stay on a host: they import the package's modules as Ansible's own modules do."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

PACKAGE = "ansible.module_utils.flask_deploy"


def sources(parts: Mapping[str, str]) -> dict[str, str]:
    """Return {path: text} of modules of the package, to lie beside a program.

    :param parts: {room: names of its modules}; each needs to be where this runs, so the caller imports it.
    """
    modules = [f"{PACKAGE}.{room}.{name}" for room, names in parts.items() for name in names.split()]
    packages = ["ansible", "ansible.module_utils", PACKAGE, *(f"{PACKAGE}.{room}" for room in parts)]
    texts = {f"{_path(each)}/__init__.py": "" for each in packages}
    return texts | {f"{_path(each)}.py": importlib.import_module(each).__loader__.get_source(each) for each in modules}


def _path(module: str) -> str:
    return module.replace(".", "/")
