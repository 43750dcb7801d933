"""Which of an app's hosts does what only one of them may: a row in the database that they share.

A claim ends by itself some seconds after its last renewal, so that another host takes over from one that is dead. A
holder that could not renew it ends what it does before that. Only the database's clock counts.
"""

from __future__ import annotations

import calendar
import math
import re
import secrets
import socket
import tempfile
import time
from dataclasses import dataclass

from ansible.module_utils.flask_deploy.host import command, files, process, systemd
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError

HELD = 45  # seconds that a claim lasts after its last renewal
RENEW = 5  # seconds between two renewals
PATIENCE = 5  # seconds that the database has to answer
LOST = 25  # seconds without a renewal after which a holder ends what it does: well before another may begin
VARIABLES = ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT")
LONGEST = 30  # powers of two, in seconds, that a time may lie back
TIMES = {
    "PGCONNECT_TIMEOUT": str(PATIENCE),
    "PGOPTIONS": f"-c statement_timeout={PATIENCE}s -c client_min_messages=warning",
    "PGAPPNAME": "flask-deploy",
}
PSQL = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose")
MISSING = re.compile(r"\b(42P01|3F000)\b")  # no such table, no such schema: PostgreSQL, appendix A
SILENT = "the database at {} does not say which host may run it: {}"
# Hosts that begin at the same time make them once.
MAKE = """\
SELECT pg_advisory_lock(hashtext('flask_deploy'));
CREATE SCHEMA IF NOT EXISTS flask_deploy;
CREATE TABLE IF NOT EXISTS flask_deploy.claims (
    name text PRIMARY KEY, host text NOT NULL, token text NOT NULL, until timestamptz NOT NULL, due bigint NOT NULL
);
"""
TAKE = """\
INSERT INTO flask_deploy.claims AS held VALUES (
    :'name', :'host', :'token', clock_timestamp() + :seconds * interval '1 second', :due
)
ON CONFLICT (name) DO UPDATE
SET host = excluded.host, token = excluded.token, until = excluded.until, due = greatest(held.due, excluded.due)
WHERE held.token = excluded.token OR held.until < clock_timestamp() AND (held.due < excluded.due OR NOT :once);
SELECT token = :'token', due >= :due, host FROM flask_deploy.claims WHERE name = :'name';
"""
KEEP = """\
UPDATE flask_deploy.claims SET until = clock_timestamp() + :seconds * interval '1 second'
WHERE name = :'name' AND token = :'token' RETURNING true;
"""


class Unknown(ReleaseError):
    """The database does not say who holds a claim; the message is for people."""


@dataclass
class Claim:
    """One claim of one app, as this host may hold it.

    :param name: what only one host may do.
    :param variables: libpq's own, by which the database is reached.
    :param token: of this holder; another one of the same host has another.
    """

    name: str
    variables: dict[str, str]
    host: str
    token: str

    def take(self, due: int = 0, once: bool = False) -> tuple[bool, str]:
        """Take the claim, unless another has it; return (whether it is held now, whose it is).

        :param due: the time, in seconds since 1970, that it is taken for.
        :param once: whether it may not be had where somebody had it for that time; "" is whose it is then.
        :raises Unknown: the database does not say.
        """
        said = self._asked(TAKE, due=str(due), once=str(once).lower(), seconds=str(HELD))
        own, done, host = said.split("|", 2)
        return own == "t", "" if once and done == "t" and own != "t" else host

    def renew(self) -> bool:
        """Make the claim last on; return whether it is still this holder's.

        :raises Unknown: the database does not say.
        """
        return self._asked(KEEP, seconds=str(HELD)) == "t"

    def give(self) -> None:
        """Let others have it at once.

        :raises Unknown: the database does not say; it ends by itself.
        """
        self._asked(KEEP, seconds="0")

    def _asked(self, statements: str, **values: str) -> str:
        """Return what the last of some statements answers; what they work on is made where it is missing."""
        known = {**values, "name": self.name, "host": self.host, "token": self.token}
        done = self._psql(statements, known)
        if done.code and MISSING.search(done.said):
            made = self._psql(MAKE, {})
            done = made if made.code else self._psql(statements, known)
        if done.code != 0:
            raise Unknown(SILENT.format(self.variables["PGHOST"], done.said.strip() or f"no answer in {PATIENCE} s"))
        return done.out.decode().strip().rpartition("\n")[2]

    def _psql(self, statements: str, values: dict[str, str]) -> process.Done:
        words = [word for name, value in values.items() for word in ("-v", f"{name}={value}")]
        with tempfile.TemporaryFile() as file:
            file.write(statements.encode())
            file.seek(0)
            environment = {**dict.fromkeys(VARIABLES), **self.variables, **TIMES}
            return command.attempt(*PSQL, *words, "-f", "-", stdin=file, environment=environment, limit=PATIENCE)


def of(app: App, release: str, name: str, token: str = "") -> Claim | None:
    """Return a claim of this host's, or None where the release knows no database that its hosts share.

    :param name: what only one host may do.
    :param token: of a holder that goes on; else it is a new one.
    """
    own = {**files.read_json(app.path(release, "env.json"), {}), **files.read_json(f"{app.etc}/secrets/env.json", {})}
    variables = {each: str(own[each]) for each in VARIABLES if own.get(each)}
    if not app.shares() or "PGPASSWORD" not in variables:
        return None
    return Claim(name, variables, socket.gethostname(), token or secrets.token_hex(16))


def latest(at: str, now: float) -> int:
    """Return the last of the times of a calendar, in seconds since 1970.

    :param at: systemd.time(7), "Calendar events".
    :param now: seconds since 1970; where no time is known before it, this is the last one.
    """
    late = int(now)
    step = next((1 << power for power in range(LONGEST) if _following(at, late - (1 << power)) <= now), 0)
    if not step:
        return late
    before, behind = late - step, late - step // 2
    while behind - before > 1:  # the last base whose next time has come
        middle = (before + behind) // 2
        before, behind = (middle, behind) if _following(at, middle) <= now else (before, middle)
    return int(_following(at, before))


def _following(at: str, base: int) -> float:
    """Return the first time of a calendar behind another one; one that never comes is behind all."""
    words = ("systemd-analyze", "calendar", f"--base-time=@{base}", at)
    said = command.run(*words, error=ReleaseError, limit=systemd.PATIENCE).decode(errors="replace")
    found = re.search(r"(?:\(in UTC\)|Next elapse): \S+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$", said, re.MULTILINE)
    return calendar.timegm(time.strptime(found[1], "%Y-%m-%d %H:%M:%S")) if found else math.inf
