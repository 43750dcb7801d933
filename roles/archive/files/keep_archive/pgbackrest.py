"""pgbackrest and PostgreSQL, asked as the user postgres."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files
from keep_backups import report
from keep_backups.places import BackupError, Place
from keep_backups.restic import shown

from .causes import explain
from .places import STANZA, Archive

AS_POSTGRES = ("env", "-C", "/", "runuser", "-u", "postgres", "--")
SOCKETS = "/run/postgresql"
LIMIT = 20 * 3600  # seconds for one command
ASK = 300  # seconds for a question
OTHER = re.compile(r"\[028\]|do not match the database|does not match the database")
MISSING = (1, 3)  # codes of its info: no stanza, or none for this database
GONE = (
    "the archive {to} had backups and is not there any more; see that its disk is mounted or its bucket exists. If it "
    "is gone for good, type on the host: sudo rm {mark}, and the next setup makes it anew"
)


def run(archive: Archive, *words: str, limit: float = LIMIT) -> str:
    """Run a command of pgbackrest and return what it printed.

    :raises BackupError: it failed; the message holds the cause and what to do.
    """
    done = attempt(archive, *words, limit=limit)
    if done.code != 0:
        said = done.said if done.code is not None else "timed out"
        raise BackupError(explain(said, archive.settings()["to"], words[-1]))
    return done.out.decode(errors="replace")


def attempt(archive: Archive, *words: str, limit: float = LIMIT) -> Any:
    """Run a command of pgbackrest; return what came of it, see command.attempt."""
    base = ("pgbackrest", f"--config={archive.conf}", f"--stanza={STANZA}")
    try:
        return command.attempt(*AS_POSTGRES, *base, *words, limit=limit)
    except FileNotFoundError as missing:
        raise BackupError("pgbackrest is not installed here; type: ansible-playbook site.yml") from missing


def sql(statement: str, database: str = "postgres", sockets: str = SOCKETS, limit: float = ASK) -> list[list[str]]:
    """Run a statement as the superuser; return its rows.

    :raises BackupError: it fails.
    """
    words = ("psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", sockets, "-d", database, "-c", statement)
    called = f"PostgreSQL refuses {statement.partition(';')[0][:60]!r}"
    said = command.run(*AS_POSTGRES, *words, error=BackupError, limit=limit, called=called)
    return [line.split("\t") for line in said.decode(errors="replace").splitlines()]


def stanza(archive: Archive) -> dict[str, Any]:
    """Return what pgbackrest knows of this host's archive (its command info).

    :raises BackupError: the target does not answer, or not to this password.
    """
    found = json.loads(run(archive, "--output=json", "info", limit=ASK) or "[]", strict=False)
    known = next((each for each in found if each["name"] == STANZA), {"status": {"code": 1, "message": ""}})
    status = known["status"]
    if status["code"] not in (0, 2, *MISSING):
        said = " ".join([status["message"], *(each["status"]["message"] for each in known.get("repo", []))])
        raise BackupError(explain(said, archive.settings()["to"], "info"))
    return known


def ensure(archive: Archive, place: Place) -> None:
    """Let there be an archive for the cluster that serves, and see that what it writes gets there.

    :raises BackupError: it cannot be used, or was there and is not any more.
    """
    to = archive.settings()["to"]
    before = report.known(place).get("archive_at") == to
    made = stanza(archive)["status"]["code"] not in MISSING
    if not made and before:
        raise BackupError(GONE.format(to=to, mark=place.status))
    done = attempt(archive, "--log-level-stderr=error", "stanza-create", limit=ASK)
    if done.code and OTHER.search(done.said):  # a new server, or a new major version, of the same name
        run(archive, "stanza-upgrade", limit=ASK)
    elif done.code != 0:
        raise BackupError(explain(done.said, to, "stanza-create"))
    if not before:
        nothing = dict.fromkeys(("archive", "good_archive", "archive_drill", "good_archive_drill"))
        report.note(place, **nothing, archive_at=to, archive_since=time.time())
    run(archive, "check", limit=ASK)
    if os.path.exists(archive.ended):
        files.remove(archive.ended)


def sets(archive: Archive, damaged: bool = False) -> list[dict[str, Any]]:
    """Return the backups, the newest last.

    :param damaged: those too that hold pages which were damaged on this host already.
    """
    found = [each for each in stanza(archive).get("backup", []) if damaged or not each.get("error")]
    return sorted(found, key=lambda each: each["timestamp"]["stop"])


def newest(archive: Archive, before: float | None = None, label: str = "", own: bool = False) -> dict[str, Any]:
    """Return the newest backup that ended before a time.

    :param before: seconds since 1970; None for now.
    :param label: of the one that is meant.
    :param own: one of the cluster that serves here.
    :raises BackupError: there is none.
    """
    known = sets(archive)
    found = [each for each in known if before is None or each["timestamp"]["stop"] <= before]
    found = [each for each in found if label in ("", each["label"])]
    if own:
        served = serving(archive)
        found = [each for each in found if cluster(each) == served]
    if found:
        return found[-1]
    some = known[-5:] if before is None else known[:5]
    ids = ", ".join(f"{each['label']} of {shown(each['timestamp']['stop'])}" for each in some) or "none"
    when = f" that ended before {shown(before)}" if before is not None else f" {label}" if label else ""
    said = f"there is no backup of {'the PostgreSQL that serves here' if own else 'PostgreSQL'}{when}"
    now = "; back up now: flask-deploy backup" if own else ""
    raise BackupError(f"{said} at {archive.settings()['to']}; there are: {ids}{now}")


def former(archive: Archive, backup: dict[str, Any]) -> dict[str, Any] | None:
    """Return the newest backup of another cluster than the one that serves here, where a backup is of that one."""
    if cluster(backup) != serving(archive):
        return None
    others = [each for each in sets(archive) if cluster(each) != cluster(backup)]
    return others[-1] if others else None


def cluster(backup: dict[str, Any]) -> int | None:
    """Return the number of the cluster that a backup is of: a new server and a new version each begin one."""
    return backup.get("database", {}).get("id")


def serving(archive: Archive) -> int | None:
    """Return the number of the cluster that serves here, which the archive knows last."""
    return max((each["id"] for each in stanza(archive).get("db", [])), default=None)


def version(archive: Archive, backup: dict[str, Any]) -> str:
    """Return the major version of PostgreSQL that a backup is of; an archive holds those of before an upgrade, too."""
    versions = {each["id"]: each["version"] for each in stanza(archive).get("db", [])}
    return versions.get(cluster(backup), archive.settings()["version"])
