"""Sessions: refresh tokens that count once, logout, revocation.

A refresh token is a random text, kept as a hash. Using one twice means that somebody else has a
copy: the whole session ends (RFC 9700 section 4.14.2). As it is not signed, exchanging or
revoking a signing key ends no session.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from .config import longest_life, seconds
from .errors import ConfigError, JWTError
from .sqlite import SQLiteStore
from .store import Grant, Store

logger = logging.getLogger(__name__)

_PER_TOKEN = ("exp", "iat", "nbf", "jti", "iss", "aud")


class Sessions:
    """What the routes do with the store.

    :param lifetime: of a session, from its login on, in seconds
    :param longest: how long an access token may live, in seconds
    """

    def __init__(self, store: Store, lifetime: float, longest: float) -> None:
        self._store = store
        self._lifetime = lifetime
        self._longest = longest

    def begin(self, access_token: str) -> str:
        """Open a session; gives its first refresh token."""
        until = int(time.time() + self._lifetime)
        refresh_token, grant = self._grant(access_token, secrets.token_urlsafe(16), until)
        self._store.add(grant)
        return refresh_token

    def renew(
        self, refresh_token: Any, identify: Callable[[Any], Any], issue: Callable[[Any], Any]
    ) -> tuple[Any, Any]:
        """Exchange a refresh token; gives the identity and its new access token.

        :raises JWTError: the same for every refresh token that does not count
        """
        grant = self._store.find(_digest(refresh_token))
        identity = identify(dict(grant.claims)) if grant and not grant.used else None
        if grant and identity is not None:
            token = issue(identity)
            token.refresh_token, successor = self._grant(token, grant.session, grant.until)
            if self._store.rotate(grant.digest, successor):
                return identity, token
        if grant:
            logger.warning("session ended: its refresh token was used twice or its user is gone")
            self._store.end(grant.jti, grant.access_until)
        raise JWTError("Invalid token", "Refresh token is not valid")

    def end(self, claims: Any) -> None:
        """End the session of an access token."""
        jti = claims.get("jti") if isinstance(claims, Mapping) else None
        if jti:
            self._store.end(jti, int(claims.get("exp", time.time() + self._longest)))

    def end_by_refresh_token(self, refresh_token: Any) -> None:
        """End the session of a refresh token; nothing happens if there is none (RFC 7009)."""
        grant = self._store.find(_digest(refresh_token))
        if grant:
            self._store.end(grant.jti, grant.access_until)

    def ended(self, claims: Any) -> bool:
        """Whether the access token of these claims is revoked."""
        jti = claims.get("jti") if isinstance(claims, Mapping) else None
        return bool(jti) and self._store.ended(jti)

    def _grant(self, access_token: str, session: str, until: int) -> tuple[str, Grant]:
        claims = jwt.decode(access_token, options={"verify_signature": False})
        refresh_token = secrets.token_urlsafe(32)
        grant = Grant(
            digest=_digest(refresh_token),
            session=session,
            claims={name: value for name, value in claims.items() if name not in _PER_TOKEN},
            jti=claims.get("jti") or secrets.token_urlsafe(16),
            access_until=int(claims.get("exp", time.time() + self._longest)),
            until=until,
        )
        return refresh_token, grant


def sessions_of(config: Mapping[str, Any], store: Store | None) -> Sessions | None:
    """The sessions that the settings ask for; None if they ask for none.

    :raises ConfigError: if several hosts would each keep sessions of their own
    """
    if store is None and config["JWT_STORE_PATH"]:
        store = SQLiteStore(config["JWT_STORE_PATH"])
    if store is None:
        return None
    if config["JWT_HOSTS"] > 1 and not store.shared:
        raise ConfigError(
            f"JWT_HOSTS is {config['JWT_HOSTS']}, but the session store is a file on one host: "
            "a logout would not reach the others. Give JWT(store=…) a shared store, or set "
            "JWT_STORE_PATH to nothing to do without refresh tokens and logout"
        )
    lifetime = seconds(config["JWT_REFRESH_EXPIRATION_DELTA"])
    return Sessions(store, lifetime, longest_life(config) or lifetime)


def _digest(refresh_token: Any) -> bytes:
    text = refresh_token if isinstance(refresh_token, str) else ""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
