"""Which values of role nginx's variables can work."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from inventory_check.values import APP, WILDCARD, absolute_file, each, number, pattern

# The host judges by the same rules, after the vault is open.
sys.path.append(os.path.join(os.path.dirname(__file__), "../../plugins/module_utils"))

from flask_deploy.certificates import pair

HEADER_SIZE = re.compile(r"[1-9][0-9]{0,2}k")
DIRECTORY = re.compile(r"https://[a-z0-9.-]+(:[0-9]{1,5})?/[\w./~%+-]*", re.ASCII)
MAIL = re.compile(r"[\w.+-]+@[a-z0-9.-]+", re.ASCII)
WORD = re.compile(r"[\w.=+/-]*", re.ASCII)

# Names for use at home and in examples, RFC 6761, 6762, 8375.
PRIVATE = {"test", "example", "invalid", "localhost", "local", "internal", "arpa"}


def hmac_key(value: str) -> str | None:
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
    "nginx_certificate_names": each(pattern(WILDCARD, "[shop.example.com]")),
    "nginx_certificate_owner": pattern(APP, "nginx_certificate_owner: shop"),
    "nginx_worker_connections": number(64, 1000000),
    "nginx_keepalive_timeout": number(0, 3600),
    "nginx_header_timeout": number(1, 3600),
    "nginx_header_size": pattern(HEADER_SIZE, "nginx_header_size: 8k"),
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES: dict[str, Any] = {}


def check_together(values: dict[str, Any], hosts: Sequence[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    kind = values.get("nginx_certificate")
    if kind == "provided":
        return check_certificate(values)
    return check_acme(values) if kind == "acme" else []


def wanted_names(values: dict[str, Any]) -> list[str]:
    """Return the names that the certificate has to cover."""
    own = [values["site_domain"], *values.get("site_aliases", []), *values.get("site_names", [])]
    return values.get("nginx_certificate_names") or own


def check_acme(values: dict[str, Any]) -> list[str]:
    """Return what an ACME server would refuse: names that only a CA of one's own can know, half a binding."""
    names = wanted_names(values)
    addresses = [name for name in names if name.rpartition(".")[2].isdigit()]
    private = [name for name in names if "." not in name or name.rpartition(".")[2] in PRIVATE]
    private = [name for name in private if name not in addresses]
    wild = [name for name in names if name.startswith("*.")]
    mistakes = []
    if addresses:
        way_out = "write a name that leads there, example: site_domain: shop.example.com, or selfsigned"
        mistakes.append(f"nginx_certificate: acme proves names, not the address {addresses[0]}; {way_out}")
    if wild:
        way_out = "write provided, with nginx_certificate_file and nginx_certificate_key_file"
        mistakes.append(f"nginx_certificate: acme proves single names alone, not {', '.join(wild)}; {way_out}")
    if private and not values.get("nginx_certificate_ca_file"):
        mistakes.append(f"nginx_certificate: no public CA knows {', '.join(private)}; write selfsigned or provided")
    if bool(values.get("nginx_acme_eab_key_id")) != bool(values.get("nginx_acme_eab_hmac_key")):
        mistakes.append("nginx_acme_eab_key_id: and nginx_acme_eab_hmac_key belong together; write both, or none")
    return mistakes


def check_certificate(values: dict[str, Any]) -> list[str]:
    """Return what is wrong with the certificate and key that the user provides."""
    paths = [values.get(f"nginx_certificate_{part}") for part in ("file", "key_file")]
    if not all(paths):
        return ["nginx_certificate: provided needs nginx_certificate_file and nginx_certificate_key_file"]
    chain, key = (read(path) for path in paths)
    names = wanted_names(values)
    ca_file = os.path.expanduser(values.get("nginx_certificate_ca_file", ""))
    said = pair.judge_chain(chain, names, pair.now(), lambda last: pair.roots(last, ca_file))
    mistakes = [f"nginx_certificate_file: {line}" for line in said]
    if key.startswith(b"$ANSIBLE_VAULT"):
        return mistakes
    said = [pair.judge_key(key, chain)]
    if os.stat(os.path.expanduser(paths[1])).st_mode & 0o044:
        said.append(f"others may read it; type: chmod 600 {paths[1]}")
    return mistakes + [f"nginx_certificate_key_file: {line}" for line in said if line]


def read(path: str) -> bytes:
    with open(os.path.expanduser(path), "rb") as file:
        return file.read()
