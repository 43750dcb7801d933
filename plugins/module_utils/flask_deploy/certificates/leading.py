"""Whether each name of a certificate leads to this host, as a CA will see it (RFC 8555 section 8.3)."""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import secrets
import socket
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible.module_utils.flask_deploy.certificates import store
from ansible.module_utils.flask_deploy.host import command

WEBROOT = "/var/lib/flask-deploy/acme"
CHALLENGES = "/.well-known/acme-challenge"
NGINX_USER = "www-data"
PORT = 80  # where http-01 asks
BEHIND = 8402  # where a balancer answers, behind all balancers
PATIENCE = 5  # seconds for one answer


class AstrayError(Exception):
    """A name does not lead here; the message names each, its addresses and this host's."""


def open_webroot() -> str:
    """Return the directory of the answers; nginx's user can read it, also where an earlier run had closed it."""
    place = f"{WEBROOT}{CHALLENGES}"
    store.directory(place, ours=os.path.dirname(WEBROOT))
    return place


@contextlib.contextmanager
def answering(token: str, server: str) -> Iterator[None]:
    """Answer requests for a token with it, as the CA's will be answered.

    :raises AstrayError: somebody else has the port of a balancer's answers.
    """
    if server == "haproxy":
        with answering_behind(token):
            yield
        return
    path = f"{open_webroot()}/{token}"
    store.write(path, token.encode(), 0o644)
    try:
        yield
    finally:
        os.unlink(path)


@contextlib.contextmanager
def answering_behind(token: str) -> Iterator[None]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == f"{CHALLENGES}/{token}"
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(token.encode() if known else b"")

        def log_message(self, *_words: Any) -> None:
            pass

    try:
        answers = ThreadingHTTPServer(("", BEHIND), Answer)
    except OSError as taken:
        raise AstrayError(f"port {BEHIND}, where a balancer answers the CA: {taken.strerror}") from taken
    threading.Thread(target=answers.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield
    finally:
        answers.shutdown()
        answers.server_close()


def check_names(names: Iterable[str], server: str = "nginx") -> None:
    """Find out whether each name leads to this host: port 80 of each of its addresses answers with a token of ours.

    :raises AstrayError: naming each name, its addresses and this host's.
    """
    token = secrets.token_urlsafe(24)
    with answering(token, server):
        said = [line for name in names for line in astray(name, token, server)]
    if said:
        raise AstrayError(f"{'; '.join(said)}; this host is {own_addresses()}")


def astray(name: str, token: str, server: str = "nginx") -> list[str]:
    """Return a line for each address of a name that does not answer with the token."""
    try:
        found = socket.getaddrinfo(name, PORT, type=socket.SOCK_STREAM)
    except OSError as error:
        return [f"{name} does not resolve ({error.strerror})"]
    lines = []
    for address in sorted({entry[4][0] for entry in found}):
        said = fetch(address, name, f"{CHALLENGES}/{token}")
        if said in (token, None):
            continue
        if fetch("127.0.0.1", name, f"{CHALLENGES}/{token}") == said:
            fault = own_fault(token, said) if server == "nginx" else "type there: systemctl status haproxy"
            lines.append(f"{name}: this host's own {server} answers with {said}; {fault}")
        else:
            lines.append(f"{name} resolves to {address}, whose port 80 does not answer with this host's token: {said}")
    return lines


def own_fault(token: str, said: str) -> str:
    """Return what to do where the name leads here, and nginx does not hand the token out."""
    path = f"{WEBROOT}{CHALLENGES}/{token}"
    if not readable(path):  # nginx answers as if there were none
        return (
            f"its user {NGINX_USER} cannot read {os.path.dirname(path)}; type there: namei -l {os.path.dirname(path)}"
        )
    if said.startswith("status "):
        return "another site of this host answers for that name; type there: sudo nginx -T | grep server_name"
    return "type there: systemctl status nginx"


def readable(path: str) -> bool:
    """Tell whether nginx's user may read a file."""
    try:
        user = pwd.getpwnam(NGINX_USER)
        words = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "test", "-r", path)
        return os.getuid() != 0 or command.attempt(*words, limit=PATIENCE).code != 1
    except (KeyError, OSError):  # no such user
        return True


def fetch(address: str, name: str, path: str) -> str | None:
    """Return the body of a page, or why there is none; None where this host has no route to such addresses."""
    connection = http.client.HTTPConnection(address, PORT, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Host": name, "User-Agent": "flask-deploy", "Connection": "close"})
        answer = connection.getresponse()
        text = answer.read(200).decode(errors="replace")
        return text if answer.status == 200 else f"status {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) in store.NO_ROUTE:
            return None
        return str(error) or type(error).__name__
    finally:
        connection.close()


def own_addresses() -> str:
    try:
        done = command.attempt("hostname", "-I", limit=PATIENCE)
    except OSError:
        return "without an address that is known"
    return " ".join(done.out.decode(errors="replace").split()) or "without an address"
