"""The door of a protected route."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

import jwt
from flask import current_app

from . import errors
from .checks import duration
from .config import seconds
from .current import bound, extension, remember, settled
from .handlers import schemes

logger = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])
_CODES = {
    errors.InvalidHeaderError: "invalid_request",
    errors.FreshTokenRequired: "insufficient_user_authentication",
}
_UNKNOWN_IDENTITY = (AttributeError, LookupError, TypeError, ValueError)


def jwt_required(
    realm: str | None = None, *, optional: bool = False, max_age: timedelta | float | None = None
) -> Callable[[View], View]:
    """View decorator: only a request with a valid token reaches the view, also an async one.

    :param realm: named in the challenge; ``JWT_DEFAULT_REALM`` if not given
    :param optional: let requests without any token pass; ``current_identity`` is then None
    :param max_age: how long ago the user may have logged in, by the claim ``auth_time``, in seconds
        or as timedelta; None for any time
    :raises JWTError: if the token is missing or not valid
    """
    if callable(realm):
        raise TypeError("write @jwt_required() with its parentheses")
    limit = None if max_age is None else duration("max_age", max_age)

    def wrapper(view: View) -> View:
        is_async = iscoroutinefunction(view)

        @wraps(view)
        def decorator(*args: Any, **kwargs: Any) -> Any:
            _jwt_required(realm or bound().config["JWT_DEFAULT_REALM"], optional, limit)
            answer = current_app.ensure_sync(view) if is_async else view
            return answer(*args, **kwargs)

        return cast(View, decorator)

    return wrapper


def _jwt_required(realm: str, optional: bool = False, max_age: float | None = None) -> None:
    """What the decorator does, for views that decide on their own.

    :raises JWTError: with RFC 6750's challenge where the scheme is Bearer
    """
    try:
        token = extension().request_callback()
        if token is not None:
            _admit(token.decode("latin-1") if isinstance(token, bytes) else token, max_age)
        elif not optional:
            raise errors.NoAuthorizationError(
                "Authorization Required",
                "Request does not contain an access token",
                headers={"WWW-Authenticate": f'{_scheme()} realm="{_quotable(realm)}"'},
            )
    except errors.JWTError as error:
        error.headers = error.headers or _challenge(realm, error)
        raise


def _admit(token: str, max_age: float | None) -> None:
    claims = checked(token)
    identity = identify(claims)
    remember(identity, claims)
    if identity is None:
        raise errors.UserLookupError("Invalid JWT", "User does not exist")
    if max_age is not None and not _is_fresh(claims, max_age):
        raise errors.FreshTokenRequired(max_age)


def checked(token: str) -> Any:
    """The claims of an access token that counts now.

    :raises JWTError: saying what is wrong with it
    """
    try:
        claims = extension().jwt_decode_callback(token)
    except jwt.PyJWTError as error:
        raise errors.JWTDecodeError("Invalid token", str(error)) from error
    if (sessions := bound().sessions) and sessions.ended(claims):
        raise errors.RevokedTokenError("Invalid token", "Token has been revoked")
    return claims


def _is_fresh(claims: Any, max_age: float) -> bool:
    """OpenID Connect Core, section 3.1.2.1."""
    at = claims.get("auth_time") if isinstance(claims, Mapping) else None
    if isinstance(at, bool) or not isinstance(at, int | float):
        return False
    now = time.time()
    return now - max_age <= at <= now + seconds(bound().config["JWT_LEEWAY"])


def identify(claims: Any) -> Any:
    """The identity that the claims speak of; None if they speak of nobody the app knows."""
    try:
        return looked_up(claims)
    except errors.UserLookupError:
        return None


def looked_up(claims: Any) -> Any:
    """What the identity handler says of the claims; None is its word that there is no such user.

    :raises UserLookupError: if it failed, so that it said nothing
    """
    try:
        handler = extension().identity_callback
        return settled(handler(claims)) if handler else None
    except _UNKNOWN_IDENTITY as error:
        logger.warning("the identity handler failed on a valid token", exc_info=True)
        raise errors.UserLookupError("Invalid JWT", "User does not exist") from error


def _scheme() -> str:
    return "Bearer" if schemes()[0] == "bearer" else "JWT"


def _challenge(realm: str, error: errors.JWTError) -> dict[str, str] | None:
    """RFC 6750, section 3, and RFC 9470, section 3.

    Flask-JWT's own scheme has a challenge for a missing token only.
    """
    if _scheme() != "Bearer":
        return None
    code = _CODES.get(type(error), "invalid_token")
    described = f'error="{code}", error_description="{_quotable(error.description)}"'
    if isinstance(error, errors.FreshTokenRequired):
        described += f', max_age="{error.max_age:.0f}"'
    return {"WWW-Authenticate": f'Bearer realm="{_quotable(realm)}", {described}'}


def _quotable(text: str) -> str:
    """A text in the characters that RFC 6750, section 3, allows between quotes; "?" for others."""
    plain = text.replace('"', "'")
    return "".join(each if " " <= each <= "~" and each != "\\" else "?" for each in plain)
