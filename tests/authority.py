"""A certificate authority for tests: root, intermediate, leaves of any life, names and key."""

from __future__ import annotations

import datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


@cache
def keys():
    return {
        "rsa": rsa.generate_private_key(65537, 2048),
        "rsa1024": rsa.generate_private_key(65537, 1024),
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "x25519": x25519.X25519PrivateKey.generate(),  # cannot sign
    }


def pem(key, passphrase=None):
    secret = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def certificate(key, *names, days=(-1, 30), issuer=None, usage=None):
    """Return a certificate in PEM; ``issuer`` is (name, key), by default itself; ``days`` from now."""
    begin, end = (NOW + datetime.timedelta(days=day) for day in days)
    issuer_name, issuer_key = issuer or (names[0], key)
    built = x509.CertificateBuilder(
        name(issuer_name), name(names[0]), key.public_key(), x509.random_serial_number(), begin, end
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    if usage:
        built = built.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return built.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)


@cache
def authority():
    """Return (root, intermediate) in PEM; its leaves are made with ``leaf``."""
    root, below = keys()["p384"], keys()["rsa"]
    return certificate(root, "root", days=(-9, 900)), certificate(below, "below", days=(-9, 900), issuer=("root", root))


def leaf(key, *names, **more):
    return certificate(key, *names, issuer=("below", keys()["rsa"]), **more)
