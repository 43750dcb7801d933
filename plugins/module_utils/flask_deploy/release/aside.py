"""What runs for a while beside what serves: one-off commands, shells and jobs, each in a container of its own.

No deploy ends them, and the release that they run stays for as long as they do.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any, NoReturn

from ansible.module_utils.flask_deploy.host import command as commands
from ansible.module_utils.flask_deploy.host import engine, networks, process
from ansible.module_utils.flask_deploy.host.process import Done
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError

LABEL = "flask-deploy.aside"  # what it is: "run", or a job's
WAITS = "flask-deploy.waits"  # who waits for its end: a process, and when that began
FORM = "\t".join(["{{.Names}}", *(f'{{{{.Label "{label}"}}}}' for label in (LABEL, "flask-deploy.release", WAITS))])
RUN = "run"
SHOWN = 1 << 20  # bytes of what a command prints that people see
NONE = "{}: no release serves here yet; deploy one: ansible-playbook site.yml -i inventories/..."
SHELL = ("sh", "-c", "command -v bash > /dev/null && exec bash; exec sh")


def release_of(app: App) -> str:
    """Return the id of the release that serves.

    :raises ReleaseError: none does.
    """
    release = app.serving()
    if release is None:
        raise ReleaseError(NONE.format(app.name))
    return release


def arguments(app: App, release: str, what: str, words: list[str], memory: str = "", typed: str = "") -> list[str]:
    """Return docker's arguments for a command on a release's code, with what its processes have and may do.

    :param what: see LABEL.
    :param memory: its limit, where that is not the release's.
    :param typed: docker's options for what is typed: "-i", and "-t" for a terminal.
    """
    record = app.record(release)
    record |= {"container": {**record["container"], "memory": memory or record["container"]["memory"]}}
    labels = {"flask-deploy.app": app.name, "flask-deploy.release": release, LABEL: what, WAITS: _me()}
    return [
        *("run", "--name", f"{app.container(release)}-{what}-{os.getpid()}", "--rm", *typed.split()),
        *(word for name, value in labels.items() for word in ("--label", f"{name}={value}")),
        *("--network", networks.ensure(app.name)),
        *_unlogged(containers.places(app, release, record)),
        *("--log-driver", "none", "--no-healthcheck"),  # whoever waits for it has what it prints
        *("--entrypoint", "python3", record["image"], "/release/exec.py", *words),
    ]


def _unlogged(words: list[str]) -> list[str]:
    """Return docker's arguments without where a log goes: it refuses options of a log where there is none."""
    options = ("--log-driver", "--log-opt")
    return [w for before, w in zip(["", *words], words, strict=False) if w not in options and before not in options]


def _me() -> str:
    return f"{os.getpid()}:{process.started(os.getpid())}"


def run(app: App, release: str, words: list[str], timeout: float) -> Done:
    """Run a command once; return what came of it, with both streams together, and of much the beginning and the end.

    :param timeout: seconds, after which it is ended.
    """
    sweep(app)
    made_with = arguments(app, release, RUN, words)
    try:
        return commands.attempt("docker", *made_with, limit=timeout, together=True, most=SHOWN)
    finally:
        engine.remove(made_with[2])


def become(app: App, release: str, what: str, words: list[str], **options: str) -> NoReturn:
    """Become docker's client that runs a command: it ends as the command does, and passes signals on to it."""
    sweep(app, what if what != RUN else "")
    sys.stdout.flush()
    os.execvp("docker", ["docker", *arguments(app, release, what, words, **options)])  # noqa: S606


def by_hand(app: App, words: list[str]) -> NoReturn:
    """Run what somebody typed on the host, or a shell: at a terminal as there, and else with what is piped into it."""
    typed = "-i -t" if sys.stdin.isatty() and sys.stdout.isatty() else "-i"
    become(app, release_of(app), RUN, words or list(SHELL), typed=typed)


def split(command: str) -> list[str]:
    """Return the words of a command as a shell would split them; no shell runs.

    :raises ReleaseError: it has none, or a quote without its end.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ReleaseError(f"{command!r} is no command ({error}); example: flask create-admin") from error
    if not words:
        raise ReleaseError("there is no command to run; example: flask create-admin")
    return words


def here(app: App) -> dict[str, dict[str, Any]]:
    """Return {container: {"what", "release", "waited": whether somebody waits for its end}}, running or not."""
    listed = engine.docker(
        *("ps", "-a", "--filter", f"label=flask-deploy.app={app.name}", "--filter", f"label={LABEL}"),
        *("--format", FORM),
        timeout=engine.QUERY,
    )
    rows = [line.split("\t") for line in listed.splitlines()]
    return {
        name: {"what": what, "release": release, "waited": _lives(waits)}
        for name, what, release, waits in rows
        if what and name.startswith(f"{app.container(release)}-{what}-")
    }


def _lives(waits: str) -> bool:
    pid, _, began = waits.partition(":")
    return pid.isdigit() and str(process.started(int(pid))) == began


def held(app: App) -> set[str]:
    """Return the releases whose code runs beside what serves."""
    return {each["release"] for each in here(app).values() if each["waited"]}


def sweep(app: App, what: str = "") -> list[str]:
    """End what nobody waits for any more, as its run or its host was killed; return the containers.

    :param what: all of this kind go too.
    """
    left = [name for name, each in here(app).items() if not each["waited"] or (what and each["what"] == what)]
    engine.remove(*left)
    return left
