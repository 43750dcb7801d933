"""A directory of keys, read again when it changes.

Each ``*.pem`` file is one key; the optional file ``signing`` holds the name of the one that signs.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .errors import ConfigError
from .keys import Key, KeySet, pem_key

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds: a key that was taken away is refused after this time at the latest
Fingerprint = tuple[tuple[str, int, int, int, int], ...]
# Of the process or the machine: they say nothing of the files.
_TRANSIENT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Found(NamedTuple):
    """What lay in the directory at one look; made whole, then published in one step.

    :param seen: the files that it was read from
    :param parsed: the keys by the digest of their files, so that none is parsed twice
    :param problems: what is wrong, one line each
    """

    seen: Fingerprint | None
    parsed: Mapping[bytes, Key]
    keys: KeySet
    problems: list[str]


class KeyDirectory:
    """The keys of a directory.

    At the start every fault is fatal. Later a faulty file costs that key alone: a key whose file
    is gone or no longer readable verifies nothing, the others go on.

    :param path: the directory
    :param algorithm: what the signing key must be for; None if any will do
    :raises ConfigError: naming each faulty file
    """

    def __init__(self, path: str | os.PathLike[str], algorithm: str | None = None) -> None:
        self._path = Path(path)
        self._found = Found(None, {}, KeySet((), None), [])
        self._look()
        problems, signer = self.problems, self._found.keys.signer
        if algorithm and signer and signer.algorithm != algorithm:
            problems = [*problems, f"the signing key is for {signer.algorithm}, not {algorithm}"]
        if problems:
            raise ConfigError(f"JWT_KEY_DIR {self._path}: " + "; ".join(problems))

    @property
    def problems(self) -> list[str]:
        """What is wrong in the directory, one line each."""
        return self._found.problems

    def current(self) -> KeySet:
        """The keys as they are on disk, at most a second old."""
        if time.monotonic() >= self._next_look:
            self._look()
        return self._found.keys

    def _look(self) -> None:
        self._next_look = time.monotonic() + LOOK_EVERY
        found = self._found
        try:
            for _ in range(3):  # a change while reading: read again
                seen = self._fingerprint()
                if seen == found.seen:
                    break
                found = self._load(seen)
        except OSError as error:
            problems = [f"the directory cannot be read ({error.strerror})"]
            keys = self._found.keys if error.errno in _TRANSIENT else KeySet((), None)
            found = Found(None, self._found.parsed, keys, problems)
        if found is not self._found:
            self._found = found
            for problem in found.problems:
                logger.error("%s: %s", self._path, problem)

    def _fingerprint(self) -> Fingerprint:
        """Names and identities of the files; links are followed, so swapping one shows."""
        marks = []
        for file in sorted(self._path.iterdir()):
            name = file.name
            if name == "signing" or (name.endswith(".pem") and not name.startswith(".")):
                try:
                    stat = file.stat()
                except FileNotFoundError:
                    continue
                except OSError as error:  # such as a link to itself: who reads it names it
                    if error.errno in _TRANSIENT:
                        raise
                    marks.append((name, -1, -1, -1, error.errno or 0))
                    continue
                marks.append((name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
        return tuple(marks)

    def _load(self, seen: Fingerprint) -> Found:
        problems: list[str] = []
        parsed: dict[bytes, Key] = {}
        keys: dict[str, Key] = {}
        for name in (name for name, *_ in seen if name != "signing"):
            key = self._read(name, parsed, problems)
            if key and (twin := next((n for n, k in keys.items() if k.kid == key.kid), None)):
                problems.append(f"{twin} and {name} hold the same key")
            elif key:
                keys[name] = key
        if not keys:
            problems.append("no usable key (*.pem)")
        return Found(seen, parsed, KeySet(keys.values(), self._signer(keys, problems)), problems)

    def _read(self, name: str, parsed: dict[bytes, Key], problems: list[str]) -> Key | None:
        try:
            pem = (self._path / name).read_bytes()
            digest = hashlib.sha256(pem).digest()
            parsed[digest] = self._found.parsed.get(digest) or pem_key(pem)
            return parsed[digest]
        except ConfigError as error:
            problems.append(f"{name}: {error}")
        except OSError as error:
            if error.errno in _TRANSIENT:
                raise
            problems.append(f"{name}: {error.strerror}")
        return None

    def _signer(self, keys: dict[str, Key], problems: list[str]) -> Key | None:
        """The key that ``signing`` names, else the only private one."""
        private = {name: key for name, key in keys.items() if key.private}
        try:
            named = (self._path / "signing").read_text(errors="replace").strip()
        except FileNotFoundError:
            if len(private) < 2:
                return next(iter(private.values()), None)
            problem = f"several private keys ({', '.join(private)}) and no file 'signing'"
        except OSError as error:
            if error.errno in _TRANSIENT:
                raise
            problem = f"signing: {error.strerror}"
        else:
            if named in private:
                return private[named]
            problem = f"'signing' names {named!r}, which is no usable private key here"
        problems.append(problem)
        former = self._found.keys.signer
        return next((key for key in private.values() if former and key.kid == former.kid), None)
