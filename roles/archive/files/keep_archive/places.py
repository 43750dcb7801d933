"""Where the archive of a host's PostgreSQL has its settings and its room."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.flask_deploy.host import files
from keep_backups.places import BackupError

STANZA = "postgres"
NONE = "PostgreSQL of this host is in no backup; set backup_to, then type: ansible-playbook site.yml -i inventories/..."


class Archive:
    """The paths of the archive: one for a host, as its cluster is one.

    :param root: a directory that stands for the host's root; "" for the host itself.
    """

    def __init__(self, root: str = "") -> None:
        self.etc = f"{root}/etc/flask-deploy/archive"
        self.conf = f"{self.etc}/pgbackrest.conf"
        self.room = f"{root}/var/lib/postgresql/flask-deploy"  # postgres's own: throw-away clusters
        self.live = f"{root}/var/lib/postgresql"
        self.ended = f"{root}/var/lib/flask-deploy/archive-ended.json"  # of role remove: the app that kept it is gone

    def settings(self) -> dict[str, Any]:
        """Return what role archive wrote: app (whose backup it is part of), version, to, path, at, drill_at, since.

        :raises BackupError: there are none.
        """
        known = files.read_json(f"{self.etc}/settings.json")
        if not known:
            raise BackupError(NONE)
        return known

    def data(self) -> str:
        """Return the directory of the cluster that serves."""
        return f"{self.live}/{self.settings()['version']}/main"
