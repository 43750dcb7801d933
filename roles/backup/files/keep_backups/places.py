"""Where the backup of an app has its settings, its status and its room on the host."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.flask_deploy.host import files, locks


class BackupError(Exception):
    """A backup, drill or restore cannot be done; the message says why, and what to do."""


class Place:
    """The paths of one app's backup.

    :param app: the app's name.
    :param root: a directory that stands for the host's root; "" for the host itself.
    """

    def __init__(self, app: str, root: str = "") -> None:
        self.app, self.root = app, root
        self.etc = f"{root}/etc/flask-deploy/backup/{app}"
        self.work = f"{root}/var/lib/flask-deploy/backup/{app}"
        self.cache = f"{root}/var/cache/flask-deploy/backup/{app}"
        self.password = f"{self.etc}/password"
        self.ssh_key = f"{self.etc}/ssh_key"
        self.known_hosts = f"{self.etc}/known_hosts"
        self.status = f"{self.work}/status.json"
        self.staging = f"{self.work}/staging"
        self.drill = f"{self.work}/drill"
        self.data = [f"{root}/srv/{app}/data", f"{root}/srv/{app}/writable"]
        self.roots = [*self.data, f"{root}/etc/{app}"]
        self.lock = f"{locks.RUN}/backup-{app}.lock"
        self.tag = f"app={app}"

    def saved(self) -> list[str]:
        """Return those directories of the app that are saved and exist."""
        return [path for path in self.roots if os.path.isdir(path) and not os.path.islink(path)]

    def linked(self) -> list[str]:
        """Return which directories are links, of which restic saves no more: of those, and of each in writable."""
        return [path for path in (*self.roots, *within(self.data[1])) if os.path.islink(path)]

    def settings(self) -> dict[str, Any]:
        """Return what role backup wrote: app, uid, to, host, keep, bandwidth, at, jitter, drill_at, drill_read, since.

        :raises BackupError: there are none.
        """
        known = files.read_json(f"{self.etc}/settings.json")
        if not known:
            raise BackupError(
                f"{self.app} has no backup on this host; set backup_to, then type: ansible-playbook site.yml --tags "
                "backup -i inventories/..."
            )
        return known

    def environment(self) -> dict[str, str]:
        """Return backup_env, which holds credentials."""
        return files.read_json(f"{self.etc}/env.json", {})


def within(path: str) -> list[str]:
    """Return what lies in a directory, which need not exist."""
    return sorted(f"{path}/{name}" for name in os.listdir(path)) if os.path.isdir(path) else []


def prepare(path: str, mode: int = 0o711, uid: int = 0) -> str:
    """Make an empty directory, whatever was there."""
    if os.path.lexists(path):
        files.remove_tree(path)
    files.ensure_directory(os.path.dirname(path), 0o711)
    files.ensure_directory(path, mode, uid, uid)
    return path


def room_for(path: str, needed: int, purpose: str) -> None:
    """See that a disk has room.

    :param needed: bytes.
    :raises BackupError: it has not.
    """
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    if free < needed:
        raise BackupError(
            f"{path} has {free >> 20} MB free, and {-(-needed >> 20)} MB are needed for {purpose}; make room there: "
            f"sudo du -xsh {os.path.dirname(path)}/*"
        )
