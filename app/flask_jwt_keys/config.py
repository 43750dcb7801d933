"""Every setting of the extension with its default; durations in seconds or as timedelta."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

FLASK_JWT_DEFAULTS: dict[str, Any] = {
    "JWT_DEFAULT_REALM": "Login Required",
    "JWT_AUTH_URL_RULE": "/auth",
    "JWT_AUTH_ENDPOINT": "jwt",
    "JWT_AUTH_USERNAME_KEY": "username",
    "JWT_AUTH_PASSWORD_KEY": "password",
    "JWT_LEEWAY": timedelta(seconds=10),
    "JWT_AUTH_HEADER_PREFIX": "JWT",
    "JWT_EXPIRATION_DELTA": timedelta(seconds=300),
    "JWT_NOT_BEFORE_DELTA": timedelta(seconds=0),
    "JWT_VERIFY_CLAIMS": ["signature", "exp", "nbf", "iat"],
    "JWT_REQUIRED_CLAIMS": ["exp", "iat", "nbf"],
}

CONFIG_DEFAULTS: dict[str, Any] = {**FLASK_JWT_DEFAULTS, "JWT_ALGORITHM": "HS256"}
"""What Flask-JWT has under this name."""

DEFAULTS: dict[str, Any] = {
    **FLASK_JWT_DEFAULTS,
    "JWT_PUBLIC_KEY": None,
    "JWT_KEY_DIR": None,
    "JWT_ISSUER": None,
    "JWT_AUDIENCE": None,
    "JWT_TYPE": "JWT",
    "JWT_MAX_LIFETIME": timedelta(hours=1),
    "JWT_VERIFY_SUB": True,
    "JWT_MAX_TOKEN_SIZE": 8192,
    "JWT_JWKS_URL_RULE": "/.well-known/jwks.json",
    "JWT_JWKS_MAX_AGE": 300,
    "JWT_STORE_PATH": None,
    "JWT_STORE_URL": None,
    "JWT_STORE_NAME": None,
    "JWT_HOSTS": 1,
    "JWT_REFRESH_URL_RULE": "/auth/refresh",
    "JWT_LOGOUT_URL_RULE": "/auth/logout",
    "JWT_REFRESH_EXPIRATION_DELTA": timedelta(days=30),
    "JWT_REFRESH_GRACE": timedelta(seconds=10),
}

RELAXED: dict[str, Any] = {"JWT_MAX_LIFETIME": None, "JWT_VERIFY_SUB": False}
"""Defaults for an app that writes its tokens' claims itself: what they say is its own choice."""


def seconds(value: timedelta | float) -> float:
    """A duration in seconds, whichever way it was written."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def longest_life(config: Mapping[str, Any]) -> float | None:
    """How long a token may live, in seconds; None where the cap is switched off.

    An app whose own tokens live longer than the cap has said so: its own figure counts.
    """
    cap = config["JWT_MAX_LIFETIME"]
    if cap is None:
        return None
    return max(seconds(cap), seconds(config["JWT_EXPIRATION_DELTA"]))
