"""What an app calls: make tokens, begin and end sessions, check a token by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from . import handlers
from .access_token import Token
from .checks import duration
from .config import longest_life
from .current import bound, claims, current_identity, extension
from .errors import ConfigError
from .handlers import issue
from .making import asking
from .required import _jwt_required, checked

Duration = timedelta | float


def create_access_token(
    identity: Any,
    additional_claims: Mapping[str, Any] | None = None,
    expires_delta: Duration | None = None,
    additional_headers: Mapping[str, Any] | None = None,
    *,
    auth_time: float | None = None,
    in_session: bool = False,
) -> Token:
    """A new access token; it opens no session.

    :param identity: for whom, as the payload handler takes it
    :param additional_claims: what the token says beside the payload; it wins over the payload
    :param expires_delta: how long it lives, in seconds or as timedelta; None for what the payload
        says
    :param additional_headers: what its header says beside that of the headers handler
    :param auth_time: when the user proved who they are, seconds since 1970: what
        ``jwt_required(max_age=…)`` looks at; in a session, for its later tokens too
    :param in_session: whether it belongs to the session of the current request: it says what the
        session's tokens say, and ends with it
    :raises ConfigError: if it would live longer than ``JWT_MAX_LIFETIME``, if the app has no key
        that signs, or if a ``jwt_encode_handler`` of its own cannot be told what is asked
    :raises UnavailableError: if its key cannot be read now
    :raises JWTError: if that session has ended meanwhile
    """
    added = dict(additional_claims or {})
    if auth_time is not None:
        added["auth_time"] = int(auth_time)
    lifetime = None if expires_delta is None else _lifetime(expires_delta)
    headers = dict(additional_headers or {})
    if added or headers or lifetime is not None:
        _check_encoder()
    with asking(claims=added, headers=headers, lifetime=lifetime):
        if in_session and (sid := (claims() or {}).get("sid")):
            at = None if auth_time is None else int(auth_time)
            return bound().kept.join(sid, lambda: issue(identity), at)
        return issue(identity)


def encode_token() -> Token:
    """A new access token for the identity of the current request, in its session."""
    in_session = bound().sessions is not None
    return create_access_token(current_identity, in_session=in_session)


def begin_session(
    identity: Any,
    additional_claims: Mapping[str, Any] | None = None,
    expires_delta: Duration | None = None,
    *,
    auth_time: float | None = None,
) -> Token:
    """Log a user in, from a login route of the app's own.

    :param identity: who logs in, as the payload handler takes it
    :param additional_claims: what each access token of the session says beside the payload
    :param expires_delta: how long the session lasts, in seconds or as timedelta; None for
        ``JWT_REFRESH_EXPIRATION_DELTA``
    :param auth_time: when the user proved who they are, seconds since 1970; None for now
    :returns: the first access token; its ``refresh_token`` renews it
    :raises ConfigError: if there is no session store
    :raises StoreError: if the store cannot answer
    """
    sessions, added = bound().kept, dict(additional_claims or {})
    if auth_time is not None:
        added["auth_time"] = int(auth_time)
    if added:
        _check_encoder()
    lifetime = None if expires_delta is None else duration("expires_delta", expires_delta)
    return sessions.begin(lambda: issue(identity), added, lifetime)


def end_session(token: Mapping[str, Any] | str | None = None) -> None:
    """End a session: its access tokens and its refresh token count no more.

    :param token: a refresh token, or the claims of an access token; None for the current request's
    :raises ConfigError: if there is no session store
    :raises StoreError: if the store cannot answer
    """
    if isinstance(token, str):
        bound().kept.end_by_refresh_token(token)
    else:
        bound().kept.end(claims() if token is None else token)


def end_sessions_of(identity: Any) -> int:
    """End all sessions of a user, on all devices: after a new password, for example.

    Access tokens from :func:`create_access_token` outside a session live on until they expire.

    :param identity: the user, as the payload handler takes it
    :returns: how many sessions ended
    :raises ConfigError: if there is no session store, or if the tokens do not say whose they are
    :raises StoreError: if the store cannot answer
    """
    return bound().kept.end_all(lambda: issue(identity))


def decode_token(token: str) -> dict[str, Any]:
    """The claims of an access token that counts now, wherever it comes from.

    :raises JWTDecodeError: saying what is wrong with it
    :raises RevokedTokenError: if it was logged out
    """
    found: dict[str, Any] = checked(token)
    return found


def verify_jwt_in_request(
    realm: str | None = None, *, optional: bool = False, max_age: Duration | None = None
) -> None:
    """What :func:`jwt_required` does, for code that decides on its own.

    :param realm: named in the challenge; ``JWT_DEFAULT_REALM`` if not given
    :param optional: let requests without any token pass
    :param max_age: how long ago the user may have logged in, in seconds or as timedelta
    :raises JWTError: if the token is missing or not valid
    """
    limit = None if max_age is None else duration("max_age", max_age)
    _jwt_required(realm or bound().config["JWT_DEFAULT_REALM"], optional, limit)


def _lifetime(expires_delta: Duration) -> float:
    asked, longest = duration("expires_delta", expires_delta), longest_life(bound().config)
    if longest is not None and asked > longest:
        raise ConfigError(
            f"expires_delta is {asked:g} seconds, and no token may live longer than {longest:g}: "
            "set JWT_MAX_LIFETIME higher"
        )
    return asked


def _check_encoder() -> None:
    if extension().jwt_encode_callback is not handlers._default_jwt_encode_handler:
        raise ConfigError(
            "the app's own jwt_encode_handler makes its tokens, and takes no claims, headers or "
            "lifetime: use a jwt_payload_handler instead"
        )
