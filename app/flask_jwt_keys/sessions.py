"""Sessions: refresh tokens that count once, logout, revocation.

A refresh token has two random parts. The first is the same for a whole session; the hash of it is
the session's id. The second changes at each refresh. Whoever shows the first with an outdated
second has a copy that somebody else used: the session ends (RFC 9700 section 4.14.2). Nobody ends
a session by guessing, nor with the id that its access tokens carry.

An answer can be lost. So the token before the current one counts for a few seconds more and gives
the same successor: HMAC of the token by a seed in the store. Neither a copy of the store nor an
outdated token gives the successor alone. As nothing here is signed, exchanging or revoking a
signing key ends no session.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from . import kept_claims, refresh_tokens
from .access_token import Token, claims_of, jti_of
from .app_names import names_of
from .config import longest_life, seconds
from .errors import ConfigError, JWTError, RevokedTokenError, StoreError, UserLookupError
from .making import asked, asking
from .sqlite import SQLiteStore
from .store import Session, Store
from .strict import LATEST_TIME
from .turning import turn
from .valkey import ValkeyStore

logger = logging.getLogger(__name__)

_ID = re.compile("[A-Za-z0-9_-]{22}")
_TRIES = 30  # that others may write the same session first


class Sessions:
    """What the routes do with the store.

    :param lifetime: of a session, from its login on, in seconds
    :param longest: gives how long an access token may live, in seconds; None for any time
    :param grace: how long the refresh token before the current one counts, in seconds
    :param names: gives the names of the app; sessions of another one do not count
    :param leeway: gives how far clocks may be apart, in seconds
    """

    def __init__(
        self,
        store: Store,
        lifetime: float,
        longest: Callable[[], float | None],
        grace: float,
        names: Callable[[], tuple[str, ...]] = tuple,
        leeway: Callable[[], float] = float,
    ) -> None:
        self.store = store
        self._lifetime = lifetime
        self._longest = longest
        self._grace = grace
        self._names = names
        self._leeway = leeway

    def begin(
        self,
        issue: Callable[[], Token],
        added: Mapping[str, Any] | None = None,
        lifetime: float | None = None,
    ) -> Token:
        """Open a session; gives its first access token, which has ``refresh_token`` too.

        :param added: claims of each of its access tokens beside the payload
        :param lifetime: of the session in seconds; None for the settings'
        """
        family, secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        session_id, now = refresh_tokens.id_of(family), time.time()
        added = {"auth_time": int(now), **(added or {})}
        with asking(sid=session_id, claims=added):
            token = issue()
        claims = kept_claims.lasting(claims_of(token))
        until = int(now + (self._lifetime if lifetime is None else lifetime))
        kept = kept_claims.with_added(claims, added)
        session = Session(
            session_id, kept_claims.subject_of(claims), kept, refresh_tokens.digest(secret), until
        )
        self.store.add(self._with(replace(session, started=now, changed=now), token))
        return token.with_refresh_token(f"{family}.{secret}")

    def join(self, sid: str, issue: Callable[[], Token], at: int | None = None) -> Token:
        """One more access token of a session, which ends with it and says what its others say.

        :param at: when the user proved again who they are: for the tokens after this one, too
        :raises RevokedTokenError: if it has ended
        :raises StoreError: if the store cannot answer
        """
        for _ in range(_TRIES):
            session = self._find(sid)
            if session is None:
                raise RevokedTokenError("Invalid token", "Token has been revoked")
            added = kept_claims.split(session.claims)[1]
            with asking(sid=sid, claims={**added, **asked().claims}):
                token = issue()
            if self.store.replace(self._with(kept_claims.proved(session, at), token)):
                return token
        raise StoreError("many refreshes of one session at once")

    def renew(
        self, refresh_token: Any, identify: Callable[[Any], Any], issue: Callable[[Any], Token]
    ) -> tuple[Any, Token]:
        """Exchange a refresh token; gives the identity and its new access token.

        :raises JWTError: the same for every refresh token that does not count
        :raises StoreError: if the store cannot answer
        """
        family, secret = refresh_tokens.parts(refresh_token)
        for _ in range(_TRIES):
            session = self._find(refresh_tokens.id_of(family))
            if session is None:
                break
            turned = turn(session, secret, self._grace, self._leeway())
            try:
                identity = identify(kept_claims.at_refresh(session)) if turned else None
            except UserLookupError:  # the handler failed: it may know the user the next time
                break
            if turned is None or identity is None:
                logger.warning("session ended: a refresh token was used twice or its user is gone")
                self.store.end(session.id)
                break
            with asking(sid=session.id, claims=kept_claims.split(session.claims)[1]):
                token = issue(identity)
            if self.store.replace(self._with(turned, token)):
                successor = f"{family}.{refresh_tokens.successor(secret, turned.seed)}"
                return identity, token.with_refresh_token(successor)
        else:
            raise StoreError("many refreshes of one session at once")
        raise JWTError("Invalid token", "Refresh token is not valid")

    def end(self, claims: Any) -> None:
        """End the session of an access token."""
        if not isinstance(claims, Mapping):
            return
        jti, sid = jti_of(claims), claims.get("sid")
        if jti is not None:
            named = sid if isinstance(sid, str) and _ID.fullmatch(sid) else None
            self.store.revoke(jti, self._end_of(claims), named)

    def end_all(self, issue: Callable[[], Token]) -> int:
        """End all sessions of the user whom a token would be for; gives their number.

        :raises ConfigError: if the tokens do not say whose they are
        """
        subject = kept_claims.subject_of(claims_of(issue()))
        if subject == kept_claims.NOBODY:
            raise ConfigError(
                "end_sessions_of cannot tell the sessions of one user: the tokens have neither "
                "identity nor sub. Let the jwt_payload_handler or jwt_encode_handler write one"
            )
        return self.store.end_all(subject, self._names())

    def end_by_refresh_token(self, refresh_token: Any) -> None:
        """End the session of a refresh token; nothing happens if there is none (RFC 7009)."""
        session = self._find(refresh_tokens.id_of(refresh_tokens.parts(refresh_token)[0]))
        if session:
            self.store.end(session.id)

    def ended(self, claims: Any) -> bool:
        """Whether the access token of these claims is revoked."""
        if not isinstance(claims, Mapping):
            return False
        names = [jti_of(claims), claims.get("sid")]
        return self.store.ended(*(name for name in names if name and isinstance(name, str)))

    def _find(self, sid: str) -> Session | None:
        session = self.store.find(sid)
        return session if session and session.is_of(self._names()) else None

    def _with(self, session: Session, token: str) -> Session:
        """The next version of a session, which knows the access token."""
        claims: Mapping[str, Any] = claims_of(token)
        until = self._end_of(claims)
        margin = self._longest() or self._lifetime
        known = [each for each in session.tokens if each[1] > time.time() - margin]
        jti = jti_of(claims)
        is_named = claims.get("sid") == session.id
        if is_named:
            known = known[-1:]
        if jti is None:
            raise ConfigError(
                "no logout could end this token: it has no jti. Let the jwt_encode_handler add "
                "one that no other token has, such as jti=secrets.token_urlsafe(16)"
            )
        known.append((jti, until))
        return replace(
            kept_claims.named(session, self._names()),
            tokens=tuple(known),
            nameless=None if is_named else jti,
            access_until=max(session.access_until, until),
            version=session.version + 1,
        )

    def _end_of(self, claims: Mapping[str, Any]) -> int:
        """When an access token counts no more, with the leeway."""
        end, longest = claims.get("exp"), self._longest()
        if end is None:
            end = LATEST_TIME if longest is None else time.time() + longest
        return int(float(end) + self._leeway())


def sessions_of(config: Mapping[str, Any], store: Store | None) -> Sessions | None:
    """The sessions that the settings ask for; None if they ask for none.

    :raises ConfigError: if several hosts would each keep sessions of their own
    """
    if store is None and config["JWT_STORE_URL"]:
        store = ValkeyStore(config["JWT_STORE_URL"])
    if store is None and config["JWT_STORE_PATH"]:
        store = SQLiteStore(config["JWT_STORE_PATH"])
    if store is None:
        return None
    if config["JWT_HOSTS"] > 1 and not store.shared:
        raise ConfigError(
            f"JWT_HOSTS is {config['JWT_HOSTS']}, but each host would have a session store of its "
            "own: a logout would not reach the others. Set JWT_STORE_URL to a Valkey server that "
            "all of them reach, or JWT_STORE_PATH to nothing: no refresh tokens, no logout"
        )
    lifetime = seconds(config["JWT_REFRESH_EXPIRATION_DELTA"])
    grace = seconds(config["JWT_REFRESH_GRACE"])
    return Sessions(
        store,
        lifetime,
        lambda: longest_life(config),
        grace,
        lambda: names_of(config),
        lambda: seconds(config["JWT_LEEWAY"]),
    )
