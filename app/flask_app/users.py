"""The people who may log in: a JSON file of names and Argon2 hashes, read again on change."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from flask_jwt_keys import UnavailableError
from flask_jwt_keys.passwords import Passwords, check_hash, hash_password

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds


@dataclass(frozen=True)
class User:
    """Someone who may log in.

    :param id: the name
    :param stamp: changes with the password, so that old tokens can be told
    """

    id: str
    stamp: str


class UserFile:
    """A JSON object: name → Argon2 hash.

    :param path: the file; while it cannot be read ``problem`` says why
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._hashes: dict[str, str] = {}
        self._passwords = Passwords()
        self._seen: Any = None
        self._next_look = 0.0
        self.problem: str | None = None
        self.look()

    def find(self, name: Any) -> User | None:
        """The user of that name.

        :raises UnavailableError: while the file cannot be read: who is in it is not known
        """
        self._know()
        encoded = self._hashes.get(name) if isinstance(name, str) else None
        return User(name, _stamp(encoded)) if encoded else None

    def authenticate(self, name: Any, password: Any) -> User | None:
        """The user, if the password is right; an unknown name takes as long as a wrong password.

        :raises UnavailableError: while the file cannot be read
        """
        if not (isinstance(name, str) and isinstance(password, str)):
            return None  # the extension lets numbers through: a PIN may be one
        self._know()
        encoded = self._hashes.get(name)
        if encoded is None:
            self._passwords.matches(None, password)
            return None
        return User(name, _stamp(encoded)) if self._passwords.matches(encoded, password) else None

    def _know(self) -> None:
        self.look()
        if self.problem:
            raise UnavailableError(self.problem)

    def look(self) -> None:
        """Read the file if it changed; afterwards ``problem`` says whether it could be read."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_EVERY
        try:
            stat = self._path.stat()
            seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            if seen != self._seen:
                self._hashes = _read(self._path)
                self._passwords = Passwords(self._hashes.values())
                self._seen, self.problem = seen, None
        except (OSError, ValueError) as error:
            self._hashes, self._seen = {}, None
            self.problem = f"users cannot be read from {self._path}: {_reason(error)}"
            logger.error(self.problem)


def _read(path: Path) -> dict[str, str]:
    users = json.loads(path.read_bytes())
    if not isinstance(users, dict):
        raise ValueError("it must be a JSON object of names and hashes")
    for name, encoded in users.items():
        try:
            check_hash(encoded)
        except (TypeError, ValueError):
            raise ValueError(
                f"the hash of {name!r} is none: make one with `flask --app flask_app hash-password`"
            ) from None
    return users


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) else str(error)


def _stamp(encoded: str) -> str:
    return hashlib.sha256(encoded.encode()).hexdigest()[:16]


@click.command("hash-password")
def hash_password_command() -> None:
    """Print the hash of a password, for users.json; it is read from stdin or asked for."""
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.ClickException("the password is empty")
    click.echo(hash_password(password))
