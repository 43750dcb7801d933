"""`make molecule` ends with what failed, not with the removal of the hosts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "molecule" / "shared" / "scenario"
PRINTED = r"Remove the hosts\nNothing was there\nconverge: a word is wrong\nRemove the hosts\nForget them\n"


@pytest.mark.parametrize("status", [0, 3])
def test_what_failed_is_said_once_more_at_the_end(tmp_path, status):
    (tmp_path / "molecule").write_text(f'#!/bin/sh\n[ "$*" = "test -s bare" ] && printf "{PRINTED}"\nexit {status}\n')
    (tmp_path / "molecule").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([SCRIPT, "bare"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status
    again = done.stdout.removeprefix(PRINTED.replace("\\n", "\n"))
    assert again == ("Remove the hosts\nNothing was there\nconverge: a word is wrong\n" if status else "")
    assert ("scenario bare failed" in done.stderr) == bool(status)
