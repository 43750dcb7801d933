"""What nginx is asked, and how an app is asked as nginx would."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import nginx

from tests.authority import certificate, keys, pem

SERVER = """
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path.strip("/")) if self.headers["Host"] == "shop.example.com" else 421)
        self.end_headers()
        self.wfile.write(b'{"waiting": [], "lost": 0}')
    def address_string(self): return ""
    def log_message(self, *arguments): pass
server = socketserver.UnixStreamServer(sys.argv[1], Handler)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture
def app_socket(tmp_path):
    path = str(tmp_path / "gunicorn.sock")
    with subprocess.Popen([sys.executable, "-c", SERVER, path], stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        yield path
        server.kill()


@pytest.fixture
def same_user(monkeypatch):
    """Stay who runs the tests: to become another takes root."""
    user = SimpleNamespace(pw_uid=os.getuid(), pw_gid=os.getgid())
    monkeypatch.setattr(nginx, "pwd", SimpleNamespace(getpwnam=lambda name: user))
    monkeypatch.setattr(nginx.os, "setgroups", lambda groups: None)


MASTER = """
import os, signal, subprocess, sys, time
WORKER = ["sh", "-c", "sleep 60; :", "nginx: worker process"]
QUIT = ["sh", "-c", "sleep 60; :", "nginx: worker process is shutting down"]
children = [subprocess.Popen(WORKER, start_new_session=True)]
def reload(*_signal):
    time.sleep(0.3)
    children.append(subprocess.Popen(WORKER, start_new_session=True))
    time.sleep(0.5)
    os.killpg(children[0].pid, signal.SIGKILL)
    children[0].wait()
    children.append(subprocess.Popen(QUIT, start_new_session=True))
def end(*_signal):
    for child in children:
        try: os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError: pass
    os._exit(0)
signal.signal(signal.SIGHUP, reload)
signal.signal(signal.SIGTERM, end)
time.sleep(0.3)
print("ready", flush=True)
while True: signal.pause()
"""


def test_a_reload_lasts_until_the_old_workers_accept_no_more(host, engine, tmp_path, monkeypatch):
    """systemctl returns before: what is asked then may meet a worker to which the app's name is unknown."""
    with subprocess.Popen([sys.executable, "-c", MASTER], stdout=subprocess.PIPE) as master:
        master.stdout.readline()
        try:
            (tmp_path / "nginx.pid").write_text(f"{master.pid}\n")
            monkeypatch.setattr(nginx, "PID", str(tmp_path / "nginx.pid"))
            (engine.place / "bin/systemctl").write_text(f"#!/bin/sh\nkill -HUP {master.pid}\n")
            host()
            before, began = nginx._workers(), time.monotonic()
            nginx.reload()
            assert len(before) == 1 and nginx._workers() and not nginx._workers() & before
            assert 0.7 < time.monotonic() - began < nginx.RELOADED
        finally:
            master.terminate()


def test_an_nginx_that_is_not_found_is_not_waited_for(host, monkeypatch):
    host()
    monkeypatch.setattr(nginx, "PID", "/nonexistent")
    began = time.monotonic()
    nginx.reload()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("status", [200, 302, 404, 503])
def test_an_app_s_answer_is_its_status(app_socket, same_user, status):
    assert nginx.probe_socket(app_socket, f"/{status}", "shop.example.com") == status


def test_an_app_is_asked_for_what_it_tells(app_socket, same_user):
    assert nginx.ask_socket(app_socket, "/200", "shop.example.com") == {"waiting": [], "lost": 0}


def test_an_app_that_does_not_answer_is_an_error_with_its_reason(tmp_path, same_user):
    with pytest.raises(OSError, match="FileNotFoundError"):
        nginx.probe_socket(str(tmp_path / "none.sock"), "/", "shop.example.com")


DRIP = """
import os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("ready", flush=True)
while True:
    connection = server.accept()[0]
    try:
        for byte in eval(sys.argv[2]):
            connection.sendall(bytes([byte]))
            time.sleep(float(sys.argv[3]))
    except OSError:
        pass
"""
ENDLESS = {
    "a byte now and then": ("b'HTTP/1.1 200 OK' + 999 * b'x'", 0.3),
    "interim answers": ("99999 * b'HTTP/1.1 100 Continue\\r\\n\\r\\n'", 0),
}


@pytest.mark.parametrize("ask", [nginx.probe_socket, nginx.ask_socket])
@pytest.mark.parametrize("answer", ENDLESS)
def test_an_answer_that_does_not_end_is_given_up(tmp_path, same_user, answer, ask):
    path = str(tmp_path / "gunicorn.sock")
    said, pause = ENDLESS[answer]
    with subprocess.Popen([sys.executable, "-c", DRIP, path, said, str(pause)], stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        began = time.monotonic()
        with pytest.raises(OSError, match="timed out"):
            ask(path, "/", "shop.example.com", timeout=1)
        assert time.monotonic() - began < 4
        server.kill()


def test_what_an_app_says_is_shown_cut_and_harmless(tmp_path, same_user):
    path, said = str(tmp_path / "gunicorn.sock"), "b'\\x1b]0;owned\\x07' + 60000 * b'x' + b'\\n'"
    with subprocess.Popen([sys.executable, "-c", DRIP, path, said, "0"], stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        with pytest.raises(OSError) as error:
            nginx.probe_socket(path, "/", "shop.example.com", timeout=20)
        server.kill()
    assert len(str(error.value)) <= 600 and str(error.value).isprintable()


@pytest.mark.skipif(os.getuid() != 0, reason="to become nginx's user takes root")
def test_an_app_is_asked_as_nginx_s_own_user(app_socket, tmp_path, monkeypatch):
    """pytest's directories are the caller's alone, so nobody else gets to the socket."""
    nobody = SimpleNamespace(pw_uid=65534, pw_gid=65534)
    monkeypatch.setattr(nginx, "pwd", SimpleNamespace(getpwnam=lambda name: nobody))
    with pytest.raises(OSError, match="PermissionError"):
        nginx.probe_socket(app_socket, "/200", "shop.example.com")


def test_a_new_site_is_tested_among_the_others_and_nothing_in_place_changes(host, engine, tmp_path):
    host()
    conf = Path(nginx.CONF) / "conf.d"
    (conf / "blog.conf").write_text("# blog\n")
    (conf / "shop.conf").write_text("# in place\n")
    with open(f"{nginx.CONF}/nginx.conf", "ab") as main:
        main.write(b"# by hand, and no UTF-8: \xff\n")
    nginx.test_staged("shop", b"# new\n")
    staged = engine.place / "staged"
    assert b"UTF-8: \xff" in (staged / "nginx.conf").read_bytes()
    assert (staged / "conf.d/shop.conf").read_text() == "# new\n"
    assert (staged / "conf.d/blog.conf").read_text() == "# blog\n"
    assert f"{nginx.CONF}/conf.d" not in (staged / "nginx.conf").read_text(errors="replace")
    assert (conf / "shop.conf").read_text() == "# in place\n"
    assert not (tmp_path / "stage").exists()


def test_what_sites_of_others_include_by_a_relative_path_is_found(host, engine):
    """nginx looks for it where its main file is (ngx_conf_full_name)."""
    host()
    (Path(nginx.CONF) / "snippets").mkdir()
    (Path(nginx.CONF) / "snippets/php.conf").write_text("# php\n")
    nginx.test_staged("shop", b"")
    assert (engine.place / "staged/snippets/php.conf").read_text() == "# php\n"


def test_a_refused_site_is_an_error_in_nginx_s_words(host, engine, tmp_path):
    host()
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(nginx.SiteError, match="unknown directive") as error:
        nginx.test_staged("shop", b"server }\n")
    assert str(tmp_path / "stage") not in str(error.value)
    assert not (tmp_path / "stage").exists()


def test_nginx_tests_before_it_reloads(host, engine):
    host()
    nginx.reload()
    assert engine.calls() == ["nginx -t -q", "systemctl reload nginx.service"]
    engine.forget()
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(nginx.SiteError):
        nginx.reload()
    assert engine.calls() == ["nginx -t -q"]


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_GET(self):
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(203)
        self.end_headers()
        self.wfile.write(json.dumps({"path": self.path, "fields": dict(self.headers)}).encode())

    def address_string(self):
        return ""

    def log_message(self, *arguments):
        pass


def test_an_app_is_asked_as_nginx_asks(tmp_path, same_user):
    path = str(tmp_path / "app.sock")
    with socketserver.ThreadingUnixStreamServer(path, Echo) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        told = nginx.ask_socket(path, "/ready?x=1", "shop.example.com")
        server.shutdown()
        thread.join()
    fields = {"Host": "shop.example.com", "User-Agent": "flask-deploy", "X-Forwarded-Proto": "https"}
    assert told["path"] == "/ready?x=1"
    assert told["fields"] == {**fields, "Accept-Encoding": "identity", "Connection": "close"}


@pytest.fixture
def door(tmp_path, monkeypatch):
    """A server with a certificate of its own where this host's nginx would be."""
    key = keys()["p256"]
    (tmp_path / "pair.pem").write_bytes(pem(key) + certificate(key, "another.example"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.asked, server.names = [], []
    context.sni_callback = lambda _socket, name, _context: server.names.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    real = socket.create_connection

    def connect(where, timeout):
        assert where == ("127.0.0.1", 443) and 0 < timeout <= 5
        return real(server.server_address, timeout)

    monkeypatch.setattr(nginx.socket, "create_connection", connect)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_door_is_this_host_s_by_the_public_name_whatever_its_certificate(door):
    assert nginx.probe_door("shop.example.com", "/ready") == 203
    assert door.names == ["shop.example.com"]
    ((path, fields),) = door.asked
    assert (path, fields["host"], fields["connection"]) == ("/ready", "shop.example.com", "close")


def test_a_door_that_is_shut_is_an_error_with_its_reason(monkeypatch):
    def refuse(*_arguments):
        raise ConnectionRefusedError("nobody listens")

    monkeypatch.setattr(nginx.socket, "create_connection", refuse)
    with pytest.raises(OSError, match="ConnectionRefusedError: nobody listens"):
        nginx.probe_door("shop.example.com", "/")


def test_an_answer_is_read_up_to_a_size(tmp_path, same_user):
    path = str(tmp_path / "gunicorn.sock")
    head = "b'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n'"
    for spaces, good in ((nginx.LARGEST - 2, True), (nginx.LARGEST - 1, False)):
        said = f"{head} + b'{{' + {spaces} * b' ' + b'}}'"
        slow = DRIP.replace("for byte in eval(sys.argv[2])", "for bytes_ in [eval(sys.argv[2])]")
        slow = slow.replace("bytes([byte])", "bytes_").replace("time.sleep(float(sys.argv[3]))", "connection.close()")
        with subprocess.Popen([sys.executable, "-c", slow, path, said, "0"], stdout=subprocess.PIPE) as server:
            server.stdout.readline()
            if good:
                assert nginx.ask_socket(path, "/", "shop.example.com") == {}
            else:
                with pytest.raises(ValueError, match="Expecting"):
                    nginx.ask_socket(path, "/", "shop.example.com")
            server.kill()
        os.unlink(path)


def test_an_app_that_answers_with_anything_else_is_an_error(tmp_path, same_user):
    path = str(tmp_path / "gunicorn.sock")
    with subprocess.Popen(
        [sys.executable, "-c", DRIP, path, "b'?\\r\\n\\r\\n'", "0"], stdout=subprocess.PIPE
    ) as server:
        server.stdout.readline()
        with pytest.raises(OSError, match="BadStatusLine"):
            nginx.probe_socket(path, "/", "shop.example.com", timeout=1)
        server.kill()


def test_no_question_leaves_a_process_or_a_file_open(app_socket, same_user):
    def children():
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

    before = children(), sorted(os.listdir("/proc/self/fd"))
    nginx.probe_socket(app_socket, "/200", "shop.example.com")
    with pytest.raises(OSError):
        nginx.probe_socket(f"{app_socket}.none", "/200", "shop.example.com")
    assert (children(), sorted(os.listdir("/proc/self/fd"))) == before


def test_a_worker_that_serves_on_for_long_is_not_waited_for(host, monkeypatch):
    """One has an upload in flight: it accepts no more, and tells nobody."""
    host()
    monkeypatch.setattr(nginx, "RELOADED", 1)
    monkeypatch.setattr(nginx, "_workers", lambda: {"1"})
    began = time.monotonic()
    nginx.reload()
    assert 1 <= time.monotonic() - began < 10


def test_a_certificate_that_is_missing_is_told_with_what_makes_it(host, engine):
    host()
    text = '#!/bin/sh\necho "nginx: [emerg] cannot load certificate \\"/x.pem\\": No such file" >&2\nexit 1\n'
    (engine.place / "bin/nginx").write_text(text)
    with pytest.raises(
        nginx.SiteError, match=r"cannot load certificate.*\n  what to do: role nginx makes certificates"
    ):
        nginx.test()
    (engine.place / "nginx-refuses").touch()
    (engine.place / "bin/nginx").write_text('#!/bin/sh\necho "unknown directive" >&2\nexit 1\n')
    with pytest.raises(nginx.SiteError) as said:
        nginx.test()
    assert "what to do" not in str(said.value)


def test_an_nginx_or_a_systemd_that_hangs_is_given_up(host, engine, monkeypatch):
    host()
    monkeypatch.setattr(nginx, "PATIENCE", 1)
    for name, act in (("systemctl", nginx.reload), ("nginx", nginx.test)):
        (engine.place / "bin" / name).write_text("#!/bin/sh\nexec sleep 60\n")
        began = time.monotonic()
        with pytest.raises(nginx.SiteError, match=f"{name} .*took longer than 1 s"):
            act()
        assert time.monotonic() - began < 10


def test_a_lock_on_nginx_that_others_hold_is_told(host, monkeypatch):
    host()
    monkeypatch.setattr(nginx.locks, "LOCK_WAIT", 0)
    locked = nginx.locks.locked
    monkeypatch.setattr(nginx.locks, "locked", lambda path, _wait: locked(path, 0.1))
    with nginx.lock(), pytest.raises(nginx.SiteError, match=r"lock was not free for 0\.1 s: process"), nginx.lock():
        pass


def test_of_other_sites_the_files_that_nginx_reads_are_tested(host, engine):
    host()
    conf = Path(nginx.CONF)
    for name in ("blog.conf", "shop.conf", "blog.conf.before", "notes.txt"):
        (conf / "conf.d" / name).write_text("# there\n")
    (conf / "mime.types").write_text("# types\n")
    nginx.test_staged("shop", b"# new\n")
    staged = engine.place / "staged"
    assert sorted(os.listdir(staged)) == ["conf.d", "mime.types", "nginx.conf"]
    assert sorted(os.listdir(staged / "conf.d")) == ["blog.conf", "shop.conf"]
    assert engine.calls("nginx") == [f"nginx -t -q -c {conf.parents[1]}/stage/nginx.conf"]


def test_a_child_that_cannot_be_killed_is_not_waited_for(monkeypatch):
    """One that waits for a disk is such."""
    kept, kill, before = [], os.kill, time.monotonic()
    monkeypatch.setattr(nginx.os, "kill", lambda child, _signal: kept.append(child))
    with pytest.raises(OSError, match="timed out"):
        nginx._apart(lambda: time.sleep(20) or b"", 0.1)
    waited = time.monotonic() - before
    kill(kept[0], signal.SIGKILL)
    assert waited < 15
    os.waitpid(kept[0], 0)
