"""A snapshot, brought back into a directory: each file as it was, each database at its own path, and all looked at."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from ansible.module_utils.flask_deploy.host import files

from . import databases
from .places import BackupError, Place, room_for
from .restic import Restic
from .saving import MANIFEST

SPARE = 64 << 20  # bytes that stay free


def fetch(place: Place, restic: Restic, snapshot: dict[str, Any], into: str) -> dict[str, Any]:
    """Restore a snapshot into a directory and see that it is whole; restic compares each file's checksum.

    :return: {path of a database on the host: {table: rows}}.
    :raises BackupError: it is not whole, or there is no room.
    """
    size = json.loads(restic.run("stats", "--json", "--mode", "restore-size", snapshot["id"]))
    room_for(into, size["total_size"] + SPARE, f"snapshot {snapshot['id'][:8]}")
    restic.run("restore", snapshot["id"], "--target", into, "--verify")
    staged = f"{into}{place.staging}"
    manifest = files.read_json(f"{staged}/{MANIFEST}")
    if manifest is None:
        raise BackupError(f"snapshot {snapshot['id'][:8]} has no list of its databases, so it is not whole")
    wanted = {f"{staged}/db/{each['name']}": path for path, each in manifest["copies"].items()}
    _open_way(into, staged)
    found = databases.ask({"do": "count", "paths": list(wanted), "check": True}, restic.settings["uid"])
    for copy, path in wanted.items():
        _compare(path, manifest["copies"][path]["tables"], found[copy])
    for copy, path in wanted.items():
        _place(into, copy, path, manifest["copies"][path])
    files.remove_tree(staged)
    return {path: each["tables"] for path, each in manifest["copies"].items()}


def _open_way(into: str, staged: str) -> None:
    """Let the app's user reach the copies of its databases."""
    path = staged
    while path != os.path.dirname(into):
        os.chmod(path, 0o711)
        path = os.path.dirname(path)


def _compare(path: str, tables: dict[str, Any], found: dict[str, Any]) -> None:
    if found.get("error"):
        raise BackupError(f"the database {path} of the backup does not open: {found['error']}")
    if found["tables"] != tables:
        raise BackupError(f"the database {path} of the backup has other rows than when it was saved")


def _make(folder: str, told: dict[str, Any]) -> None:
    """Make the directories of a database where restic did not save them: they went meanwhile, or are of a cache."""
    if os.path.lexists(folder):
        return
    _make(os.path.dirname(folder), told)
    with suppress(OSError):  # a file or a link is there, which is told
        os.mkdir(folder)
        os.chmod(folder, 0o700)
        if os.geteuid() == 0:
            os.chown(folder, told["uid"], told["gid"])


def _place(into: str, copy: str, path: str, told: dict[str, Any]) -> None:
    """Put a database at its own path, with its owner and mode, without what was beside it."""
    target = f"{into}{path}"
    folder = os.path.dirname(target)
    if os.path.realpath(folder) == folder:
        _make(folder, told)
    if os.path.realpath(folder) != folder or not os.path.isdir(folder):
        raise BackupError(f"the way to {path} in the backup is no directory; somebody put a link or a file there")
    for end in databases.BESIDE:
        if os.path.lexists(target + end):
            os.unlink(target + end)
    os.chmod(copy, told["mode"])
    if os.geteuid() == 0:
        os.chown(copy, told["uid"], told["gid"])
    os.replace(copy, target)
