"""What belongs to the request that is being answered."""

from __future__ import annotations

from typing import Any

from flask import current_app, has_request_context, request
from werkzeug.local import LocalProxy

from .bound import NAME, Bound
from .callbacks import Callbacks

_IDENTITY = "flask_jwt_keys.identity"
_CLAIMS = "flask_jwt_keys.claims"

current_identity: Any = LocalProxy(
    lambda: request.environ.get(_IDENTITY) if has_request_context() else None
)


def extension() -> Callbacks:
    """The extension of the current app, with its handlers."""
    return current_app.extensions["jwt"]


def bound() -> Bound:
    """Settings, keys and sessions of the current app."""
    return current_app._get_current_object().extensions[NAME]


def remember(identity: Any, claims: Any) -> None:
    """Make the identity known to the rest of the request."""
    request.environ[_IDENTITY] = identity
    request.environ[_CLAIMS] = claims


def claims() -> Any:
    """The claims of the token that came with the request; None before it was checked."""
    return request.environ.get(_CLAIMS)
