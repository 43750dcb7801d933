"""The systemd units of an app: one carries out a switch, two settle it at a boot, one keeps the serving release up."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager

from ansible.module_utils.flask_deploy.host import command, files, program, systemd, told
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import holder as _holder  # noqa: F401 - to be carried to the host
from ansible.module_utils.flask_deploy.switch import keeper as _keeper  # noqa: F401
from ansible.module_utils.flask_deploy.switch import lease as leases

STOP_PATIENCE = 120  # seconds; longer than systemd itself gives a unit to stop (systemd-system.conf(5))
PARTS = {
    "host": (
        "brought clock command debian engine files leftovers locks networks nginx process program systemd told "
        "untrusted"
    ),
    "release": (
        "advice advice_code advice_flask advice_image advice_imports advice_services advice_settings aside "
        "claims containers diagnosis images inside logged needed placed places processes record secrets tracebacks "
        "writable"
    ),
    "switch": "back holder keeper lease log progress retire settling switch tally unit watch workers",
}
BROKEN = 78  # of a program that cannot run here however often it is started: EX_CONFIG of sysexits.h
MAIN = f"""\
import sys
try:
    from ansible.module_utils.flask_deploy.release.places import App
    from ansible.module_utils.flask_deploy.switch import holder, keeper, settling, switch
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit({BROKEN})
does = {{"": switch.carry_out, "keep": keeper.keep, "hold": holder.hold}}
does |= {{"decide": settling.settle_links, "settle": settling.settle_at_boot}}
does["".join(sys.argv[3:])](App(sys.argv[1], int(sys.argv[2])))
"""
HEAD = """\
# Managed by Ansible: flask-deploy
[Unit]
Description={said}
StartLimitIntervalSec=0
"""
RUN = "ExecStart=/usr/bin/python3 -I {app.program} {app.name} {app.uid} "
INSTALL = "\n[Install]\nWantedBy=multi-user.target\n"
UNITS = {
    # nginx and the engine start whether or not this one ends well, and wait no longer than that.
    "decide": (
        "Decide a switch of {app.name} that the end of this host cut off",
        """\
ConditionPathExists={app.pending}
RequiresMountsFor={app.root}
Before=docker.service nginx.service

[Service]
Type=oneshot
TimeoutStartSec=20
""",
    ),
    "settle": (
        "Settle a switch of {app.name} that the end of this host cut off",
        """\
ConditionPathExists={app.pending}
Wants=docker.service nginx.service
After=docker.service nginx.service

[Service]
Type=oneshot
Restart=on-failure
RestartPreventExitStatus=78
RestartSec=2
""",
    ),
    "keep": (
        "Start the serving release of {app.name} again when it was killed",
        """\
After=docker.service flask-deploy-settle@{app.name}.service

[Service]
Restart=always
RestartPreventExitStatus=78
RestartSec=2
""",
    ),
    "hold": (
        "Run what one host of {app.name} runs while it has the claim",
        """Wants=network-online.target
After=docker.service network-online.target flask-deploy-settle@{app.name}.service

[Service]
Restart=always
RestartPreventExitStatus=78
RestartSec=2
""",
    ),
}


def name(app: App) -> str:
    return f"flask-deploy-{app.name}.service"


def code() -> bytes:
    """Return what outlives the controller as a program in one file (zipapp), equal for equal code."""
    return program.packed(MAIN, PARTS)


def start(app: App) -> None:
    """Start the unit; should it be killed, systemd starts it again and it goes on from where it was.

    :raises UnitError: systemd refuses.
    """
    ensure(app)
    command.run(
        *("systemd-run", "--quiet", "--collect", f"--unit={name(app)}"),
        f"--description=Switch {app.name} to another release",
        *("--property=Restart=on-failure", "--property=RestartSec=1", "--property=Type=exec"),
        f"--property=RestartPreventExitStatus={BROKEN}",
        "--property=StartLimitIntervalSec=0",  # it may find no engine for as long as that is upgraded
        *("python3", "-I", app.program, app.name, str(app.uid)),
        error=systemd.UnitError,
        limit=systemd.PATIENCE,
        called="the switch does not start",
    )


def paths(app: App, all_kinds: bool = False) -> tuple[dict[str, str], dict[str, str]]:
    """Return {path: text} of the units that stay on the host, and {path: target} of the links that start them.

    :param all_kinds: also of what this host does not have, as it claims nothing.
    """
    texts, links = {}, {}
    for kind, (said, body) in UNITS.items():
        if kind == "hold" and not (all_kinds or app.shares()):
            continue
        unit = f"flask-deploy-{kind}@{app.name}.service"
        text = HEAD.replace("{said}", said) + body + RUN + kind + "\n" + INSTALL
        texts[f"{app.systemd}/{unit}"] = text.format(app=app)
        links[f"{app.systemd}/multi-user.target.wants/{unit}"] = f"{app.systemd}/{unit}"
    return texts, links


def ensure(app: App) -> list[str]:
    """Keep the units of a boot and of the keeper as they should be; return the files that changed."""
    texts, links = paths(app)
    wanted = {app.program: code(), **{path: text.encode() for path, text in texts.items()}}
    for path in links:
        files.ensure_directory(os.path.dirname(path))
    changed = [path for path, content in wanted.items() if files.ensure_file(path, content)]
    for path, target in links.items():
        if app.link(path) != target:
            files.link(path, target)
            changed.append(path)
    if os.path.lexists(f"{app.systemd}/{_holds(app)}") and not app.shares():
        systemd.ask("stop", _holds(app), limit=STOP_PATIENCE)
        changed += [path for path in paths(app, all_kinds=True)[0] if path not in texts]
        _unlink(path for kind in paths(app, all_kinds=True) for path in kind if path not in (*texts, *links))
    if not told.tell(f"{app.name}.units", wanted, bool(changed), ("daemon-reload",), ("restart", *lasting(app))):
        # Whoever stopped one, or it could not run: nothing else starts it but a boot.
        systemd.ask("start", *lasting(app))
    return changed


def _unlink(paths: Iterable[str]) -> None:
    for path in filter(os.path.lexists, paths):
        os.unlink(path)


def _holds(app: App) -> str:
    return f"flask-deploy-hold@{app.name}.service"


def lasting(app: App) -> list[str]:
    """Return the units that run all the time: the keeper, and what holds a claim where hosts share a database."""
    return [f"flask-deploy-keep@{app.name}.service", *([_holds(app)] if app.shares() else [])]


def disable(app: App) -> None:
    """Stop what keeps the app up, and let no boot begin anything."""
    systemd.ask("stop", *lasting(app), limit=STOP_PATIENCE)
    texts, links = paths(app, all_kinds=True)
    _unlink([*links, *texts])


def word(app: App) -> AbstractContextManager[None]:
    """Say a word to a switch, or take it, while nobody else does."""
    return leases.lock(f"{app.name}.word")


def active(app: App) -> bool:
    """Tell whether the unit runs, or waits to be started again."""
    said = systemd.ask("show", "--property=ActiveState", "--value", name(app))
    return said.strip() in ("active", "activating", "deactivating", "reloading")


def wait_for_end(app: App, limit: float) -> None:
    """Wait until the unit has ended. It is not stopped: it may be at what was promised, such as a drain.

    :raises UnitError: that took more than ``limit`` seconds.
    """
    end = time.monotonic() + limit
    while active(app):
        if time.monotonic() > end:
            look = f"look at: sudo journalctl -u {name(app)}; to end it: sudo systemctl stop {name(app)}"
            raise systemd.UnitError(f"the switch did not end within {limit} s; {look}")
        time.sleep(0.1)
