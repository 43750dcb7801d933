"""The benches run; their figures are for people to judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1] / "bench"


def test_sessions(tmp_path):
    command = [sys.executable, BENCH / "sessions.py", "30", "--rounds", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "30",
        "login",
        "refresh",
        "look",
        "30",
    ]
