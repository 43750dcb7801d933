"""nginx as a release meets it: its configuration test, its reload, and its view of the app."""

from __future__ import annotations

import glob
import http.client
import json
import os
import pwd
import select
import shutil
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible.module_utils.flask_deploy.host import command, locks
from ansible.module_utils.flask_deploy.host.untrusted import plain, refuse_false_socket

CONF = "/etc/nginx"
NGINX = "www-data"  # the user that nginx's workers run as
PATIENCE = 60  # seconds that nginx and systemd have for nginx's configuration
LOCK = f"{locks.RUN}/nginx.lock"  # role nginx's keep_certificates takes it too
PID = "/run/nginx.pid"
RELOADED = 10  # seconds in which nginx has taken a configuration that it was told to take
LARGEST = 1 << 18  # bytes of an answer that are read
AGENT, HERE = "flask-deploy", "127.0.0.1"  # as which, and from where, a host asks its own nginx
MARGIN = 0.5  # seconds that a child has to say why there is no answer
LAST = 2  # seconds that a killed child has to end
MAKES_CERTIFICATES = (
    "role nginx makes certificates, playbooks/app.yml alone does not: ansible-playbook site.yml -i inventories/..."
)


class SiteError(Exception):
    """nginx refuses a configuration, or does not do what it was told."""


@contextmanager
def lock(wait: float = locks.LOCK_WAIT) -> Iterator[None]:
    """Hold the host's lock on nginx's configuration, shared by all apps and the certificate hook.

    :param wait: seconds.
    """
    try:
        with locks.locked(LOCK, wait):
            yield
    except locks.LockError as error:
        raise SiteError(str(error)) from error


def run(*words: str) -> None:
    try:
        command.run(*words, error=SiteError, limit=PATIENCE)
    except SiteError as error:
        if "cannot load certificate" not in str(error):
            raise
        raise SiteError(f"{error}\n  what to do: {MAKES_CERTIFICATES}") from error


def test() -> None:
    """Test the configuration in place.

    :raises SiteError: with nginx's words.
    """
    run("nginx", "-t", "-q")


