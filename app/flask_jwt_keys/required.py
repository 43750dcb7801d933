"""The door of a protected route."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

import jwt
from flask import current_app

from .current import bound, extension, remember
from .errors import JWTError
from .handlers import schemes

logger = logging.getLogger(__name__)

_UNKNOWN_IDENTITY = (AttributeError, LookupError, TypeError, ValueError)


def jwt_required(realm: str | None = None, *, optional: bool = False) -> Callable[..., Any]:
    """View decorator: only a request with a valid token reaches the view, also an async one.

    :param realm: named in the challenge; ``JWT_DEFAULT_REALM`` if not given
    :param optional: let requests without any token pass; ``current_identity`` is then None
    :raises JWTError: if the token is missing or not valid
    """

    def wrapper(view: Callable[..., Any]) -> Callable[..., Any]:
        is_async = iscoroutinefunction(view)

        @wraps(view)
        def decorator(*args: Any, **kwargs: Any) -> Any:
            _jwt_required(realm or current_app.config["JWT_DEFAULT_REALM"], optional)
            answer = current_app.ensure_sync(view) if is_async else view
            return answer(*args, **kwargs)

        return decorator

    return wrapper


def _jwt_required(realm: str, optional: bool = False) -> None:
    """What the decorator does, for views that decide on their own.

    :raises JWTError: with RFC 6750's challenge where the scheme is Bearer
    """
    try:
        token = extension().request_callback()
        if token is not None:
            _admit(token.decode("latin-1") if isinstance(token, bytes) else token)
        elif not optional:
            raise JWTError(
                "Authorization Required",
                "Request does not contain an access token",
                headers={"WWW-Authenticate": f'{_scheme()} realm="{_quotable(realm)}"'},
            )
    except JWTError as error:
        error.headers = error.headers or _challenge(realm, error)
        raise


def _admit(token: str) -> None:
    try:
        claims = extension().jwt_decode_callback(token)
    except jwt.PyJWTError as error:
        raise JWTError("Invalid token", str(error)) from error
    if (sessions := bound().sessions) and sessions.ended(claims):
        raise JWTError("Invalid token", "Token has been revoked")
    identity = identify(claims)
    remember(identity, claims)
    if identity is None:
        raise JWTError("Invalid JWT", "User does not exist")


def identify(claims: Any) -> Any:
    """The identity that the claims speak of; None if they speak of nobody the app knows."""
    try:
        return extension().identity_callback(claims)
    except _UNKNOWN_IDENTITY:
        logger.warning("the identity handler failed on a valid token", exc_info=True)
        return None


def _scheme() -> str:
    return "Bearer" if schemes()[0] == "bearer" else "JWT"


def _challenge(realm: str, error: JWTError) -> dict[str, str] | None:
    """RFC 6750 section 3; Flask-JWT's own scheme has a challenge for a missing token only."""
    if _scheme() != "Bearer":
        return None
    code = "invalid_request" if error.error == "Invalid JWT header" else "invalid_token"
    described = f'error="{code}", error_description="{_quotable(error.description)}"'
    return {"WWW-Authenticate": f'Bearer realm="{_quotable(realm)}", {described}'}


def _quotable(text: str) -> str:
    """A text in the characters that RFC 6750, section 3, allows between quotes; "?" for others."""
    plain = text.replace('"', "'")
    return "".join(each if " " <= each <= "~" and each != "\\" else "?" for each in plain)
