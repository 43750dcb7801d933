#!/usr/bin/python
"""Keep a host measured: the program that measures, what it is to do for an app, exporters, and nginx's own figures."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files, fragment, nginx, systemd, timed, told
from ansible.module_utils.flask_deploy.host import condition as _condition  # noqa: F401 - to be carried to the host
from ansible.module_utils.flask_deploy.host import program as programs
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import failures as _failures  # noqa: F401 - as the one above
from ansible.module_utils.flask_deploy.release import jobs as _jobs  # noqa: F401 - as the one above
from ansible.module_utils.flask_deploy.release import processes as _processes  # noqa: F401 - as the one above
from ansible.module_utils.flask_deploy.switch import log as _log  # noqa: F401 - as the one above

DOCUMENTATION = r"""
module: metrics_setup
short_description: Keep a host measured for Prometheus
description:
  - Writes the program that measures, its settings for one app, and units of their own for it and two exporters.
  - An exporter that somebody else runs is left alone. nginx's figures are for the host itself alone.
options:
  program: {type: dict, required: true, description: Content of each file of the program, by its name.}
  settings: {type: dict, required: true, description: "What is told of the app, see vars of role metrics."}
  address: {type: str, required: true, description: Where exporters listen.}
  port: {type: int, required: true, description: "The first of three ports: node exporter, nginx exporter, nginx."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Keep the host measured
  metrics_setup:
    program: {__main__.py: "{{ lookup('ansible.builtin.file', 'keep_metrics/__main__.py') }}"}
    settings: {app: shop, domain: shop.example.com, certificate: shop, backup: false}
    address: 10.0.0.5
    port: 9180
"""

RETURN = r"""
files: {type: list, returned: success, description: What was, or would be, written or started.}
"""

ETC = "/etc/flask-deploy/metrics"
WORK = "/var/lib/flask-deploy/metrics"
UNITS = "/etc/systemd/system"
CALL = f"{timed.PLACE}/metrics"
SERVICE, TIMER = "flask-deploy-metrics.service", "flask-deploy-metrics.timer"
NODE, NGINX = "flask-deploy-metrics-node.service", "flask-deploy-metrics-nginx.service"
RUNNING = (NODE, NGINX, TIMER)
STATUS = "conf.d/flask_deploy_metrics.conf"  # below nginx's directory; no app's name has a _
PATIENCE = 15  # seconds in which an exporter answers
FIRST = 90  # seconds for the first look; systemd ends it before
PARTS = {
    "host": (
        "brought clock command condition debian engine files locks networks nginx process systemd timed told untrusted"
    ),
    "release": (
        "advice advice_code advice_flask advice_image advice_imports advice_services advice_settings containers "
        "diagnosis failures inside jobs logged needed placed places processes record secrets tracebacks writable"
    ),
    "switch": "log",
}
LAUNCHER = f"""\
#!/usr/bin/python3 -I
# Managed by Ansible: flask-deploy
import sys

sys.path.insert(0, "{timed.PLACE}")
sys.dont_write_bytecode = True
from keep_metrics.__main__ import main

sys.exit(main())
"""
HEAD = "# Managed by Ansible: flask-deploy\n[Unit]\nDescription={said}\n"
MEASURE = f"""\
{HEAD.format(said="Measure this host and its apps")}
[Service]
Type=oneshot
ExecStart={CALL} write
TimeoutStartSec=55
# What serves comes first.
Nice=19
CPUWeight=20
"""
EVERY = f"""\
{HEAD.format(said="Measure this host and its apps once a minute")}
[Timer]
OnCalendar=minutely
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
# No mount of its own, or node exporter would see others than the host has.
EXPORTER = """\
After=network-online.target nginx.service
Wants=network-online.target

[Service]
User=prometheus
ExecStart={words}
Restart=always
RestartSec=5
NoNewPrivileges=yes
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
"""
# Names of Docker's interfaces are others after each deploy.
NODE_WORDS = (
    "/usr/bin/prometheus-node-exporter --web.listen-address={at} --collector.textfile.directory={work}/textfile"
    " --collector.netdev.device-exclude=^(veth|br-).* --collector.netclass.ignored-devices=^(veth|br-).*"
)
NGINX_WORDS = "/usr/bin/prometheus-nginx-exporter --web.listen-address={at} --nginx.scrape-uri=http://127.0.0.1:{status}/stub_status"
SITE = """\
# Managed by Ansible: flask-deploy. nginx's own figures, for this host alone.
server {{
    listen 127.0.0.1:{port};
    access_log off;
    location = /stub_status {{ stub_status; }}
    location / {{ return 404; }}
}}
"""


class Refused(Exception):
    """A host cannot be measured so; the message says why."""


def sources(sent: dict[str, str]) -> dict[str, str]:
    """Return {path below the program's place: text} of all that it is made of, what it imports first."""
    return programs.sources(PARTS) | {f"keep_metrics/{name}": text for name, text in sent.items()}


def units(address: str, port: int) -> dict[str, bytes]:
    """Return {path: text} of the units that measure and that listen."""
    at = {"at": shown(address, port), "work": WORK}
    words = {NODE: NODE_WORDS.format(**at), NGINX: NGINX_WORDS.format(at=shown(address, port + 1), status=port + 2)}
    head = HEAD.format(said="Metrics for Prometheus")
    texts = {name: head + EXPORTER.format(words=words[name]) for name in words}
    texts |= {SERVICE: MEASURE, TIMER: EVERY}
    return {f"{UNITS}/{name}": text.encode() for name, text in texts.items()}


def shown(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def ensure_status(port: int, dry: bool) -> list[str]:
    """Let nginx tell its figures; one that refuses that keeps what it had.

    :raises SiteError: with nginx's words.
    """
    return fragment.ensure("metrics.nginx", f"{nginx.CONF}/{STATUS}", SITE.format(port=port).encode(), dry)


def asleep() -> list[str]:
    """Return which units are not up, or would not be after a boot."""
    lines = [systemd.ask(verb, *RUNNING).split() for verb in ("is-active", "is-enabled")]
    good = zip(*([*line, *[""] * len(RUNNING)] for line in lines), strict=False)
    return [unit for unit, states in zip(RUNNING, good, strict=False) if states != ("active", "enabled")]


def ensure(settings: dict[str, Any], sent: dict[str, str], address: str, port: int, dry: bool) -> list[str]:
    """Keep everything as it should be; return what was, or would be, written and started.

    :raises Refused, SiteError: the address is not this host's, a port is taken, or nginx refuses.
    """
    parts = {f"{timed.PLACE}/{path}": text.encode() for path, text in sources(sent).items()}
    changed = timed.ensure(parts, 0o644, dry) + timed.ensure({CALL: LAUNCHER.encode()}, 0o755, dry)
    if not dry:
        files.ensure_directory(ETC, 0o700)
        files.ensure_directory(WORK)
        files.ensure_directory(f"{WORK}/textfile")
    changed += timed.ensure({f"{ETC}/{settings['app']}.json": files.canonical(settings) + b"\n"}, 0o600, dry)
    changed += ensure_status(port + 2, dry)
    wanted = units(address, port)
    taken = timed.ensure(wanted, 0o644, dry)
    if not dry:
        told.tell("metrics", wanted, bool(taken), ("daemon-reload",), ("try-restart", *RUNNING))
    late = asleep()
    if late and not dry:
        systemd.ask("enable", "--now", *late)
    if (changed or taken or late) and not dry:
        words = ("systemctl", "start", SERVICE)
        command.run(*words, error=Refused, limit=FIRST, called="the host cannot be measured")
        for at, unit in ((port, NODE), (port + 1, NGINX)):
            await_answer(address, at, unit)
    return changed + taken + late


def await_answer(address: str, port: int, unit: str) -> None:
    """Wait until an exporter listens.

    :raises Refused: it does not.
    """
    end = time.monotonic() + PATIENCE
    while (code := _ask(address, port)) and time.monotonic() < end:
        time.sleep(0.3)
    if code:
        look = f"type there: sudo journalctl -n 20 -u {unit}"
        raise Refused(f"nothing listens on {shown(address, port)}: {os.strerror(code)}; {look}")


def _ask(address: str, port: int) -> int:
    """Return 0 where something listens, or else what kept from it (errno(3))."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as connection:
        connection.settimeout(2)
        return connection.connect_ex((address, port))


def main() -> None:
    module = QuietModule(
        argument_spec={
            **{name: {"type": "dict", "required": True} for name in ("program", "settings")},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        words = (options[name] for name in ("settings", "program", "address", "port"))
        written = ensure(*words, dry=module.check_mode)
    except (Refused, nginx.SiteError, systemd.UnitError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(written), files=written)


if __name__ == "__main__":
    main()
