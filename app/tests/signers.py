"""Keys outside the extension, and the tokens that they sign: an issuer's, or a forger's."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.utils import base64url_encode

ALGORITHMS = ("RS256", "ES256", "EdDSA", "HS256")
ISSUER, AUDIENCE = "https://issuer.example", "https://audience.example"
MAKERS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass
class Signer:
    """A key outside the extension: what an issuer or a forger holds."""

    algorithm: str
    private: Any

    @property
    def pem(self) -> str:
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.private.private_bytes(*form).decode()

    @property
    def public_pem(self) -> str:
        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return self.private.public_key().public_bytes(*form).decode()

    @property
    def public_der(self) -> bytes:
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return self.private.public_key().public_bytes(*form)

    def sign(self, data: bytes) -> bytes:
        return jwt.get_algorithm_by_name(self.algorithm).sign(data, self.private)

    def raw(self, header: bytes, payload: bytes) -> str:
        """A token of any bytes, signed."""
        signing_input = base64url_encode(header) + b"." + base64url_encode(payload)
        return (signing_input + b"." + base64url_encode(self.sign(signing_input))).decode()

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A good token save for what is given; a claim or header ... (Ellipsis) is left out."""
        head = {"alg": self.algorithm, "typ": "JWT", **(header or {})}
        return self.raw(_json(head), _json({**good_claims(), **claims}))


def good_claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "exp": now + 300,
        "iat": now,
        "nbf": now,
        "identity": 1,
        "iss": ISSUER,
        "aud": AUDIENCE,
    }


def _json(members: dict[str, Any]) -> bytes:
    return json.dumps({k: v for k, v in members.items() if v is not ...}).encode()


def make_signer(algorithm: str) -> Signer:
    if algorithm == "HS256":
        return Signer(algorithm, secrets.token_bytes(32))
    return Signer(algorithm, MAKERS[algorithm]())
