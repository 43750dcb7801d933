"""A real PostgreSQL server, on the loopback and with a password, as the hosts of a fleet reach theirs."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

PROGRAMS = "/usr/lib/postgresql/*/bin"  # of Debian's packages


class Database:
    """A cluster of its own, with one database and one role that owns it."""

    def __init__(self, place: Path) -> None:
        found = sorted(glob.glob(PROGRAMS))
        assert found, "PostgreSQL is not here: make tools installs it"
        self.programs, self.place, self.port = found[-1], place / "data", _free_port()
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        self.variables = {
            "PGHOST": "127.0.0.1",
            "PGUSER": "shop",
            "PGDATABASE": "shop",
            "PGPASSWORD": secrets.token_hex(16),
        }
        password = place / "password"
        password.write_text(self.variables["PGPASSWORD"])
        place.chmod(0o755)
        password.chmod(0o644)
        self.place.mkdir()
        if self.user:
            shutil.chown(self.place, "postgres", "postgres")
        self.run("initdb", "-D", self.place, "-U", "shop", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync")
        self.start()
        self.ask("CREATE DATABASE shop", PGDATABASE="postgres")

    def run(self, program: str, *words: object) -> None:
        subprocess.run([*self.user, f"{self.programs}/{program}", *map(str, words)], check=True, stdout=subprocess.PIPE)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self.run("pg_ctl", "-D", self.place, "-l", self.place / "log", "-o", options, "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self.place, "-m", "immediate", "-w", "stop")

    def ask(self, statement: str, **variables: str) -> str:
        """Return what a statement answers."""
        environment = {**os.environ, **self.variables, "PGPORT": str(self.port), **variables}
        words = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement]
        return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    def later(self, seconds: float) -> None:
        """Let all claims be so many seconds older."""
        self.ask(f"UPDATE flask_deploy.claims SET until = until - {seconds} * interval '1 second'")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def database():
    """Return a server that runs, in a directory that its user may enter."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as place:
        made = Database(Path(place))
        yield made
        made.stop()
