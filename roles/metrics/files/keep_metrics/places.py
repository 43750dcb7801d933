"""Where metrics have their settings and their notes on the host."""

from __future__ import annotations

import glob
import os
from typing import Any

from ansible.module_utils.flask_deploy.host import files, locks

ETC = "/etc/flask-deploy/metrics"  # a file of settings for each app
WORK = "/var/lib/flask-deploy/metrics"
TEXTS = f"{WORK}/textfile"  # node exporter reads what is there
COUNTS = f"{WORK}/requests.json"
LOCK = f"{locks.RUN}/metrics.lock"
HOST = "host"  # what is not one app's; no app has that name


def settings() -> dict[str, dict[str, Any]]:
    """Return {app: its settings} of the apps that are measured here."""
    paths = sorted(glob.glob(f"{ETC}/*.json"))
    return {os.path.basename(path)[:-5]: known for path in paths if (known := files.read_json(path))}


def keep(texts: dict[str, str]) -> None:
    """Put texts in place, each whole at any time; those of others go.

    :param texts: {app: what node exporter is to read of it}.
    """
    for name, text in texts.items():
        files.write(f"{TEXTS}/{name}.prom", text.encode())
    for path in glob.glob(f"{TEXTS}/*.prom"):
        if os.path.basename(path)[:-5] not in texts:
            files.remove(path)
    files.sweep(TEXTS)
