"""What a store of sessions keeps, and what it must be able to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

NAME = "flask_jwt_keys.name"  # among the claims of a session: which app it is of


@dataclass(frozen=True)
class Session:
    """Everything since one login: one row, however often it is refreshed.

    :param id: what its access tokens carry as ``sid``; cannot be turned into a refresh token
    :param subject: whose session it is, as JSON
    :param claims: whom it is for, as the identity handler will see it
    :param current: SHA-256 of the part of the refresh token that changes
    :param until: when the session ends, seconds since 1970
    :param tokens: jti and end of access tokens: of all that live, or if they carry ``sid``, of
        the newest two
    :param access_until: when the last access token ends, seconds since 1970
    :param previous: the hash before ``current``; None before the first refresh
    :param seed: what made the current refresh token from the previous one
    :param started: when it began, seconds since 1970
    :param changed: when ``current`` became so, seconds since 1970
    :param nameless: jti of the newest access token if it does not carry ``sid``
    :param version: how often it was written; :meth:`Store.replace` compares it
    """

    id: str
    subject: str
    claims: Mapping[str, Any]
    current: bytes
    until: int
    tokens: tuple[tuple[str, int], ...] = ()
    access_until: int = 0
    previous: bytes | None = None
    seed: bytes = b""
    started: float = 0.0
    changed: float = 0.0
    nameless: str | None = None
    version: int = 0

    @property
    def name(self) -> str | None:
        """Of the app that it is of; None if an earlier release began it."""
        found: str | None = self.claims.get(NAME)
        return found

    def is_of(self, names: Collection[str]) -> bool:
        """Whether it may be of an app with one of these names; of each app, if there are none."""
        return not names or self.name is None or self.name in names


class Store(Protocol):
    """Where sessions are kept. To write one, let ``testing.StoreContract`` test it.

    Each method is atomic, durable and seen by all workers when it returns.

    :ivar shared: whether several hosts share it
    :raises StoreError: from each method, if the store cannot answer now
    """

    shared: bool

    def add(self, session: Session) -> None:
        """Keep a new session until both ``until`` and ``access_until`` are over."""

    def find(self, sid: str) -> Session | None:
        """The session, unless it has ended, one of its ``tokens`` has, or its time is over."""

    def replace(self, session: Session) -> bool:
        """Write a session over the version before it; False if that is no longer there."""

    def end(self, sid: str) -> None:
        """End a session; its id counts as ended until its last access token has expired."""

    def end_all(self, subject: str, names: Collection[str] = ()) -> int:
        """End all sessions of a :attr:`Session.subject`; gives their number.

        :param names: of the app: only those that :meth:`Session.is_of` it
        """

    def revoke(self, jti: str, until: int, sid: str | None) -> None:
        """End an access token, and the session that it names or that knows it as ``nameless``.

        The id that it names counts as ended even if the session is forgotten.
        """

    def ended(self, *names: str) -> bool:
        """Whether any of these session ids and token ids is ended."""

    def check(self) -> None:
        """Return if sessions can be read and written."""
