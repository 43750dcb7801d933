#!/usr/bin/python
"""Keep an app's backups going: the program that makes them, its settings and secrets, and its timers."""

from __future__ import annotations

import os
import time

from ansible.module_utils.flask_deploy.host import command, files, timed
from ansible.module_utils.flask_deploy.host import locks as _locks  # noqa: F401 - to be carried to the host
from ansible.module_utils.flask_deploy.host import program as programs
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: backup_setup
short_description: Keep an app's backups going
description:
  - Writes the program that backs up, what it is to do for one app, its secrets, and its units of systemd.
  - Makes the repository where there was none yet, and sees that the target and the password are right.
options:
  program: {type: dict, required: true, description: Content of each file of the program, by its name.}
  settings: {type: dict, required: true, description: "What is told of the app, see keep_backups/places.py."}
  secrets: {type: dict, required: true, description: "Content of each file that root alone reads, by its name."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Keep backups
  backup_setup:
    program: {__main__.py: "{{ lookup('ansible.builtin.file', 'keep_backups/__main__.py') }}"}
    settings: {app: shop, uid: 10001, to: /mnt/backup/shop, host: web1}
    secrets: {password: "{{ backup_password }}"}
"""

RETURN = r"""
files: {type: list, returned: success, description: What was, or would be, written.}
"""

PLACE = timed.PLACE
# Of the package, what the program uses.
PARTS = {"host": "command files locks process"}
LIMIT = 900  # seconds that a target has to answer
KINDS = {"backup": ("save", "Back up {app}"), "drill": ("drill", "Prove that the newest backup of {app} restores")}


def units(settings: dict[str, str]) -> dict[str, str]:
    """Return {path: text} of an app's units."""
    at = {"backup": settings["at"], "drill": settings["drill_at"]}
    return timed.units("keep_backups", KINDS, at, settings)


def program(sent: dict[str, str]) -> dict[str, str]:
    """Return {path below the program's place: text} of all that it is made of, what it imports first."""
    return programs.sources(PARTS) | {f"keep_backups/{name}": text for name, text in sent.items()}


def ensure_private(etc: str, settings: dict[str, object], secrets: dict[str, str], dry: bool) -> list[str]:
    """Write what root alone reads, settings last: with them the backups of the app are known."""
    path = f"{etc}/settings.json"
    since = files.read_json(path, {}).get("since", time.time())
    if not dry:
        files.ensure_directory(os.path.dirname(etc), 0o700)
        files.ensure_directory(etc, 0o700)
    changed = timed.ensure({f"{etc}/{name}": text.encode() for name, text in secrets.items() if text}, 0o400, dry)
    for name in (name for name, text in secrets.items() if not text and os.path.exists(f"{etc}/{name}")):
        changed.append(f"{etc}/{name}")
        if not dry:
            files.remove(f"{etc}/{name}")
    text = files.canonical({**settings, "since": since}) + b"\n"
    return changed + timed.ensure({path: text}, 0o400, dry)


def main() -> None:
    module = QuietModule(
        argument_spec={
            "program": {"type": "dict", "required": True},
            "settings": {"type": "dict", "required": True},
            "secrets": {"type": "dict", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    options, dry = module.params, module.check_mode
    app = options["settings"]["app"]
    parts = {f"{PLACE}/{path}": text.encode() for path, text in program(options["program"]).items()}
    changed = timed.ensure(parts, 0o644, dry)
    changed += ensure_private(f"/etc/flask-deploy/backup/{app}", options["settings"], options["secrets"], dry)
    written = timed.keep(units(options["settings"]), dry)
    if not dry:
        words = ("python3", "-B", "-m", "keep_backups", "open", app)
        done = command.attempt(*words, limit=LIMIT, environment={"PYTHONPATH": PLACE})
        if done.code:
            module.fail_json(msg=f"no backup can be made: {done.said}")
    module.exit_json(changed=bool(changed + written), files=changed + written)


if __name__ == "__main__":
    main()
