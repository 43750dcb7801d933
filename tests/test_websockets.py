"""What gunicorn, with the role's settings, says to websockets when it has to stop."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import unix_connect

FILES = Path(__file__).parents[1] / "roles" / "app" / "files"
APP = """
import base64
import hashlib
import time


def app(environ, start_response):
    if environ["PATH_INFO"] != "/talk":
        write = start_response("404 Not Found", [("Content-Length", "7")])
        write(b"not")
        time.sleep(1.5)
        return [b"here"]
    key = environ["HTTP_SEC_WEBSOCKET_KEY"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key).digest())
    connection = environ["gunicorn.socket"]
    head = b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
    connection.sendall(head + b"Sec-WebSocket-Accept: " + accept + b"\\r\\n\\r\\n")
    connection.recv(1000)  # what the client answers to its end
    raise StopIteration
"""


@pytest.fixture(params=["gevent", "gthread"])
def gunicorn(request, render, tmp_path):
    """Start gunicorn with the role's settings; return it and its socket."""
    (tmp_path / "talking.py").write_text(APP)
    (tmp_path / "gunicorn.json").write_text(
        render("app", "__app_gunicorn_json", app_workers=1, app_server=request.param)
    )
    conf = (FILES / "gunicorn.conf.py").read_text().replace("/release/run", str(tmp_path))
    for name, place in {"output.py": FILES, "gunicorn.json": tmp_path}.items():
        conf = conf.replace(f"/release/{name}", f"{place}/{name}")
    (tmp_path / "conf.py").write_text(conf)
    path = str(tmp_path / "gunicorn.sock")
    command = [sys.executable, "-m", "gunicorn", "-c", "conf.py", "talking:app"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    for _ in range(300):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                break
        time.sleep(0.1)
    yield process, path
    process.kill()
    process.wait()


def test_an_open_websocket_is_told_to_come_back(gunicorn):
    process, path = gunicorn
    with unix_connect(path, "ws://app.test/talk") as talk:
        process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            talk.recv(timeout=30)
    assert closed.value.rcvd.code == 1012
    assert process.wait(30) == 0


def test_an_answer_to_a_refused_upgrade_stays_whole(gunicorn):
    process, path = gunicorn
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(path)
        plain.sendall(b"GET /no HTTP/1.1\r\nHost: app.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        answer = plain.recv(1000)
        process.send_signal(signal.SIGTERM)
        while more := plain.recv(1000):
            answer += more
    assert answer.endswith(b"\r\n\r\nnothere")
