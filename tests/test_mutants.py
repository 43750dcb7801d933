"""What `make mutants` makes of the changes that it tried."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import mutants

FILES = {"roles/a.py": "releases"}
CHANGE = ("roles/a.py", "f", "return a < b", "return a <= b")


def report(*ended, accepted=()):
    found = [(*CHANGE[:3], f"change {number}", how) for number, how in enumerate(ended)]
    return mutants.report(FILES, found, {(*CHANGE[:3], f"change {number}"): "equal" for number in accepted})


def test_a_share_of_unnoticed_changes_that_is_too_large_fails(capsys):
    assert report(*["killed"] * 17, *["survived"] * 3) == []
    (wrong,) = report(*["killed"] * 15, "timeout", *["survived"] * 4)
    assert wrong == "the tests of releases notice 80.0 % of the changes, which is less than 85 %"
    assert "change 19" in capsys.readouterr().out


def test_an_accepted_change_does_not_count():
    assert report(*["killed"] * 6, "survived", "survived", accepted=[6, 7]) == []


def test_an_accepted_change_that_a_test_notices_or_that_is_gone_is_named():
    noticed, gone = report(*["killed"] * 9, accepted=[1, 12])
    assert "accepts what is noticed by a test: roles/a.py f: return a < b -> change 1" in noticed
    assert "accepts what is not made any more: roles/a.py f: return a < b -> change 12" in gone


OWN, OTHER = "tests/test_a.py::", "tests/test_b.py::"


@pytest.mark.parametrize(
    ("takes", "left"),
    [
        (
            {f"{OWN}slow": 90, f"{OWN}quick": 1, f"{OTHER}slow": 19, f"{OTHER}quick": 1},
            ["a quick", "a slow", "b quick", "b slow"],
        ),
        ({f"{OWN}slow": 90, f"{OTHER}slow": 20, f"{OTHER}quick": 1}, ["a slow", "b quick"]),
        ({f"{OTHER}slow": 90, f"{OTHER}slower": 91}, ["b slow"]),
        ({}, []),
    ],
)
def test_all_tests_of_its_own_file_are_tried_whatever_they_take(takes, left):
    found = mutants.worth_their_time("/test_a.py::", takes)
    assert [test.removeprefix("tests/test_").replace(".py::", " ") for test in found] == left


PROGRAM = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests import mutants
mutants.stay_apart()
print(*filter(str.isdigit, os.listdir("/proc")), *os.listdir("/run"))
sys.exit(7)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="elsewhere a kernel may give users no namespace")
def test_a_change_reaches_nothing_that_runs_outside(tmp_path):
    """One of lease's ends all processes but those it is to end: unconfined, those of the whole machine."""
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, tmp_path / "program.py", Path(mutants.__file__).parents[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (7, "")
    seen = done.stdout.split()
    assert len(seen) == 2 and str(os.getpid()) not in seen, "it, and the shell that began it"


def test_where_changes_cannot_be_kept_apart_none_is_tried(monkeypatch):
    monkeypatch.delenv(mutants.OUTSIDE, raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FileNotFoundError):
        mutants.stay_apart()
