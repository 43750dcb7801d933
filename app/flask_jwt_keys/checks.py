"""Which values of the settings can work; an app with others does not start."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from werkzeug.routing import Map, Rule

from .config import seconds
from .errors import ConfigError
from .keys import ALGORITHMS

Check = Callable[[Any], bool]


LONGEST, EARLIEST = 10**10, -(10**9)  # seconds: before 1970 and after 9999 no token counts
SMALLEST_TOKEN = 1024  # characters: a token of RSA with 3072 bits, and of a session, has fewer
_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 11.1


def _is_duration(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        return False
    return math.isfinite(seconds(value)) and EARLIEST <= seconds(value) <= LONGEST


def _is_lifetime(value: Any) -> bool:
    return _is_duration(value) and seconds(value) >= 0


def duration(name: str, value: Any) -> float:
    """A duration in seconds.

    :param name: of what it is given for
    :raises ConfigError: if it is none
    """
    if not _is_duration(value):
        raise ConfigError(f"{name} is {value!r}; expected {_DURATION}")
    return seconds(value)


def is_count(value: Any) -> bool:
    """Whether a value is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_route(value: Any) -> bool:
    if not value:
        return True
    if not isinstance(value, str) or not value.startswith("/"):
        return False
    try:
        Map([Rule(value)])
    except (LookupError, ValueError):
        return False
    return True


def _are_options(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(map(_is_text, value))


def _is_size(value: Any) -> bool:
    return is_count(value) and value >= SMALLEST_TOKEN


def _is_scheme(value: Any) -> bool:
    return isinstance(value, str) and _SCHEME.fullmatch(value) is not None


def _is_prefix(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(map(_is_scheme, value))
    return _is_scheme(value)


def _is_name(value: Any) -> bool:
    return _is_text(value) or (bool(value) and _are_texts(value))


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _one_of(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


_DURATION = "a number of seconds, such as 300, or a timedelta"
_ROUTE = "a path, such as /auth, or None"
_NAME = "a text, such as https://example.com, a list of them, or None"
EXPECTED: dict[str, tuple[Check, str]] = {
    "JWT_LEEWAY": (_is_lifetime, _DURATION),
    "JWT_EXPIRATION_DELTA": (_is_lifetime, _DURATION),
    "JWT_NOT_BEFORE_DELTA": (_is_duration, _DURATION),
    "JWT_MAX_LIFETIME": (_is_lifetime, f"{_DURATION}, or None for any lifetime"),
    "JWT_JWKS_MAX_AGE": (_is_lifetime, _DURATION),
    "JWT_REFRESH_EXPIRATION_DELTA": (_is_lifetime, _DURATION),
    "JWT_REFRESH_GRACE": (_is_lifetime, _DURATION),
    "JWT_AUTH_URL_RULE": (_is_route, _ROUTE),
    "JWT_AUTH_URL_OPTIONS": (_are_options, "a dictionary, such as {'methods': ['POST']}, or None"),
    "JWT_JWKS_URL_RULE": (_is_route, _ROUTE),
    "JWT_REFRESH_URL_RULE": (_is_route, _ROUTE),
    "JWT_LOGOUT_URL_RULE": (_is_route, _ROUTE),
    "JWT_HOSTS": (is_count, "a whole number above 0"),
    "JWT_MAX_TOKEN_SIZE": (_is_size, f"a whole number from {SMALLEST_TOKEN} on"),
    "JWT_ALGORITHM": (ALGORITHMS.__contains__, _one_of(ALGORITHMS)),
    "JWT_ISSUER": (_is_name, _NAME),
    "JWT_AUDIENCE": (_is_name, _NAME),
    "JWT_VERIFY_SUB": (_is_switch, "True or False"),
    "JWT_TYPE": (_is_text, "a text, such as JWT"),
    "JWT_DEFAULT_REALM": (_is_text, "a text, such as Login Required"),
    "JWT_AUTH_USERNAME_KEY": (_is_text, "a text, such as username"),
    "JWT_AUTH_PASSWORD_KEY": (_is_text, "a text, such as password"),
    "JWT_AUTH_HEADER_PREFIX": (_is_prefix, "a scheme, such as Bearer, or a list of schemes"),
    "JWT_REQUIRED_CLAIMS": (_are_texts, "a list of claims, such as ['exp', 'iat']"),
    "JWT_STORE_URL": (_is_text, "an address, such as redis://10.0.0.5:6379/0, or None"),
    "JWT_STORE_PATH": (_is_path, "the path of a file, or None"),
    "JWT_STORE_NAME": (_is_name, "a text, such as shop, a list of them, or None"),
    "JWT_KEY_DIR": (_is_path, "the path of a directory, or None"),
}
"""Setting: what tells a value that can work, and what to say of others."""

MAY_BE_NONE = frozenset(
    (
        "JWT_ALGORITHM",
        "JWT_MAX_LIFETIME",
        "JWT_AUTH_URL_RULE",
        "JWT_AUTH_URL_OPTIONS",
        "JWT_JWKS_URL_RULE",
        "JWT_REFRESH_URL_RULE",
        "JWT_LOGOUT_URL_RULE",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_STORE_PATH",
        "JWT_STORE_URL",
        "JWT_STORE_NAME",
        "JWT_KEY_DIR",
    )
)


def problems(config: Mapping[str, Any]) -> list[str]:
    """What is wrong, one sentence for each setting; settings that are not there have defaults."""
    return [
        f"{name} is {config[name]!r}; expected {expected}"
        for name, (is_right, expected) in EXPECTED.items()
        if name in config
        and not (config[name] is None and name in MAY_BE_NONE)
        and not is_right(config[name])
    ]
