"""Certificates and keys that the user provides."""

from __future__ import annotations

import datetime
import os

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

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
    with open(os.path.expanduser(paths[0]), "rb") as file:
        text = file.read()
    try:
        chain = x509.load_pem_x509_certificates(text)
    except ValueError:
        return [
            f"nginx_certificate_file: {paths[0]} holds no PEM certificate; it needs the leaf, then its intermediates"
        ]
    mistakes, leaf = [], chain[0]
    first, last = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not first <= datetime.datetime.now(datetime.UTC) <= last:
        mistakes.append(f"nginx_certificate_file: valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}, not today")
    missing = [name for name in [values.get("app_domain"), *values.get("app_aliases", [])] if not covers(leaf, name)]
    if missing:
        mistakes.append(f"nginx_certificate_file: does not cover {', '.join(missing)}")
    with open(os.path.expanduser(paths[1]), "rb") as file:
        key_text = file.read()
    if key_text.startswith(b"$ANSIBLE_VAULT"):
        return mistakes
    key, said = load_key(key_text)
    if said:
        mistakes.append(f"nginx_certificate_key_file: {said}")
    elif public(key.public_key()) != public(leaf.public_key()):
        mistakes.append("nginx_certificate_key_file: is not the key of nginx_certificate_file")
    if os.stat(os.path.expanduser(paths[1])).st_mode & 0o044:
        mistakes.append(f"nginx_certificate_key_file: others may read it; type: chmod 600 {paths[1]}")
    return mistakes


def covers(certificate, name):
    """Tell whether a certificate is good for a name (RFC 6125, one wildcard label)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return bool({name, f"*.{name.partition('.')[2]}"} & set(names.get_values_for_type(x509.DNSName)))


def public(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load_key(text):
    """Return (private key, None) or (None, what is wrong)."""
    if b"PUBLIC KEY" in text:
        return None, "is a public key; the private one is needed"
    try:
        return load_pem_private_key(text, None), None
    except TypeError:
        return None, "is encrypted; remove its passphrase and keep it in the vault"
    except (ValueError, UnsupportedAlgorithm):
        return None, "is not a private key in PEM; it must begin with -----BEGIN PRIVATE KEY-----"


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
