"""The signing keys of an app on a host: one signs, one may be next, former ones verify what they signed.

Each step is one rename, written down before it is made: whatever is cut off, the next run goes on from there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.keys.pem import Pem, PemError

SETTLE = 2  # seconds; workers look at the directory once a second
RECORD = "rotation.json"
MODE = 0o400


class KeysError(Exception):
    """The keys cannot be kept so; the message is for the person who deploys."""


class KeyDirectory:
    """Keys on disk, and since when each is what it is.

    :param path: the directory that the app reads: `*.pem`, and `signing`, the name of the file that signs.
    :param owner: numeric user and group of the app.
    :param dry: change nothing on disk.
    :ivar actions: what was, or would be, done.
    """

    def __init__(self, path: str, owner: tuple[int, int] = (0, 0), dry: bool = False, lenient: bool = False) -> None:
        self.path, self.owner, self.dry = path, owner, dry
        self.actions: list[str] = []
        self.keys: dict[str, Pem] = {}
        self.names: dict[str, str] = {}
        saved = files.read_json(f"{path}/{RECORD}", {})
        self.published, self.former, self.gone = (dict(saved.get(part, {})) for part in ("published", "former", "gone"))
        self._load(lenient)
        self.signer = self._find_signer()
        self.former.pop(self.signer, None)  # a step that was written down and not made

    def _load(self, lenient: bool) -> None:
        problems = []
        for name in sorted(os.listdir(self.path)) if os.path.isdir(self.path) else []:
            if not name.endswith(".pem") or name.startswith("."):
                continue
            try:
                pem = Pem(files.read(f"{self.path}/{name}", b"").decode(errors="replace"))
            except (PemError, OSError) as error:
                problems.append(f"{self.path}/{name}: {error}; remove it")
                continue
            if pem.kid in self.keys:
                problems.append(f"{self.path}/{name}: is the key of {self.names[pem.kid]} again; remove one of them")
            else:
                self.keys[pem.kid], self.names[pem.kid] = pem, name
        if problems and not lenient:
            raise KeysError("\n".join(problems))

    def _find_signer(self) -> str | None:
        """Return the id of the key that signs; where the file is damaged, that of the oldest that can."""
        named = (files.read(f"{self.path}/signing") or b"").decode(errors="replace").strip()
        private = [kid for kid, pem in self.keys.items() if pem.private]
        found = next((kid for kid in private if self.names[kid] == named), None)
        if found:
            return found
        private = [kid for kid in private if kid not in self.former and kid not in self.gone]
        return min(private, key=lambda kid: self.published.get(kid, 0), default=None)

    def tidy(self, expected: Collection[str] = ()) -> None:
        """Put modes, names and unknown keys right; a key that nobody wrote down may have signed until now."""
        if not self.dry:
            files.sweep(self.path)  # what a killed write left holds a key
        if files.ensure_directory(self.path, 0o500, *self.owner, dry=self.dry):
            self.actions.append(f"directory {self.path}")
        for kid in self.keys.keys() - self.published.keys() - self.former.keys() - self.gone.keys():
            (self.published if kid == self.signer or kid in expected else self.former)[kid] = time.time()
        self._forget()
        for kid, pem in list(self.keys.items()):
            if kid in self.former and pem.private:
                self._write(pem.public())
            elif kid not in self.gone and self._differs(pem):
                self._write(pem)
                self.actions.append(f"mode of {self.names[kid]}")
        if self.signer and self._signing_differs():
            self._write_signing()
            self.actions.append(f"{self.names[self.signer]} signs")

    def _forget(self) -> None:
        """Drop records of keys that are not there; a time that is still to come began now: the clock was set back."""
        now = time.time()
        for times in (self.published, self.former):
            for kid in list(times):
                if kid not in self.keys:
                    del times[kid]
                else:
                    times[kid] = min(times[kid], now)

    def publish(self, pem: Pem) -> None:
        """Let a key verify; a private one may sign later."""
        if pem.kid not in self.keys or self.keys[pem.kid].private < pem.private:
            self.former.pop(pem.kid, None)
            (self.published if pem.private else self.former)[pem.kid] = time.time()
            self._save()
            self.names.setdefault(pem.kid, pem.file_name)
            self._write(pem)
            self.actions.append(f"{self.names[pem.kid]} is published")
        elif self.keys[pem.kid].private > pem.private and pem.kid != self.signer:
            self.former.setdefault(pem.kid, time.time())
            self._save()
            self._write(pem)
            self.actions.append(f"{self.names[pem.kid]} verifies only")

    def sign(self, kid: str) -> None:
        """Let a published key sign; the one before keeps its public half, unless it is to go."""
        before, self.signer = self.signer, kid
        if before and before not in self.gone:
            self.former[before] = time.time()
        self._save()
        self._write_signing()
        self.actions.append(f"{self.names[kid]} signs")
        if before in self.former:
            self._write(self.keys[before].public())

    def condemn(self, kid: str, why: str) -> None:
        """Write down that a key must not verify any more, and never again."""
        self.gone[kid] = [time.time(), why]
        self._save()

    def drop(self, kid: str) -> None:
        """Take a condemned key away."""
        name = self.names.pop(kid)
        for part in (self.keys, self.published, self.former):
            part.pop(kid, None)
        if not self.dry:
            files.remove(f"{self.path}/{name}")
        self.actions.append(f"{name} is {self.gone[kid][1]}")

    def _write(self, pem: Pem) -> None:
        self.keys[pem.kid] = pem
        if not self.dry:
            files.write(f"{self.path}/{self.names[pem.kid]}", pem.text.encode(), MODE, *self.owner)

    def _write_signing(self) -> None:
        if not self.dry:
            files.write(f"{self.path}/signing", self._signing(), MODE, *self.owner)

    def _signing(self) -> bytes:
        return f"{self.names[self.signer]}\n".encode()

    def _signing_differs(self) -> bool:
        return files.differs(f"{self.path}/signing", self._signing(), MODE, *self.owner)

    def _differs(self, pem: Pem) -> bool:
        path = f"{self.path}/{self.names[pem.kid]}"
        return files.differs(path, files.read(path), MODE, *self.owner)

    def _save(self) -> None:
        if not self.dry:
            record = {"published": self.published, "former": self.former, "gone": self.gone}
            files.write_json(f"{self.path}/{RECORD}", record, MODE)

    def save(self) -> None:
        """Keep what was found out, where it differs from what is written."""
        record = {"published": self.published, "former": self.former, "gone": self.gone}
        if record != files.read_json(f"{self.path}/{RECORD}"):
            self._save()
