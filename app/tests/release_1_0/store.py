"""What a store of sessions keeps, and what it must be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Grant:
    """One refresh token and the access token that was handed out with it.

    :param digest: SHA-256 of the refresh token
    :param session: what all tokens since one login have in common
    :param claims: whom it is for, as the identity handler will see it
    :param jti: the access token's id
    :param access_until: when the access token can no longer be used, seconds since 1970
    :param until: when the session ends, seconds since 1970
    :param used: whether it was exchanged already
    """

    digest: bytes
    session: str
    claims: Mapping[str, Any]
    jti: str
    access_until: int
    until: int
    used: bool = False


class Store(Protocol):
    """Where sessions are kept. Each method is atomic and seen by all workers when it returns.

    :ivar shared: whether several hosts share it
    """

    shared: bool

    def add(self, grant: Grant) -> None:
        """Keep the first grant of a session."""

    def find(self, digest: bytes) -> Grant | None:
        """The grant of a refresh token, unless its session has ended."""

    def rotate(self, digest: bytes, successor: Grant) -> bool:
        """Mark a grant as used and keep its successor; False if it was used or is gone."""

    def end(self, jti: str, until: int) -> None:
        """Revoke an access token until it expires, and all tokens of its session."""

    def ended(self, jti: str) -> bool:
        """Whether an access token is revoked."""
