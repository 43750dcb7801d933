"""What pgbackrest is told of a target that is written as restic's are."""

from __future__ import annotations

import hashlib
import posixpath
import re
from typing import Any

from ansible.module_utils.flask_deploy.host import postgres

ETC = "/etc/flask-deploy/archive"
ROOM = "/var/lib/postgresql/flask-deploy"
SFTP = re.compile(
    r"sftp:(?://)?(?:(?P<user>[\w.-]+)@)?(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+)(?::(?P<port>\d+)(?=/))?[:/](?P<path>.+)"
)
S3 = re.compile(r"s3:(?:https?://)?(?P<host>[\w.-]+)(?::(?P<port>\d+))?/(?P<bucket>[^/]+)(?P<path>/.*)?")


def config(settings: dict[str, Any], password: str, where: dict[str, str], version: str) -> str:
    """Return the file that pgbackrest reads.

    :param where: the repository's own options, see ``local``, ``sftp`` and ``s3``.
    """
    told = {
        **{f"repo1-{name}": value for name, value in where.items()},
        "repo1-cipher-type": "aes-256-cbc",
        "repo1-cipher-pass": derived(password),
        "repo1-bundle": "y",
        "repo1-retention-full-type": "time",
        "repo1-retention-full": settings["keep_days"],
        "compress-type": "zst",
        "process-max": 1,  # what serves has the other processors
        "start-fast": "y",
        "archive-timeout": 60,
        "archive-push-queue-max": f"{settings['queue']}GiB",
        "lock-path": f"{ROOM}/lock",
        "log-level-console": "off",
        "log-level-file": "off",
        "log-level-stderr": "warn",
    }
    lines = [f"{name}={value}\n" for name, value in told.items()]
    cluster = f"pg1-path=/var/lib/postgresql/{version}/main\npg1-socket-path={postgres.SOCKETS}\n"
    return "# Managed by Ansible: flask-deploy\n[global]\n" + "".join(lines) + "\n[postgres]\n" + cluster


def derived(password: str) -> str:
    """Return what the archive is encrypted with: one secret is enough to keep, and each has its own key of it."""
    return hashlib.sha256(f"flask-deploy archive {password}".encode()).hexdigest()


def repository(settings: dict[str, Any], environment: dict[str, str], home: str = "") -> dict[str, str]:
    """Return pgbackrest's options of a target.

    :param home: the directory that a relative path of sftp: begins at.
    """
    to, inside = settings["to"], f"postgres/{settings['host']}"
    if found := SFTP.fullmatch(to):
        return {
            "type": "sftp",
            "path": posixpath.join(home, ("/" if to.startswith("sftp://") else "") + found["path"], inside),
            "sftp-host": found["host"].strip("[]"),
            "sftp-host-port": found["port"] or "22",
            "sftp-host-user": found["user"] or "root",
            "sftp-host-key-hash-type": "sha256",
            "sftp-host-key-check-type": "strict",
            "sftp-known-host": f"{ETC}/known_hosts",
            "sftp-private-key-file": f"{ETC}/ssh_key",
        }
    if found := S3.fullmatch(to):
        optional = {"s3-token": "AWS_SESSION_TOKEN", "storage-ca-file": "RESTIC_CACERT"}
        return {
            "type": "s3",
            "path": posixpath.join(found["path"] or "/", inside),
            "s3-endpoint": found["host"],
            "storage-port": found["port"] or "443",
            "s3-bucket": found["bucket"],
            "s3-region": environment.get("AWS_DEFAULT_REGION", "us-east-1"),
            "s3-uri-style": "path",
            "s3-key": environment["AWS_ACCESS_KEY_ID"],
            "s3-key-secret": environment["AWS_SECRET_ACCESS_KEY"],
            **{name: environment[own] for name, own in optional.items() if own in environment},
        }
    return {"path": f"{to}/{inside}"}
