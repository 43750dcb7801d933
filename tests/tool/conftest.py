"""The tool as a user types it, with a stand-in for ansible-playbook that keeps what it was called with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "plugins"))

# As it is installed, but for the Python: beside that of the tests lies the real ansible-playbook.
TOOL = """
import sys
sys.path.append({plugins!r})
sys.executable = {python!r}
from flask_deploy_tool.command import main
main()
"""
STAND_IN = """\
#!{python}
import json, os, sys
with open({kept!r}, "w") as file:
    json.dump([sys.argv[1:], {{name: value for name, value in os.environ.items() if name.startswith("ANSIBLE")}}], file)
print("the answer of Ansible")
sys.exit(int(os.environ.get("STAND_IN_ENDS_WITH", "0")))
"""


@dataclass
class Ran:
    """What a call said, and with what it called ansible-playbook."""

    code: int
    out: str
    err: str
    arguments: list[str] | None
    environment: dict[str, str] | None


@dataclass
class Tool:
    """Calls the tool in a directory of its own."""

    place: Path
    kept: Path
    path: Path

    def command(self, *words):
        text = TOOL.format(plugins=str(ROOT / "plugins"), python=str(self.place / "no/python"))
        return [sys.executable, "-c", text, *words]

    def __call__(self, *words, shell=None, **environment):
        self.kept.unlink(missing_ok=True)
        ran = subprocess.run(
            ["sh", "-c", shell] if shell else self.command(*words),
            cwd=self.place,
            env={**os.environ, "PATH": f"{self.path}:{os.environ['PATH']}", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        kept = json.loads(self.kept.read_text()) if self.kept.exists() else (None, None)
        return Ran(ran.returncode, ran.stdout, ran.stderr, *kept)

    def inventory(self, *names):
        for name in names:
            (self.place / "inventories" / name).mkdir(parents=True)


@pytest.fixture
def tool(tmp_path):
    """Return the tool in an empty directory."""
    for name in ("here", "bin"):
        (tmp_path / name).mkdir()
    kept = tmp_path / "kept.json"
    stand_in = tmp_path / "bin/ansible-playbook"
    stand_in.write_text(STAND_IN.format(python=sys.executable, kept=str(kept)))
    stand_in.chmod(0o755)
    return Tool(tmp_path / "here", kept, tmp_path / "bin")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Stand in an empty directory, for what is called without a process."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
