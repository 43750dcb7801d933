"""One database of a backup, brought beside the one that serves, and exchanged with it in one step."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.flask_deploy.host import command
from keep_backups.places import BackupError
from keep_backups.restic import shown

from . import aside, pgbackrest, target
from .places import Archive

RESTORED, BEFORE = "{}.restored", "{}.before"  # no app has a dot in its name
MISSING = (
    "{0} has no database in PostgreSQL on this host; set it up first: ansible-playbook site.yml -i inventories/..."
)
BOTH = (
    "the newest backup of PostgreSQL is of the server, or version, that serves here now, and there are backups of the "
    "one before it. If the database of {0} is yet to be restored here, it is in the newest of those; type: "
    "-e restore_point={2} ({3}). If it was restored here, or began here, type: -e restore_point={1}"
)
OTHER = "the database of {0} in backup {1} was not read back whole: {2}"


def plan(archive: Archive, app: str, text: str) -> dict[str, Any]:
    """Return what a restore would take and lose: {"set", "moment", "here": {table: rows}}.

    :param text: see target.read.
    :raises BackupError: there is no such database, or no backup for it.
    """
    if not exists(app):
        raise BackupError(MISSING.format(app))
    wanted = target.read(text)
    backup = choose(archive, app, text)
    moment = backup["timestamp"]["stop"] if wanted.moment is None else wanted.moment
    return {"set": backup["label"], "moment": moment, "here": aside.rows(app)}


def choose(archive: Archive, app: str, text: str) -> dict[str, Any]:
    """Return the backup that a restore takes.

    :param text: see target.read.
    :raises BackupError: there is none; or the newest one may be of a server whose database is yet to be restored.
    """
    wanted = target.read(text)
    found = pgbackrest.newest(archive, wanted.moment, wanted.label)
    former = pgbackrest.former(archive, found) if text == "latest" else None
    if former:
        raise BackupError(BOTH.format(app, found["label"], former["label"], shown(former["timestamp"]["stop"])))
    return found


def load(archive: Archive, app: str, text: str) -> dict[str, Any]:
    """Bring a database as it was at a target beside the one that serves; return {"set", "until", "tables"}.

    :raises BackupError: it cannot be had; nothing has changed.
    """
    wanted = target.read(text)
    keep(app)  # a restore that went well may have been killed before it did
    pgbackrest.sql("SELECT pg_current_xact_id()")  # recovery sees that it is past a time by what was committed then
    pgbackrest.run(archive, "check", limit=pgbackrest.ASK)
    backup = choose(archive, app, text)
    with aside.restored(archive, "restore", backup, wanted.words) as cluster:
        until = pgbackrest.sql("SELECT pg_last_xact_replay_timestamp()", sockets=cluster.sockets)[0][0]
        tables = cluster.rows(app)
        copy(cluster, app)
    found = aside.rows(RESTORED.format(app))
    if found != tables:
        raise BackupError(OTHER.format(app, backup["label"], f"{found} instead of {tables}"))
    return {"set": backup["label"], "until": until, "tables": tables}


def copy(cluster: aside.Aside, app: str) -> None:
    """Copy a database of a throw-away cluster into the one that serves, under another name.

    What ALTER DATABASE and GRANT say of it comes along (pg_dump(1), --create).
    """
    name = RESTORED.format(app)
    drop(name)
    drop(name, cluster.sockets)  # the backup was made while a restore ran
    pgbackrest.sql(f'ALTER DATABASE "{app}" RENAME TO "{name}"', sockets=cluster.sockets)
    dump = (f"{cluster.live}/pg_dump", "-h", cluster.sockets, "--create", "--format=custom", "--compress=0", name)
    load = (f"{cluster.live}/pg_restore", "-h", pgbackrest.SOCKETS, "--exit-on-error", "--create", "-d", "postgres")
    both = [(*pgbackrest.AS_POSTGRES, *words) for words in (dump, load)]
    command.pipe(*both, error=BackupError, limit=aside.LIMIT, called=f"copying the database of {app}")


def exchange(app: str) -> None:
    """Let the restored database take the place of the one that serves, which stays beside it."""
    restored, before = RESTORED.format(app), BEFORE.format(app)
    close(app)
    pgbackrest.sql(
        f'BEGIN; ALTER DATABASE "{app}" RENAME TO "{before}"; ALTER DATABASE "{restored}" RENAME TO "{app}"; COMMIT'
    )


def settle(app: str) -> bool:
    """Put back what was there before, where it still stays beside; return whether that was so."""
    restored, before = RESTORED.format(app), BEFORE.format(app)
    exchanged = exists(before)
    if exchanged:
        close(app)
        pgbackrest.sql(
            f'BEGIN; ALTER DATABASE "{app}" RENAME TO "{restored}"; ALTER DATABASE "{before}" RENAME TO "{app}"; COMMIT'
        )
    pgbackrest.sql(f'ALTER DATABASE "{app}" ALLOW_CONNECTIONS true')
    drop(restored)
    return exchanged


def keep(app: str) -> None:
    """Let go of what was there before."""
    drop(BEFORE.format(app))


def close(database: str) -> None:
    """Let nobody use a database: what is used cannot get another name."""
    pgbackrest.sql(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
    pgbackrest.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'")  # noqa: S608


def exists(database: str) -> bool:
    return bool(pgbackrest.sql(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"))  # noqa: S608


def drop(database: str, sockets: str = pgbackrest.SOCKETS) -> None:
    pgbackrest.sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)', sockets=sockets)


CHANGES = {"exchange": exchange, "settle": settle, "keep": keep}
