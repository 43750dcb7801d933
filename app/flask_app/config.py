"""Settings: FLASK_* from the environment, checked before anything else happens.

Beside FLASK_*, these say where things are: JWT_KEY_DIR (signing keys), APP_SECRETS_DIR (holds
users.json), REDIS_URL (the server that holds the sessions), or else APP_DATA_DIR (their file).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from flask import Flask

from flask_jwt_keys import ConfigError, checks
from flask_jwt_keys.config import DEFAULTS as JWT_DEFAULTS

SHORTEST_SECRET = 32  # HS256 needs as many bytes as its hash has (RFC 7518, section 3.2)
MAKE_A_KEY = (
    "mkdir -p keys && openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072"
    " -out keys/first.pem && export JWT_KEY_DIR=$PWD/keys"
)


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
        "JWT_MAX_LIFETIME": JWT_DEFAULTS["JWT_MAX_LIFETIME"],
        "JWT_VERIFY_SUB": True,
        "JWT_STORE_PATH": str(data / "sessions.sqlite3"),
        "JWT_STORE_URL": os.environ.get("REDIS_URL"),
        "USERS_FILE": str(secrets / "users.json"),
        "MAX_CONTENT_LENGTH": 1024 * 1024,
    }


def check(config: Mapping[str, Any]) -> list[str]:
    """What is wrong, one sentence for each setting; nothing if all is well."""
    problems = [f"FLASK_{line}" for line in checks.problems(config)]
    if not checks.is_count(largest := config["MAX_CONTENT_LENGTH"]):
        problems.append(f"FLASK_MAX_CONTENT_LENGTH is {largest!r}; expected a number of bytes")
    known = {*JWT_DEFAULTS, "JWT_ALGORITHM", "JWT_SECRET_KEY", "JWT_AUTH_URL_OPTIONS"}
    for name in config:
        if name.startswith("JWT_") and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean FLASK_{near[0]}?" if near else ""
            problems.append(f"FLASK_{name} is not a setting{hint}")
    if not (isinstance(users := config["USERS_FILE"], str | os.PathLike) and str(users)):
        problems.append(f"FLASK_USERS_FILE is {users!r}; expected the path of a file")
    secret = config.get("JWT_SECRET_KEY")
    if secret is not None and not isinstance(secret, str | bytes):
        problems.append(
            f"FLASK_JWT_SECRET_KEY is a value of type {type(secret).__name__}; expected a text. "
            "Put double quotes around it, which your shell must keep"
        )
    elif secret and not config["JWT_KEY_DIR"] and len(secret) < SHORTEST_SECRET:
        problems.append(
            f"FLASK_JWT_SECRET_KEY has {len(secret)} characters; expected {SHORTEST_SECRET} at "
            "least: openssl rand -hex 32"
        )
    if not (config["JWT_KEY_DIR"] or secret):
        problems.append(f"JWT_KEY_DIR is not set. Make a signing key: {MAKE_A_KEY}")
    return problems
