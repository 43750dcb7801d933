"""Environments that hold ansible-core and nothing else: what a user has who installed no collection."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each core, and the Pythons that it supports on a controller.
CORES = {"2.19.*": ("3.11", "3.12", "3.13"), version("ansible-core"): ("3.14", "3.13", "3.12")}


def python(versions: tuple[str, ...]) -> str:
    """Return the first of these Pythons that works here; a version manager's shim may exist and still fail."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for wanted in versions:
        for found in (shutil.which(f"python{wanted}"), *sorted(pyenv.glob(f"{wanted}.*/bin/python{wanted}"))):
            if (
                found
                and subprocess.run([found, "-c", "import ssl, venv"], capture_output=True, check=False).returncode == 0
            ):
                return found
    pytest.fail(f"none of these works here: python{', python'.join(versions)}")


def make(core: str, venv: Path) -> Callable[..., tuple[int, str]]:
    """Make such an environment; return what runs a command of it: (exit code, what it said).

    :param core: version of ansible-core, as pip has it after ``==``.
    """
    tools = {**os.environ, "UV_NATIVE_TLS": "1"}
    if "PIP_INDEX_URL" in tools:
        tools.setdefault("UV_INDEX_URL", tools["PIP_INDEX_URL"])
    uv = Path(sys.executable).with_name("uv")
    for command in (
        [uv, "venv", "--quiet", "--python", python(CORES[core]), venv],
        [uv, "pip", "install", "--quiet", "--python", venv / "bin/python", f"ansible-core=={core}"],
    ):
        subprocess.run(command, env=tools, check=True, timeout=300)

    def run(name: str, *arguments: str | Path, **environment: str) -> tuple[int, str]:
        alone = {"ANSIBLE_COLLECTIONS_PATH": str(venv), "ANSIBLE_NOCOLOR": "1", **environment}
        ran = subprocess.run(
            [venv / "bin" / name, *arguments],
            env={**os.environ, **alone},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        return ran.returncode, ran.stdout + ran.stderr

    return run
