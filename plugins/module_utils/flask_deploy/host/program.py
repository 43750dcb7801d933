"""Programs that stay on a host: they import the package's modules as Ansible's own modules do."""

from __future__ import annotations

import importlib
import io
import zipfile
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


def packed(main: str, parts: Mapping[str, str], begin: bytes = b"") -> bytes:
    """Return a program in one file (zipapp), equal for equal code.

    :param main: text of its __main__.py.
    :param parts: see ``sources``.
    :param begin: its first line, such as what the kernel starts it with.
    """
    whole = io.BytesIO(begin)
    with zipfile.ZipFile(whole, "a") as archive:
        for path, text in {"__main__.py": main, **sources(parts)}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return whole.getvalue()


def _path(module: str) -> str:
    return module.replace(".", "/")
