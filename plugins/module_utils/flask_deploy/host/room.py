"""Room on a host's disks for what a deploy brings there, looked at before it is on its way."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from ansible.module_utils.flask_deploy.host import engine

OTHERS = 16 << 20  # bytes that stay free for whatever else writes there
ENGINE = "engine"  # stands for the directory where the engine keeps images, wherever that is
WAY_OUT = {
    "engine": "make room there. Type on the host: sudo docker system df; sudo docker image prune",
    "sent": "make room there, or name another directory in the inventory: ansible_remote_tmp: /var/tmp/ansible",
    "unpacked": "make room there. Type on the host: sudo du -xsh {path}/*",
}


def lacking(needs: Iterable[dict[str, Any]]) -> list[str]:
    """Return a line for each file system that has less room than what is to come there takes.

    :param needs: [{"path": directory, or ENGINE, "bytes", "purpose", "kind": of WAY_OUT}].
    """
    disks: dict[int, list[dict[str, Any]]] = {}
    for need in needs:
        path = existing(engine.root() if need["path"] == ENGINE else need["path"])
        disks.setdefault(os.stat(path).st_dev, []).append({**need, "path": path})
    return [line for each in disks.values() if (line := _lacking(each))]


def _lacking(needs: Sequence[dict[str, Any]]) -> str | None:
    path, kind = needs[0]["path"], needs[0]["kind"]
    disk = os.statvfs(path)
    free, needed = disk.f_bavail * disk.f_frsize, sum(int(need["bytes"]) for need in needs) + OTHERS
    if free >= needed:
        return None
    purposes = " and ".join(dict.fromkeys(need["purpose"] for need in needs))
    way_out = WAY_OUT[kind].format(path=path)
    return f"{path} has {free >> 20} MB free; {megabytes(needed)} MB are needed for {purposes}; {way_out}"


def existing(path: str) -> str:
    """Return a path, or the directory above it that is there."""
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def megabytes(size: int) -> int:
    return -(-size >> 20)  # rounded up


def way_out(said: str) -> str:
    """Return what to type where a disk was full: git, tar and the engine each say so, and none says which disk."""
    if "no space left on device" not in said.lower():
        return ""
    return f"; a disk is full. Type on the host that builds: df -h /var/tmp /srv {engine.root()}"
