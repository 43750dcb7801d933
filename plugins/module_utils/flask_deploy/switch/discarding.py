"""What becomes of a release that does not get to serve: it goes, and why is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.flask_deploy.host import leftovers
from ansible.module_utils.flask_deploy.release import failures, images
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import progress, retire


@contextmanager
def failing(app: App, release: str, record: dict[str, Any], drain: int) -> Iterator[None]:
    """Do a step towards serving; a release that fails in it goes, unless it serves or did once.

    :param drain: seconds, see ``retire.leave``.
    """
    try:
        yield
    except Exception as error:
        discard(app, release, record, str(error), drain)
        raise


def discard(app: App, release: str, record: dict[str, Any], reason: str, drain: int) -> None:
    """Take away a release that does not get to serve; what serves stays, whatever failed.

    One that never served goes whole, with its image where no other needs it: what it was and why it failed is kept.
    """
    if release == app.serving():
        return
    if "switched" in app.state(release):
        with leftovers.Leftovers().unless_gone("why it failed", "df"):  # what failed is told all the same
            retire.leave(app, release, reason, drain)
        return
    with leftovers.Leftovers().unless_gone("why it failed", "df"):  # a full disk, perhaps: the rest makes room
        failures.remember(app, release, record, reason)
    retire.remove(app, release)


def let_go_of_image(app: App, options: dict[str, Any]) -> None:
    if options["build"]:
        images.let_go(app.name, options["build"], (options["owner"] or {}).get("id", ""))


def discarded(app: App, options: dict[str, Any], dry: bool) -> list[str]:
    """Take away what a run made ready, here or on another host, and will not let serve; return what went.

    The run holds the image no longer: where no release needs it and no other run holds it, it goes too.
    """
    release = options["release"]
    made = release in app.known() and release != app.serving() and progress.pending(app) is None
    if not dry:
        let_go_of_image(app, options)
        if made and "switched" in app.state(release):  # it may have run before, with requests in flight
            with leftovers.Leftovers().unless_gone("its container", "systemctl status docker"):
                retire.retire(app, options["drain_timeout"], options["drain_timeout"] + 10)
        elif made:
            discard(app, release, app.record(release), options["reason"], options["drain_timeout"])
        elif options["build"]:
            with leftovers.Leftovers().unless_gone("its image", "systemctl status docker"):
                retire.prune_images(app, leftovers.Leftovers())
    return [f"release {release}"] if made else []
