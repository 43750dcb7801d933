"""Certificates and keys that the user provides."""

from __future__ import annotations

import os
import sys

# The host judges by the same rules, after the vault is open.
sys.path.append(os.path.join(os.path.dirname(__file__), *[".."] * 3, "nginx", "files"))

from keep_certificates import pair


def check_certificate(values):
    """Return what is wrong with the certificate and key that the user provides."""
    paths = [values.get(f"nginx_certificate_{part}") for part in ("file", "key_file")]
    if not all(paths):
        return ["nginx_certificate: provided needs nginx_certificate_file and nginx_certificate_key_file"]
    chain, key = (read(path) for path in paths)
    names = values.get("nginx_certificate_names") or [values.get("app_domain"), *values.get("app_aliases", [])]
    ca_file = os.path.expanduser(values.get("nginx_certificate_ca_file", ""))
    said = pair.judge_chain(chain, names, pair.now(), lambda last: pair.roots(last, ca_file))
    mistakes = [f"nginx_certificate_file: {line}" for line in said]
    if key.startswith(b"$ANSIBLE_VAULT"):
        return mistakes
    said = [pair.judge_key(key, chain)]
    if os.stat(os.path.expanduser(paths[1])).st_mode & 0o044:
        said.append(f"others may read it; type: chmod 600 {paths[1]}")
    return mistakes + [f"nginx_certificate_key_file: {line}" for line in said if line]


def read(path):
    with open(os.path.expanduser(path), "rb") as file:
        return file.read()
