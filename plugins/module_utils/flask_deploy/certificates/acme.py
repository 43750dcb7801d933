"""Get a certificate from an ACME server (RFC 8555) with certbot, by http-01.

nginx serves the answers on a host; on a balancer certbot does, to whom all of them hand these requests on.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from typing import Any

from ansible.module_utils.flask_deploy.certificates import leading, store
from ansible.module_utils.flask_deploy.host import command, files

RUN = "/run"
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


def options(app: str, names: Iterable[str], asked: dict[str, Any], place: str, server: str = "nginx") -> str:
    """Return certbot's options as its configuration file has them; secrets do not belong on a command line."""
    chosen = {
        "config-dir": f"{place}/acme",
        "work-dir": f"{place}/acme/work",
        "logs-dir": "/var/log/letsencrypt",
        "server": asked["directory"],
        "cert-name": app,
        "domains": ",".join(names),
        **({"http-01-port": str(leading.BEHIND)} if server == "haproxy" else {"webroot-path": leading.WEBROOT}),
        **KEY[asked["key_type"]],
    }
    wanted = {
        "email": asked["mail"],
        "eab-kid": asked["eab_key_id"],
        "eab-hmac-key": asked["eab_hmac_key"],
        "required-profile": asked["profile"],
    }
    chosen |= {name: value for name, value in wanted.items() if value}
    way = "standalone" if server == "haproxy" else "webroot"
    flags = ["non-interactive", "agree-tos", way, "force-renewal", "renew-with-new-domains"]
    flags += [] if asked["mail"] else ["register-unsafely-without-email"]
    return "".join(f"{name} = {value}\n" for name, value in [*chosen.items(), *((flag, "true") for flag in flags)])


def run_certbot(text: str, ca_file: str | None) -> str | None:
    """Run certbot once; return what it said when it failed, else None."""
    with tempfile.TemporaryDirectory(prefix="flask-deploy-acme-", dir=RUN) as folder:
        store.write(f"{folder}/cli.ini", text.encode(), 0o600)
        words = ("certbot", "certonly", "--config", f"{folder}/cli.ini")
        environment = {"REQUESTS_CA_BUNDLE": ca_file} if ca_file else {}
        try:
            done = command.attempt(*words, limit=CERTBOT_PATIENCE, together=True, environment=environment)
        except OSError as error:
            return str(error)
    if done.code is None:
        return f"error: certbot took longer than {CERTBOT_PATIENCE} s; the CA may not answer"
    return done.said if done.code else None


def essence(said: str) -> str:
    """Return what matters in certbot's words, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    kept = [line for line in lines if not NOISE.search(line)]
    telling = [line for line in kept if re.search(r"Detail:|urn:ietf|rror", line)] or kept[-2:]
    return " ".join(dict.fromkeys(telling))[:400] or "certbot failed and said nothing"


def obtain(
    app: str,
    names: Sequence[str],
    asked: dict[str, Any],
    place: str,
    ca_file: str | None = None,
    server: str = "nginx",
) -> tuple[bytes, bytes]:
    """Return (chain, key) in PEM of a new certificate with a new key.

    An account that the CA does not know any more is replaced by a new one, once.

    :raises AcmeError: there is none, and why.
    """
    check_directory(asked, ca_file)
    if server == "nginx":
        leading.open_webroot()
    if asked["preflight"]:
        try:
            leading.check_names(names, server)
        except leading.AstrayError as astray:
            raise AcmeError(str(astray)) from astray
    text = options(app, names, asked, place, server)
    said = run_certbot(text, ca_file)
    if said and LOST_ACCOUNT.search(said):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(f"{place}/acme/accounts")
        said = run_certbot(text, ca_file)
    if said:
        raise AcmeError(essence(said))
    chain, key = (files.read(f"{place}/acme/live/{app}/{part}.pem") for part in ("fullchain", "privkey"))
    return chain, key
