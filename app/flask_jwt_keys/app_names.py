"""Which app a session is of: several may keep theirs in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import current_app


def names_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What the sessions of the current app may be called; new ones get the first.

    As with its access tokens, issuer and audience tell an app from others; without both, its name.
    """
    if config["JWT_STORE_NAME"] is not None:
        return _texts(config["JWT_STORE_NAME"])
    issuers, audiences = _texts(config["JWT_ISSUER"]), _texts(config["JWT_AUDIENCE"])
    if not issuers and not audiences:
        return (current_app.name,)
    return tuple(
        json.dumps([issuer, audience])
        for issuer in issuers or (None,)
        for audience in audiences or (None,)
    )


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
