"""The way back from a switch: traffic first, by what needs no room on a disk; then what is told and explained of it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.host.clock import now
from ansible.module_utils.flask_deploy.release import containers, diagnosis
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import progress


class Undone:
    """What failed on a way that is gone to its end; whoever goes it says so there, and goes it again."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    @contextmanager
    def going_on(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever it is: what comes next must be done
            self.errors.append(error)

    def tell(self) -> None:
        """Raise the first error, where there was one; the others go to the journal."""
        for error in self.errors[1:]:
            traceback.print_exception(error)
        if self.errors:
            raise self.errors[0]


def lead(app: App, known: dict[str, Any]) -> None:
    """Let traffic go to the release before; one that has none before it stops serving.

    Where no link can be made any more, the one that names the release before becomes the one that serves.
    """
    target = known["from"] and f"releases/{known['from']}"
    if app.link(app.current) == target:
        return
    if target is None:
        files.remove(app.current)
        return
    try:
        files.link(app.current, target)
    except OSError:
        if app.link(app.previous) != target:
            raise
        os.rename(app.previous, app.current)
        files.sync(app.root)


def turn(app: App, known: dict[str, Any], undone: Undone) -> None:
    """Let links, markers and states say that the release before serves; that takes no engine and no nginx."""
    old, new = known["from"], known["to"]
    with undone.going_on():
        lead(app, known)
    if old:
        with undone.going_on():
            app.mark_draining(old, False)
    with undone.going_on():
        if known["before"]:
            files.link(app.previous, known["before"])
        elif os.path.lexists(app.previous):
            files.remove(app.previous)
    if os.path.isdir(app.path(new)):  # or somebody has removed it: nobody deploys that again
        with undone.going_on():
            app.set_state(new, "rejected" if known["reject"] else "reverted", reason=known["reason"])
        with undone.going_on():
            app.mark_draining(new, True)
    if old:
        with undone.going_on():
            again = {"switched": os.lstat(app.current).st_mtime, "order": app.next_order(), "moved": now()}
            app.set_state(old, "live", reason=None, **again)


def explain(app: App, known: dict[str, Any]) -> None:
    """Keep why a container of the release that was left did not stay up, as far as that can be told."""
    try:
        if said := _why(app, known["to"], known["ailing"]):
            progress.explain(app, known, said)
    except Exception:  # it has gone back: nobody waits for this
        traceback.print_exc()


def _why(app: App, release: str, name: str | None) -> str | None:
    if name is None:
        return None
    found = engine.inspect("container", name)
    if name == app.container(release):
        if found and found["State"]["Running"] and not found["RestartCount"]:
            return None
        return str(containers.not_ready(app, release, containers.how_it_ended(found)))
    reason = f"process {name.removeprefix(f'{app.container(release)}-')}: {containers.how_it_ended(found)}"
    return diagnosis.diagnose(release, reason, engine.logs(name, containers.LINES), diagnosis.about(app, release))
