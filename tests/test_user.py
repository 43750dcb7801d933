"""`make user` prints a line that a vault can hold and a user can log in with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import argon2
import pytest
import yaml

SCRIPT = Path(__file__).parents[1] / "molecule" / "shared" / "user"


@pytest.mark.parametrize("name", ["alice", "no", "o'hara", "ann@example.com", "müller"])
def test_a_line_for_the_vault(name):
    done = subprocess.run([SCRIPT, "line", name], input="pass word\n", capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    ((found, encoded),) = yaml.safe_load(f"vault_app_users:\n{done.stdout}")["vault_app_users"].items()
    assert found == name
    assert argon2.PasswordHasher().verify(encoded, "pass word")


@pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\nb"])
def test_a_name_that_would_break_the_line_is_refused(name):
    done = subprocess.run([SCRIPT, "line", name], input="x\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "make user NAME=alice" in done.stderr
