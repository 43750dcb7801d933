"""What comes to a release's socket reaches the port of the image's own command: one request a connection."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from websockets.sync.client import unix_connect

from tests.conftest import ROOT

PROGRAM = ROOT / "roles" / "app" / "files" / "exec.py"
SERVER = """
import os, signal, socket, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/dies":
            return self.connection.close()
        if self.path == "/slow":
            time.sleep(2)
        if self.path == "/early":
            self.wfile.write(b"HTTP/1.1 103 Early Hints\\r\\nLink: </x>\\r\\n\\r\\n")
        if self.path == "/stream":
            self.send_response(200)
            self.end_headers()
            for number in range(3):
                self.wfile.write(b"%d" % number)
                time.sleep(0.2)
            self.close_connection = True
            return None
        body = f"{self.path} {self.headers['Connection']} {self.headers['X-Real-IP']} {os.environ.get('WHO')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("flask-deploy-release", "its own")
        self.send_header("Keep-Alive", "timeout=5")
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        left, seen = int(self.headers["Content-Length"]), 0
        while seen < left:
            seen += len(self.rfile.read(min(1 << 16, left - seen)))
        self.send_response(201)
        self.send_header("Content-Length", str(len(str(seen))))
        self.end_headers()
        self.wfile.write(str(seen).encode())
    def log_message(self, *arguments):
        pass

signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
time.sleep(float(sys.argv[2]))
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
ECHO = """
import sys
from websockets.sync.server import serve
serve(lambda talk: [talk.send(word) for word in talk], "127.0.0.1", int(sys.argv[1])).serve_forever()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def door(tmp_path):
    """Start a server behind a door; return (the process, a function that asks at its socket)."""
    started = []

    def start(server=SERVER, delay=0):
        text = PROGRAM.read_text().replace("/release/run/", f"{tmp_path}/")
        for place in ("release", "run/secrets"):
            (tmp_path / place).mkdir(parents=True)
            text = text.replace(f'"/{place}/', f'"{tmp_path}/{place}/')
        (tmp_path / "exec.py").write_text(text)
        (tmp_path / "server.py").write_text(server)
        (tmp_path / "release/release.json").write_text('{"id": "3f9a0c41d2b7"}')
        (tmp_path / "release/env.json").write_text('{"WHO": "me"}')
        (tmp_path / "run/secrets/env.json").write_text("{}")
        port = str(free_port())
        words = [sys.executable, str(tmp_path / "server.py"), port, str(delay)]
        process = subprocess.Popen([sys.executable, str(tmp_path / "exec.py"), "--port", port, *words])
        started.append(process)
        end = time.monotonic() + 30
        while time.monotonic() < end and (not (tmp_path / "gunicorn.sock").exists() or (not delay and refused(port))):
            time.sleep(0.05)
        return process, str(tmp_path / "gunicorn.sock")

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


def refused(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) != 0


def ask(path, request, body=b""):
    """Send a request; return all that comes until the connection ends."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(20)
        asking.connect(path)
        asking.sendall(request + body)
        told = b""
        while piece := asking.recv(1 << 16):
            told += piece
    return told.decode()


def get(url, more=""):
    return f"GET {url} HTTP/1.1\r\nHost: a\r\nX-Real-IP: 192.0.2.7\r\n{more}\r\n".encode()


def test_an_answer_names_its_release_and_ends_its_connection(door):
    _process, path = door()
    head, _, body = ask(path, get("/a", "Connection: keep-alive\r\n")).partition("\r\n\r\n")
    assert body == "/a close 192.0.2.7 me"
    assert "Flask-Deploy-Release: 3f9a0c41d2b7" in head and "its own" not in head
    assert [line for line in head.split("\r\n") if line.lower().startswith("connection")] == ["Connection: close"]
    assert os.stat(path).st_mode & 0o777 == 0o777


def test_streams_hints_and_large_bodies_pass(door):
    _process, path = door()
    assert ask(path, get("/stream")).endswith("\r\n\r\n012")
    hinted = ask(path, get("/early"))
    assert hinted.startswith("HTTP/1.1 103 ") and hinted.count("Flask-Deploy-Release") == 1
    size = 3 << 20
    sent = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode()
    assert ask(path, sent, b"x" * size).endswith(f"\r\n\r\n{size}")


def test_a_websocket_passes_both_ways(door):
    _process, path = door(ECHO)
    with unix_connect(path, "ws://app.test/") as talk:
        for word in ("one", "x" * 200_000):
            talk.send(word)
            assert talk.recv(timeout=20) == word


def waiting(path):
    return json.loads(ask(path, b"GET /.flask-deploy/waiting HTTP/1.1\r\nHost: a\r\n\r\n").partition("\r\n\r\n")[2])


def test_what_waits_and_what_is_lost_is_told_and_not_to_clients(door):
    _process, path = door()
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        asking.sendall(get("/slow"))
        time.sleep(1)
        told = waiting(path)
        assert len(told["waiting"]) == 1 and told["waiting"][0] >= 0.5 and told["lost"] == 0
        assert asking.recv(1000)
    assert ask(path, get("/dies")) == ""
    assert waiting(path) == {"waiting": [], "lost": 1}
    assert "/.flask-deploy/waiting close" in ask(path, get("/.flask-deploy/waiting"))


def test_a_client_that_goes_is_not_lost_and_waits_no_longer(door):
    _process, path = door()
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        asking.sendall(get("/slow"))
        time.sleep(0.5)
    time.sleep(0.5)
    assert waiting(path) == {"waiting": [], "lost": 0}


def test_nothing_answers_before_the_server_listens(door):
    _process, path = door(delay=1)
    assert ask(path, get("/")).startswith("HTTP/1.1 502 ")
    end = time.monotonic() + 20
    while " 502 " in (told := ask(path, get("/"))) and time.monotonic() < end:
        time.sleep(0.1)
    assert told.startswith("HTTP/1.1 200 ")


def test_the_server_is_told_to_end_and_its_code_is_the_container_s(door):
    process, _path = door()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 7


def test_what_a_killed_server_left_is_replaced(door, tmp_path):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "gunicorn.sock"))
    stale.close()
    process, path = door()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            assert ask(path, get("/")).startswith("HTTP/1.1 200 ")
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    assert process.poll() is None
