"""What each restore has: its options, the app's lock, the app away while data is exchanged, and the report."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, systemd
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import containers, places
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.module_utils.flask_deploy.switch import pausing as pause
from ansible.module_utils.restore_asking import Refused
from ansible.module_utils.restore_swap import SwapError

OPTIONS = {
    "app": {"type": "str", "required": True},
    "uid": {"type": "int", "default": 10001},
    "over": {"type": "str", "default": ""},
    "server": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 60},
    "owner": {"type": "dict"},
}
ERRORS = (
    *(Refused, SwapError, OSError, engine.EngineError, systemd.UnitError, containers.NotReady),
    *(places.ReleaseError, leases.LeaseError),
)
Restore = Callable[[places.App, dict[str, Any], bool], list[str]]
Lock = Callable[[str], AbstractContextManager[Any]]


def run(
    own: dict[str, Any], restore: Restore, lock: Callable[[str], AbstractContextManager[Any]] = nullcontext
) -> None:
    """Be a module of Ansible that restores.

    :param own: its options beside those that each restore has.
    :param restore: gets the app, the options and whether this is a dry run; returns lines for people.
    :param lock: held all the while; gets the app's name.
    """
    module = QuietModule(argument_spec={**OPTIONS, **own}, supports_check_mode=True)
    options, dry = module.params, module.check_mode
    app = places.App(options["app"], options["uid"])
    try:
        with lock(app.name):
            if dry or not options["owner"]:
                lines = restore(app, options, dry)
            else:
                lease = leases.Lease(app.name, options["owner"])
                with lease.held():
                    lines = restore(app, options, dry)
                lease.release()
    except ERRORS as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=not dry, lines=lines)


def away(
    app: places.App,
    running: dict[str, Any],
    timeout: float,
    exchange: Callable[[], object],
    put_back: Callable[[places.App, float], object],
    what: str,
) -> float:
    """Exchange data while the app's processes rest; return for how many seconds.

    If anything fails, what was there is put back and started again.

    :param what: is exchanged, such as "the backup".
    :raises Refused: it does not serve here.
    """
    began = time.monotonic()
    try:
        pause.stop(app, running)
        exchange()
        pause.start(app, running, timeout)
    except BaseException as error:
        put_back(app, timeout)
        if isinstance(error, ERRORS):
            raise Refused(f"{error}\n  all is as it was before: {what} does not serve here") from error
        raise
    return time.monotonic() - began


def again(app: places.App, paused: dict[str, Any], timeout: float, undo: Callable[[], object]) -> None:
    """Undo an exchange that a run left half-way, and start again what it had stopped."""
    if app.serving() and paused["web"]:
        engine.docker("stop", paused["web"], *paused["workers"], timeout=pause.STOP)
    undo()
    pause.start(app, paused, timeout)
