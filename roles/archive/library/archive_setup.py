#!/usr/bin/python
"""Keep the archive of this host's PostgreSQL going: its program, its settings and secrets, and its timers."""

from __future__ import annotations

import os
import pwd
import re
import time
from typing import Any

from ansible.module_utils.archive_repository import ETC, ROOM, SFTP, config, repository
from ansible.module_utils.flask_deploy.host import account as _account  # noqa: F401 - to be carried to the host
from ansible.module_utils.flask_deploy.host import command, files, postgres, timed
from ansible.module_utils.flask_deploy.host import locks as _locks  # noqa: F401 - to be carried to the host
from ansible.module_utils.flask_deploy.host import program as programs
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: archive_setup
short_description: Keep the archive of this host's PostgreSQL going
description:
  - Writes what pgbackrest reads, the program that backs up, and its units of systemd.
  - Makes the archive where there was none yet, and sees that what PostgreSQL writes gets there.
  - A host has one archive. Where another app's settings keep it, they stay.
options:
  program: {type: dict, required: true, description: Content of each file of the program, by its name.}
  settings: {type: dict, required: true, description: "What is told of the archive, see roles/archive/vars."}
  password: {type: str, required: true, description: What the files' backups are encrypted with.}
  environment: {type: dict, default: {}, description: Credentials for S3.}
  ssh_key: {type: str, default: "", description: "Private key for sftp:."}
  host_key: {type: str, default: "", description: "Line of known_hosts for sftp:."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Keep the archive of PostgreSQL
  archive_setup:
    program: {__main__.py: "{{ lookup('ansible.builtin.file', 'keep_archive/__main__.py') }}"}
    settings: {app: shop, to: /mnt/backup/shop, host: web1, full_days: 7, keep_days: 28, queue: 4}
    password: "{{ backup_password }}"
"""

RETURN = r"""
files: {type: list, returned: success, description: What was, or would be, written.}
keeper: {type: str, returned: success, description: The app whose backups the archive is part of.}
"""

PARTS = {"host": "account command files locks postgres process"}
LIMIT = 900  # seconds that a target has to answer
KINDS = {
    "archive": ("save", "Back up PostgreSQL with {app}"),
    "archive-drill": ("drill", "Prove that the newest backup of PostgreSQL restores, with {app}"),
}
TOO_OLD = (
    "archive_to: pgbackrest of this Debian ({}) cannot reach sftp:, that of Debian 13 can; let archive_to name a "
    'directory or s3:, or leave PostgreSQL out with archive_to: ""'
)
WAY = "archive_to: user postgres may not enter {0}; type on the host: sudo chmod o+x {0}"
TIMEOUT = """\
# Managed by Ansible: flask-deploy
archive_timeout = '60s'  # what is not in the archive when a host is lost was written in its last minute
"""


class SetupError(Exception):
    """No archive can be kept; the message says why, and what to do."""


def home_there(settings: dict[str, Any]) -> str:
    """Return the directory that sftp begins at: pgbackrest takes no relative path.

    :raises SetupError: the target does not tell.
    """
    found = SFTP.fullmatch(settings["to"])
    login = f"{found['user']}@{found['host'].strip('[]')}" if found["user"] else found["host"].strip("[]")
    keys = f"/etc/flask-deploy/backup/{settings['app']}"
    words = (
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        f"UserKnownHostsFile={keys}/known_hosts",
        "-i",
        f"{keys}/ssh_key",
    )
    line = ("sh", "-c", 'echo pwd | sftp -q -b - "$@"', "sftp", *words, login)
    said = command.run(*line, error=SetupError, limit=60, called="archive_to: sftp pwd").decode(errors="replace")
    found = re.search(r"working directory: (/.*)", said)
    if not found:
        raise SetupError(f"archive_to: {settings['to']} does not tell where it begins; write a path from / on")
    return found[1].strip()


def see_version(to: str) -> None:
    """See that pgbackrest reaches a target of this kind.

    :raises SetupError: it is too old for that.
    """
    if to.startswith("sftp:"):
        said = command.run("pgbackrest", "version", error=SetupError, limit=60).decode()
        number = re.search(r"(\d+)\.(\d+)", said)
        if (int(number[1]), int(number[2])) < (2, 46):
            raise SetupError(TOO_OLD.format(number[0]))


def open_way(to: str, path: str) -> None:
    """Let PostgreSQL's user reach a directory of this host; the one that restic made is ours to open.

    :raises SetupError: it may not enter one above it.
    """
    owner = pwd.getpwnam("postgres")
    os.chmod(to, os.stat(to).st_mode | 0o011)
    folder = ""
    for part in [each for each in to.split("/") if each]:
        folder += f"/{part}"
        if command.attempt("runuser", "-u", "postgres", "--", "test", "-x", folder, limit=60).code:
            raise SetupError(WAY.format(folder))
    files.ensure_directory(os.path.dirname(path), 0o711)
    files.ensure_directory(path, 0o700, owner.pw_uid, owner.pw_gid)


def keep(options: dict[str, Any], dry: bool) -> tuple[list[str], str]:
    """Write all that the archive needs; return (paths that changed, the app that keeps it)."""
    settings, keeper = options["settings"], files.read_json(f"{ETC}/settings.json", {}).get("app")
    if keeper and keeper != settings["app"] and os.path.exists(f"/etc/flask-deploy/backup/{keeper}/settings.json"):
        return [], keeper
    sent = {f"keep_archive/{name}": text for name, text in options["program"].items()} | programs.sources(PARTS)
    changed = timed.ensure({f"{timed.PLACE}/{path}": text.encode() for path, text in sent.items()}, 0o644, dry)
    version = (postgres.ours() or "").partition("/")[0]
    if dry and not os.path.isdir(ETC):
        return [*changed, f"{ETC}/settings.json"], settings["app"]
    changed += write(settings, options, version, dry)
    at = {"archive": settings["at"], "archive-drill": settings["drill_at"]}
    units = timed.units("keep_archive", KINDS, at, settings)
    return changed + timed.keep(units, dry), settings["app"]


def write(settings: dict[str, Any], options: dict[str, Any], version: str, dry: bool) -> list[str]:
    """Write what pgbackrest reads, and last what PostgreSQL's archiving hangs on."""
    see_version(settings["to"])
    owner = pwd.getpwnam("postgres")
    known = files.read_json(f"{ETC}/settings.json", {})
    relative = settings["to"].startswith("sftp:") and not re.search(r"sftp://|:/", settings["to"])
    home = known.get("home", "") if known.get("to") == settings["to"] else ""
    if relative and not home and not dry:
        home = home_there(settings)
    where = repository(settings, options["environment"], home)
    if not dry:
        files.ensure_directory(ROOM, 0o700, owner.pw_uid, owner.pw_gid)
        files.ensure_directory(ETC, 0o750, 0, owner.pw_gid)
    if settings["to"].startswith("/") and not dry:
        open_way(settings["to"], where["path"])
    since = known.get("since", time.time())
    told = {**settings, "version": version, "home": home, "since": since}
    wanted = {
        f"{ETC}/ssh_key": options["ssh_key"],
        f"{ETC}/known_hosts": options["host_key"],
        f"{ETC}/settings.json": files.canonical(told).decode() + "\n",
        f"{ETC}/pgbackrest.conf": config(settings, options["password"], where, version),
    }
    rights = (0o400, owner.pw_uid, owner.pw_gid)
    changed = [
        path for path, text in wanted.items() if text and files.ensure_file(path, text.encode(), *rights, dry=dry)
    ]
    conf = f"{postgres.ETC}/{version}/main/conf.d/flask-deploy-archive.conf"
    text = (
        "# Managed by Ansible: flask-deploy\narchive_timeout = '60s'  # what a lost host had written is a minute old\n"
    )
    if files.ensure_file(conf, text.encode(), 0o640, owner.pw_uid, owner.pw_gid, dry=dry):
        changed.append(conf)
        if not dry:
            command.run("systemctl", "reload", f"postgresql@{version}-main.service", error=SetupError, limit=60)
    return changed


def main() -> None:
    module = QuietModule(
        argument_spec={
            "program": {"type": "dict", "required": True},
            "settings": {"type": "dict", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "environment": {"type": "dict", "default": {}, "no_log": True},
            "ssh_key": {"type": "str", "default": "", "no_log": True},
            "host_key": {"type": "str", "default": "", "no_log": False},
        },
        supports_check_mode=True,
    )
    dry = module.check_mode
    try:
        changed, keeper = keep(module.params, dry)
    except (SetupError, OSError) as error:
        module.fail_json(msg=str(error))
    if not dry:
        words = ("python3", "-B", "-m", "keep_archive", "open")
        done = command.attempt(*words, limit=LIMIT, environment={"PYTHONPATH": timed.PLACE})
        if done.code:
            module.fail_json(msg=f"PostgreSQL cannot be backed up: {done.said}")
    module.exit_json(changed=bool(changed), files=changed, keeper=keeper)


if __name__ == "__main__":
    main()
