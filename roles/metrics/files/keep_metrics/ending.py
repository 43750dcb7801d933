"""The end of metrics on a host: what role metrics put there goes, packages stay."""

from __future__ import annotations

import contextlib
import glob
import os

from ansible.module_utils.flask_deploy.host import files, nginx, systemd, timed, told

from . import places

UNITS = "/etc/systemd/system"
OURS = ("flask-deploy-metrics.timer", "flask-deploy-metrics-node.service", "flask-deploy-metrics-nginx.service")
STATUS = "conf.d/flask_deploy_metrics.conf"  # below nginx's directory; no app's name has a _


def end() -> list[str]:
    """Take everything away; return what went.

    :raises SiteError: nginx does not take its configuration without what was ours; that is away already.
    """
    systemd.ask("disable", "--now", *OURS, "flask-deploy-metrics.service")
    gone = [path for path in (*glob.glob(f"{UNITS}/flask-deploy-metrics*"), f"{nginx.CONF}/{STATUS}") if _there(path)]
    listens = any(path.endswith(STATUS) for path in gone)
    with told.owed("metrics.nginx", listens) as due, nginx.lock():  # owed to metrics_setup, too
        for path in gone:
            files.remove(path)
        if due:
            nginx.reload()
    systemd.ask("daemon-reload")
    for tree in (places.ETC, places.WORK, f"{timed.PLACE}/keep_metrics"):
        if _there(tree):
            files.remove_tree(tree)
            gone.append(tree)
    with contextlib.suppress(FileNotFoundError):
        files.remove(f"{timed.PLACE}/metrics")
    return gone


def _there(path: str) -> bool:
    return os.path.lexists(path)
