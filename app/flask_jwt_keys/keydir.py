"""A directory of keys, read again when it changes.

Each ``*.pem`` file is one key; the optional file ``signing`` holds the name of the one that signs.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from pathlib import Path

from .errors import ConfigError
from .keys import Key, KeySet, pem_key

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds: a key that was taken away is refused after this time at the latest
Fingerprint = tuple[tuple[str, int, int, int, int], ...]


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
        self._parsed: dict[bytes, Key] = {}
        self._seen: Fingerprint | None = None
        self._keys = KeySet((), None)
        self.problems: list[str] = []
        self._look()
        signer = self._keys.signer
        if algorithm and signer and signer.algorithm != algorithm:
            self.problems.append(f"the signing key is for {signer.algorithm}, not {algorithm}")
        if self.problems:
            raise ConfigError(f"JWT_KEY_DIR {self._path}: " + "; ".join(self.problems))

    def current(self) -> KeySet:
        """The keys as they are on disk, at most a second old."""
        if time.monotonic() >= self._next_look:
            self._look()
        return self._keys

    def _look(self) -> None:
        self._next_look = time.monotonic() + LOOK_EVERY
        try:
            for _ in range(3):  # a change while reading: read again
                seen = self._fingerprint()
                if seen == self._seen:
                    return
                self._seen = seen
                self._load([name for name, *_ in seen if name != "signing"])
        except OSError as error:
            self._seen = None
            self.problems = [f"the directory cannot be read ({error.strerror})"]
        for problem in self.problems:
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
                marks.append((name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
        return tuple(marks)

    def _load(self, names: list[str]) -> None:
        self.problems = []
        keys: dict[str, Key] = {}
        for name in names:
            key = self._read(name)
            if key and (twin := next((n for n, k in keys.items() if k.kid == key.kid), None)):
                self.problems.append(f"{twin} and {name} hold the same key")
            elif key:
                keys[name] = key
        if not keys:
            self.problems.append("no usable key (*.pem)")
        self._parsed = {d: key for d, key in self._parsed.items() if key in keys.values()}
        self._keys = KeySet(keys.values(), self._signer(keys))

    def _read(self, name: str) -> Key | None:
        try:
            pem = (self._path / name).read_bytes()
            digest = hashlib.sha256(pem).digest()
            if digest not in self._parsed:
                self._parsed[digest] = pem_key(pem)
            return self._parsed[digest]
        except ConfigError as error:
            self.problems.append(f"{name}: {error}")
        except OSError as error:
            self.problems.append(f"{name}: {error.strerror}")
        return None

    def _signer(self, keys: dict[str, Key]) -> Key | None:
        """The key that ``signing`` names, else the only private one."""
        private = {name: key for name, key in keys.items() if key.private}
        try:
            named = (self._path / "signing").read_text().strip()
        except FileNotFoundError:
            if len(private) < 2:
                return next(iter(private.values()), None)
            problem = f"several private keys ({', '.join(private)}) and no file 'signing'"
        else:
            if named in private:
                return private[named]
            problem = f"'signing' names {named!r}, which is no usable private key here"
        self.problems.append(problem)
        former = self._keys.signer
        return next((key for key in private.values() if former and key.kid == former.kid), None)
