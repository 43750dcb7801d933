"""Settings: FLASK_* from the environment, checked before anything else happens.

Beside FLASK_*, these say where things are: JWT_KEY_DIR (signing keys), APP_SECRETS_DIR (holds
users.json), APP_DATA_DIR (holds the sessions).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from flask import Flask

from flask_jwt_keys import ConfigError
from flask_jwt_keys.config import DEFAULTS as JWT_DEFAULTS

Check = Callable[[Any], bool]

MAKE_A_KEY = (
    "mkdir -p keys && openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072"
    " -out keys/first.pem && export JWT_KEY_DIR=$PWD/keys"
)


def _is_duration(value: Any) -> bool:
    if isinstance(value, timedelta):
        return value >= timedelta()
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_route(value: Any) -> bool:
    return not value or (isinstance(value, str) and value.startswith("/"))


def _is_optional_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value != "")


_EXPECTED: dict[str, tuple[Check, str]] = {
    **dict.fromkeys(
        (
            "JWT_LEEWAY",
            "JWT_EXPIRATION_DELTA",
            "JWT_NOT_BEFORE_DELTA",
            "JWT_MAX_LIFETIME",
            "JWT_JWKS_MAX_AGE",
            "JWT_REFRESH_EXPIRATION_DELTA",
        ),
        (_is_duration, "a number of seconds, such as 300"),
    ),
    **dict.fromkeys(
        (
            "JWT_AUTH_URL_RULE",
            "JWT_JWKS_URL_RULE",
            "JWT_REFRESH_URL_RULE",
            "JWT_LOGOUT_URL_RULE",
        ),
        (_is_route, "a path, such as /auth"),
    ),
    **dict.fromkeys(
        ("JWT_HOSTS", "JWT_MAX_TOKEN_SIZE", "MAX_CONTENT_LENGTH"),
        (_is_count, "a whole number above 0"),
    ),
    **dict.fromkeys(
        ("JWT_ISSUER", "JWT_AUDIENCE"), (_is_optional_text, "a text, such as https://example.com")
    ),
}


def configure(app: Flask, overrides: Mapping[str, Any]) -> None:
    """Fill ``app.config`` from defaults, environment and overrides, in this order.

    :raises ConfigError: one line for each setting that is wrong
    """
    app.config.from_mapping(_defaults(app))
    app.config.from_prefixed_env()
    app.config.from_mapping(overrides)
    if problems := check(app.config):
        raise ConfigError("The app cannot start:\n  " + "\n  ".join(problems))


def _defaults(app: Flask) -> dict[str, Any]:
    data = Path(os.environ.get("APP_DATA_DIR") or app.instance_path)
    secrets = Path(os.environ.get("APP_SECRETS_DIR") or app.instance_path)
    return {
        "JWT_KEY_DIR": os.environ.get("JWT_KEY_DIR"),
        "JWT_AUTH_HEADER_PREFIX": ["Bearer", "JWT"],
        "JWT_ISSUER": "flask-app",
        "JWT_AUDIENCE": "flask-app",
        "JWT_STORE_PATH": str(data / "sessions.sqlite3"),
        "USERS_FILE": str(secrets / "users.json"),
        "MAX_CONTENT_LENGTH": 1024 * 1024,
    }


def check(config: Mapping[str, Any]) -> list[str]:
    """What is wrong, one sentence for each setting; nothing if all is well."""
    problems = [
        f"FLASK_{name} is {config[name]!r}; expected {expected}"
        for name, (is_right, expected) in _EXPECTED.items()
        if config.get(name) is not None and not is_right(config[name])
    ]
    known = {*JWT_DEFAULTS, "JWT_ALGORITHM", "JWT_SECRET_KEY", "JWT_AUTH_URL_OPTIONS"}
    for name in config:
        if name.startswith("JWT_") and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean FLASK_{near[0]}?" if near else ""
            problems.append(f"FLASK_{name} is not a setting{hint}")
    if not (config["JWT_KEY_DIR"] or config.get("JWT_SECRET_KEY")):
        problems.append(f"JWT_KEY_DIR is not set. Make a signing key: {MAKE_A_KEY}")
    return problems
