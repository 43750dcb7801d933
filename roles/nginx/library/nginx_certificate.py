#!/usr/bin/python
"""Keep an app's certificate good, now and by what it leaves on the host."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.flask_deploy.certificates import main as _main  # noqa: F401 - to be carried to the host
from ansible.module_utils.flask_deploy.host import program as programs
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: nginx_certificate
short_description: Keep an app's certificate good
description:
  - Writes the program that keeps certificates, with its timer, and lets it bring one app's certificate to what it
    should be. The certificate authority is not asked.
options:
  units: {type: dict, required: true, description: Content of each systemd unit, by its name.}
  settings: {type: dict, required: true, description: The app's settings; they hold a private key.}
  renew: {type: bool, default: false, description: A new pair, though the old one is good.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Keep the certificate
  nginx_certificate:
    units: {}
    settings: {app: shop, kind: selfsigned, names: [shop.example.com], ca: "", provided: []}
"""

RETURN = r"""
serving: {type: str, returned: success, description: Name of the pair in use.}
"""

PLACE = "/usr/local/lib/flask-deploy"
UNITS = "/etc/systemd/system"
# Of the package, what the program uses.
PARTS = {"host": "command files locks process", "certificates": "main keeper acme leading pair store"}
MAIN = "ansible/module_utils/flask_deploy/certificates/main.py"


def make_directory(path: str) -> None:
    """Make a directory, and those above it that are missing, open to all whatever the umask is (mkdir(2))."""
    if not os.path.isdir(path):
        make_directory(os.path.dirname(path))
        os.mkdir(path)
        os.chmod(path, 0o755)


def write(module: QuietModule, folder: str, files: dict[str, str]) -> bool:
    """Write files that differ; return whether one did.

    :param files: {path below the folder: text}.
    """
    changed = False
    for name, text in files.items():
        path = os.path.join(folder, name)
        if os.path.exists(path) and Path(path).read_bytes() == text.encode():
            continue
        changed = True
        if not module.check_mode:
            make_directory(os.path.dirname(path))
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=os.path.dirname(path), delete=False) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            module.atomic_move(file.name, path)
            module.set_mode_if_different(path, "0644", changed)
    return changed


def parts() -> dict[str, str]:
    """Return {path: text} of all that the program is made of, what it imports first."""
    texts = programs.sources(PARTS)
    return texts | {"keep_certificates/__main__.py": texts.pop(MAIN)}


def keep(module: QuietModule) -> tuple[int, dict[str, Any]]:
    """Run the program; return (its exit code, what it says)."""
    command = ["python3", "-B", "-m", "keep_certificates", "keep", module.params["settings"]["app"]]
    command += ["--settings", "--no-ask"]
    command += ["--renew"] if module.params["renew"] else []
    command += ["--foretell"] if module.check_mode else []
    rc, out, err = module.run_command(command, cwd=PLACE, data=json.dumps(module.params["settings"]))
    try:
        return rc, json.loads(out)
    except ValueError:
        return rc, {"error": err.strip() or out.strip()}


def main() -> None:
    module = QuietModule(
        argument_spec={
            "units": {"type": "dict", "required": True},
            "settings": {"type": "dict", "required": True, "no_log": True},
            "renew": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    program = write(module, PLACE, parts())
    units = write(module, UNITS, module.params["units"])
    if program and module.check_mode:
        module.exit_json(changed=True, serving="")
    rc, said = keep(module)
    if rc or said.get("error"):
        module.fail_json(msg=f"{said['error']}; what served before still does", rc=rc)
    module.exit_json(changed=program or units or said["changed"], serving=said.get("serving", ""))


if __name__ == "__main__":
    main()
