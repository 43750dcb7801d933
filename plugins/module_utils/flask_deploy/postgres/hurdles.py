"""What stands in the way of a newer major version, looked at before anything changes."""

from __future__ import annotations

import os
import tempfile

from ansible.module_utils.flask_deploy.host import command, files, postgres
from ansible.module_utils.flask_deploy.postgres.cluster import OWNER, PATIENCE, PostgresError, sql
from ansible.module_utils.flask_deploy.postgres.majors import DATA, Major, databases

WITHOUT = "without-backup"
SPARE = 512 << 20  # bytes that stay free, and what is written in between
BUILT_IN = "/usr/share/postgresql/{}/extension/{}.control"
IN_THE_WAY = (
    "PostgreSQL {0} is on this host already, and flask-deploy did not set it up, so it is left alone; if nothing uses "
    "it, type there: sudo pg_dropcluster --stop {1} main"
)
KEPT = (
    "PostgreSQL {} is still kept here, stopped; remove it first, with all that it holds: ansible-playbook "
    "playbooks/upgrade_postgres.yml -e postgres_upgrade=drop"
)
GONE = (
    "the programs of PostgreSQL {0} are gone from this host, and the move needs them beside those of {1}: install "
    "postgresql-{0} again, from the sources of the Debian that has it"
)
STILL = "PostgreSQL {} does not answer; type there: sudo systemctl status {}"
SPACES = "there are tablespaces ({}), which this playbook does not move; see pg_upgradecluster(1)"
UNPROVEN = "{}. The cluster of before stays as a way back; if that is enough, type: -e postgres_upgrade_over=" + WITHOUT
NO_BACKUP = "PostgreSQL of this host is in no backup: set backup_to, and type: ansible-playbook site.yml"
NO_DRILL = (
    "no drill has proved yet that the backups of PostgreSQL restore; type there: sudo systemctl start "
    "flask-deploy-archive@{0} flask-deploy-archive-drill@{0}"
)
ROOM = "{} has {} MB free; {} MB are needed for a second cluster beside the first; make room there"
EXTENSION = "extension {} of database {} is not there for PostgreSQL {}; install the package that brings it"
SETTINGS = "postgres_settings: PostgreSQL {} does not take them: {}"


def before(old: Major, new: Major, over: str) -> list[str]:
    """Return a line for each hurdle that shows before the newer version's programs are there.

    :param over: WITHOUT where nobody asks for backups.
    """
    lines = []
    if kept := (files.read_json(postgres.RECORD) or {}).get("kept"):
        lines.append(KEPT.format(kept))
    elif new.there():
        lines.append(IN_THE_WAY.format(new.name, new.version))
    if not old.installed():
        return [*lines, GONE.format(old.version, new.version)]
    try:
        spaces = [row[0] for row in sql("SELECT spcname FROM pg_tablespace WHERE spcname !~ '^pg_'")]
    except PostgresError:
        return [*lines, STILL.format(old.version, old.unit)]
    lines += [SPACES.format(", ".join(spaces))] if spaces else []
    lines += room(old) + ([] if over == WITHOUT else unproven())
    return lines


def room(old: Major) -> list[str]:
    disk, needed = os.statvfs(DATA), old.bytes() + SPARE
    free = disk.f_bavail * disk.f_frsize
    return [] if free >= needed else [ROOM.format(DATA, free >> 20, -(-needed >> 20))]


def unproven() -> list[str]:
    """Return why going back further than to the cluster of before cannot be relied on."""
    settings = files.read_json(postgres.ARCHIVE)
    if not settings:
        return [UNPROVEN.format(NO_BACKUP)]
    known = files.read_json(f"/var/lib/flask-deploy/backup/{settings['app']}/status.json", {})
    good = known.get("good_archive") and known.get("good_archive_drill")
    failed = (known.get("archive_drill") or {}).get("error")
    return [] if good and not failed else [UNPROVEN.format(failed or NO_DRILL.format(settings["app"]))]


def after(old: Major, new: Major) -> list[str]:
    """Return a line for each hurdle that shows once the newer version's programs are there."""
    asked = command.attempt("pg_upgradecluster", "--check", "-v", new.version, old.version, "main", limit=PATIENCE)
    lines = [asked.out.decode(errors="replace").strip() or asked.said] if asked.code else []
    for name in databases():
        for (extension,) in sql("SELECT extname FROM pg_extension ORDER BY 1", name):
            if not os.path.exists(BUILT_IN.format(new.version, extension)):
                lines.append(EXTENSION.format(extension, name, new.version))
    return lines + settings(old, new)


def settings(old: Major, new: Major) -> list[str]:
    """Let the newer version read the settings beside postgresql.conf (postgres(1), -C)."""
    with tempfile.NamedTemporaryFile("w", dir=old.etc, prefix=".flask-deploy-", suffix=".conf") as file:
        named = {
            "data_directory": old.data,
            "hba_file": f"{old.etc}/pg_hba.conf",
            "ident_file": f"{old.etc}/pg_ident.conf",
        }
        file.write(
            "".join(f"{name} = '{path}'\n" for name, path in named.items()) + f"include_dir '{old.etc}/conf.d'\n"
        )
        file.flush()
        os.chmod(file.name, 0o644)
        asked = (f"{new.programs}/postgres", "-C", "shared_buffers", "-c", f"config_file={file.name}")
        done = command.attempt("env", "-C", "/", "runuser", "-u", OWNER, "--", *asked, limit=PATIENCE)
    return [SETTINGS.format(new.version, "; ".join(done.said.splitlines()))] if done.code else []
