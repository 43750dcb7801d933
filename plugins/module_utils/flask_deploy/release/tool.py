"""The program of an app on its host: it runs jobs, and what somebody types there, in the release that serves."""

from __future__ import annotations

import os
import sys

from ansible.module_utils.flask_deploy.host import engine, files, program
from ansible.module_utils.flask_deploy.release import aside, job_run
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError

BEGIN = b"#!/usr/bin/python3 -I\n"
PARTS = {
    "host": "brought command debian engine files locks networks nginx process program systemd untrusted",
    "release": (
        "advice advice_code advice_flask advice_image advice_imports advice_services advice_settings aside "
        "claims containers diagnosis inside job_run jobs logged needed placed places record secrets tool tracebacks "
        "writable"
    ),
}
MAIN = """\
import sys
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.release.tool import main
sys.exit(main(App("{app.name}", {app.uid}), sys.argv[1:]))
"""
USAGE = """\
usage: sudo {app.tool} [COMMAND [ARGUMENT ...]]

Runs a command in a new container of the release that serves: its image, environment, secrets, mounts, user and
limits. Without a command it is a shell. Examples:
  sudo {app.tool} flask create-admin
  sudo {app.tool} flask import < orders.csv
"""


def code(app: App) -> bytes:
    return program.packed(MAIN.format(app=app), PARTS, BEGIN)


def ensure(app: App) -> list[str]:
    """Keep the program as it should be; return the path that changed."""
    return [app.tool] if files.ensure_file(app.tool, code(app), 0o755) else []


def main(app: App, words: list[str]) -> int | str:
    """Do what the words say; return the exit code, or what is wrong."""
    if words[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE.format(app=app))
        return 0
    if os.geteuid() != 0:
        return f"this takes root; type: sudo {' '.join([app.tool, *words])}"
    try:
        if words[:1] == ["--job"]:
            return job_run.begin(app, words[1])
        if words[:1] == ["--ended"]:
            said = (os.environ.get(name, "") for name in ("SERVICE_RESULT", "EXIT_STATUS"))
            job_run.end(app, words[1], *said)
        else:
            aside.by_hand(app, words)
    except (ReleaseError, engine.EngineError, OSError) as error:
        return str(error)
    return 0
