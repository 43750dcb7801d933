"""Read tokens that two readers cannot understand differently: strict JSON, no unknown headers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jwt
from jwt.types import Options
from jwt.utils import base64url_encode

from .keys import Key

REFUSED_HEADERS = frozenset(("b64", "crit", "cty", "jku", "jwk", "x5c", "x5u", "zip"))
TIMES = {
    "exp": "Expiration Time claim (exp) must be an integer.",
    "nbf": "Not Before claim (nbf) must be an integer.",
    "iat": "Issued At claim (iat) must be an integer.",
}
LATEST_TIME = 253402300799  # the end of the year 9999

Names = str | tuple[str, ...] | None
"""One name, several of which any will do, or none."""


class Header(NamedTuple):
    """What a token's header says of its key and kind; PyJWT looks at the algorithm."""

    kid: str | None
    typ: str | None


class _SharedHeaders(jwt.PyJWS):
    """PyJWS that decodes a header once. Tokens of one key share it."""

    @staticmethod
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        decode = _header_bytes if name == "header" else jwt.PyJWS._decode_base64url_segment
        return decode(segment, name)


_header_bytes = lru_cache(maxsize=64)(jwt.PyJWS._decode_base64url_segment)


class StrictJWT(jwt.PyJWT):
    """PyJWT that refuses payloads which two readers might understand differently."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._jws: jwt.PyJWS = _SharedHeaders()

    def read(
        self, token: str, key: Key, issuer: Names, audience: Names, leeway: float
    ) -> dict[str, Any]:
        """The claims, by the steps of ``decode`` without its options, a tenth of its time."""
        decoded = self._jws.decode_complete(token, key.public, [key.algorithm])
        claims = _strict_object(decoded["payload"], "payload")
        check_times(claims)
        self._validate_claims(claims, self.options, audience=audience, issuer=issuer, leeway=leeway)
        return claims

    def write(self, claims: Mapping[str, Any], head: bytes, key: Key) -> str:
        """A signed token, by the steps of ``encode`` without its options.

        :param head: the header as the token has it, by :func:`segment`
        :raises ValueError: if a claim holds a number that JSON does not have
        """
        if key.weakness:
            warnings.warn(key.weakness, jwt.InsecureKeyLengthWarning, stacklevel=2)
        signed = head + b"." + segment(claims)
        return (signed + b"." + base64url_encode(key.sign(signed))).decode()

    def check_issuer(self, claims: dict[str, Any], issuer: Names) -> None:
        """Nothing, if the claims name this issuer, or one of these.

        :raises jwt.InvalidTokenError: otherwise
        """
        self._validate_iss(claims, issuer)

    def check_audience(self, claims: dict[str, Any], audience: Names) -> None:
        """Nothing, if the claims name this audience, or one of these.

        :raises jwt.InvalidTokenError: otherwise
        """
        self._validate_aud(claims, audience)


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
_COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def segment(members: Mapping[str, Any]) -> bytes:
    """A part of a token: strict JSON, in base64 for addresses.

    :raises ValueError: if it holds a number that JSON does not have
    """
    return base64url_encode(_COMPACT.encode(members).encode())


@lru_cache(maxsize=64)
def header(segment: str) -> Header:
    """The header of a token. Tokens of one key share it, so it is read once.

    :raises jwt.InvalidTokenError: if it is no strict JSON, or says what is refused
    """
    members = _strict_object(_header_bytes(segment.encode(), "header"), "header")
    if not REFUSED_HEADERS.isdisjoint(members):
        raise jwt.InvalidTokenError("Unsupported header parameter")
    kid, typ = members.get("kid"), members.get("typ")
    if not isinstance(kid, str) and "kid" in members:
        raise jwt.InvalidTokenError("Key ID header parameter must be a string")
    if not isinstance(typ, str) and "typ" in members:
        raise jwt.InvalidTokenError("Unexpected token type")
    return Header(kid, typ)


def check_times(claims: Mapping[str, Any]) -> None:
    """Nothing, if each time is a number of seconds up to the year 9999.

    :raises jwt.DecodeError: naming the claim
    """
    for name, message in TIMES.items():
        value = claims.get(name, 0)
        if type(value) not in (int, float) or not 0 <= value <= LATEST_TIME:
            raise jwt.DecodeError(message)
