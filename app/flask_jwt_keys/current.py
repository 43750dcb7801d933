"""What belongs to the request that is being answered."""

from __future__ import annotations

from types import CoroutineType
from typing import Any

from flask import Flask, current_app, has_request_context, request
from werkzeug.local import LocalProxy

from .bound import NAME, Bound
from .callbacks import Callbacks
from .errors import ConfigError

_IDENTITY = "flask_jwt_keys.identity"
_CLAIMS = "flask_jwt_keys.claims"

current_identity: Any = LocalProxy(
    lambda: request.environ.get(_IDENTITY) if has_request_context() else None
)

current_claims: Any = LocalProxy(lambda: (claims() if has_request_context() else None) or {})
"""The claims of the token that came with the request; none before it was checked."""


def extension() -> Callbacks:
    """The extension of the current app, with its handlers.

    :raises ConfigError: if there is none
    """
    bound()
    found: Callbacks = current_app.extensions["jwt"]
    return found


def bound() -> Bound:
    """Settings, keys and sessions of the current app.

    :raises ConfigError: if the extension was not given to it
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    found: Bound | None = app.extensions.get(NAME)
    if found is None:
        raise ConfigError("the app has no flask_jwt_keys: call JWT(app, …), or init_app(app)")
    return found


def settled(value: Any) -> Any:
    """What a handler gave, or what it gives in the end if it is an ``async def``."""
    if not isinstance(value, CoroutineType):
        return value

    async def wait() -> Any:
        return await value

    return current_app.ensure_sync(wait)()


def remember(identity: Any, claims: Any) -> None:
    """Make the identity known to the rest of the request."""
    request.environ[_IDENTITY] = identity
    request.environ[_CLAIMS] = claims


def claims() -> Any:
    """The claims of the token that came with the request; None before it was checked."""
    return request.environ.get(_CLAIMS)
