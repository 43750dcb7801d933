"""Signing keys as PEM text: what kind a key is, its id, and its public half."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

if TYPE_CHECKING:  # Debian 12's cryptography has no such name
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

LEAST_RSA_BITS = 2048  # RFC 7518 section 3.3
MAKE = {
    "RS256": lambda: rsa.generate_private_key(65537, 3072),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class PemError(Exception):
    """A text is no key that can be used; the message says why."""


class Pem:
    """One key.

    :param text: PEM: a private key (PKCS#1, SEC1 or PKCS#8, not encrypted) or a public one (SubjectPublicKeyInfo).
    :ivar kid: its id, the thumbprint of RFC 7638.
    :ivar algorithm: RS256, ES256 or EdDSA.
    :raises PemError: it is none of these, or weak.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip() + "\n"
        self.private = "PRIVATE KEY-----" in text
        self._public = _load(text.encode(), self.private)
        self.algorithm, members = _describe(self._public)
        canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
        self.kid = _base64url(hashlib.sha256(canonical.encode()).digest())

    def public(self) -> Pem:
        """Return the key without its private half."""
        encoded = self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return Pem(encoded.decode())

    @property
    def file_name(self) -> str:
        """A name for the key's file, the same for both halves."""
        return f"{self.algorithm.lower()}-{self.kid[:12]}.pem"


def make(algorithm: str) -> Pem:
    """Return a new private key (PKCS#8): RS256, ES256 or EdDSA."""
    return Pem(MAKE[algorithm]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def _load(text: bytes, private: bool) -> PublicKeyTypes:
    try:
        return load_pem_private_key(text, None).public_key() if private else load_pem_public_key(text)
    except TypeError:
        raise PemError("is encrypted; remove its passphrase and keep it in the vault") from None
    except (ValueError, UnsupportedAlgorithm):
        raise PemError("is not a key in PEM") from None


def _describe(public: PublicKeyTypes) -> tuple[str, dict[str, str]]:
    """Return (algorithm, the members of a JWK that its thumbprint is made of)."""
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        if public.key_size < LEAST_RSA_BITS:
            raise PemError(f"has {public.key_size} bits; {LEAST_RSA_BITS} is the least")
        return "RS256", {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        point = public.public_numbers()
        return "ES256", {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
    if isinstance(public, ed25519.Ed25519PublicKey):
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return "EdDSA", {"kty": "OKP", "crv": "Ed25519", "x": _base64url(raw)}
    raise PemError("is not a key for RS256, ES256 (P-256) or EdDSA (Ed25519)")


def _number(value: int, length: int | None = None) -> str:
    return _base64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
