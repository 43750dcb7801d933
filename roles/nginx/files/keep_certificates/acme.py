"""Get a certificate from an ACME server (RFC 8555) with certbot, by http-01 through the running nginx."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from typing import Any

from ansible.module_utils.flask_deploy.host import files

from . import store

RUN = "/run"
WEBROOT = "/var/lib/flask-deploy/acme"
CHALLENGES = "/.well-known/acme-challenge"
NGINX_USER = "www-data"
PORT = 80  # where http-01 asks
PATIENCE = 5  # seconds for one answer, of the CA or of ourselves
CERTBOT_PATIENCE = 600
KEY = {
    "ecdsa": {"key-type": "ecdsa", "elliptic-curve": "secp256r1"},
    "rsa": {"key-type": "rsa", "rsa-key-size": "2048"},
}
# Said by an ACME server of an account that it does not know any more, RFC 8555 sections 6.7 and 7.3.6.
LOST_ACCOUNT = re.compile(
    r"accountDoesNotExist|account[^\n]{0,80}(deactivated|revoked|not valid|not found)", re.IGNORECASE
)
NOISE = re.compile(r"Saving debug log|Ask for help|See the logfile|Requesting a cert|Renewing an|Hint:|Some challenges")


class AcmeError(Exception):
    """There is no certificate, and why: a line for the one who runs the host."""


def directory(url: str, ca_file: str | None = None) -> dict[str, Any]:
    """Return an ACME server's directory, RFC 8555 section 7.1.1.

    :raises AcmeError: it does not answer.
    """
    try:
        context = ssl.create_default_context()
        if ca_file:
            context.load_verify_locations(ca_file)
        with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as answer:  # noqa: S310
            return json.load(answer)
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise AcmeError(f"the CA at {url} does not answer: {reason}") from error


def check_directory(asked: dict[str, Any], ca_file: str | None) -> None:
    """Find out what the CA would refuse anyway."""
    meta = directory(asked["directory"], ca_file).get("meta", {})
    profiles = meta.get("profiles", {})
    if asked["profile"] and asked["profile"] not in profiles:
        has = ", ".join(sorted(profiles)) or "none"
        raise AcmeError(f"nginx_acme_profile: {asked['directory']} offers no {asked['profile']!r}; it offers: {has}")
    if meta.get("externalAccountRequired") and not asked["eab_key_id"]:
        raise AcmeError(f"nginx_acme_eab_key_id: {asked['directory']} wants an external account")


def open_webroot() -> str:
    """Return the directory of the answers; nginx's user can read it, also where an earlier run had closed it."""
    place = f"{WEBROOT}{CHALLENGES}"
    store.directory(place, ours=os.path.dirname(WEBROOT))
    return place


def check_names(names: Iterable[str]) -> None:
    """Find out whether each name leads to this host: port 80 of each of its addresses answers with a token of ours.

    :raises AcmeError: naming each name, its addresses and this host's.
    """
    token = secrets.token_urlsafe(24)
    path = f"{open_webroot()}/{token}"
    store.write(path, token.encode(), 0o644)
    try:
        said = [line for name in names for line in astray(name, token)]
    finally:
        os.unlink(path)
    if said:
        raise AcmeError(f"{'; '.join(said)}; this host is {own_addresses()}")


def astray(name: str, token: str) -> list[str]:
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
            lines.append(f"{name}: this host's own nginx answers with {said}; {own_fault(token, said)}")
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
        user: dict[str, Any] = {"user": NGINX_USER, "group": NGINX_USER, "extra_groups": []}
        done = subprocess.run(["test", "-r", path], **user, check=False, timeout=10)
    except (LookupError, OSError, subprocess.TimeoutExpired):  # no such user, or not ours to ask
        return True
    return done.returncode == 0


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
        done = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "without an address that is known"
    return " ".join(done.stdout.split()) or "without an address"


def options(app: str, names: Iterable[str], asked: dict[str, Any], place: str) -> str:
    """Return certbot's options as its configuration file has them; secrets do not belong on a command line."""
    chosen = {
        "config-dir": f"{place}/acme",
        "work-dir": f"{place}/acme/work",
        "logs-dir": "/var/log/letsencrypt",
        "server": asked["directory"],
        "cert-name": app,
        "domains": ",".join(names),
        "webroot-path": WEBROOT,
        **KEY[asked["key_type"]],
    }
    wanted = {
        "email": asked["mail"],
        "eab-kid": asked["eab_key_id"],
        "eab-hmac-key": asked["eab_hmac_key"],
        "required-profile": asked["profile"],
    }
    chosen |= {name: value for name, value in wanted.items() if value}
    flags = ["non-interactive", "agree-tos", "webroot", "force-renewal", "renew-with-new-domains"]
    flags += [] if asked["mail"] else ["register-unsafely-without-email"]
    return "".join(f"{name} = {value}\n" for name, value in [*chosen.items(), *((flag, "true") for flag in flags)])


def run_certbot(text: str, ca_file: str | None) -> str | None:
    """Run certbot once; return what it said when it failed, else None."""
    with tempfile.TemporaryDirectory(prefix="flask-deploy-acme-", dir=RUN) as folder:
        store.write(f"{folder}/cli.ini", text.encode(), 0o600)
        environment = {**os.environ, **({"REQUESTS_CA_BUNDLE": ca_file} if ca_file else {})}
        command = ["certbot", "certonly", "--config", f"{folder}/cli.ini"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=CERTBOT_PATIENCE, env=environment
            )
        except subprocess.TimeoutExpired:
            return f"error: certbot took longer than {CERTBOT_PATIENCE} s; the CA may not answer"
        except OSError as error:
            return str(error)
    return None if done.returncode == 0 else done.stdout + done.stderr


def essence(said: str) -> str:
    """Return what matters in certbot's words, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    kept = [line for line in lines if not NOISE.search(line)]
    telling = [line for line in kept if re.search(r"Detail:|urn:ietf|rror", line)] or kept[-2:]
    return " ".join(dict.fromkeys(telling))[:400] or "certbot failed and said nothing"


def obtain(
    app: str, names: Sequence[str], asked: dict[str, Any], place: str, ca_file: str | None = None
) -> tuple[bytes, bytes]:
    """Return (chain, key) in PEM of a new certificate with a new key.

    An account that the CA does not know any more is replaced by a new one, once.

    :raises AcmeError: there is none, and why.
    """
    check_directory(asked, ca_file)
    open_webroot()
    if asked["preflight"]:
        check_names(names)
    text = options(app, names, asked, place)
    said = run_certbot(text, ca_file)
    if said and LOST_ACCOUNT.search(said):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(f"{place}/acme/accounts")
        said = run_certbot(text, ca_file)
    if said:
        raise AcmeError(essence(said))
    chain, key = (files.read(f"{place}/acme/live/{app}/{part}.pem") for part in ("fullchain", "privkey"))
    return chain, key
