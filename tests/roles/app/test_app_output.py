"""An app's output: whole and in order while it is read; dropped and counted, never waited for, while it is not."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT

PROGRAM = ROOT / "roles" / "app" / "files" / "output.py"
INSTALL = f"import runpy; runpy.run_path({str(PROGRAM)!r})['install'](); "
LINES = 2000
WRITE = (
    "import sys; [print('x' * 1000, i) for i in range(2000)]; open({!r}, 'w').close(); sys.stdin.read(); print('end')"
)
PIPE = 64 * 1024  # bytes a pipe holds, pipe(7)


@pytest.fixture
def app(tmp_path):
    """Start a program that prints 2 MB, says that it is done, and prints a last line when its stdin ends."""
    made = []

    def start(install=INSTALL):
        command = [sys.executable, "-c", install + WRITE.format(str(tmp_path / "done"))]
        made.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        return made[-1], tmp_path / "done"

    yield start
    for process in made:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_output_that_is_read_arrives_whole_and_in_order(app):
    process, _done = app()
    lines = process.communicate()[0].decode().splitlines()
    assert [line.partition(" ")[2] for line in lines] == [*map(str, range(LINES)), ""]


def test_app_goes_on_while_nobody_reads_and_then_says_what_was_lost(app):
    process, done = app()
    for _ in range(300):
        time.sleep(0 if done.exists() else 0.1)
    assert done.exists()
    said = os.read(process.stdout.fileno(), 2 * PIPE)
    process.stdin.close()
    said += process.stdout.read()
    (lost,) = re.findall(rb"\[(\d+) writes were lost: nobody read the log\]\nend\n", said)
    arrived = len(re.findall(rb"^x+ \d+$", said, re.MULTILINE))
    assert arrived + int(lost) == LINES
    assert arrived >= PIPE // 1010


def test_app_without_it_waits(app):
    """What this is for: the same program, as it would be."""
    process, done = app(install="")
    assert select.select([process.stdout], [], [], 30)[0]
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    assert not done.exists()


def test_a_file_or_terminal_is_left_alone(tmp_path):
    with (tmp_path / "log").open("w") as log:
        log.write("before\n")
        log.flush()
        subprocess.run([sys.executable, "-c", INSTALL + "print('after')"], stdout=log, check=True)
    assert (tmp_path / "log").read_text() == "before\nafter\n"
