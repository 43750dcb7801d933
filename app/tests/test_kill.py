"""kill -9 at any moment: what was acknowledged is there, what was ended stays ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from flask_jwt_keys import SQLiteStore

APP = Path(__file__).parents[1]
WORKER = """
import sys; sys.path.append('tests')
from flask_jwt_keys import SQLiteStore
from test_store import session
store = SQLiteStore(sys.argv[1])
for number in range(10**6):
    name = f"{sys.argv[2]}-{number}"
    store.add(session(name))
    print("added", name, flush=True)
    assert store.replace(session(name, version=2, current=b"b"))
    print("renewed", name, flush=True)
    if number % 2:
        store.end(name)
        print("ended", name, flush=True)
"""


def run_and_kill(path, name, moment):
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, path, name], cwd=APP, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    lines = process.communicate()[0].splitlines(keepends=True)
    return [line.split() for line in lines if line.endswith("\n")]  # the kill may tear the last


def test_killed_workers_lose_nothing(tmp_path):
    path = tmp_path / "sessions.sqlite3"
    done = []
    for round_ in range(6):
        done += run_and_kill(path, f"w{round_}", 0.05 + round_ * 0.031)
    store = SQLiteStore(path)
    assert len(done) > 20
    ended = {name for what, name in done if what == "ended"}
    for what, name in done:
        found = store.find(name)
        if name in ended:
            assert found is None and store.ended(name)
        elif what == "renewed":
            # The end of the last one may have been written without its acknowledgement.
            assert (found and found.current == b"b") or store.ended(name)
