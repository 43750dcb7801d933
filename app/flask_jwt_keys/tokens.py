"""Make and check tokens: PyJWT does the cryptography, the rules it leaves open are here."""

from __future__ import annotations

import json
import time
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import jwt
from jwt.types import Options

from .config import longest_life, seconds
from .errors import ConfigError
from .keys import Key, KeySet

_OWN_HEADERS = ("alg", "kid", "typ")
_REFUSED_HEADERS = frozenset(("b64", "crit", "cty", "jku", "jwk", "x5c", "x5u", "zip"))
_TIMES = {
    "exp": "Expiration Time claim (exp) must be an integer.",
    "nbf": "Not Before claim (nbf) must be an integer.",
    "iat": "Issued At claim (iat) must be an integer.",
}
_LATEST_TIME = 253402300799  # the end of the year 9999
_FROM_THE_FUTURE = "Issued At claim (iat) cannot be in the future."  # Flask-JWT's wording


class Header(NamedTuple):
    """What a token's header says of its key and kind; PyJWT looks at the algorithm."""

    kid: str | None
    typ: str | None


SETTINGS = (
    "JWT_MAX_TOKEN_SIZE",
    "JWT_TYPE",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_LEEWAY",
    "JWT_MAX_LIFETIME",
    "JWT_EXPIRATION_DELTA",
    "JWT_REQUIRED_CLAIMS",
)
"""The settings that decide about rules."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings demand of every token, made ready once.

    :param size: characters a token may have
    :param leeway: seconds that clocks may differ
    :param longest: seconds a token may live; None for any number
    :param reader: demands the required claims
    """

    size: int
    typ: str
    issuer: Any
    audience: Any
    leeway: float
    longest: float | None
    reader: _StrictJWT


def rules_of(config: Mapping[str, Any]) -> Rules:
    """The rules that the settings speak of."""
    return Rules(
        config["JWT_MAX_TOKEN_SIZE"],
        config["JWT_TYPE"],
        config["JWT_ISSUER"],
        config["JWT_AUDIENCE"],
        seconds(config["JWT_LEEWAY"]),
        longest_life(config),
        _StrictJWT({"strict_aud": True, "require": list(config["JWT_REQUIRED_CLAIMS"])}),
    )


def mint(
    payload: Mapping[str, Any],
    headers: Mapping[str, Any] | None,
    keys: KeySet,
    rules: Rules,
) -> str:
    """Sign a token.

    :param payload: the claims; times as datetime in UTC or as seconds since 1970
    :param headers: additional headers; algorithm, key id and type are not theirs to choose
    :raises ConfigError: if no key signs
    :raises RuntimeError: if the token would be refused when it comes back
    """
    if keys.signer is None:
        raise ConfigError("no key signs: the key directory has no usable private key")
    claims = {name: _numeric(value) for name, value in payload.items()}
    for name, value in (("iss", rules.issuer), ("aud", rules.audience)):
        if value is not None:
            claims[name] = value
    try:
        _check_times(claims)
        _check_claims(claims, rules)
    except jwt.InvalidTokenError as error:
        raise RuntimeError(f"The payload would not be accepted: {error}") from error
    header = {k: v for k, v in (headers or {}).items() if k not in _OWN_HEADERS}
    header["typ"] = rules.typ
    if keys.signer.kid:
        header["kid"] = keys.signer.kid
    return jwt.encode(claims, keys.signer.private, keys.signer.algorithm, header)


