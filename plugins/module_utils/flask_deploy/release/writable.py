"""Where an app may write beside /data and /tmp: places in its container, kept on the host or in memory.

What is kept lies in directories of the app's below one of root's, never below /data: an app could put a link there
where the engine, which is root, looks for what to mount.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.flask_deploy.host import command as commands
from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError

SIZE = "64m"  # of memory, where none is said
TMP = "/tmp"  # noqa: S108 - the container's own
INSTANCE = "instance"  # Flask's own, which needs no word
OWN = (TMP, "/data", "/release", "/run")  # of each container: what the image says of them is overruled
LIMIT = 600  # seconds
UNITS = {"k": 10, "m": 20, "g": 30}
COPY = """
import os, shutil, sys

for target, source in zip(sys.argv[1::2], sys.argv[2::2]):
    if os.path.lexists(source) and not os.path.isdir(source):
        sys.exit(f"{source} is a file of the image, and app_writable names directories")
    for name in os.listdir(source) if os.path.isdir(source) else []:
        begin, end = os.path.join(source, name), os.path.join(target, name)
        if os.path.isdir(begin) and not os.path.islink(begin):
            shutil.copytree(begin, end, symlinks=True)
        else:
            shutil.copy2(begin, end, follow_symlinks=False)
os.sync()
"""


@dataclass(frozen=True)
class Place:
    """A directory that an app may write to.

    :param target: its path in the container.
    :param kept: its name on the host; "" is in memory.
    :param size: of memory.
    """

    target: str
    kept: str
    size: str = ""


def places(record: dict[str, Any]) -> list[Place]:
    """Return where the processes of a release may write: as its user says, as Flask does, and as its image says."""
    found: dict[str, Place] = {}
    for place in _wanted(record):
        if not any(_within(place.target, other) or _within(other, place.target) for other in (*found, *OWN)):
            found[place.target] = place
    return list(found.values())


def _wanted(record: dict[str, Any]) -> Iterator[Place]:
    known = record.get("found", {})
    folder = known.get("workdir") or "/"
    for word in record["container"].get("writable", "").split():
        name, _, how = word.partition(":")
        target = posixpath.normpath(posixpath.join(folder, name))
        yield Place(target, "" if how else _kept(target, folder), SIZE if how == "memory" else how)
    if instance := known.get("instance"):
        yield Place(instance, INSTANCE)
    for volume in map(posixpath.normpath, known.get("volumes", [])):
        yield Place(volume, _kept(volume, folder))


def _within(path: str, other: str) -> bool:
    return path == other or path.startswith(other.rstrip("/") + "/")


def _kept(target: str, folder: str) -> str:
    """Return the name on the host of a directory that is kept: the same wherever an image has its code."""
    inside = posixpath.relpath(target, folder) if _within(target, folder) else target.lstrip("/")
    return inside.replace("/", "+")


def arguments(kept: str, record: dict[str, Any]) -> list[str]:
    """Return docker's arguments for where the processes of a release may write.

    :param kept: directory of what is kept, see App.
    """
    words = _tmp(record["container"])
    for place in places(record):
        mount = engine.bind(f"{kept}/{place.kept}", place.target) if place.kept else None
        words += mount or _memory(place.target, place.size)
    return words


def _memory(target: str, size: str, more: str = "") -> list[str]:
    return ["--tmpfs", f"{target}:rw,nosuid,nodev{more},size={size},mode=1777"]


def _tmp(options: dict[str, Any]) -> list[str]:
    """Return the arguments for /tmp: in memory, or on disk where that would take more than a quarter of the app's."""
    wanted = re.search(rf"(?:^|\s){TMP}:(\d+[kmg])(?:\s|$)", options.get("writable", ""))
    size = wanted[1] if wanted else SIZE
    if not wanted or 4 * in_bytes(size) <= in_bytes(options["memory"]):
        return _memory(TMP, size, ",noexec")
    return ["--mount", f"type=volume,target={TMP}"]  # goes with its container


def in_bytes(size: str) -> int:
    return int(size[:-1]) << UNITS[size[-1]] if size[-1] in UNITS else int(size)


def ensure(app: App, release: str, record: dict[str, Any], dry: bool = False) -> list[str]:
    """Make the directories that are kept, first with what the image has there; return those that were, or would be."""
    wanted = {f"{app.kept}/{place.kept}": place.target for place in places(record) if place.kept}
    missing = {path: target for path, target in wanted.items() if not os.path.isdir(path)}
    changed = [path for path in wanted if files.ensure_directory(path, 0o700, app.uid, app.gid, dry or path in missing)]
    if missing and not dry:
        files.ensure_directory(app.kept)
        files.sweep(app.kept)
        begun = {}
        for path, target in missing.items():
            stage = f"{app.kept}/{files.PART}{os.path.basename(path)}"
            files.remove_tree(stage)
            files.ensure_directory(stage, 0o700, app.uid, app.gid)
            begun[stage] = (path, target)
        _copy(app, release, record, {stage: target for stage, (_path, target) in begun.items()})
        for stage, (path, _target) in begun.items():
            os.rename(stage, path)
        files.sync(app.kept)
    return changed


def _copy(app: App, release: str, record: dict[str, Any], stages: dict[str, str]) -> None:
    """Copy what an image has at some places, as the app's own user and in a container: nothing of it is root's."""
    name = f"{app.container(release)}-copy"
    mounts = [(stage, f"/run/kept/{number}") for number, stage in enumerate(stages)]
    pairs = [part for (stage, place) in mounts for part in (place, stages[stage])]
    binds = [part for stage, place in mounts for part in engine.bind(stage, place)]
    engine.remove(name)
    done = commands.attempt(
        *("docker", "run", "--name", name, "--label", f"flask-deploy.app={app.name}", "--network", "none"),
        *("--user", f"{app.uid}:{app.gid}", "--read-only", "--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges", "--memory", record["container"]["memory"], *binds),
        *("--entrypoint", "python3", record["image"], "-I", "-c", COPY, *pairs),
        limit=LIMIT,
        together=True,
    )
    engine.remove(name)
    if done.code != 0:
        said = (done.said.splitlines() or ["it said nothing"])[-1]
        raise ReleaseError(f"app_writable: what the image has there could not be copied: {said}")