def test_staged(app: str, site: bytes) -> None:
    """Test nginx's whole configuration as it would be with ``site`` as the site file of ``app``.

    :raises SiteError: with nginx's words; the configuration in place was not touched.
    """
    stage = tempfile.mkdtemp(prefix="flask-deploy-site-", dir="/run")
    try:
        os.mkdir(f"{stage}/conf.d")
        for name in set(os.listdir(CONF)) - {"conf.d", "nginx.conf"}:
            os.symlink(f"{CONF}/{name}", f"{stage}/{name}")  # a site of others may include it by a relative path
        for path in glob.glob(f"{CONF}/conf.d/*.conf"):
            if os.path.basename(path) != f"{app}.conf":
                shutil.copy(path, f"{stage}/conf.d/")
        with open(f"{stage}/conf.d/{app}.conf", "wb") as file:
            file.write(site)
        with open(f"{CONF}/nginx.conf", encoding="utf-8", errors="surrogateescape") as file:
            main = file.read()
        with open(f"{stage}/nginx.conf", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(main.replace(f"{CONF}/conf.d/", f"{stage}/conf.d/"))
        try:
            run("nginx", "-t", "-q", "-c", f"{stage}/nginx.conf")
        except SiteError as error:
            raise SiteError(str(error).replace(stage, CONF)) from error
    finally:
        shutil.rmtree(stage)


def reload() -> None:
    """Let nginx take its configuration; requests in flight finish on the old workers.

    It returns when those accept no more: until then a new name is none, and who asks for it is refused.

    :raises SiteError: the configuration is bad, or nginx is not running.
    """
    test()
    before, end = _workers(), time.monotonic() + RELOADED
    run("systemctl", "reload", "nginx.service")
    while before & _workers() and time.monotonic() < end:
        time.sleep(0.05)


def _workers() -> set[str]:
    """Return nginx's processes that accept connections; none where that cannot be told."""
    found = set()
    with suppress(OSError, ValueError):
        with open(PID, encoding="ascii") as file:
            master = int(file.read())
        with open(f"/proc/{master}/task/{master}/children", encoding="ascii") as file:
            children = file.read().split()
        for child in children:
            with suppress(OSError), open(f"/proc/{child}/cmdline", "rb") as file:
                if b"worker process" in (title := file.read()) and b"shutting down" not in title:
                    found.add(child)
    return found


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class _LocalDoor(http.client.HTTPSConnection):
    """HTTPS to this host's own nginx, whatever the name resolves to."""

    def connect(self) -> None:
        plain = socket.create_connection((HERE, 443), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


def _get(connection: http.client.HTTPConnection, path: str, host: str, body: bool = False) -> tuple[int, bytes]:
    """Return the status, and the body where that is wanted."""
    headers = {"Host": host, "User-Agent": AGENT, "X-Forwarded-Proto": "https", "Connection": "close"}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(LARGEST) if body else b""
    finally:
        connection.close()


def probe_socket(path: str, url: str, host: str, timeout: float = 5) -> int:
    """Ask an app through its unix socket, as nginx's own user; return the status.

    :raises OSError, http.client.HTTPException: no answer, with the reason.
    """
    refuse_false_socket(path)
    return int(_apart(lambda: str(_get(_UnixConnection(path, timeout), url, host)[0]).encode(), timeout, NGINX))


def ask_socket(path: str, url: str, host: str, timeout: float = 5) -> Any:
    """Ask an app through its unix socket, as nginx's own user; return the JSON that it answers.

    :raises OSError, ValueError: no such answer, with the reason.
    """
    refuse_false_socket(path)
    return json.loads(_apart(lambda: _get(_UnixConnection(path, timeout), url, host, body=True)[1], timeout, NGINX))


def _apart(question: Callable[[], bytes], timeout: float, user: str | None = None) -> bytes:
    """Return the bytes that a question brings within so many seconds in all, asked by a child, as another user.

    :raises OSError: the question's own error, or no whole answer in time: an app may send a byte now and then.
    """
    other = pwd.getpwnam(user) if user else None
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if other:
                os.setgroups([])
                os.setgid(other.pw_gid)
                os.setuid(other.pw_uid)
            answer = b"+" + question()
        except BaseException as error:  # the child must end here, whatever happens
            answer = f"-{plain(f'{type(error).__name__}: {error}')}".encode()
        with suppress(OSError), os.fdopen(write_end, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(write_end)
    try:
        answer = _read(read_end, time.monotonic() + timeout + MARGIN)
    finally:
        os.close(read_end)
        _end(child)
    if answer[:1] != b"+":
        raise OSError(answer[1:].decode(errors="replace") if answer else f"timed out: no whole answer in {timeout} s")
    return answer[1:]


def _end(child: int) -> None:
    """Kill a child and wait for its end, but not for long: one that waits for a disk cannot be killed."""
    handle = os.pidfd_open(child)
    try:
        os.kill(child, signal.SIGKILL)
        select.select([handle], [], [], LAST)
        os.waitpid(child, os.WNOHANG)
    finally:
        os.close(handle)


def _read(pipe: int, end: float) -> bytes:
    """Return what a child writes until it is done; nothing where it is not by then."""
    answer = b""
    while select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
        piece = os.read(pipe, LARGEST)
        if not piece:
            return answer
        answer += piece
    return b""


def probe_door(domain: str, url: str, timeout: float = 5) -> int:
    """Ask for a page through nginx, by TLS and the app's public name; return the status.

    The certificate is not judged: it may be self-signed.

    :raises OSError, http.client.HTTPException: no answer, with the reason.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = _LocalDoor(domain, 443, timeout=timeout, context=context)
    return int(_apart(lambda: str(_get(connection, url, domain)[0]).encode(), timeout))
