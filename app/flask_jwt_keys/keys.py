"""Keys as objects: parsed once from PEM, checked, named by their RFC 7638 thumbprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt import PyJWTError
from jwt.algorithms import (
    Algorithm,
    ECAlgorithm,
    OKPAlgorithm,
    RSAAlgorithm,
    get_default_algorithms,
)
from jwt.utils import base64url_encode

from .errors import ConfigError
from .roca import is_roca

MINIMUM_RSA_BITS = 2048
SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")
ALGORITHMS = ("RS256", "ES256", "EdDSA", *SECRET_ALGORITHMS)
_TO_JWK: dict[str, Callable[..., Any]] = {
    "RS256": RSAAlgorithm.to_jwk,
    "ES256": ECAlgorithm.to_jwk,
    "EdDSA": OKPAlgorithm.to_jwk,
}
_THUMBPRINT_MEMBERS = {
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
}


@dataclass(frozen=True, eq=False)
class Key:
    """One key with the one algorithm it may be used with.

    :param public: what verifies (for HS256, HS384 and HS512 the secret itself)
    :param private: what signs; None if this key only verifies
    """

    algorithm: str
    public: Any
    private: Any = None

    @cached_property
    def jwk(self) -> dict[str, str] | None:
        """The public key as a JWK (RFC 7517); None for a shared secret."""
        if self.algorithm in SECRET_ALGORITHMS:
            return None
        jwk = _TO_JWK[self.algorithm](self.public, as_dict=True)
        members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
        canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
        kid = base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()
        return {**members, "kid": kid, "use": "sig", "alg": self.algorithm}

    @cached_property
    def kid(self) -> str | None:
        """The key's id: its thumbprint (RFC 7638); None for a shared secret."""
        return self.jwk["kid"] if self.jwk else None

    @cached_property
    def sign(self) -> Callable[[bytes], bytes]:
        """Gives the signature of a message."""
        algorithm, private = self._ready
        return partial(algorithm.sign, key=private)

    @cached_property
    def weakness(self) -> str | None:
        """What PyJWT says of a private key or secret that is too short; None for a good one."""
        algorithm, private = self._ready
        return algorithm.check_key_length(private)

    @cached_property
    def _ready(self) -> tuple[Algorithm, Any]:
        """The algorithm, and the private key as it takes it."""
        algorithm = get_default_algorithms()[self.algorithm]
        return algorithm, algorithm.prepare_key(self.private)


class KeySet:
    """Keys that verify, found by key id, and the one that signs.

    :param keys: all keys; no two of them the same
    :param signer: the key that signs; None if the app only verifies
    """

    def __init__(self, keys: Iterable[Key], signer: Key | None) -> None:
        self.keys = tuple(keys)
        self.signer = signer
        self._by_kid = {key.kid: key for key in self.keys}
        if len(self.keys) == 1:
            self._by_kid[None] = self.keys[0]
        self.jwks = {"keys": [key.jwk for key in self.keys if key.jwk]}

    def find(self, kid: str | None) -> Key | None:
        """The key of that id; without an id the only key, if there is but one."""
        return self._by_kid.get(kid)


def secret_key(secret: str | bytes, algorithm: str = "HS256") -> Key:
    """A shared secret for HS256, HS384 or HS512.

    :raises ConfigError: if the secret is a key file's content, which others may know
    """
    if b"-----BEGIN" in _as_bytes(secret):
        raise ConfigError(f"{algorithm} needs a shared secret, but JWT_SECRET_KEY holds a PEM key")
    return Key(algorithm, secret, secret)


def pem_key(pem: str | bytes) -> Key:
    """The key in a PEM text; a private one signs and verifies, a public one verifies.

    :raises ConfigError: if it is no key, is encrypted, weak, or of a kind not supported
    """
    pem = _as_bytes(pem)
    try:
        if b"PRIVATE KEY-----" not in pem:
            public = load_pem_public_key(pem)
            return Key(_algorithm(public), public)
        private = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ConfigError("the key is encrypted; store it without a pass phrase") from None
    except (ValueError, UnsupportedAlgorithm, PyJWTError) as error:
        raise ConfigError(f"not a PEM key that can be read: {error}") from None
    public = private.public_key()
    return Key(_algorithm(public), public, private)


def _algorithm(public: Any) -> str:
    if isinstance(public, rsa.RSAPublicKey):
        _check_rsa(public)
        return "RS256"
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        return "ES256"
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "EdDSA"
    raise ConfigError("keys are RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA), not this kind")


def _check_rsa(public: rsa.RSAPublicKey) -> None:
    if public.key_size < MINIMUM_RSA_BITS:
        raise ConfigError(f"the RSA key has {public.key_size} bits, fewer than {MINIMUM_RSA_BITS}")
    if is_roca(public.public_numbers().n):
        raise ConfigError("the RSA key is of the ROCA kind (CVE-2017-15361): make a new one")


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)
