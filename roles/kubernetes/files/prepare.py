"""Copy what an app's image has, where its pod finds it: public files for nginx, and directories that are kept.

Usage: prepare.py [--static DIRECTORY] [DIRECTORY KEPT ...]. Paths without a slash at their beginning are below the
image's WORKDIR. Public files go to /static, dated by their content, so that browsers know them again from any pod;
texts are compressed too. A directory is copied where what is kept is not there yet.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sys

PUBLIC = "/static"
TEXTS = (".css", ".csv", ".htm", ".html", ".ico", ".js", ".json", ".map", ".mjs", ".svg", ".ttf", ".txt", ".wasm")
TEXTS += (".webmanifest", ".xml")
LEAST = 256  # bytes; below, an answer fits one packet either way
DATES = (946684800, 631152000)  # seconds: 20 years from 2000-01-01


def publish(source: str, target: str) -> None:
    """Copy public files; dotfiles stay behind, but for .well-known (RFC 8615), and so do links out of the directory."""
    top = os.path.realpath(source)
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if public(os.path.join(folder, name), top)]
        place = os.path.normpath(os.path.join(target, os.path.relpath(folder, source)))
        os.makedirs(place, exist_ok=True)
        for name in [name for name in folders if os.path.islink(os.path.join(folder, name))]:
            os.symlink(os.path.relpath(os.path.realpath(os.path.join(folder, name)), folder), os.path.join(place, name))
        for name in files:
            path = os.path.join(folder, name)
            if public(path, top) and os.path.isfile(path):
                finish(shutil.copyfile(path, os.path.join(place, name)))


def public(path: str, top: str) -> bool:
    name = os.path.basename(path)
    dotted = name.startswith(".") and name != ".well-known"
    return not dotted and os.path.realpath(path).startswith(top + os.sep)


def finish(path: str) -> None:
    """Date a file by its content, and compress a text beside it: nginx makes an ETag of date and size."""
    with open(path, "rb") as file:
        content = file.read()
    begin, span = DATES
    when = begin + int.from_bytes(hashlib.sha256(content).digest()[:8], "big") % span
    packed = gzip.compress(content, 9, mtime=0) if path.endswith(TEXTS) and len(content) >= LEAST else content
    if len(packed) < len(content) and not os.path.lexists(path + ".gz"):
        with open(path + ".gz", "wb") as file:
            file.write(packed)
        os.utime(path + ".gz", (when, when))
    os.utime(path, (when, when))


def keep(source: str, target: str) -> None:
    """Copy what the image has in a directory, whole or not at all: pods may begin at the same time."""
    if os.path.isdir(target):
        return
    if not os.path.isdir(source) or not os.listdir(source):
        os.makedirs(target, exist_ok=True)
        return
    stage = f"{target}.{os.environ.get('HOSTNAME', 'pod')}.new"
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(source, stage, symlinks=True)
    try:
        os.rename(stage, target)
    except OSError:  # another pod was first
        shutil.rmtree(stage)


def main(words: list[str]) -> None:
    if words[:1] == ["--static"]:
        if os.path.isdir(words[1]):  # else it is an app without public files
            publish(words[1], PUBLIC)
        words = words[2:]
    for source, target in zip(words[::2], words[1::2]):  # noqa: B905 - of Python 3.10
        keep(source, target)


if __name__ == "__main__":
    main(sys.argv[1:])
