"""A drill: the newest backup is restored into a throw-away cluster up to this moment, opened, asked, and removed."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.flask_deploy.host import command
from keep_backups import report
from keep_backups.places import BackupError, Place

from . import aside, pgbackrest
from .places import Archive

LOST = "the restored database {0} lacks the table {1}, which the live one has"
DAMAGED = "the restored cluster is damaged: {0}; make a new full backup: flask-deploy backup"


def drill(archive: Archive, place: Place) -> dict[str, Any]:
    """Restore the newest backup and all that was written since; return what is told of it, see report.

    :raises BackupError: the archive stopped, a part of it is missing, or it does not restore as it was.
    """
    with report.under_way(place, "archive_drill") as told:
        live = {name: aside.rows(name) for name in databases()}
        point = f"drill-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        pgbackrest.sql(f"SELECT pg_create_restore_point('{point}')")
        pgbackrest.run(archive, "check", limit=pgbackrest.ASK)
        backup = pgbackrest.newest(archive, own=True)
        told["set"], told["of"] = backup["label"], backup["timestamp"]["stop"]
        words = ["--type=name", f"--target={point}", "--target-action=promote"]
        with aside.restored(archive, "drill", backup, words) as cluster:
            found = {name: cluster.rows(name) for name in live}
            look(cluster, list(live))
        told["databases"] = {name: beside(name, found[name], live[name]) for name in live}
    return told


def databases() -> list[str]:
    """Return the databases that somebody may use."""
    listed = pgbackrest.sql("SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1")
    return [row[0] for row in listed]


def beside(name: str, found: dict[str, int], live: dict[str, int]) -> list[str]:
    """Return each table with its rows in the backup and live.

    :raises BackupError: the backup lacks one.
    """
    if missing := sorted(live.keys() - found.keys()):
        raise BackupError(LOST.format(name, missing[0]))
    return [f"{table} {rows} rows (live {live.get(table, '?')})" for table, rows in sorted(found.items())]


def look(cluster: aside.Aside, names: list[str]) -> None:
    """See that each page and each index of a throw-away cluster is sound; it is stopped for that.

    :raises BackupError: one is not.
    """
    words = (
        f"{cluster.program}/pg_amcheck",
        "-h",
        cluster.sockets,
        "--install-missing",
        *(f'--database="{name}"' for name in names),
    )
    done = command.attempt(*pgbackrest.AS_POSTGRES, *words, limit=aside.LIMIT)
    if done.code != 0:
        raise BackupError(DAMAGED.format(" ".join(done.out.decode(errors="replace").split())[:300] or done.said))
    if pgbackrest.sql("SHOW data_checksums", sockets=cluster.sockets)[0][0] == "on":
        cluster.control("-m", "fast", "-w", "stop")
        words = (f"{cluster.program}/pg_checksums", "--check", "-D", cluster.data)
        done = command.attempt(*pgbackrest.AS_POSTGRES, *words, limit=aside.LIMIT)
        if done.code != 0:
            raise BackupError(DAMAGED.format(done.said))
