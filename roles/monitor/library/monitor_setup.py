#!/usr/bin/python
"""Keep the watch on a host going: its program, what it is to do for an app, and monit, which runs it."""

from __future__ import annotations

import os
import re
import tempfile
from typing import Any

from ansible.module_utils import monitor_conf as conf
from ansible.module_utils.flask_deploy.host import command, files, timed, told
from ansible.module_utils.flask_deploy.host import program as programs
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import jobs as _jobs  # noqa: F401 - as the one above
from ansible.module_utils.flask_deploy.release import processes as _processes  # noqa: F401 - as the one above
from ansible.module_utils.flask_deploy.switch import tally as _tally  # noqa: F401 - as the one above

DOCUMENTATION = r"""
module: monitor_setup
short_description: Keep the watch on a host going
description:
  - Writes the program that looks and tells, its settings for one app, and the configuration and the unit of monit.
  - monit tests its configuration before it is put in place.
options:
  program: {type: dict, required: true, description: Content of each file of the program, by its name.}
  settings: {type: dict, required: true, description: "What is told of the app, see vars of role monitor."}
  secrets: {type: dict, required: true, description: Addresses; who knows one can write to it.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Keep the watch
  monitor_setup:
    program: {__main__.py: "{{ lookup('ansible.builtin.file', 'keep_watch/__main__.py') }}"}
    settings: {app: shop, host: web1, domain: shop.example.com, mail: [], limit: 20}
    secrets: {webhooks: {}, smtp: "", ping: ""}
"""

RETURN = r"""
files: {type: list, returned: success, description: What was, or would be, written.}
"""

UNIT = "flask-deploy-monitor.service"
UNITS = "/etc/systemd/system"
LIMIT = 60  # seconds that monit has to test its configuration
PARTS = {
    "host": "brought clock command condition debian engine files locks networks nginx process systemd untrusted",
    "release": (
        "advice advice_code advice_flask advice_image advice_imports advice_services advice_settings containers "
        "diagnosis inside jobs logged needed placed places processes record secrets tracebacks writable"
    ),
    "switch": "log tally",
}
LAUNCHER = f"""\
#!/usr/bin/python3 -I
# Managed by Ansible: flask-deploy
import sys

sys.path.insert(0, "{timed.PLACE}")
from keep_watch.__main__ import main

sys.exit(main())
"""
SERVICE = f"""\
# Managed by Ansible: flask-deploy
[Unit]
Description=Watch this host and its apps
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=/usr/bin/monit -I -c {conf.ETC}/monitrc
Restart=always
RestartSec=5
# What it runs may hang; all that they write is whole at any time.
TimeoutStopSec=20
UMask=0077

[Install]
WantedBy=multi-user.target
"""


class Refused(Exception):
    """monit does not take its configuration; the message has its words."""


def sources(sent: dict[str, str]) -> dict[str, str]:
    """Return {path below the program's place: text} of all that it is made of, what it imports first."""
    return programs.sources(PARTS) | {f"keep_watch/{name}": text for name, text in sent.items()}


def judge(texts: dict[str, bytes]) -> None:
    """Let monit test its configuration.

    :raises Refused: with monit's words.
    """
    with tempfile.TemporaryDirectory(prefix="flask-deploy-monitor-") as stage:
        for path, text in texts.items():
            files.write(f"{stage}/{os.path.basename(path)}", text.replace(conf.ETC.encode(), stage.encode()), 0o600)
        done = command.attempt("monit", "-t", "-c", f"{stage}/monitrc", limit=LIMIT)
    said = " ".join([done.out.decode(errors="replace"), done.said]).strip()
    if done.code:
        raise Refused(f"monit refuses its configuration: {said.replace(stage, conf.ETC)}")


def ensure(settings: dict[str, Any], sent: dict[str, str], dry: bool) -> list[str]:
    """Keep everything as it should be; return what was, or would be, written.

    :raises Refused: monit does not take its configuration; the one before stays.
    """
    app = settings["app"]
    texts = {"monitrc": conf.of_monit(), "host.monit": conf.of_host(conf.mounts())}
    texts[f"{app}.monit"] = conf.of_app(settings)
    wanted = {f"{conf.ETC}/{name}": text.encode() for name, text in texts.items()}
    parts = {f"{timed.PLACE}/{path}": text.encode() for path, text in sources(sent).items()}
    changed = timed.ensure(parts, 0o644, dry) + timed.ensure({conf.CALL: LAUNCHER.encode()}, 0o755, dry)
    if not dry:
        for folder in (conf.ETC, conf.WORK, f"{conf.WORK}/found"):
            files.ensure_directory(folder, 0o700)
        for key in re.findall(r'^check file "(.+?)"', "".join(texts.values()), re.MULTILINE):
            open(f"{conf.WORK}/found/{key}", "ab").close()  # monit wants them there
        judge(wanted)
    changed += timed.ensure({f"{conf.ETC}/{app}.json": files.canonical(settings) + b"\n"}, 0o400, dry)
    unit = {f"{UNITS}/{UNIT}": SERVICE.encode()}
    taken = timed.ensure(wanted, 0o600, dry) + timed.ensure(unit, 0o644, dry)
    if not dry:
        told.tell(f"{app}.monitor", wanted | unit, bool(taken), ("daemon-reload",), ("try-restart", UNIT))
    return changed + taken


def main() -> None:
    module = QuietModule(
        argument_spec={
            **{name: {"type": "dict", "required": True} for name in ("program", "settings")},
            "secrets": {"type": "dict", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        settings = {**module.params["settings"], **module.params["secrets"]}
        written = ensure(settings, module.params["program"], module.check_mode)
    except Refused as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(written), files=written)


if __name__ == "__main__":
    main()