def verify(token: str, keys: KeySet, rules: Rules) -> dict[str, Any]:
    """The claims of a token that is signed by one of the keys and valid now (RFC 8725).

    :raises jwt.InvalidTokenError: saying what is wrong
    """
    if len(token) > rules.size:
        raise jwt.DecodeError("Token is too long")
    if token.count(".") != 2:
        raise jwt.DecodeError(f"{'Too many' if token.count('.') > 2 else 'Not enough'} segments")
    if "=" in token or not token.isascii():  # PyJWT takes padding; all else it refuses itself
        raise jwt.DecodeError("Invalid characters")
    header = _header(token[: token.index(".")])
    if header.typ is not None and header.typ != rules.typ:
        raise jwt.InvalidTokenError("Unexpected token type")
    key = keys.find(header.kid)
    if key is None:
        raise jwt.InvalidSignatureError("Signature verification failed")
    try:
        claims = rules.reader.read(token, key, rules)
    except jwt.ImmatureSignatureError as error:
        if "(iat)" in str(error):
            raise jwt.InvalidIssuedAtError(_FROM_THE_FUTURE) from None
        raise
    _check_claims(claims, rules)
    return claims


class _SharedHeaders(jwt.PyJWS):
    """PyJWS that decodes a header once. Tokens of one key share it."""

    @staticmethod
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        decode = _header_bytes if name == "header" else jwt.PyJWS._decode_base64url_segment
        return decode(segment, name)


_header_bytes = lru_cache(maxsize=64)(jwt.PyJWS._decode_base64url_segment)


class _StrictJWT(jwt.PyJWT):
    """PyJWT that refuses payloads which two readers might understand differently."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._jws: jwt.PyJWS = _SharedHeaders()

    def read(self, token: str, key: Key, rules: Rules) -> dict[str, Any]:
        """The claims, by the steps of ``decode`` without its options, a tenth of its time."""
        decoded = self._jws.decode_complete(token, key.public, [key.algorithm])
        claims = _strict_object(decoded["payload"], "payload")
        _check_times(claims)
        self._validate_claims(
            claims,
            self.options,
            audience=rules.audience,
            issuer=rules.issuer,
            leeway=rules.leeway,
        )
        return claims


def _strict_object(data: bytes, name: str) -> dict[str, Any]:
    """A JSON object in UTF-8, no name twice, no numbers that JSON does not have."""
    try:
        value = _JSON.decode(data.decode())
    except (ValueError, RecursionError):
        raise jwt.DecodeError(f"Invalid {name} string: must be strict JSON") from None
    if not isinstance(value, dict):
        raise jwt.DecodeError(f"Invalid {name} string: must be a json object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


@lru_cache(maxsize=64)
def _header(segment: str) -> Header:
    """The header of a token. Tokens of one key share it, so it is read once."""
    header = _strict_object(_header_bytes(segment.encode(), "header"), "header")
    if not _REFUSED_HEADERS.isdisjoint(header):
        raise jwt.InvalidTokenError("Unsupported header parameter")
    kid, typ = header.get("kid"), header.get("typ")
    if not isinstance(kid, str) and "kid" in header:
        raise jwt.InvalidTokenError("Key ID header parameter must be a string")
    if not isinstance(typ, str) and "typ" in header:
        raise jwt.InvalidTokenError("Unexpected token type")
    return Header(kid, typ)


def _numeric(value: Any) -> Any:
    """A point in time as whole seconds since 1970, as PyJWT and Flask-JWT have it."""
    return timegm(value.utctimetuple()) if isinstance(value, datetime) else value


def _check_times(claims: Mapping[str, Any]) -> None:
    for name, message in _TIMES.items():
        value = claims.get(name)
        if value is None:
            continue
        if type(value) not in (int, float) or not 0 <= value <= _LATEST_TIME:
            raise jwt.DecodeError(message)


def _check_claims(claims: Mapping[str, Any], rules: Rules) -> None:
    """What holds of every token, on its way out and on its way in."""
    for name in ("sub", "jti", "iss"):
        if name in claims and not isinstance(claims[name], str):
            raise jwt.InvalidTokenError(f"{name} must be a string")
    if rules.longest is None:
        return
    if claims.get("exp") is None:
        raise jwt.MissingRequiredClaimError("exp")
    begin = claims.get("iat")
    if begin is None:
        begin = time.time() + rules.leeway
    if claims["exp"] - begin > rules.longest:
        raise jwt.InvalidTokenError("The token lives longer than JWT_MAX_LIFETIME")
