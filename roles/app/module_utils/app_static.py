"""Public files as nginx serves them: dated by content, with gzip (RFC 1952) and Brotli (RFC 7932) beside."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess

# Suffixes of what compression makes smaller; images, films and fonts for the web are compressed already.
TEXTS = frozenset(
    {"css", "csv", "eot", "htm", "html", "ico", "js", "json", "map", "md", "mjs", "otf", "svg", "ttf", "txt"}
    | {"wasm", "webmanifest", "xml"}
)
LEAST = 256  # bytes; below, an answer fits one packet either way
GAIN = 0.9  # of the size; what is not smaller than that is not worth another file
SLOW = 1 << 20  # bytes; beyond, Brotli's best takes seconds
DATES = (946684800, 631152000)  # seconds: 20 years from 2000-01-01


def finish(root, serving=""):
    """Date a directory's files and add compressed ones, the same for the same content on every host.

    nginx makes an ETag of date and size, and a build's dates say nothing: with a date from the content a browser's copy
    stays good across hosts and releases, and never longer than the content.

    :param serving: directory of the serving release's files; what is the same there is not compressed again.
    """
    for folder, _folders, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            with open(path, "rb") as file:
                content = file.read()
            date(path, content)
            if name.rpartition(".")[2].lower() in TEXTS and len(content) >= LEAST:
                _add_compressed(path, content, os.path.join(serving, os.path.relpath(path, root)))


def date(path, content):
    """Set a file's time of change to a number that its content decides."""
    begin, span = DATES
    when = begin + int.from_bytes(hashlib.sha256(content).digest()[:8], "big") % span
    os.utime(path, (when, when))


def _add_compressed(path, content, old):
    for suffix, compress in ((".gz", _gzip), (".br", _brotli)):
        if os.path.lexists(path + suffix):  # the build's own
            continue
        if _same(path, old) and os.path.isfile(old + suffix):
            shutil.copyfile(old + suffix, path + suffix)
        else:
            packed = compress(content)
            if packed is None or len(packed) > GAIN * len(content):
                continue
            with open(path + suffix, "wb") as file:
                file.write(packed)
        os.chmod(path + suffix, 0o644)
        shutil.copystat(path, path + suffix)


def _same(path, old):
    """Tell whether two dated files are the same: their dates are of their contents."""
    if not os.path.isfile(old):
        return False
    one, other = os.stat(path), os.stat(old)
    return (one.st_size, one.st_mtime) == (other.st_size, other.st_mtime)


def _gzip(content):
    return gzip.compress(content, 9, mtime=0)


def _brotli(content):
    """Return content as Debian's brotli packs it; None where that is not installed."""
    if shutil.which("brotli") is None:
        return None
    quality = "9" if len(content) > SLOW else "11"
    command = ["nice", "brotli", "--quality=" + quality, "--stdout", "-"]
    return subprocess.run(command, input=content, capture_output=True, timeout=600, check=True).stdout
