"""Programs that work for an app at their times: they come after what serves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.flask_deploy.host import files, told

PLACE = "/usr/local/lib/flask-deploy"  # where the programs lie
UNITS = "/etc/systemd/system"
SERVICE = """\
# Managed by Ansible: flask-deploy
[Unit]
Description={said}
Wants=network-online.target
After=network-online.target
RequiresMountsFor=/srv/{app}

[Service]
Type=oneshot
WorkingDirectory={place}
Environment=PYTHONDONTWRITEBYTECODE=1
ExecStart=/usr/bin/python3 -m {program} {verb} {app}
TimeoutStartSec=20h
UMask=0077
PrivateTmp=yes
NoNewPrivileges=yes
# What serves comes first.
Nice=19
CPUWeight=20
IOWeight=20
IOSchedulingClass=idle
"""
TIMER = """\
# Managed by Ansible: flask-deploy
[Unit]
Description={said}

[Timer]
OnCalendar={at}
RandomizedDelaySec={jitter}min
Persistent=true

[Install]
WantedBy=timers.target
"""


def units(program: str, kinds: Mapping[str, tuple[str, str]], at: Mapping[str, str], settings: Any) -> dict[str, str]:
    """Return {path: text} of the units that run a program for an app.

    :param kinds: {kind: (the program's verb, what is said of it)}.
    :param at: {kind: a calendar of systemd's}.
    :param settings: app, and jitter in minutes.
    """
    texts, app = {}, settings["app"]
    for kind, (verb, said) in kinds.items():
        told = {"app": app, "verb": verb, "said": said.format(app=app), "program": program, "place": PLACE}
        path = f"{UNITS}/flask-deploy-{kind}@{app}"
        texts[f"{path}.service"] = SERVICE.format(**told)
        texts[f"{path}.timer"] = TIMER.format(**told, at=at[kind], jitter=settings["jitter"])
    return texts


def keep(texts: Mapping[str, str], dry: bool) -> list[str]:
    """Write units that differ, and let systemd know; return their paths."""
    wanted = {path: text.encode() for path, text in texts.items()}
    written, timers = ensure(wanted, 0o644, dry), [os.path.basename(path) for path in texts if path.endswith(".timer")]
    if not dry:
        name = "+".join(sorted(os.path.basename(path) for path in texts))
        told.tell(name, wanted, bool(written), ("daemon-reload",), ("try-restart", *timers))
    return written


def ensure(wanted: Mapping[str, bytes], mode: int, dry: bool) -> list[str]:
    """Write files that differ; return their paths."""
    for folder in {os.path.dirname(path) for path in wanted}:
        if not dry and not os.path.isdir(folder):
            files.ensure_directory(folder)
    return [path for path, content in wanted.items() if files.ensure_file(path, content, mode, dry=dry)]
