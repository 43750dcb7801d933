"""The cluster of PostgreSQL that is flask-deploy's on a host: its files, and how they take effect."""

from __future__ import annotations

import os
import pwd
import tempfile
import time
from contextlib import suppress

from ansible.module_utils.flask_deploy.host import command, files, systemd
from ansible.module_utils.flask_deploy.host.postgres import ETC, MAP, RECORD, SOCKETS, foreign, ours, row

OWNER = "postgres"
PATIENCE = 60  # seconds for a statement
START = 300  # seconds; after a power loss it reads its log first
HBA = f"""\
# Managed by Ansible: flask-deploy
# TYPE DATABASE USER METHOD: an app comes by the socket, as its own role, to the database of the same name.
local all postgres peer
local replication postgres peer
local sameuser all peer map={MAP}
local all all reject
"""


class PostgresError(Exception):
    """PostgreSQL does not do what it should; the message is for the person who deploys."""


def claim(version: str, dry: bool = False) -> tuple[str, bool]:
    """Say which cluster is ours before apt makes it: who is killed in between goes on; return (version, changed).

    :raises PostgresError: there is one that is not ours.
    """
    if known := ours():
        return known.partition("/")[0], False
    if said := foreign():
        raise PostgresError(said)
    if not dry:
        files.ensure_directory(os.path.dirname(RECORD))
        files.write_json(RECORD, {"cluster": f"{version}/main"})
    return version, True


def sql(statement: str, database: str = "postgres") -> list[list[str]]:
    """Run a statement as the superuser; return its rows.

    :raises PostgresError: it fails.
    """
    words = ("runuser", "-u", OWNER, "--", "psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", SOCKETS)
    called = f"PostgreSQL refuses {statement.partition(';')[0][:60]!r}"
    place = ("env", "-C", "/", *words, "-d", database, "-c", statement)
    said = command.run(*place, error=PostgresError, limit=PATIENCE, called=called)
    return [line.split("\t") for line in said.decode(errors="replace").splitlines()]


class Cluster:
    """A cluster's files and its service."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.etc = f"{ETC}/{version}/main"
        self.unit = f"postgresql@{version}-main.service"
        self.settings = f"{self.etc}/conf.d/flask-deploy.conf"

    def ensure_there(self) -> list[str]:
        """Make the cluster where its package did not."""
        if os.path.exists(f"{self.etc}/postgresql.conf"):
            return []
        made = ("pg_createcluster", "--locale", "C.UTF-8", self.version, "main")
        command.run(*made, error=PostgresError, limit=START)
        return [f"cluster {self.version}/main"]

    def users(self, app: str = "", uid: int = 0) -> str:
        """Return the file that says which user of the system is which app's role: those of before, and this one's.

        :param app: an app beside the cluster; none where it comes from other hosts.
        """
        known = (files.read(f"{self.etc}/pg_ident.conf") or b"").decode().splitlines()
        rows = {line for line in known if line.startswith(f"{MAP} ")} | ({row(app, uid)} if app else set())
        return "# Managed by Ansible: flask-deploy\n# MAP SYSTEM-USER ROLE\n" + "".join(
            f"{each}\n" for each in sorted(rows)
        )

    def without(self, app: str) -> str:
        """Return that file without an app."""
        known = (files.read(f"{self.etc}/pg_ident.conf") or b"").decode().splitlines(True)
        return "".join(line for line in known if not line.endswith(f' "{app}"\n'))

    def test(self, text: str) -> None:
        """Let PostgreSQL read settings before they take effect (postgres(1), -C).

        :raises PostgresError: it does not take them; the message has its words.
        """
        with tempfile.NamedTemporaryFile("w", dir=self.etc, prefix=".flask-deploy-", suffix=".conf") as file:
            file.write(f"include '{self.etc}/postgresql.conf'\n{text}")
            file.flush()
            os.chmod(file.name, 0o644)
            program = f"/usr/lib/postgresql/{self.version}/bin/postgres"
            asked = (program, "-C", "shared_buffers", "-c", f"config_file={file.name}")
            done = command.attempt("env", "-C", "/", "runuser", "-u", OWNER, "--", *asked, limit=PATIENCE)
        if done.code != 0:
            lines = [line.replace(file.name, "the new file") for line in done.said.splitlines()]
            raise PostgresError("postgres_settings: PostgreSQL does not take them: " + "; ".join(lines))

    def write(self, path: str, text: str, dry: bool) -> bool:
        owner = pwd.getpwnam(OWNER)
        return files.ensure_file(path, text.encode(), 0o640, owner.pw_uid, owner.pw_gid, dry=dry)

    def ensure(self, settings: str, users: str, dry: bool, hba: str = HBA, more: bool = False) -> list[str]:
        """Let the cluster run with these files; return what was, or would be, done.

        Settings that it does not start with are put back.

        :param more: whether another file that it reads has changed.

        :raises PostgresError: see ``test``, or it does not start.
        """
        before = files.read(self.settings)
        if before != settings.encode():
            self.test(settings)
        wanted = {self.settings: settings, f"{self.etc}/pg_hba.conf": hba, f"{self.etc}/pg_ident.conf": users}
        changed = [path for path, text in wanted.items() if self.write(path, text, dry)]
        if dry:
            return changed
        try:
            return changed + self.take_effect(bool(changed) or more)
        except PostgresError:
            if self.settings in changed:
                self.put_back(before)
            raise

    def put_back(self, before: bytes | None) -> None:
        self.write(self.settings, before.decode(), False) if before else files.remove(self.settings)
        systemd.ask("restart", self.unit, limit=START)

    def take_effect(self, changed: bool) -> list[str]:
        """Start the cluster, or let it read its files again; it starts anew only where a setting takes that."""
        done = []
        if not self.answers():
            self.start("start")
            done.append(f"{self.unit} started")
        elif changed:
            then = sql("SELECT pg_conf_load_time()")
            systemd.ask("reload", self.unit)
            self.until(lambda: sql("SELECT pg_conf_load_time()") != then)
        if waiting := [row[0] for row in sql("SELECT name FROM pg_settings WHERE pending_restart")]:
            self.start("restart")
            done.append(f"{self.unit} restarted for {', '.join(waiting)}")
        wrong = sql(
            "SELECT error FROM pg_hba_file_rules WHERE error <> '' UNION SELECT error FROM pg_ident_file_mappings"
        )
        if said := [row[0] for row in wrong if row[0]]:
            raise PostgresError(f"PostgreSQL does not take who may come in: {said[0]}")
        return done

    def start(self, how: str) -> None:
        systemd.ask(how, self.unit, limit=START)
        self.until(self.answers)

    def answers(self) -> bool:
        with suppress(PostgresError):
            return bool(sql("SELECT 1"))
        return False

    def until(self, claim: object) -> None:
        end = time.monotonic() + PATIENCE
        while not claim():
            if time.monotonic() > end or systemd.ask("is-failed", self.unit).strip() == "failed":
                log = files.read(f"/var/log/postgresql/postgresql-{self.version}-main.log") or b""
                last = "; ".join(log.decode(errors="replace").splitlines()[-3:])
                raise PostgresError(f"{self.unit} does not start; its last lines: {last}")
            time.sleep(0.2)
