"""A release answers when each of its workers has loaded the app, and not before: one of them may fail."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

FILES = Path(__file__).parents[3] / "roles" / "app" / "files"
# The first worker loads at once, the second one later; what it does then is written below.
APP = """
import os, sys, time
try:
    os.mkdir("first")
except FileExistsError:
    time.sleep(1)
    {second}


def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


@pytest.fixture
def served(render, tmp_path):
    """Serve an app with the role's settings; tell whether it ever answered, and how gunicorn ended, if it did."""
    started = []

    def serve(kind, second, seconds):
        (tmp_path / "loading.py").write_text(APP.format(second=second))
        (tmp_path / "gunicorn.json").write_text(render("app", "__app_gunicorn_json", app_workers=2, app_server=kind))
        conf = (FILES / "gunicorn.conf.py").read_text().replace("/release/run", str(tmp_path))
        for name, place in {"output.py": FILES, "gunicorn.json": tmp_path}.items():
            conf = conf.replace(f"/release/{name}", f"{place}/{name}")
        (tmp_path / "conf.py").write_text(conf)
        command = [sys.executable, "-m", "gunicorn", "-c", "conf.py", "loading:app"]
        started.append(subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL))
        end, answered = time.monotonic() + seconds, False
        while time.monotonic() < end and not answered and started[0].poll() is None:
            answered = asked(str(tmp_path / "gunicorn.sock"))
        return answered, started[0].poll()

    yield serve
    for process in started:
        process.kill()
        process.wait()


def asked(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0.2)
        try:
            client.connect(path)
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


@pytest.mark.parametrize("kind", ["gevent", "gthread", "sync"])
def test_a_release_whose_second_worker_cannot_load_the_app_never_answers(served, kind):
    assert served(kind, "raise SystemError('table orders already exists')", 60) == (False, 3)


@pytest.mark.parametrize("kind", ["gevent", "gthread", "sync"])
def test_it_answers_when_all_have_loaded_it(served, kind):
    assert served(kind, "pass", 60) == (True, None)
