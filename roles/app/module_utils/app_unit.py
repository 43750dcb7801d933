"""The systemd units of a switch: one that carries it out, one that settles it at a boot; their code is one file."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import time
import zipfile

from ansible.module_utils import app_files as files

PARTS = "containers diagnosis engine files lease log releases retire run site static switch tally unit watch"
MAIN = """\
import sys
from ansible.module_utils import app_releases, app_switch
app = app_releases.App(sys.argv[1], int(sys.argv[2]))
app_switch.settle_at_boot(app) if sys.argv[3:] else app_switch.carry_out(app)
"""
BOOT = """\
# Managed by Ansible: flask-deploy
[Unit]
Description=Settle a switch of {app.name} that the end of this host cut off
ConditionPathExists={app.pending}
Wants=docker.service nginx.service
After=docker.service nginx.service

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I {app.program} {app.name} {app.uid} boot

[Install]
WantedBy=multi-user.target
"""


class UnitError(Exception):
    """The unit does not start; the message holds what systemd said."""


def name(app):
    return f"flask-deploy-{app.name}.service"


def code():
    """Return this role's host code as a program in one file (zipapp), equal for equal code."""
    sources = {"__main__.py": MAIN, "ansible/__init__.py": "", "ansible/module_utils/__init__.py": ""}
    for each in PARTS.split():
        full = f"ansible.module_utils.app_{each}"
        sources[f"ansible/module_utils/app_{each}.py"] = importlib.import_module(full).__loader__.get_source(full)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in sources.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return packed.getvalue()


def start(app):
    """Start the unit; should it be killed, systemd starts it again and it goes on from where it was.

    :raises UnitError: systemd refuses.
    """
    files.ensure_file(app.program, code())
    ensure_boot(app)
    done = subprocess.run(
        [
            *("systemd-run", "--quiet", "--collect", f"--unit={name(app)}"),
            f"--description=Switch {app.name} to another release",
            *("--property=Restart=on-failure", "--property=RestartSec=1", "--property=Type=exec"),
            *("python3", "-I", app.program, app.name, str(app.uid)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise UnitError(f"the switch does not start: {done.stderr.strip()}")


def ensure_boot(app):
    """Let systemd settle at the next boot what a power loss may cut off now (systemd.unit(5))."""
    files.ensure_directory(os.path.dirname(app.boot_link))
    files.ensure_file(app.boot_unit, BOOT.format(app=app).encode())
    files.link(app.boot_link, app.boot_unit)


def active(app):
    """Tell whether the unit runs, or waits to be started again."""
    done = subprocess.run(
        ["systemctl", "show", "--property=ActiveState", "--value", name(app)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip() in ("active", "activating", "deactivating", "reloading")


def wait_for_end(app, limit=120):
    """Wait until the unit has ended, at most ``limit`` seconds; it is stopped then."""
    end = time.monotonic() + limit
    while active(app):
        if time.monotonic() > end:
            subprocess.run(["systemctl", "stop", name(app)], timeout=60, check=False)
            return
        time.sleep(0.1)
