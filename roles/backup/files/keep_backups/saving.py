"""A backup: databases are copied, restic saves them with the app's other files, and old snapshots go."""

from __future__ import annotations

import os
import shlex
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import files

from . import databases, report
from .places import BackupError, Place, prepare, within
from .restic import Restic, moment, shown

MANIFEST = "manifest.json"  # of the copies of databases, beside them
SKEW = 600  # seconds that a snapshot may be ahead of the clock
RECENT = ("--keep-within", "2d")  # one of yesterday by hand is not for a run of today to remove
MAGIC = "\\*?["  # of restic's patterns
GONE = (
    "the repository {to} had backups and is not there any more; see that its disk is mounted or its bucket exists. "
    "If it is gone for good, type on the host: sudo rm {status}, and the next backup makes it anew"
)
MOST = 5  # lines of one error
LOOK = "see what is wrong with these files, on the host: sudo ls -l <the file>; sudo dmesg | tail"
CACHE = "{0} holds a CACHEDIR.TAG, so nothing else in it is saved; if it is no cache: sudo rm {0}/CACHEDIR.TAG"
LINKED = (
    "{0} is a link, and a link's target is in no backup; mount it there, on the host: sudo rm {1} && sudo mkdir {1} && "
    "sudo mount --bind {2} {1}; then add to /etc/fstab: {2} {1} none bind 0 0"
)
SILENT = "restic told no summary of the backup; look on the host: sudo journalctl -n 50 -u flask-deploy-backup@{}"
NOTHING = "there is nothing of {app} on this host to back up: deploy or restore it first"


def repository(place: Place, restic: Restic) -> None:
    """Open the app's repository, or make it where there was none yet.

    :raises BackupError: it cannot be used, or was there and is not any more.
    """
    told, to = report.known(place), restic.settings["to"]
    before = told.get("repository") if told.get("to") == to else None
    found = restic.identity()
    if found is None and before:
        raise BackupError(GONE.format(to=to, status=place.status))
    if found is None:
        if to.startswith("/") and not os.path.isdir(to):
            files.ensure_directory(to, 0o711)  # restic would close it, and what lies above it, to PostgreSQL's user
        restic.run("init", limit=600)
        found = restic.identity()
    if found != before:  # what is known of another one says nothing of this
        nothing = dict.fromkeys(("backup", "drill", "good_backup", "good_drill"))
        report.note(place, **nothing, repository=found, to=to, since=time.time())


def save(place: Place) -> dict[str, Any]:
    """Back an app up; return what is told of it, see report.

    :raises BackupError: there is no new backup, or one that is not whole. Earlier ones stay.
    """
    with report.under_way(place, "backup") as told:
        links = [linked(path) for path in place.linked()]
        if not place.saved():
            raise BackupError("; ".join(links) or NOTHING.format(app=place.app))
        restic = Restic(place)
        repository(place, restic)
        if restic.unlock():
            told["remarks"].append("removed the lock of a run that was killed")
        _see_clock(restic)
        try:
            manifest = _copy_databases(place, restic.settings["uid"])
            unread = _save_files(place, restic, manifest["copies"], told)
        finally:
            _clean(place.staging)
        wrong = [f"{name} could not be copied: {why}" for name, why in manifest["failed"].items()]
        caches = {path: CACHE.format(path) for path in manifest["caches"]}
        told["remarks"] += [said for path, said in caches.items() if path not in place.data]  # the app's own, perhaps
        links += [said for path, said in caches.items() if path in place.data]
        if links + wrong + unread:
            files_wrong = [*_few(wrong + unread), LOOK] if wrong + unread else []
            raise BackupError(f"snapshot {told['snapshot']} lacks something: {'; '.join(links + files_wrong)}")
        told["databases"] = len(manifest["copies"])
        told["remarks"] += _forget(restic)
    return told


def linked(path: str) -> str:
    """Return what to say of a directory that is a link to another disk, and what to type."""
    return LINKED.format(path, shlex.quote(path), shlex.quote(os.path.realpath(path)))


def _see_clock(restic: Restic) -> None:
    known = restic.snapshots()
    ahead = moment(known[-1]["time"]) - time.time() if known else 0
    if ahead > SKEW:
        raise BackupError(f"the newest backup is of {shown(time.time() + ahead)}, which is to come: {report.CLOCK}")


def _copy_databases(place: Place, uid: int) -> dict[str, Any]:
    """Copy the app's SQLite databases to the staging place; return what they are, see databases.copy."""
    prepare(place.staging)
    into = f"{place.staging}/db"
    files.ensure_directory(into, 0o700, uid, uid)
    roots = [path for path in place.saved() if path in place.data]
    told = databases.ask({"do": "copy", "roots": roots, "into": into, "places": [*roots, *within(place.data[1])]}, uid)
    files.write_json(f"{place.staging}/{MANIFEST}", told, 0o600)
    return told


def _save_files(place: Place, restic: Restic, copies: dict[str, Any], told: dict[str, Any]) -> list[str]:
    """Let restic save; return what it could not read."""
    excludes = [f"{escaped(path)}{end}" for path in copies for end in ("", *databases.BESIDE)]
    listed = f"{place.staging}/exclude"
    files.write(listed, "".join(f"{line}\n" for line in excludes if "\n" not in line).encode(errors="surrogateescape"))
    paths = [*place.saved(), place.staging]
    done, unread = restic.backup("--exclude-caches", "--exclude-file", listed, *paths)
    if done is None:
        raise BackupError(SILENT.format(place.app))
    told["snapshot"] = done["snapshot_id"][:8]
    told["files"], told["bytes"] = done["total_files_processed"], done["total_bytes_processed"]
    told["added"] = done.get("data_added", 0)
    return unread


def _few(lines: list[str]) -> list[str]:
    return lines if len(lines) <= MOST else [*lines[: MOST - 1], f"and {len(lines) - MOST + 1} more"]


def escaped(path: str) -> str:
    """Return a path as a line of restic's exclude file: a pattern that is it alone, and no variable."""
    quoted = "".join(f"\\{letter}" if letter in MAGIC else letter for letter in path)
    return quoted.replace("$", "$$")


def _forget(restic: Restic) -> list[str]:
    """Let go of snapshots beyond backup_keep, of this app on this host alone; return what did not work."""
    keep = restic.settings["keep"]
    wanted = [word for unit in keep if keep[unit] for word in (f"--keep-{unit}", str(keep[unit]))]
    try:
        restic.run("forget", "--prune", "--quiet", "--group-by", "host,tags", *restic.own, *RECENT, *wanted)
    except BackupError as error:
        return [f"older backups did not go, and go next time: {error}"]
    return []


def _clean(path: str) -> None:
    if os.path.lexists(path):
        files.remove_tree(path)
