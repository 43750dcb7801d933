"""Values of role nginx."""

from __future__ import annotations

import re

from .certificates import check_certificate
from .rules import APP, NAME, absolute_file, each, number, pattern

HEADER_SIZE = re.compile(r"[1-9][0-9]{0,2}k")
DIRECTORY = re.compile(r"https://[a-z0-9.-]+(:[0-9]{1,5})?/[\w./~%+-]*", re.ASCII)
MAIL = re.compile(r"[\w.+-]+@[a-z0-9.-]+", re.ASCII)
WORD = re.compile(r"[\w.=+/-]*", re.ASCII)

# Names for use at home and in examples, RFC 6761, 6762, 8375.
PRIVATE = {"test", "example", "invalid", "localhost", "local", "internal", "arpa"}


def hmac_key(value):
    return None if WORD.fullmatch(value) else "is not base64url; it must be as the CA shows it"


CHECKS = {
    "nginx_certificate_file": absolute_file,
    "nginx_certificate_key_file": absolute_file,
    "nginx_certificate_ca_file": absolute_file,
    "nginx_acme_directory": pattern(DIRECTORY, "https://acme-v02.api.letsencrypt.org/directory"),
    "nginx_acme_mail": lambda value: value and pattern(MAIL, "admin@example.com")(value),
    "nginx_acme_eab_key_id": pattern(WORD, "kid-1"),
    "nginx_acme_eab_hmac_key": hmac_key,
    "nginx_acme_profile": pattern(WORD, "nginx_acme_profile: shortlived"),
    "nginx_certificate_names": each(pattern(NAME, "[shop.example.com]")),
    "nginx_certificate_owner": pattern(APP, "nginx_certificate_owner: shop"),
    "nginx_worker_connections": number(64, 1000000),
    "nginx_keepalive_timeout": number(0, 3600),
    "nginx_header_timeout": number(1, 3600),
    "nginx_header_size": pattern(HEADER_SIZE, "nginx_header_size: 8k"),
}


def check_together(values, hosts):
    """Return mistakes that only show when variables are seen together."""
    kind = values.get("nginx_certificate")
    if kind == "provided":
        return check_certificate(values)
    return check_acme(values) if kind == "acme" else []


def check_acme(values):
    """Return what an ACME server would refuse: names that only a CA of one's own can know, half a binding."""
    names = values.get("nginx_certificate_names") or [values["app_domain"], *values.get("app_aliases", [])]
    private = [name for name in names if "." not in name or name.rpartition(".")[2] in PRIVATE]
    mistakes = []
    if private and not values.get("nginx_certificate_ca_file"):
        mistakes.append(f"nginx_certificate: no public CA knows {', '.join(private)}; write selfsigned or provided")
    if bool(values.get("nginx_acme_eab_key_id")) != bool(values.get("nginx_acme_eab_hmac_key")):
        mistakes.append("nginx_acme_eab_key_id: and nginx_acme_eab_hmac_key belong together; write both, or none")
    return mistakes
