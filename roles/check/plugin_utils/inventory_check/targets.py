"""Where backups may go: a directory, a host by SSH, or S3, as restic writes them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any

EXAMPLE = "example: {}: sftp:keeper@backup.example.com:/backups/shop"
DIRECTORY = re.compile(r"/[\w./+@-]*[\w+@-]", re.ASCII)
SFTP = re.compile(
    r"sftp:(?!-)(([\w.-]+@)?[\w][\w.-]*:[\w./~+-]+|//([\w.-]+@)?(\[[0-9a-fA-F:]+\]|[\w][\w.-]*)(:\d{1,5})?/[\w./~+-]+)",
    re.ASCII,
)
S3 = re.compile(r"s3:(https?://)?[\w][\w.-]*(:\d{1,5})?/[\w./+-]+", re.ASCII)
APPS = re.compile("/srv/[^/]+/(data|releases|restore|writable)/")  # of any app
SYSTEM = ("/", "/srv", "/usr", "/var", "/var/lib", "/var/cache", "/var/log", "/run", "/root", "/home", "/opt")
OURS = ("/etc", "/proc", "/sys", "/dev", "/boot", "/tmp", "/var/tmp", "/usr/local/lib/flask-deploy")  # noqa: S108
OURS += tuple(f"/var/lib/{name}" for name in ("flask-deploy", "postgresql", "docker", "containerd"))
OURS += ("/var/cache/flask-deploy",)
S3_NEEDS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def target(name: str) -> Callable[[str], str | None]:
    """Return a check of the variable that names a target."""
    example = EXAMPLE.format(name)

    def check(value: str) -> str | None:
        if not value or any(form.fullmatch(value) for form in (DIRECTORY, SFTP, S3)):
            return f"{value!r} has .. in it; {example}" if ".." in value.split("/") else None
        kind = value.partition(":")[0] if ":" in value else ""
        if kind in ("sftp", "s3", ""):
            return f"{value!r} is not a directory, sftp: or s3:; {example}"
        return f"{kind}: is not one of a directory, sftp:, s3:; {example}"

    return check


def place(name: str, to: str, app: str) -> list[str]:
    """Return what is wrong with a directory that what is saved lies in, or that lies in what is saved.

    :param name: the variable that names it.
    """
    if not to.startswith("/"):
        return []
    path = posixpath.normpath(re.sub("/+", "/", to))  # which keeps two slashes at the beginning
    saved = APPS.match(f"{path}/") or re.match(f"/(srv|etc)/{re.escape(app)}/", f"{path}/")
    ours = next((each for each in OURS if f"{path}/".startswith(f"{each}/")), "")
    if saved:
        why = f"lies in {saved[0].rstrip('/')}, which is saved itself, and replaced by a restore"
    elif path in SYSTEM or ours:
        why = f"{'' if path in (ours, *SYSTEM) else f'lies in {ours}, which '}is the system's own"
    else:
        return []
    return [f"{name}: {to} {why}; name a directory on another disk, or a host, example: {name}: /mnt/backup/{app}"]


def keys(to: str, values: dict[str, Any]) -> list[str]:
    """Return which keys a target needs and does not have."""
    mistakes = []
    if to.startswith("sftp:"):
        wanted = {
            "backup_ssh_key": "ssh-keygen -t ed25519 -N '' -f backup",
            "backup_host_key": "ssh-keyscan <its name>",
        }
        mistakes += [f"{n}: is needed with sftp:; make one: {how}" for n, how in wanted.items() if not values.get(n)]
    if to.startswith("s3:"):
        missing = next((name for name in S3_NEEDS if name not in values.get("backup_env", {})), "")
        mistakes += [f"backup_env: {missing} is missing, which s3: needs; write it, from the vault"] if missing else []
    return mistakes
