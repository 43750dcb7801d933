"""What a source is made of, the same wherever it lies: on the controller as a directory, on a host as a checkout."""

from __future__ import annotations

import codecs
import difflib
import hashlib
import os
import posixpath
import re
import stat
import tarfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from io import BufferedIOBase
from typing import Any, BinaryIO

POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(.*\n)*oid sha256:[0-9a-f]{64}\nsize [0-9]+\n")
POINTER_SIZE = 1024  # bytes; longer files are none, says git-lfs's specification
CHUNK = 1 << 20
# Files that say how an app is built, and those of them whose text does.
TELLING = re.compile(
    r"([^/]+/)?((uv|poetry|pdm|requirements)\.lock|pylock\.toml|Pipfile(\.lock)?|pyproject\.toml|setup\.(py|cfg))"
    r"|environment\.ya?ml|conda-lock\.yml|pixi\.(toml|lock)|\.python-version|\.tool-versions|mise\.toml|runtime\.txt"
    r"|(README|VERSION|MANIFEST)[^/]*|src/([^/]+/)?[^/]+\.py"
    r"|([^/]+/){0,2}[^/]*(requirements|constraints)[^/]*\.(txt|in)|([^/]+/)?(requirements|reqs?)/[^/]+\.(txt|in)"
    r"|([^/]+/)?[^/]*(req|deps|dependenc)[^/]*\.(txt|in)"
)
READ = re.compile(
    r"(.*/)?(pyproject\.toml|Pipfile|setup\.(py|cfg)|\.python-version|\.tool-versions|mise\.toml|environment\.ya?ml"
    r"|requirements\.lock|.*\.(txt|in))"
)
COPIED = re.compile(r"[\w./+@,() -]+")  # names of files that a Dockerfile's COPY takes for no pattern
INCLUDED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*([^\s#]+)", re.MULTILINE)
READ_MOST = 1 << 20  # bytes
Add = Callable[[str, os.stat_result, "Counted | str"], None]


class SourceError(Exception):
    """The source cannot be built as it is; the message names the file, and what to do."""


def shown(name: str) -> str:
    """Return a file's name in one line that every terminal takes."""
    return name if name.isprintable() else ascii(name)


def leaves(top: str, path: str) -> bool:
    """Tell whether a link points out of its source, by its text or by where it leads."""
    target = os.readlink(path)
    beside = os.path.abspath(os.path.join(os.path.dirname(path), target))
    root, real = os.path.realpath(top), os.path.realpath(path)
    inside = f"{beside}/".startswith(f"{os.path.abspath(top)}/") and f"{real}/".startswith(f"{root}/")
    return os.path.isabs(target) or not inside


def read(folder: str, names: Iterable[str], add: Add | None = None, top: str | None = None) -> str:
    """Return the SHA-256 of names, kinds, executable bits and contents of a source's files.

    :param top: the whole source, where `folder` is a part of it: links may lead to other parts.
    :param add: called with each name, its stat and an open file or, of a link, its target; it reads on from there.
    :raises SourceError: a file that cannot be built from, or one that changes meanwhile.
    """
    seen = hashlib.sha256()
    pointers: list[str] = []
    for name in sorted(names):
        try:
            _read(folder, name, seen, pointers, add, top or folder)
        except FileNotFoundError:
            raise SourceError(f"{shown(name)} vanished while it was read; deploy once more") from None
        except PermissionError:
            raise SourceError(f"{shown(name)} may not be read; type: chmod u+r {shown(name)}") from None
    if pointers:
        some = ", ".join(shown(name) for name in pointers[:3]) + (" …" if len(pointers) > 3 else "")
        raise SourceError(
            f"{len(pointers)} files are pointers of git-lfs and not what they point at ({some}); "
            "write a checkout on the controller as build_source, and type there: git lfs pull"
        )
    return seen.hexdigest()


def _read(folder: str, name: str, seen: hashlib._Hash, pointers: list[str], add: Add | None, top: str) -> None:
    path = os.path.join(folder, name)
    info = os.lstat(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise SourceError(f"{shown(name)} is not UTF-8, which docker does not build; rename it") from None
    if stat.S_ISLNK(info.st_mode):
        target = os.readlink(path)
        if leaves(top, path):
            raise SourceError(f"{shown(name)} is a link that leaves the source, to {shown(target)}; put the file there")
        _note(seen, "link", len(os.fsencode(target)), name)
        seen.update(os.fsencode(target))
        if add:
            add(name, info, target)
        return
    if not stat.S_ISREG(info.st_mode):
        raise SourceError(f"{shown(name)} is neither a file nor a link; remove it, or list it in .gitignore")
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        info = os.fstat(file.fileno())
        _note(seen, "program" if info.st_mode & 0o100 else "file", info.st_size, name)
        counted = Counted(file, seen, info.st_size)
        if add:
            add(name, info, counted)
        counted.finish(name)
        if info.st_size < POINTER_SIZE and POINTER.match(counted.head):
            pointers.append(name)


def _note(seen: hashlib._Hash, kind: str, size: int, name: str) -> None:
    seen.update(f"{kind} {size} {name}\0".encode())


class Counted:
    """A file whose content is seen while it is read, and that must have the size it was told to have."""

    def __init__(self, file: BinaryIO, seen: hashlib._Hash, size: int) -> None:
        self.file, self.seen, self.size, self.count, self.head = file, seen, size, 0, b""

    def read(self, size: int = CHUNK) -> bytes:
        content = self.file.read(min(size, self.size - self.count))
        self.seen.update(content)
        self.count += len(content)
        self.head = self.head or content
        return content

    def finish(self, name: str) -> None:
        while self.read():
            pass
        if self.count != self.size or self.file.read(1):
            raise SourceError(f"{shown(name)} changed while it was read; deploy once more")


def pack(folder: str, names: Iterable[str], file: BufferedIOBase, top: str | None = None, **options: Any) -> str:
    """Write a source as a tar that depends on what its digest does; return that digest."""
    with tarfile.open(fileobj=file, format=tarfile.GNU_FORMAT, **options) as packed:

        def add(name: str, info: os.stat_result, content: Counted | str) -> None:
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755 if info.st_mode & 0o100 else 0o644
            if isinstance(content, str):
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, content, 0o777
                packed.addfile(entry)
                return
            entry.size = info.st_size
            try:
                packed.addfile(entry, content)
            except OSError as error:
                if error.errno:
                    raise
                raise SourceError(f"{shown(name)} changed while it was read; deploy once more") from None

        return read(folder, names, add, top)


def walk(folder: str) -> list[str]:
    """Return the relative paths of all files of a checkout."""
    return [
        os.path.relpath(os.path.join(place, name), folder)
        for place, folders, names in os.walk(folder)
        for name in [*names, *(name for name in folders if os.path.islink(os.path.join(place, name)))]
    ]


def text(folder: str, name: str, top: str | None = None) -> str | None:
    """Return the text of a file that the source must hold itself, or None where there is none."""
    path, what = os.path.join(folder, name), f"build_dockerfile: {shown(name)}"
    if not os.path.lexists(path):
        return None
    real, root = os.path.realpath(path), os.path.realpath(top or folder)
    if not real.startswith(f"{root}/"):
        raise SourceError(f"{what} leads out of the source, to {shown(real)}; put the file itself there")
    if not os.path.isfile(real):
        raise SourceError(f"{what} is not a file; write the name of a build file")
    try:
        with open(real, encoding="utf-8-sig") as file:
            return file.read()
    except PermissionError:
        raise SourceError(f"{what} may not be read; type: chmod u+r {shown(name)}") from None
    except UnicodeDecodeError:
        raise SourceError(f"{what} is not text in UTF-8; write it anew") from None


def told(folder: str, names: Iterable[str], named: str = "") -> dict[str, str]:
    """Return {name: text} of the files that say how an app is built; of some the name is enough.

    :param names: all files of a source that was read: none leads out of it.
    :param named: one that a user wrote; it is read whatever it is called.
    """
    found = {}
    for name in sorted(name for name in names if name == named or TELLING.fullmatch(name)):
        found[name] = ""
        if name == named or READ.fullmatch(name):
            with suppress(OSError), open(os.path.join(folder, name), "rb") as file:
                found[name] = decoded(file.read(READ_MOST))
    return found


def decoded(content: bytes) -> str:
    """Return a file's text, in the encoding that its byte order mark names (Unicode 16, 23.8), else in UTF-8."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig", errors="replace")


def below(folder: str, subdir: str) -> str | None:
    """Return a directory of the source, or None where there is none or a link leads to another.

    :param subdir: relative to the source; empty for the source itself.
    """
    path, root = os.path.join(folder, subdir), os.path.realpath(folder)
    plain = os.path.realpath(path) == os.path.normpath(os.path.join(root, subdir))
    return path if plain and f"{os.path.realpath(path)}/".startswith(f"{root}/") and os.path.isdir(path) else None


def no_directory(folder: str, subdir: str) -> str:
    """Return what to say where a source has no such directory: which ones it has."""
    names = [name for name in os.listdir(folder) if name[0] != "." and below(folder, name)]
    return f"no directory {subdir!r}{there(subdir, names)}"


def there(wanted: str, known: Iterable[str], most: int = 8) -> str:
    """Return which of what is there may have been meant, in words; "" where nothing is there."""
    names = sorted(known)
    near = difflib.get_close_matches(wanted, names, 3, 0.5)
    listed = near or names[:most]
    if not listed:
        return ""
    return f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(listed)}"


def included(file: str, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return a file of requirements and all that it includes, as far as they are there."""
    found, left = [], [file]
    while left:
        name = left.pop()
        if name in found or not COPIED.fullmatch(name):
            continue
        found.append(name)
        folder = name.rpartition("/")[0]
        for other in INCLUDED.findall(texts.get(name, "")):
            path = joined(folder, other)
            left += [path] if path in texts else []
    return tuple(found)


def joined(folder: str, name: str) -> str:
    """Return a path within the source, without its dots; one that leads out of it is none."""
    path = posixpath.normpath(posixpath.join(folder, name))
    return "" if path.startswith(("../", "/")) else path
