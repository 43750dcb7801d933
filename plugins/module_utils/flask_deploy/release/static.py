"""Public files as nginx serves them: dated by content, with gzip (RFC 1952) and Brotli (RFC 7932) beside."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
from typing import IO

from ansible.module_utils.flask_deploy.host import command

# Suffixes of what compression makes smaller; images, films and fonts for the web are compressed already.
TEXTS = frozenset(
    {"css", "csv", "eot", "htm", "html", "ico", "js", "json", "map", "md", "mjs", "otf", "svg", "ttf", "txt"}
    | {"wasm", "webmanifest", "xml"}
)
LEAST = 256  # bytes; below, an answer fits one packet either way
GAIN = 0.9  # of the size; what is not smaller than that is not worth another file
RESERVE = 256 << 20  # bytes of disk that public files leave to others
MOST = 64 << 20  # bytes; more is not taken into memory
PATIENCE = 600  # seconds for one file
SLOW = 1 << 20  # bytes; beyond, Brotli's best takes seconds
DATES = (946684800, 631152000)  # seconds: 20 years from 2000-01-01


class StaticError(Exception):
    """Public files that cannot be served; the message is for the person who deploys."""


def unpack(archive: IO[bytes], target: str, path: str) -> None:
    """Write the public files of a tar stream (docker cp) to a directory.

    Files and directories are made here, with normal modes and owners: of what else an image may hold (links out of
    the directory, devices, FIFOs) nothing reaches the host. Dotfiles stay behind, but for .well-known (RFC 8615).

    :param archive: open binary file; its first entry is the directory itself.
    :param path: site_static, for messages.
    :raises StaticError: a link leaves the tree, or something is neither file, directory nor link.
    """
    links = []
    with tarfile.open(fileobj=archive, mode="r|") as entries:
        for number, entry in enumerate(entries):
            if number == 0:
                _refuse_root(entry, path)
                continue
            relative = os.path.normpath(entry.name).partition("/")[2]
            parts = relative.split("/")
            if any(part == ".." or (part.startswith(".") and part != ".well-known") for part in parts):
                continue
            place = os.path.join(target, relative)
            if entry.isdir():
                os.mkdir(place)
                os.chmod(place, 0o755)
            elif entry.isreg():
                _refuse_size(entry.size, target)
                _write(entries.extractfile(entry), place)
            elif entry.issym():
                links.append((relative, entry.linkname))
            elif entry.islnk():
                _copy_first(target, relative, entry.linkname)
            else:
                raise StaticError(f"static file {shown(relative)} is neither a file nor a directory")
            entries.members.clear()  # or it keeps one for each file
    for relative, points_at in links:
        os.symlink(points_at, os.path.join(target, relative))
    for relative, points_at in links:  # when all are there: one may lead out by way of another
        if not (os.path.realpath(os.path.join(target, relative)) + "/").startswith(os.path.realpath(target) + "/"):
            raise StaticError(f"static file {shown(relative)} is a link that leaves its directory: {shown(points_at)}")


def shown(name: str) -> str:
    """Return a name of a file as a text that can be shown: it may be any bytes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _refuse_root(entry: tarfile.TarInfo, path: str) -> None:
    if entry.issym():
        raise StaticError(f"site_static: {path} is a link in the image; name the directory it points at")
    if not entry.isdir():
        raise StaticError(f"site_static: {path} is a file in the image; name the directory that holds it")


def _refuse_size(size: int, target: str) -> None:
    disk = os.statvfs(target)
    free = disk.f_bavail * disk.f_frsize - RESERVE
    if size > free:
        raise StaticError(f"static files of {size >> 20} MB and more do not fit: {max(free, 0) >> 20} MB are left")


def _write(source: IO[bytes], place: str) -> None:
    with open(place, "xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    os.chmod(place, 0o644)


def _copy_first(target: str, relative: str, other: str) -> None:
    """Write a file that is another name of one before it (a hard link in the image)."""
    inside = os.path.normpath(other).partition("/")[2]
    first = os.path.join(target, inside)
    if ".." in inside.split("/") or not os.path.isfile(first):
        raise StaticError(f"static file {shown(relative)} is a hard link to a file that is not public")
    _refuse_size(os.path.getsize(first), target)  # the image has it once
    with open(first, "rb") as source:
        _write(source, os.path.join(target, relative))


def finish(root: str, serving: str = "") -> None:
    """Date a directory's files and add compressed ones, the same for the same content on every host.

    nginx makes an ETag of date and size, and a build's dates say nothing: with a date from the content a browser's copy
    stays good across hosts and releases, and never longer than the content.

    :param serving: directory of the serving release's files; what is the same there is not compressed again.
    :raises StaticError: a file went away meanwhile, or cannot be compressed.
    """
    for folder, _folders, names in os.walk(root):
        for path in (os.path.join(folder, name) for name in names):
            relative = os.path.relpath(path, root)
            try:
                _finish(path, os.path.join(serving, relative))
            except FileNotFoundError:
                said = f"static file {shown(relative)} went away while it was prepared; deploy once more"
                raise StaticError(said) from None


def _finish(path: str, old: str) -> None:
    if os.path.islink(path):
        return
    date(path)
    if path.rpartition(".")[2].lower() in TEXTS and LEAST <= os.path.getsize(path) <= MOST:
        with open(path, "rb") as file:
            content = file.read()
        _add_compressed(path, content, old)


def date(path: str) -> None:
    """Set a file's time of change to a number that its content decides."""
    begin, span = DATES
    with open(path, "rb") as file:
        seen = hashlib.file_digest(file, "sha256").digest()
    when = begin + int.from_bytes(seen[:8], "big") % span
    os.utime(path, (when, when))


def _add_compressed(path: str, content: bytes, old: str) -> None:
    for suffix, compress in ((".gz", _gzip), (".br", _brotli)):
        if os.path.lexists(path + suffix):  # the build's own
            continue
        if _same(path, old) and os.path.isfile(old + suffix):
            _refuse_size(os.path.getsize(old + suffix), os.path.dirname(path))
            shutil.copyfile(old + suffix, path + suffix)
        else:
            try:
                packed = compress(content)
            except StaticError as error:
                raise StaticError(f"static file {shown(os.path.basename(path))}: {error}") from error
            if packed is None or len(packed) > GAIN * len(content):
                continue
            _refuse_size(len(packed), os.path.dirname(path))
            with open(path + suffix, "wb") as file:
                file.write(packed)
        shutil.copystat(path, path + suffix)


def _same(path: str, old: str) -> bool:
    """Tell whether two dated files are the same: their dates are of their contents."""
    if not os.path.isfile(old):
        return False
    one, other = os.stat(path), os.stat(old)
    return (one.st_size, one.st_mtime) == (other.st_size, other.st_mtime)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def _brotli(content: bytes) -> bytes | None:
    """Return content as Debian's brotli packs it; None where that is not installed."""
    if shutil.which("brotli") is None:
        return None
    quality = "9" if len(content) > SLOW else "11"
    with tempfile.TemporaryFile() as given:
        given.write(content)
        given.seek(0)
        words = ("nice", "brotli", f"--quality={quality}", "--stdout", "-")
        return command.run(*words, error=StaticError, limit=PATIENCE, stdin=given, most=MOST)
