"""What nginx is asked, and how an app is asked as nginx would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils import app_site as site

SERVER = """
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path.strip("/")) if self.headers["Host"] == "shop.example.com" else 421)
        self.end_headers()
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
    monkeypatch.setattr(site, "pwd", SimpleNamespace(getpwnam=lambda name: user))
    monkeypatch.setattr(site.os, "setgroups", lambda groups: None)


@pytest.mark.parametrize("status", [200, 302, 404, 503])
def test_an_app_s_answer_is_its_status(app_socket, same_user, status):
    assert site.probe_socket(app_socket, f"/{status}", "shop.example.com") == status


def test_an_app_that_does_not_answer_is_an_error_with_its_reason(tmp_path, same_user):
    with pytest.raises(OSError, match="FileNotFoundError"):
        site.probe_socket(str(tmp_path / "none.sock"), "/", "shop.example.com")


@pytest.mark.skipif(os.getuid() != 0, reason="to become nginx's user takes root")
def test_an_app_is_asked_as_nginx_s_own_user(app_socket, tmp_path, monkeypatch):
    """pytest's directories are the caller's alone, so nobody else gets to the socket."""
    nobody = SimpleNamespace(pw_uid=65534, pw_gid=65534)
    monkeypatch.setattr(site, "pwd", SimpleNamespace(getpwnam=lambda name: nobody))
    with pytest.raises(OSError, match="PermissionError"):
        site.probe_socket(app_socket, "/200", "shop.example.com")


def test_a_new_site_is_tested_among_the_others_and_nothing_in_place_changes(host, engine, tmp_path):
    host()
    conf = Path(site.CONF) / "conf.d"
    (conf / "blog.conf").write_text("# blog\n")
    (conf / "shop.conf").write_text("# in place\n")
    site.test_staged("shop", b"# new\n")
    staged = engine.place / "staged"
    assert (staged / "conf.d/shop.conf").read_text() == "# new\n"
    assert (staged / "conf.d/blog.conf").read_text() == "# blog\n"
    assert f"{site.CONF}/conf.d" not in (staged / "nginx.conf").read_text()
    assert (conf / "shop.conf").read_text() == "# in place\n"
    assert not (tmp_path / "stage").exists()


def test_a_refused_site_is_an_error_in_nginx_s_words(host, engine, tmp_path):
    host()
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(site.SiteError, match="unknown directive") as error:
        site.test_staged("shop", b"server }\n")
    assert str(tmp_path / "stage") not in str(error.value)
    assert not (tmp_path / "stage").exists()


def test_nginx_tests_before_it_reloads(host, engine):
    host()
    site.reload()
    assert engine.calls() == ["nginx -t -q", "systemctl reload nginx.service"]
    engine.forget()
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(site.SiteError):
        site.reload()
    assert engine.calls() == ["nginx -t -q"]
