"""The SQLite databases of an app, asked for by root and worked on as the app's user: see sqlite_work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from . import sqlite_work
from .places import BackupError

BESIDE = ("-wal", "-shm", "-journal")  # files of a database that is in use
LIMIT = 6 * 3600  # seconds for all databases of an app


def ask(job: dict[str, Any], uid: int) -> dict[str, Any]:
    """Do a job as the app's user.

    :param job: {"do": copy|count, ...}, see its functions.
    :raises BackupError: it did not end well.
    """
    words = [sys.executable, "-I", "-B", sqlite_work.__file__]
    become = {"user": uid, "group": uid, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        done = subprocess.run(
            words, input=json.dumps(job).encode(), capture_output=True, cwd="/", timeout=LIMIT, check=True, **become
        )
        return json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        said = getattr(error, "stderr", b"") or b""
        reason = said.decode(errors="replace").strip()[-300:] or str(error)
        raise BackupError(f"the app's SQLite databases could not be read: {reason}") from error
