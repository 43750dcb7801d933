"""A throw-away cluster: a backup restored beside the one that serves, on a socket of its own, and removed again."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files
from keep_backups.places import BackupError, room_for

from . import pgbackrest
from .causes import explain
from .places import Archive

SPARE = 256 << 20  # bytes that stay free, and what is written in between
PROGRAMS = "/usr/lib/postgresql"
LACKING = "backup {0} is of PostgreSQL {1}, whose programs are not on this host; install there: postgresql-{1}"
NEWER = "backup {} is of PostgreSQL {}, and {} serves here, which cannot read it"
ENDED = 3  # exit code of pg_ctl status: no server runs there
LIMIT = 20 * 3600  # seconds that it may take to get ready
CONF = b"# Its settings are on its command line, where they win over those of ALTER SYSTEM that a backup has.\n"
COUNT = (
    "SELECT format('%I.%I', n.nspname, c.relname), (xpath('/row/c/text()', query_to_xml(format("
    "'SELECT count(*) AS c FROM %I.%I', n.nspname, c.relname), false, true, '')))[1]::text FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' "
    "AND n.nspname <> 'information_schema' ORDER BY 1"
)


class Aside:
    """A cluster that a backup was restored to.

    :ivar sockets: the directory of its socket.
    :ivar program: the directory of its programs, which are those of the version that was backed up.
    :ivar live: the directory of the programs of the version that serves.
    """

    def __init__(self, archive: Archive, name: str) -> None:
        self.archive, self.place = archive, f"{archive.room}/{name}"
        self.data, self.sockets, self.log = (f"{self.place}/{part}" for part in ("data", "socket", "log"))
        self.program = self.live = f"{PROGRAMS}/{archive.settings()['version']}/bin"
        owner = pwd.getpwnam("postgres")
        self.owner = (owner.pw_uid, owner.pw_gid)

    def prepare(self) -> None:
        """Make its directories, whatever a run that was killed left there."""
        self.remove()
        for path in (self.place, self.data, self.sockets):
            files.ensure_directory(path, 0o700, *self.owner)

    def restore(self, backup: dict[str, Any], words: list[str]) -> None:
        """Restore a backup, up to a target, and let it get ready.

        :param words: pgbackrest's, which name the target.
        :raises BackupError: it does not restore, or does not get there.
        """
        self.choose(backup)
        room_for(self.place, backup["info"]["size"] + SPARE, f"backup {backup['label']}")
        where = (f"--pg1-path={self.data}", f"--tablespace-map-all={self.place}/tablespaces", "--archive-mode=off")
        pgbackrest.run(self.archive, *where, f"--set={backup['label']}", *words, "restore")
        files.write(f"{self.data}/postgresql.conf", CONF, 0o600, *self.owner)
        files.write(f"{self.data}/throw_away_hba.conf", b"local all postgres peer\n", 0o600, *self.owner)
        self.control("-W", "-l", self.log, "-o", self.options(), "start")
        self.wait()

    def options(self) -> str:
        """Return its settings for a shell: it takes no connection of a network, and adds nothing to the archive."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.sockets,
            "hba_file": f"{self.data}/throw_away_hba.conf",
            "shared_buffers": "64MB",
            "ssl": "off",
            "hot_standby": "off",
            "archive_mode": "off",
            "shared_preload_libraries": pgbackrest.sql("SHOW shared_preload_libraries")[0][0],
        }
        return " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())

    def choose(self, backup: dict[str, Any]) -> None:
        """See that the programs of a backup's version are here.

        :raises BackupError: they are not, or it is newer than what serves.
        """
        version, live = pgbackrest.version(self.archive, backup), self.archive.settings()["version"]
        self.program = f"{PROGRAMS}/{version}/bin"
        if not os.path.isdir(self.program):
            raise BackupError(LACKING.format(backup["label"], version))
        if int(version) > int(live):
            raise BackupError(NEWER.format(backup["label"], version, live))

    def wait(self) -> None:
        """Wait until it has read the log up to its target, and takes connections.

        :raises BackupError: it does not get there.
        """
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            with suppress(BackupError):
                if pgbackrest.sql("SELECT pg_is_in_recovery()", sockets=self.sockets) == [["f"]]:
                    return
            time.sleep(1)
            if self.control("status").code == ENDED:
                break
        said = (files.read(self.log) or b"").decode(errors="replace")
        fatal = (
            "; ".join(
                re.findall(r"(?:FATAL|PANIC|ERROR): (?!.*(?:not accepting|not yet accepting|starting up)).*", said)[-3:]
            )
            or "timed out"
        )
        raise BackupError(explain(fatal, self.archive.settings()["to"], "restore", "PostgreSQL's"))

    def control(self, *words: str) -> Any:
        """Run pg_ctl for it; return what came of it."""
        told = (f"{self.program}/pg_ctl", "-D", self.data, *words)
        return command.attempt(*pgbackrest.AS_POSTGRES, *told, limit=LIMIT)

    def remove(self) -> None:
        """Stop it, if it runs, and remove it."""
        if os.path.exists(f"{self.data}/postmaster.pid"):
            self.control("-m", "immediate", "stop")
        if os.path.lexists(self.place):
            files.remove_tree(self.place)

    def rows(self, database: str) -> dict[str, int]:
        """Return how many rows each table of a database has."""
        return rows(database, self.sockets)


def rows(database: str, sockets: str = pgbackrest.SOCKETS) -> dict[str, int]:
    """Return how many rows each table of a database has."""
    found = pgbackrest.sql(COUNT, database, sockets, LIMIT)
    return {name: int(number) for name, number in found}


@contextmanager
def restored(archive: Archive, name: str, backup: dict[str, Any], words: list[str]) -> Iterator[Aside]:
    """Give a throw-away cluster that a backup was restored to; it goes at the end, whatever comes of it.

    :raises BackupError: see Aside.restore.
    """
    cluster = Aside(archive, name)
    cluster.prepare()
    try:
        cluster.restore(backup, words)
        yield cluster
    finally:
        cluster.remove()
