"""The files of a source, a directory of the controller or a commit that git fetched: only text, and only so much."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from ansible.module_utils import build_sources

MOST = 256 << 10  # bytes of one file
WHOLE = 16 << 20  # bytes of all
NAMES = 20_000
SHOWN = 5  # directories
PATIENCE = 300  # seconds that git may take
# The repository says nothing to git but its files: no hook, no monitor, no other kind of address.
GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
MISLEADING = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"}


class TreeError(Exception):
    """A source cannot be read; the message says what to write instead."""


class Tree:
    """Names of files and, within bounds, their texts.

    :ivar cut: what was not read for its size.
    :ivar roots: directories that modules are imported from where the source itself is none.
    """

    def __init__(self, names: Iterable[str], read: Callable[[str, int], bytes]) -> None:
        self.names = frozenset(names)
        self.cut: list[str] = []
        self.roots: tuple[str, ...] = ()
        self._read, self._left = read, WHOLE
        self._texts: dict[str, str] = {}

    def text(self, name: str) -> str:
        """Return a file's text, or its beginning; "" where there is no such file."""
        if name not in self.names:
            return ""
        if name not in self._texts:
            content = self._read(name, min(MOST, self._left) + 1)
            if len(content) > min(MOST, self._left):
                self.cut.append(name)
            self._left -= min(len(content), self._left)
            self._texts[name] = build_sources.decoded(content[:MOST])
        return self._texts[name]

    def below(self, subdir: str) -> Tree:
        """Return a directory of it as a source of its own."""
        begin = f"{subdir.strip('/')}/"
        names = [name.removeprefix(begin) for name in self.names if name.startswith(begin)]
        if not names:
            raise TreeError(f"build_subdir: the source has no directory {subdir!r}; write another, or leave it out")
        return Tree(names, lambda name, most: self.bytes(begin + name, most))

    def bounded(self, begin: str = "") -> Tree:
        """Return it, where it has not too many files; else name the directories with Python that could be the app's.

        :param begin: the directory that it is itself.
        """
        if len(self.names) <= NAMES:
            return self
        inner = Counter(name.partition("/")[0] for name in self.names if "/" in name)
        likely = {name.partition("/")[0] for name in self.names if re.fullmatch(r"[^/]+/(.+/)?[^/]+\.py", name)}
        places = [f"{begin}/{each}".lstrip("/") for each in sorted(inner) if each in likely and inner[each] <= NAMES][
            :SHOWN
        ]
        which = f", one of {', '.join(places)}" if places[1:] else ""
        example = f": -e build_subdir={places[0]}" if places else ", by build_subdir"
        raise TreeError(f"build_source: more than {NAMES} files; name the app's directory{which}{example}")

    def bytes(self, name: str, most: int) -> bytes:
        """Return the beginning of a file, as it lies there."""
        return self._read(name, most)


def of_directory(folder: str, names: Iterable[str]) -> Tree:
    """Return the files of a directory; a link, which may lead out of it, is read as nothing."""
    root = os.path.realpath(folder)

    def read(name: str, most: int) -> bytes:
        path = os.path.join(folder, name)
        if not os.path.realpath(path).startswith(f"{root}/"):
            return b""
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                return file.read(most) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
        except OSError:
            return b""

    return Tree(names, read)


class Repository:
    """A commit of a repository: its objects alone are fetched, and nothing is checked out."""

    def __init__(self, address: str, ref: str) -> None:
        self.address, self.ref = address, ref
        self.place = tempfile.TemporaryDirectory(prefix="flask-deploy-inspect-")

    def __enter__(self) -> Tree:
        try:
            return self._fetched()
        except TreeError:
            self.place.cleanup()
            raise

    def _fetched(self) -> Tree:
        self._git("init", "-q", "--bare", "--template=", self.place.name)
        self._git("--git-dir", self.place.name, "fetch", "-q", "--depth=1", "--no-tags", "--", self.address, self.ref)
        listed = self._inside("ls-tree", "-r", "-z", "--full-tree", "FETCH_HEAD")
        rows = [row.partition("\t") for row in listed.decode(errors="surrogateescape").split("\0") if row]
        blobs = {name: about.split()[2] for about, _, name in rows if about.startswith("100")}  # no link, no submodule
        return Tree(blobs, lambda name, most: self._inside("cat-file", "blob", blobs[name], most=most))

    def __exit__(self, *error: Any) -> None:
        self.place.cleanup()

    def _inside(self, *arguments: str, most: int = WHOLE) -> bytes:
        return self._git("--git-dir", self.place.name, *arguments, most=most)

    def _git(self, *arguments: str, most: int = WHOLE) -> bytes:
        """Return what git says, or its beginning."""
        known = {name: value for name, value in os.environ.items() if name not in MISLEADING}
        known |= {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=20"}
        known["GIT_ALLOW_PROTOCOL"] = "https:http:ssh:git:file"
        try:
            with tempfile.TemporaryFile() as out:
                command = [*GIT, *arguments]
                done = subprocess.run(
                    command, stdout=out, stderr=subprocess.PIPE, env=known, timeout=PATIENCE, check=False
                )
                out.seek(0)
                said = out.read(most)
        except subprocess.TimeoutExpired:
            raise TreeError(
                f"build_source: git took longer than {PATIENCE} s; clone it yourself, and name that"
            ) from None
        except FileNotFoundError:
            raise TreeError("git is needed on the controller; install it: sudo apt install git") from None
        if done.returncode:
            why = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["git says nothing"]
            raise TreeError(f"build_source: {self.ref} cannot be fetched: {why[0]}; write another address or build_ref")
        return said
