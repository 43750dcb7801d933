"""A power cut at any moment: all that was acknowledged is there, or ended."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from power import Recorder
from test_kill import APP, WORKER, assert_kept, work
from valkey_server import Server

from flask_jwt_keys import SQLiteStore, ValkeyStore


@pytest.mark.parametrize("lines", [2, 60])
def test_a_file_has_all_that_was_acknowledged(tmp_path, lines):
    recorder = Recorder(tmp_path / "calls")
    path = tmp_path / "sessions.sqlite3"
    command = [*recorder.command, sys.executable, "-c", WORKER, path, "w"]
    with subprocess.Popen(command, cwd=APP, stdout=subprocess.PIPE, text=True) as process:
        done = [process.stdout.readline().split() for _ in range(lines)]
        recorder.cut(process, "-wal")
        done += [line.split() for line in process.stdout if line.endswith("\n")]
    path.with_name(f"{path.name}-shm").unlink()  # it was in memory
    assert_kept(SQLiteStore(path), done)


def cut_off(directory, fsync, count):
    """What a Valkey acknowledged before its power went, and a store with what its disk holds."""
    recorder = Recorder(directory / "calls")
    server = Server(directory, fsync, under=recorder.command)
    server.start()
    done = []
    workers = [
        threading.Thread(target=work, args=(server.url, f"w{number}", done)) for number in range(3)
    ]
    for worker in workers:
        worker.start()
    while len(done) < count:
        time.sleep(0.001)
    recorder.cut(server.process, ".incr.aof")
    for worker in workers:
        worker.join()
    return done


@pytest.mark.parametrize("count", [1, 200])
def test_a_valkey_that_waits_for_its_disk_has_all_that_it_acknowledged(tmp_path, count):
    done = cut_off(tmp_path, "always", count)
    assert_kept_by_valkey(tmp_path, done)


def test_a_valkey_that_does_not_wait_loses_what_it_acknowledged_last(tmp_path):
    done = cut_off(tmp_path, "everysec", 200)
    with pytest.raises(AssertionError):
        assert_kept_by_valkey(tmp_path, done)


def assert_kept_by_valkey(directory, done):
    server = Server(directory)
    server.start()
    store = ValkeyStore(server.url)
    try:
        assert_kept(store, done)
    finally:
        store.close()
        server.stop()
