"""restic, run with what one app's settings say; what it refuses is told by its cause and what to do."""

from __future__ import annotations

import datetime
import json
import re
import shlex
import tempfile
import time
from typing import IO, Any

from ansible.module_utils.flask_deploy.host import command, process

from .causes import MISSING, explain, unread
from .places import BackupError, Place

LOCKED = "already locked"
AGAIN = 5  # seconds between two tries where somebody else's run has the repository locked
LIMIT = 20 * 3600  # seconds for one command
ASK = 300  # seconds for a question
UNSAID = re.compile(r"^(?!.*subprocess ssh:).*unable to start the sftp session", re.DOTALL)
INCOMPLETE = 3  # exit code of a backup that could not read some files
TARGET = re.compile(r"sftp:(?://)?(?P<login>(?:[\w.-]+@)?(?:\[[0-9a-fA-F:]+\]|[\w.-]+))(?::(?P<port>\d+)(?=/))?[:/].+")
SSH = (
    "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 -o ServerAliveInterval=30 "
    "-o ServerAliveCountMax=4"
)


class Restic:
    """One app's view of its repository: its own snapshots, whoever else keeps some there.

    :param patience: seconds to wait while somebody else has the repository locked.
    """

    def __init__(self, place: Place, patience: float = 1800) -> None:
        self.place, self.settings, self.patience = place, place.settings(), patience
        self.own = ["--host", self.settings["host"], "--tag", place.tag]

    def environment(self) -> dict[str, str | None]:
        """Return restic's environment: a secret is never a word of its command."""
        return {
            "LC_ALL": "C",
            "GOMAXPROCS": "1",  # what serves has the other processors
            "RESTIC_PROGRESS_FPS": "0.1",
            "RESTIC_CACHE_DIR": self.place.cache,
            **self.place.environment(),
            "RESTIC_REPOSITORY": self.settings["to"],
            "RESTIC_PASSWORD_FILE": self.place.password,
        }

    def options(self) -> list[str]:
        """Return the words before each of restic's commands: bandwidth, and how ssh logs in."""
        rate = str(self.settings["bandwidth"])
        words = ["--limit-upload", rate, "--limit-download", rate] if rate != "0" else []
        return [*words, "-o", f"sftp.command={self.ssh()}"] if self.ssh() else words

    def ssh(self) -> str:
        """Return the command that speaks with the target where it is reached over SSH, or nothing."""
        found = TARGET.fullmatch(self.settings["to"])
        if not found:
            return ""
        files = f"-i {shlex.quote(self.place.ssh_key)} -o UserKnownHostsFile={shlex.quote(self.place.known_hosts)}"
        port = f"-p {found['port']} " if found["port"] and "//" in self.settings["to"] else ""
        login = found["login"].replace("[", "").replace("]", "")
        return f"{SSH} {files} {port}{login} -s sftp"

    def attempt(
        self, *words: str, limit: float = LIMIT, errors: IO[bytes] | None = None
    ) -> tuple[int | None, str, str]:
        """Run a command; return (exit code, or None where its time was up; what it printed; its errors).

        :param errors: an open file, without a buffer, that gets all errors; of many, those that are returned lack some.
        """
        end = time.monotonic() + self.patience
        while True:
            done = self._once(words, limit, errors)
            if not (done.code and LOCKED in done.said) or time.monotonic() >= end:
                return done.code, done.out.decode(errors="replace"), done.said + self._unsaid(done)
            self._once(("unlock",), ASK)  # of a run that was killed a moment ago
            time.sleep(AGAIN)

    def _once(self, words: tuple[str, ...], limit: float, errors: IO[bytes] | None = None) -> process.Done:
        told = {"limit": limit, "environment": self.environment(), "copy": errors}
        try:
            return command.attempt("restic", *self.options(), *words, **told)
        except FileNotFoundError as missing:
            wanted = "restic is not installed here; type: ansible-playbook site.yml --tags backup"
            raise BackupError(wanted) from missing

    def _unsaid(self, done: process.Done) -> str:
        """Return what ssh says, where restic ended before it had read that."""
        if not (done.code and self.ssh() and UNSAID.search(done.said)):
            return ""
        return " " + command.attempt(*shlex.split(self.ssh()), limit=ASK).said

    def run(self, *words: str, limit: float = LIMIT) -> str:
        """Run a command and return what it printed.

        :raises BackupError: it failed; the message holds the cause and what to do.
        """
        code, out, said = self.attempt(*words, limit=limit)
        if code != 0:
            raise self.failed(code, said, words[0])
        return out

    def failed(self, code: int | None, said: str, did: str) -> BackupError:
        """Return the error of a command that failed, see attempt."""
        return BackupError(explain(said if code is not None else "i/o timeout", self.settings["to"], did))

    def backup(self, *words: str) -> tuple[dict[str, Any] | None, list[str]]:
        """Make a snapshot; return (restic's summary of it, what it could not read, see unread).

        :raises BackupError: there is no snapshot.
        """
        with tempfile.TemporaryFile(buffering=0) as errors:
            code, out, said = self.attempt("backup", "--json", *self.own, *words, errors=errors)
            if code not in (0, INCOMPLETE):
                raise self.failed(code, said, "backup")
            errors.seek(0)
            missing = unread(errors, words) if code == INCOMPLETE else []
        entries = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return next((each for each in reversed(entries) if each.get("message_type") == "summary"), None), missing

    def unlock(self) -> bool:
        """Remove locks of runs that were killed, and of no other; return whether there was one."""
        before = self.locks()
        if before:
            self.run("unlock", limit=ASK)
        return bool(before) and len(self.locks()) < len(before)

    def locks(self) -> list[str]:
        return self.run("list", "locks", "--no-lock", limit=ASK).split()

    def identity(self) -> str | None:
        """Return the repository's id; None where the target holds none.

        :raises BackupError: the target does not answer, or not to this password.
        """
        code, out, said = self.attempt("cat", "config", limit=ASK)
        if code == 0:
            return json.loads(out)["id"]
        if MISSING.search(said):
            return None
        raise self.failed(code, said, "cat config")

    def snapshots(self) -> list[dict[str, Any]]:
        """Return the app's snapshots of this host, the newest last."""
        found = json.loads(self.run("snapshots", "--json", *self.own, limit=ASK) or "[]") or []
        return sorted(found, key=lambda each: moment(each["time"]))

    def snapshot(self, which: str) -> dict[str, Any]:
        """Return a snapshot by its id, or a part of it, or as ``latest``.

        :raises BackupError: there is none.
        """
        known = self.snapshots()
        found = known[-1:] if which == "latest" else [each for each in known if each["id"].startswith(which)]
        if len(found) == 1:
            return found[0]
        ids = ", ".join(f"{each['id'][:8]} of {shown(moment(each['time']))}" for each in known[-5:]) or "none"
        raise BackupError(f"there is no backup {which} of {self.place.app} at {self.settings['to']}; there are: {ids}")


def moment(text: str) -> float:
    """Return a time of restic's (RFC 3339, with nanoseconds) in seconds since 1970."""
    found = re.fullmatch(r"([^.]*?)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if not found:
        raise BackupError(f"restic told the time {text!r}, which is none")
    whole = datetime.datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    return whole.timestamp() + float(found[2] or 0)


def shown(seconds: float) -> str:
    """Return a time for people, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
