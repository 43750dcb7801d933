"""kill -9 at any moment of workers or of Valkey: all that was acknowledged is there, or ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from valkey_server import Server

from flask_jwt_keys import SQLiteStore, StoreError, ValkeyStore
from flask_jwt_keys.testing import a_session as session

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


def assert_kept(store, done):
    """That the store knows all that was acknowledged, in lines of a verb and a session's id."""
    ended = {name for what, name in done if what == "ended"}
    for what, name in done:
        found = store.find(name)
        if name in ended:
            assert found is None and store.ended(name)
        elif what == "renewed":
            # The end of the last one may have been written without its acknowledgement.
            assert (found and found.current == b"b") or store.ended(name)
        else:
            assert found or store.ended(name)


def test_killed_workers_lose_nothing(tmp_path):
    path = tmp_path / "sessions.sqlite3"
    done = []
    for round_ in range(6):
        done += run_and_kill(path, f"w{round_}", 0.05 + round_ * 0.031)
    assert len(done) > 20
    assert_kept(SQLiteStore(path), done)


def work(url, name, done):
    """Begin, renew and end sessions until the server is gone; note what it acknowledged."""
    store = ValkeyStore(url)
    try:
        for number in range(10**6):
            each = f"{name}-{number}"
            store.add(session(each))
            done.append(("added", each))
            if not store.replace(session(each, version=2, current=b"b")):
                return  # it was written, and asked for once more after the kill
            done.append(("renewed", each))
            if number % 2:
                store.end(each)
                done.append(("ended", each))
    except StoreError:
        pass
    finally:
        store.close()


def test_a_killed_valkey_that_waits_for_its_disk_loses_nothing(tmp_path):
    """Six times, while three workers write: ``appendonly yes``, ``appendfsync always``."""
    server = Server(tmp_path, fsync="always")
    done = []
    for round_ in range(6):
        server.start()
        workers = [
            threading.Thread(target=work, args=(server.url, f"w{round_}-{number}", done))
            for number in range(3)
        ]
        for worker in workers:
            worker.start()
        before = len(done)
        while len(done) < before + 20 + round_:
            time.sleep(0.001)
        server.kill()
        for worker in workers:
            worker.join()
    server.start()
    store = ValkeyStore(server.url)
    assert server.client.config_get("appendfsync")["appendfsync"] == "always"
    assert len(done) > 100
    assert_kept(store, done)
    store.close()
    server.stop()
