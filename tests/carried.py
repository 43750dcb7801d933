"""What modules carry to hosts: programs that find all their parts by themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def used(parts: dict[str, str], program: str, place: Path) -> set[str]:
    """Write a program's parts below a directory and import it there; return which files it uses of them or Ansible.

    :param parts: {path: text}, as a module sends them.
    """
    for path, text in parts.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    ask = f"import sys, {program}.__main__; print(*(getattr(m, '__file__', '') for m in sys.modules.values()))"
    files = _python(ask, cwd=place).split()
    return {path.removeprefix(f"{place}/") for path in files if "/ansible/" in path or f"/{program}/" in path}


def not_imported(role: str) -> str:
    """Return the names of PARTS that <role>_setup does not import: Ansible sends what a module imports, and no more."""
    paths = [str(ROOT / "plugins/module_utils"), str(ROOT / f"roles/{role}/module_utils")]
    return _python(f"""
import sys, ansible.module_utils as utils
utils.__path__ += {paths}
sys.path.append({str(ROOT / f"roles/{role}/library")!r})
import {role}_setup as module
wanted = [f"{{module.programs.PACKAGE}}.{{room}}.{{name}}" for room, all in module.PARTS.items()
    for name in all.split()]
print(*set(wanted) - sys.modules.keys())
""")


def _python(code: str, cwd: Path | None = None) -> str:
    words = [sys.executable, "-B", "-c", code]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()
