"""Certificates and keys that the user provides."""

from __future__ import annotations

import os
import sys

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

# The host judges by the same rules, after the vault is open.
sys.path.append(os.path.join(os.path.dirname(__file__), *[".."] * 3, "nginx", "files"))

from keep_certificates import pair
from keep_certificates.pair import load_key

MAKE_KEY = {
    "RS256": "openssl genrsa 3072",
    "ES256": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "EdDSA": "openssl genpkey -algorithm ed25519",
}


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


def check_jwt_key(text, algorithm):
    """Return what is wrong with a signing key for an algorithm (RFC 7518 section 3.3: RSA of 2048 bits or more)."""
    key, said = load_key(text.encode())
    if not said and not signs(key, algorithm):
        said = f"is not a key for {algorithm}"
    if not said and isinstance(key, rsa.RSAPrivateKey) and key.key_size < 2048:
        said = f"has {key.key_size} bits; 2048 is the least"
    return [f"app_jwt_key: {said}; make one: {MAKE_KEY[algorithm]}"] if said else []


def signs(key, algorithm):
    if algorithm == "ES256":
        return isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    return isinstance(key, {"RS256": rsa.RSAPrivateKey, "EdDSA": ed25519.Ed25519PrivateKey}[algorithm])
