"""Make and check tokens: PyJWT does the cryptography, the rules it leaves open are here."""

from __future__ import annotations

import logging
import time
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import jwt
from jwt.types import Options

from .config import longest_life, seconds
from .errors import ConfigError
from .keys import KeySet
from .strict import REFUSED_HEADERS, TIMES, Names, StrictJWT, check_times, header, segment

logger = logging.getLogger(__name__)

_OWN_HEADERS = REFUSED_HEADERS.union(("alg", "kid", "typ"))
_FROM_THE_FUTURE = "Issued At claim (iat) cannot be in the future."  # Flask-JWT's wording

SETTINGS = (
    "JWT_MAX_TOKEN_SIZE",
    "JWT_TYPE",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_VERIFY_SUB",
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
    :param issuer: what is demanded; of several any will do, and the first is written
    :param audience: likewise; where it is several, a token may name several too
    :param numbers: whether ``sub`` and ``jti`` may be whole numbers
    :param leeway: seconds that clocks may differ
    :param longest: seconds a token may live; None for any number
    :param reader: demands the required claims
    """

    size: int
    typ: str
    issuer: Names
    audience: Names
    numbers: bool
    leeway: float
    longest: float | None
    reader: StrictJWT


def rules_of(config: Mapping[str, Any]) -> Rules:
    """The rules that the settings speak of."""
    audience = _names(config["JWT_AUDIENCE"])
    options: Options = {
        "strict_aud": not isinstance(audience, tuple),
        "require": list(config["JWT_REQUIRED_CLAIMS"]),
        "verify_sub": False,  # _check_claims looks at both
        "verify_jti": False,
    }
    return Rules(
        config["JWT_MAX_TOKEN_SIZE"],
        config["JWT_TYPE"],
        _names(config["JWT_ISSUER"]),
        audience,
        not config["JWT_VERIFY_SUB"],
        seconds(config["JWT_LEEWAY"]),
        longest_life(config),
        StrictJWT(options),
    )


def _names(value: Any) -> Names:
    """One name, or several in their order."""
    if value is None or isinstance(value, str):
        return value
    return tuple(sorted(value) if isinstance(value, set | frozenset) else value)


def mint(
    payload: Mapping[str, Any],
    headers: Mapping[str, Any] | None,
    keys: KeySet,
    rules: Rules,
) -> str:
    """Sign a token.

    :param payload: the claims; times as datetime in UTC, as seconds since 1970, or None
    :param headers: additional headers; algorithm, key id and type are not theirs to choose, and
        those that are refused when a token comes back are left out
    :raises ConfigError: if no key signs
    :raises RuntimeError: if the token would be refused when it comes back
    """
    if keys.signer is None:
        raise ConfigError("no key signs: the key directory has no usable private key")
    claims = _timed(payload)
    for name, value in (("iss", rules.issuer), ("aud", rules.audience)):
        if isinstance(value, tuple):
            claims.setdefault(name, value[0])
        elif value is not None:
            claims[name] = value
    if rules.numbers and type(claims.get("iss")) is int:
        claims["iss"] = str(claims["iss"])  # RFC 7519 knows texts alone
    own = (keys.signer.algorithm, keys.signer.kid, rules.typ)
    try:
        _check_new(claims, rules)
        head = _head(headers, *own) if headers else _usual_head(*own)
        token = rules.reader.write(claims, head, keys.signer)
    except (jwt.InvalidTokenError, ValueError) as error:
        raise RuntimeError(f"The payload would not be accepted: {error}") from error
    if len(token) > rules.size:
        raise RuntimeError(
            f"The token has {len(token)} characters, more than are accepted: say less in it, or "
            "set JWT_MAX_TOKEN_SIZE higher"
        )
    return token


def _timed(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The claims with their times as numbers, without those that are None."""
    return {
        name: _numeric(value)
        for name, value in payload.items()
        if value is not None or name not in TIMES
    }


def _head(headers: Mapping[str, Any] | None, algorithm: str, kid: str | None, typ: str) -> bytes:
    added = {k: v for k, v in (headers or {}).items() if k not in _OWN_HEADERS}
    return segment({"alg": algorithm, **({"kid": kid} if kid else {}), "typ": typ, **added})


_usual_head = lru_cache(maxsize=64)(partial(_head, None))


def shortened(payload: Mapping[str, Any], rules: Rules) -> Mapping[str, Any]:
    """The claims, or those with an earlier ``exp`` where they live longer than is accepted."""
    end = _numeric(payload.get("exp"))
    begin = _numeric(payload.get("iat"))
    if rules.longest is None or type(end) not in (int, float):
        return payload
    latest = (begin if type(begin) in (int, float) else time.time()) + rules.longest
    if end <= latest:
        return payload
    logger.warning("a token lives shorter than its payload says: see JWT_MAX_LIFETIME")
    return {**payload, "exp": int(latest)}


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
    head = header(token[: token.index(".")])
    if head.typ is not None and head.typ != rules.typ:
        raise jwt.InvalidTokenError("Unexpected token type")
    key = keys.find(head.kid)
    if key is None:
        raise jwt.InvalidSignatureError("Signature verification failed")
    try:
        claims = rules.reader.read(token, key, rules.issuer, rules.audience, rules.leeway)
    except jwt.ImmatureSignatureError as error:
        if "(iat)" in str(error):
            raise jwt.InvalidIssuedAtError(_FROM_THE_FUTURE) from None
        raise
    _check_claims(claims, rules)
    return claims


def _numeric(value: Any) -> Any:
    """A point in time as whole seconds since 1970, as PyJWT and Flask-JWT have it."""
    return timegm(value.utctimetuple()) if isinstance(value, datetime) else value


def _check_new(claims: dict[str, Any], rules: Rules) -> None:
    check_times(claims)
    _check_claims(claims, rules)
    if not isinstance(claims.get("iss", ""), str):
        raise jwt.InvalidIssuerError("iss must be a string")
    if isinstance(rules.issuer, tuple):
        rules.reader.check_issuer(claims, rules.issuer)
    if isinstance(rules.audience, tuple):
        rules.reader.check_audience(claims, rules.audience)


def _check_claims(claims: Mapping[str, Any], rules: Rules) -> None:
    """What holds of every token, on its way out and on its way in."""
    for name in ("sub", "jti"):
        value = claims.get(name, "")
        if not (isinstance(value, str) or (rules.numbers and type(value) is int)):
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
