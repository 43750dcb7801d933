#!/usr/bin/python
"""Tell how an app is on this host."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time

from ansible.module_utils import app_engine as engine
from ansible.module_utils import app_files as files
from ansible.module_utils import app_releases as releases
from ansible.module_utils import app_site as site
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: app_status
short_description: Tell how an app is on this host
description: Reads records and asks the app through its socket; changes nothing.
options:
  app: {type: str, required: true, description: Name of the app.}
  host: {type: str, required: true, description: Name of the host in the table.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look at the app
  app_status:
    app: shop
    host: "{{ inventory_hostname }}"
"""

RETURN = r"""
release: {type: str, returned: always, description: Id of the release that serves, or null.}
healthy: {type: bool, returned: always, description: Whether it answers on its health path.}
health: {type: str, returned: always, description: The answer's status, or why there is none.}
since: {type: float, returned: always, description: When it began to serve, in seconds since 1970.}
image: {type: str, returned: always, description: Its image id.}
interrupted: {type: bool, returned: always, description: Whether a switch was cut off; the next deploy finishes it.}
certificate_days: {type: int, returned: always, description: Whole days until the certificate expires, or null.}
disk_free_mb: {type: int, returned: always, description: Free space below /srv in MiB.}
history: {type: list, returned: always, description: One line for each release, the newest first.}
heading: {type: str, returned: always, description: The heading of a table of hosts.}
line: {type: str, returned: always, description: This host's row in it.}
"""

# Within the 80 columns at which Ansible folds.
COLUMNS = "{:<16} {:<12} {:<6} {:<7} {:<12} {:<5} {}"


def health(app, release):
    record = app.record(release)
    try:
        status = site.probe_socket(app.path(release, "run", "gunicorn.sock"), record["health_path"], record["domain"])
    except Exception as error:  # whatever an app may answer with
        return False, str(error)
    return status < 400, str(status)


def certificate_days(app):
    command = ["openssl", "x509", "-noout", "-enddate", "-in", f"{app.etc}/tls/current/fullchain.pem"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    return int((ssl.cert_time_to_seconds(done.stdout.strip().partition("=")[2]) - time.time()) // 86400)


def age(seconds):
    """Return a span in its largest whole unit, such as 3 h."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def describe(app, host):
    release = app.serving()
    state = app.state(release) if release else {}
    healthy, said = health(app, release) if release else (False, "no release")
    days = certificate_days(app)
    free = shutil.disk_usage("/srv").free >> 20
    known = sorted(app.known(), key=lambda each: app.state(each).get("switched", 0), reverse=True)
    image = app.record(release).get("image", "") if release else ""
    since = state.get("switched", 0)
    return {
        "release": release,
        "healthy": healthy,
        "health": said,
        "since": since,
        "image": image,
        "interrupted": files.read(app.pending) is not None,
        "certificate_days": days,
        "disk_free_mb": free,
        "history": [app.describe(each) for each in known],
        "heading": COLUMNS.format("host", "release", "age", "health", "image", "cert", "disk"),
        "line": COLUMNS.format(
            host,
            release or "none",
            age(time.time() - since) if since else "-",
            f"ok {said}" if healthy else said,
            image.removeprefix("sha256:")[:12] or "-",
            "none" if days is None else f"{days} d",
            f"{free >> 10} GB",
        ),
    }


def main():
    module = AnsibleModule(
        argument_spec={"app": {"type": "str", "required": True}, "host": {"type": "str", "required": True}},
        supports_check_mode=True,
    )
    if not engine.installed():
        module.fail_json(msg="no Docker engine here; deploy first: ansible-playbook site.yml")
    module.exit_json(changed=False, **describe(releases.App(module.params["app"]), module.params["host"]))


if __name__ == "__main__":
    main()
