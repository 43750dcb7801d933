"""Passwords as Argon2id hashes (argon2-cffi), checked beside the event loop."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from .background import Background

# OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
_background = Background(threads=1, niceness=10)


def hash_password(password: str) -> str:
    """The Argon2id hash of a password, with a salt of its own."""
    return _hasher.hash(password)


def check_hash(encoded: str) -> None:
    """Nothing, for a hash that can be checked.

    :raises ValueError: if it is none
    """
    try:
        extract_parameters(encoded)
    except InvalidHashError as error:
        raise ValueError("not an Argon2 hash") from error


class Passwords:
    """Check passwords in the same time for names that exist and names that do not.

    :param hashes: the hashes that exist; the first one's parameters serve for unknown names
    """

    def __init__(self, hashes: Iterable[str] = ()) -> None:
        first = next(iter(hashes), None)
        hasher = PasswordHasher.from_parameters(extract_parameters(first)) if first else _hasher
        self._hasher = hasher

    def matches(self, encoded: str | None, password: str) -> bool:
        """Whether the password is the hash's; False for no hash, after the same work."""
        return _background.run(self._verify, encoded, password) and encoded is not None

    @cached_property
    def _nobodys(self) -> str:
        """A hash for names that do not exist, made beside the event loop by the first login."""
        return self._hasher.hash("")

    def _verify(self, encoded: str | None, password: str) -> bool:
        nobodys = self._nobodys  # the first login waits for it, whether its name exists or not
        return _verify(encoded or nobodys, password)


def _verify(encoded: str, password: str) -> bool:
    try:
        return _hasher.verify(encoded, password)
    except (VerificationError, InvalidHashError):
        return False
