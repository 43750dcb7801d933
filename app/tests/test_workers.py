"""Two gunicorn workers with gevent, as on a host."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import argon2
import pytest

from flask_jwt_keys import SQLiteStore
from flask_jwt_keys.passwords import hash_password

APP = Path(__file__).parents[1]
SETTINGS = """
from gevent import monkey; monkey.patch_all()
bind, workers, worker_class = "unix:server.sock", 2, "gevent"
preload_app, control_socket_disable = True, True
"""


class Server:
    """gunicorn on a unix socket."""

    def __init__(self, path):
        self.socket = path / "server.sock"
        (path / "gunicorn.conf.py").write_text(SETTINGS)
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"]
        self.log = (path / "log").open("wb")
        self.process = subprocess.Popen(
            [*command, "--pythonpath", str(APP), "flask_app:create_app()"],
            cwd=path,
            env={
                "PATH": os.environ["PATH"],
                "JWT_KEY_DIR": str(path / "jwt"),
                "APP_SECRETS_DIR": str(path),
                "APP_DATA_DIR": str(path / "data"),
            },
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def request(self, method, path, body=None, headers=()):
        """Status and body; a new connection each time, so that any worker may answer."""
        with closing(http.client.HTTPConnection("localhost", timeout=30)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.socket))
            return self._exchange(connection, method, path, body, headers)

    @staticmethod
    def _exchange(connection, method, path, body, headers):
        connection.putrequest(method, path)
        data = json.dumps(body).encode() if body is not None else b""
        pairs = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        for name, value in [*(pairs if body is not None else []), *headers]:
            connection.putheader(name, value)
        connection.endheaders(data)
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text.startswith(b"{") else text

    def wait(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server does not get ready")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()

    def login(self, name="ann", password="pass"):
        return self.request("POST", "/auth", {"username": name, "password": password})[1]

    def protected(self, token):
        return self.request("GET", "/protected", headers=[("Authorization", f"Bearer {token}")])

    def answers(self, token, count=40):
        """The set of status codes of many requests at once."""
        with ThreadPoolExecutor(8) as pool:
            return {status for status, _ in pool.map(self.protected, [token] * count)}


@pytest.fixture(scope="module")
def server(tmp_path_factory, signers):
    path = tmp_path_factory.mktemp("server")
    (path / "jwt").mkdir()
    (path / "jwt" / "a.pem").write_text(signers["RS256"].pem)
    slow = argon2.PasswordHasher(time_cost=100, memory_cost=19456, parallelism=1)
    hashes = {"ann": hash_password("pass"), "slow": slow.hash("pass")}
    (path / "users.json").write_text(json.dumps(hashes))
    server = Server(path)
    server.path = path
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def test_a_logout_counts_on_all_workers(server):
    tokens = server.login()
    assert server.answers(tokens["access_token"]) == {200}
    headers = [("Authorization", f"Bearer {tokens['access_token']}")]
    assert server.request("POST", "/auth/logout", headers=headers)[0] == 204
    assert server.answers(tokens["access_token"]) == {401}


def test_a_refresh_token_has_one_successor_among_workers(server):
    token = server.login()["refresh_token"]
    with ThreadPoolExecutor(8) as pool:
        body = {"refresh_token": token}
        answers = list(pool.map(lambda _: server.request("POST", "/auth/refresh", body), range(8)))
    assert {status for status, _ in answers} == {200}
    assert len({tokens["refresh_token"] for _, tokens in answers}) == 1


def test_logins_do_not_stall_other_requests(server):
    with ThreadPoolExecutor(4) as pool:  # more than workers, so that each has one to check
        logins = [pool.submit(lambda: (server.login("slow"), time.monotonic())) for _ in range(4)]
        time.sleep(0.3)
        statuses = {server.request("GET", "/healthz")[0] for _ in range(10)}
        answered = time.monotonic()
        finished = [login.result() for login in logins]
    assert statuses == {200}
    assert all("access_token" in tokens for tokens, _ in finished)
    assert answered < min(when for _, when in finished)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_two_authorization_headers_are_refused(server, order):
    token = server.login()["access_token"]
    pair = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")]
    assert server.request("GET", "/protected", headers=pair[order])[0] in (400, 401)


def test_a_key_taken_away_is_refused_by_all_workers_within_a_second(server, signers):
    token = server.login()["access_token"]
    server.answers(token)
    (server.path / "jwt" / "b.pem").write_text(signers["ES256"].pem)
    (server.path / "jwt" / "a.pem").unlink()
    time.sleep(1.0)
    assert server.answers(token) == {401}
    assert server.answers(server.login()["access_token"]) == {200}


def test_nothing_went_wrong_in_the_log(server):
    log = (server.path / "log").read_text()
    assert "Booting worker" in log
    assert "Traceback" not in log and "ERROR" not in log


def test_many_writes_to_a_locked_file_fail_together_under_gevent(tmp_path):
    """One after the other, the last of them would wait for minutes. None prints a traceback."""
    path = tmp_path / "sessions.sqlite3"
    SQLiteStore(path).close()
    code = """
from gevent import monkey; monkey.patch_all()
import sqlite3, sys, time, gevent
from flask_jwt_keys import SQLiteStore, StoreError, sqlite_file
from flask_jwt_keys.testing import a_session
sqlite_file._BUSY = 1.0
store = SQLiteStore(sys.argv[1])
store.add(a_session())
locking = sqlite3.connect(sys.argv[1], isolation_level=None)
locking.execute("BEGIN IMMEDIATE")
began, waited = time.monotonic(), []
def write(number):
    try:
        store.add(a_session(f"n{number}"))
    except StoreError:
        waited.append(time.monotonic() - began)
gevent.joinall([gevent.spawn(write, number) for number in range(8)])
locking.rollback()
store.add(a_session("after"))
print(len(waited), max(waited) < 4, bool(store.find("after")))
"""
    command = [sys.executable, "-c", code, path]
    done = subprocess.run(command, cwd=APP, capture_output=True, text=True, check=True)
    assert done.stdout == "8 True True\n"
    assert "Traceback" not in done.stderr
