"""Two major versions of PostgreSQL side by side on a host: one serves, the other rests."""

from __future__ import annotations

import glob
import os
import pwd
import re
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files, postgres, systemd, timed
from ansible.module_utils.flask_deploy.postgres.cluster import OWNER, START, Cluster, sql

DATA = "/var/lib/postgresql"
PROGRAMS = "/usr/lib/postgresql"
PORT, ASIDE = 5432, 5433  # apps come to the socket of the first one
FIRST = 16384  # number of the first object that somebody made (FirstNormalObjectId)
STOP = 3600  # seconds; what was written last goes to disk and into the archive
LIMIT = 20 * 3600  # seconds for what takes longer, the more data there is


class UpgradeError(Exception):
    """PostgreSQL is not moved; the message says why, and what to do."""


def as_postgres(*words: str, **options: Any) -> bytes:
    """Run a command as PostgreSQL's user; return what it printed.

    :raises UpgradeError: it fails.
    """
    run_as = ("env", "-C", "/", "runuser", "-u", OWNER, "--")
    called = options.pop("called", os.path.basename(words[0]))
    return command.run(*run_as, *words, error=UpgradeError, limit=options.pop("limit", LIMIT), called=called, **options)


class Major:
    """The cluster "main" of one major version: its files, and whether it serves."""

    def __init__(self, version: str) -> None:
        self.version, self.name = version, f"{version}/main"
        self.etc, self.data = f"{postgres.ETC}/{version}/main", f"{DATA}/{version}/main"
        self.programs = f"{PROGRAMS}/{version}/bin"
        self.unit = Cluster(version).unit

    def there(self) -> bool:
        return os.path.exists(f"{self.etc}/postgresql.conf")

    def installed(self) -> bool:
        return os.path.exists(f"{self.programs}/postgres")

    def bytes(self) -> int:
        """Return what its files take."""
        said = command.run("du", "--bytes", "--summarize", self.data, error=UpgradeError, limit=STOP)
        return int(said.split()[0])

    def is_empty(self) -> bool:
        """Tell whether nobody has put anything into it since it was made."""
        found = [name for path in glob.glob(f"{self.data}/base/*") for name in (os.path.basename(path), *_names(path))]
        numbers = [int(found[0]) for name in found if (found := re.match(r"\d+", name))]
        return max(numbers, default=0) < FIRST

    def halt(self) -> None:
        """Stop it, whoever started it: pg_upgrade starts clusters too, and may have been killed."""
        systemd.ask("stop", self.unit, limit=STOP)
        if os.path.exists(f"{self.data}/postmaster.pid") and self.installed():
            stop = (f"{self.programs}/pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")
            command.attempt("env", "-C", "/", "runuser", "-u", OWNER, "--", *stop, limit=STOP)

    def remove(self) -> None:
        """Remove it, however far somebody came who made it."""
        self.halt()
        for path in (self.etc, self.data):
            if os.path.lexists(path):
                files.remove_tree(path)
        systemd.ask("daemon-reload")

    def set_up(self, port: int, start: str) -> None:
        """Let it have a port, and start with the host or not (start.conf of postgresql-common: auto, manual)."""
        command.run("pg_conftool", self.version, "main", "set", "port", str(port), error=UpgradeError, limit=START)
        files.write(f"{self.etc}/start.conf", f"{start}\n".encode(), *self._rights(0o644))

    def take_files(self, other: Major) -> None:
        """Take over the settings beside postgresql.conf, which Debian's pg_upgradecluster leaves behind."""
        for path in sorted(glob.glob(f"{other.etc}/conf.d/*.conf")):
            files.ensure_directory(f"{self.etc}/conf.d", *self._rights(0o755))
            content = files.read(path)
            files.write(f"{self.etc}/conf.d/{os.path.basename(path)}", content, *self._rights(0o640))

    def _rights(self, mode: int) -> tuple[int, int, int]:
        owner = pwd.getpwnam(OWNER)
        return mode, owner.pw_uid, owner.pw_gid


def _names(path: str) -> list[str]:
    return os.listdir(path) if os.path.isdir(path) else []


def serve(version: str, record: dict[str, Any]) -> None:
    """Let a version serve the apps, and the one that is kept beside it rest.

    :param record: what is written down of both, see postgres.RECORD.
    """
    kept = record.get("kept", "").partition("/")[0]
    if kept:
        Major(kept).set_up(ASIDE, "manual")
    Major(version).set_up(PORT, "auto")
    files.write_json(postgres.RECORD, record)
    tell_archive(version)
    systemd.ask("daemon-reload")
    Cluster(version).start("start")


def tell_archive(version: str) -> None:
    """Let the archive know which version it keeps the log of."""
    place = os.path.dirname(postgres.ARCHIVE)
    known = files.read_json(postgres.ARCHIVE)
    if not known:
        return
    owner = pwd.getpwnam(OWNER)
    conf = (files.read(f"{place}/pgbackrest.conf") or b"").decode()
    conf = re.sub(r"(?m)^pg1-path=.*$", f"pg1-path={Major(version).data}", conf)
    texts = {
        postgres.ARCHIVE: files.canonical({**known, "version": version}) + b"\n",
        f"{place}/pgbackrest.conf": conf.encode(),
    }
    for path, text in texts.items():
        files.write(path, text, 0o400, owner.pw_uid, owner.pw_gid)


def keep_archive(verb: str) -> None:
    """Let the program that keeps the archive do something.

    :raises UpgradeError: it cannot; its message holds the cause and what to do.
    """
    done = command.attempt(
        "python3", "-B", "-m", "keep_archive", verb, limit=LIMIT, environment={"PYTHONPATH": timed.PLACE}
    )
    if done.code != 0:
        raise UpgradeError(done.said if done.code else f"keep_archive {verb} took too long")


def databases() -> list[str]:
    return [row[0] for row in sql("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")]


def written() -> list[str]:
    """Return what was written to each app's database since this cluster began, in lines for people."""
    lines = []
    for name in (name for name in databases() if name not in ("postgres", "template1")):
        counted = "SELECT sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del) FROM pg_stat_user_tables"
        numbers = [int(number or 0) for number in sql(counted, name)[0]]
        lines.append("{}: {} rows added, {} changed, {} removed".format(name, *numbers))
    return lines


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M", time.gmtime(seconds))
