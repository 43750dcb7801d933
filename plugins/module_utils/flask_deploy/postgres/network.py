"""Apps of other hosts: who may come over the network, with which password, and the certificate that they check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import os
import pwd
import re
import secrets
import socket

from ansible.module_utils.flask_deploy.host import command, files, postgres
from ansible.module_utils.flask_deploy.postgres.cluster import HBA, OWNER, PATIENCE, PostgresError, sql

PLACE = "/etc/flask-deploy/postgres"
PORT = 5432
DAY = 86400
CA_DAYS, DAYS, RENEWED = 7300, 1825, 730 * DAY  # each setup renews what ends within RENEWED seconds
ROUNDS = 4096  # of PBKDF2, as PostgreSQL has them
SETTINGS = [
    ("listen_addresses", "*", "apps come from other hosts; pg_hba.conf names their addresses"),
    ("ssl", "on", "nobody comes without TLS"),
    ("ssl_cert_file", f"{PLACE}/server.pem", "made for postgres_address, by a CA of this host's own"),
    ("ssl_key_file", f"{PLACE}/server.pem", "the key lies in the same file: both change in one step"),
    ("password_encryption", "scram-sha-256", "no password is kept here in a form that logs in"),
]
MISSING = (
    "app_needs: postgres is not set up for {} on its host yet; once, type: ansible-playbook site.yml -i inventories/..."
)
NOWHERE = (
    "postgres_address: this host finds no way to {}: {}; write the address by which it reaches the database's host"
)


def known() -> dict[str, list[str]]:
    """Return {app: addresses that it comes from}."""
    return (files.read_json(postgres.RECORD) or {}).get("network", {})


def note(app: str, addresses: list[str] | None) -> None:
    """Write down where an app comes from; None where it comes no more."""
    record = files.read_json(postgres.RECORD) or {}
    others = {name: each for name, each in record.get("network", {}).items() if name != app}
    files.write_json(postgres.RECORD, {**record, "network": others | ({app: addresses} if addresses else {})})


def hba(apps: dict[str, list[str]]) -> str:
    """Return who may come in, with those of other hosts."""
    rows = [
        f'hostssl "{app}" "{app}" {ipaddress.ip_network(address)} scram-sha-256\n'
        for app, addresses in sorted(apps.items())
        for address in sorted(addresses)
    ]
    return HBA + "".join(rows)


def source(address: str) -> str:
    """Return the address by which this host comes to another.

    :raises PostgresError: there is no way.
    """
    try:
        family, kind, _protocol, _name, there = socket.getaddrinfo(address, PORT, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as asked:
            asked.connect(there)  # sends nothing: the kernel chooses a route
            return asked.getsockname()[0]
    except OSError as error:
        raise PostgresError(NOWHERE.format(address, error)) from error


def password(app: str) -> str:
    """Return an app's password, made where there is none."""
    path = f"{PLACE}/{app}.password"
    text = (files.read(path) or b"").decode()
    if not text:
        text = secrets.token_urlsafe(32)
        files.ensure_directory(PLACE)
        files.write(path, text.encode(), 0o400)
    return text


def told(app: str) -> dict[str, str]:
    """Return what an app needs to come in: {"password", "ca"}; or {"missing": why, and what to type}.

    That is no error: Ansible shows no error of a task that must not show its result.
    """
    found = {"password": files.read(f"{PLACE}/{app}.password"), "ca": files.read(f"{PLACE}/ca.crt")}
    if app not in known() or not all(found.values()):
        return {"missing": MISSING.format(app)}
    return {name: content.decode() for name, content in found.items()}


def verifier(text: str, salt: bytes) -> str:
    """Return what PostgreSQL keeps of a password (RFC 5802; its pg_authid): it does not log in by itself."""
    salted = hashlib.pbkdf2_hmac("sha256", text.encode(), salt, ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(each).decode() for each in (salt, stored, server))
    return f"SCRAM-SHA-256${ROUNDS}:{salt64}${stored64}:{server64}"


def ensure_password(app: str, dry: bool) -> list[str]:
    """Let an app's role have the app's password; return what was, or would be, done."""
    if dry:
        return []
    text = password(app)
    kept = (sql(f"SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolname = '{app}'") or [[""]])[0][0]  # noqa: S608
    salt = re.match(r"SCRAM-SHA-256\$\d+:([^$]+)\$", kept)
    if salt and hmac.compare_digest(kept, verifier(text, base64.b64decode(salt[1]))):
        return []
    sql(f"ALTER ROLE \"{app}\" PASSWORD '{verifier(text, secrets.token_bytes(16))}'")
    return [f"password of role {app}"]


def forget(app: str) -> None:
    """Let an app come no more."""
    note(app, None)
    if os.path.exists(f"{PLACE}/{app}.password"):
        files.remove(f"{PLACE}/{app}.password")


def ensure_certificate(address: str, dry: bool) -> list[str]:
    """Let this host have a certificate for a name or an address, which a CA of its own signs; return what was made.

    The CA lasts, so that apps that run trust a renewed certificate too.
    """
    made = []
    owner = pwd.getpwnam(OWNER)
    if not os.path.exists(f"{PLACE}/ca.crt"):
        made.append(f"{PLACE}/ca.crt")
        if not dry:
            key, certificate = _signed(CA_DAYS, "flask-deploy PostgreSQL", ["basicConstraints=critical,CA:TRUE"])
            files.ensure_directory(PLACE)
            files.write(f"{PLACE}/ca.key", key, 0o400)
            files.write(f"{PLACE}/ca.crt", certificate)
    if not _serves(address):
        made.append(f"{PLACE}/server.pem")
        if not dry:
            more = [
                "basicConstraints=critical,CA:FALSE",
                "extendedKeyUsage=serverAuth",
                f"subjectAltName={_named(address)}",
            ]
            by = ("-CA", f"{PLACE}/ca.crt", "-CAkey", f"{PLACE}/ca.key")
            files.write(f"{PLACE}/server.pem", b"".join(_signed(DAYS, "PostgreSQL", more, by)), 0o640, 0, owner.pw_gid)
    return made


def _signed(days: int, name: str, extensions: list[str], by: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """Return (key, certificate), both in PEM."""
    wanted = [word for each in extensions for word in ("-addext", each)]
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "-", "-out", "-")
    words = ("openssl", "req", "-x509", "-sha256", *kind, "-days", str(days), "-subj", f"/CN={name}", *wanted, *by)
    both = command.run(*words, error=PostgresError, limit=PATIENCE)
    parts = re.findall(rb"-----BEGIN [^-]+-----.*?-----END [^-]+-----\n", both, re.DOTALL)
    return parts[0], parts[1]


def _named(address: str) -> str:
    return f"{'IP' if _is_address(address) else 'DNS'}:{address}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _serves(address: str) -> bool:
    """Tell whether the certificate that is there is of our CA, for this address, and lasts."""
    path, kind = f"{PLACE}/server.pem", "-checkip" if _is_address(address) else "-checkhost"
    if not os.path.exists(path):
        return False
    asked = ("openssl", "x509", "-noout", "-in", path, "-checkend", str(RENEWED))
    named = command.attempt("openssl", "x509", "-noout", "-in", path, kind, address, limit=PATIENCE)
    ours = command.attempt("openssl", "verify", "-CAfile", f"{PLACE}/ca.crt", path, limit=PATIENCE)
    lasts = command.attempt(*asked, limit=PATIENCE)
    return lasts.code == 0 and ours.code == 0 and b"does match" in named.out
