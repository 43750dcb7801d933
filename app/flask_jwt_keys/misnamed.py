"""Settings that are none, under names that somebody may have meant for one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from .config import DEFAULTS

_KNOWN = frozenset({*DEFAULTS, "JWT_ALGORITHM", "JWT_SECRET_KEY", "JWT_AUTH_URL_OPTIONS"})
_ELSEWHERE = "a request_handler, for a token that is not in the header Authorization"
# Those of Flask-JWT-Extended.
_MEANT = {
    "JWT_ACCESS_TOKEN_EXPIRES": "JWT_EXPIRATION_DELTA",
    "JWT_REFRESH_TOKEN_EXPIRES": "JWT_REFRESH_EXPIRATION_DELTA",
    "JWT_HEADER_TYPE": "JWT_AUTH_HEADER_PREFIX",
    "JWT_HEADER_NAME": _ELSEWHERE,
    "JWT_TOKEN_LOCATION": _ELSEWHERE,
    "JWT_ENCODE_ISSUER": "JWT_ISSUER",
    "JWT_DECODE_ISSUER": "JWT_ISSUER",
    "JWT_ENCODE_AUDIENCE": "JWT_AUDIENCE",
    "JWT_DECODE_AUDIENCE": "JWT_AUDIENCE",
    "JWT_DECODE_LEEWAY": "JWT_LEEWAY",
    "JWT_DECODE_ALGORITHMS": "JWT_ALGORITHM",
    "JWT_PRIVATE_KEY": "JWT_KEY_DIR, or JWT_SECRET_KEY for the text of the key",
    "JWT_IDENTITY_CLAIM": "a jwt_payload_handler",
    "JWT_ERROR_MESSAGE_KEY": "a jwt_error_handler",
}
_PREFIXES = ("JWT_COOKIE_", "JWT_CSRF_", "JWT_QUERY_STRING_", "JWT_JSON_KEY")


def warnings(names: Iterable[str]) -> list[str]:
    """A sentence for each name that is no setting, but looks like one; others are the app's own."""
    lines = []
    for name in names:
        if not name.startswith("JWT_") or name in _KNOWN:
            continue
        if meant := _MEANT.get(name, _ELSEWHERE if name.startswith(_PREFIXES) else None):
            lines.append(f"{name} is not a setting of flask_jwt_keys and does nothing; use {meant}")
        elif near := get_close_matches(name, _KNOWN, n=1, cutoff=0.8):
            lines.append(f"{name} is not a setting of flask_jwt_keys; did you mean {near[0]}?")
    return lines
