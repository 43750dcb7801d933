"""Is the process alive, and may it take traffic?"""

from __future__ import annotations

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from flask_jwt_keys import StoreError

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process answers."""
    return _uncached(status="pass")


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Keys, users and sessions can be read; else 503 with the reasons."""
    if reasons := _reasons():
        return _uncached(status="fail", reasons=reasons), 503
    return _uncached(status="pass")


def _reasons() -> list[str]:
    keys, users = current_app.extensions["flask_jwt_keys"], current_app.extensions["users"]
    users.look()
    reasons = [users.problem] if users.problem else []
    signer = keys.keys.signer
    reasons += [f"signing keys: {problem}" for problem in keys.source.problems]
    if signer is None and not reasons:
        reasons.append("signing keys: none can sign")
    try:
        if keys.sessions:
            keys.sessions.store.check()
    except StoreError as error:
        reasons.append(f"sessions: {error.reason}")
    return reasons


def _uncached(**answer: object) -> ResponseReturnValue:
    response = jsonify(**answer)
    response.cache_control.no_store = True
    return response
