"""How processes beside the web change over: those of the release that serves stay up, those of others finish."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.flask_deploy.host import engine
from ansible.module_utils.flask_deploy.host.leftovers import Leftovers
from ansible.module_utils.flask_deploy.release import containers, processes
from ansible.module_utils.flask_deploy.release.places import App

STAYS_UP = 5  # seconds that a process is looked at
LOOK = 0.5  # seconds between two looks
RUNS = ("running", "restarting", "paused")
LOOK_AT = "what keeps it: sudo docker inspect {}; sudo journalctl -u docker"
KILLED = "{} did not end within its stop_timeout and was killed: raise it in app_processes, or let it end sooner"


class Ended(containers.NotReady):
    """A process did not stay up; what it said is asked for when traffic is where it stays.

    :ivar name: its container.
    """

    def __init__(self, reason: str, name: str) -> None:
        super().__init__(reason)
        self.name = name


def be_first(app: App, first: bool, shares: bool) -> list[str]:
    """Let this host be the one of processes that run once, or be it no longer: then its own end here and now.

    All hosts do this in one step and start such processes in a later one, so that the next one waits for this.

    :param shares: whether hosts claim them in a database that they share.
    :return: what was done.
    :raises NotReady: one does not end.
    """
    changed = [app.mark_first(first), app.mark_shared(shares)]
    done = settle(app) if any(changed) and not app.has_alone() else []
    left = {} if app.has_alone() else compare(app)[1]
    for name in (name for name, state in left.items() if state in RUNS and processes.runs_once(app, name)):
        raise containers.NotReady(f"{name} does not end, so no other host may start it; {LOOK_AT.format(name)}")
    return done


def try_out(app: App, release: str) -> dict[str, Any]:
    """Start the processes of a release; each must stay up for some seconds.

    They restart by nobody: one that ends has ended, and a host that ends forgets them. What must not run beside them
    has ended before.

    :return: {"stopped", "stays"}, see ``change_over``.
    :raises NotReady: one does not start; Ended: one does not stay up.
    """
    wanted, left = processes.names(app, release), Leftovers()
    try:
        here = processes.here(app)
        missing = {name: words for name, words in wanted.items() if here.get(name) not in RUNS}
        stopped, others = _make_way(app, missing, here, left)
        for name in missing:
            _refuse_second(app, name, others)
        processes.start(app, missing)
    except engine.EngineError as error:
        engine.containers(app.name)  # where the engine is away, who asks waits for it
        raise containers.NotReady(f"a process of release {release} does not start: {error}") from error
    end = time.monotonic() + STAYS_UP
    while True:
        found = engine.inspect_all("container", wanted)
        for name in wanted:
            if name not in found or not found[name]["State"]["Running"]:
                ended = containers.how_it_ended(found.get(name))
                raise Ended(f"process {_short(app, release, name)}: {ended}", name)
        if time.monotonic() >= end:
            return {"stopped": stopped, "stays": left.lines}
        time.sleep(LOOK)


def _short(app: App, release: str, name: str) -> str:
    return name.removeprefix(f"{app.container(release)}-")


def change_over(app: App) -> dict[str, Any]:
    """Let the processes of the release that serves run for good, and tell all others to finish.

    Done twice it does nothing more. What does not start or end is said, as traffic has moved already.

    :return: {"started", "restarts": containers, "stopped": [{"container", "cut", "seconds"}], "stays": lines}.
    """
    wanted, others, missing = compare(app)
    left = Leftovers()
    before, others = _make_way(app, missing, others, left)
    started = [name for name in missing if _starts(app, name, wanted[name], others, left)]
    policies = {**dict.fromkeys(others, "no"), **{name: processes.policy(app, name) for name in wanted}}
    restarts = engine.set_restarts(policies) if policies else []
    changed = [name for name in restarts if name not in (*started, *others)]
    stopped = before + _end(app, others, left)
    return {"started": started, "restarts": changed, "stopped": stopped, "stays": left.lines}


def compare(app: App) -> tuple[dict[str, list[str]], dict[str, str], list[str]]:
    """Return (what is to run, see processes.names; {container: state} of all else; what is to run and does not)."""
    here, wanted = processes.here(app), processes.names(app, app.serving())
    others = {name: state for name, state in here.items() if name not in wanted}
    return wanted, others, [name for name in wanted if here.get(name) not in RUNS]


def settle(app: App, dry: bool = False) -> list[str]:
    """Put right what a killed run, or somebody, left of the processes; return what was, or would be, put right."""
    if dry:
        _wanted, others, missing = compare(app)
        return [*(f"container {name}" for name in missing), *(f"stopped {name}" for name in others)]
    done = change_over(app)
    gone = [each["container"] for each in done["stopped"]]
    told = {"container {}": done["started"], "the restart policy of {}": done["restarts"], "stopped {}": gone}
    return [said.format(name) for said, names in told.items() for name in names]


def _make_way(
    app: App, starting: Iterable[str], others: dict[str, str], left: Leftovers
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """End what must not run beside processes that are to start; return (what was ended, which of the others are left).

    :param others: {container: state}.
    """
    rivals = processes.rivals(app, starting, others)
    stopped = _end(app, {name: others[name] for name in rivals}, left) if rivals else []
    here = processes.here(app) if rivals else others
    return stopped, {name: here[name] for name in others if name in here}


def _refuse_second(app: App, name: str, others: dict[str, str]) -> None:
    for rival in processes.rivals(app, [name], others):
        if others[rival] in RUNS:
            raise engine.EngineError(
                f"{rival} does not end, and {name} must not run beside it; {LOOK_AT.format(rival)}"
            )


def _starts(app: App, name: str, arguments: list[str], others: dict[str, str], left: Leftovers) -> bool:
    try:
        _refuse_second(app, name, others)
        processes.start(app, {name: arguments})
    except engine.EngineError as error:
        engine.containers(app.name)  # where the engine is away, who asks waits for it
        left.lines.append(f"{name} does not start: {' '.join(str(error).split())}; {left.again}")
        return False
    return True


def _end(app: App, names: dict[str, str], left: Leftovers) -> list[dict[str, Any]]:
    """Tell processes to finish, all at once and each within its own time; return those that are gone then.

    :param names: {container: state}.
    """
    began, running = time.monotonic(), [name for name, state in names.items() if state in RUNS]
    if running:
        with left.unless_gone(f"container {running[0]}", f"sudo docker inspect {running[0]}"), engine.perhaps_gone():
            limit = processes.stop_time(app, *app.known()) + engine.QUERY
            engine.docker("stop", *running, timeout=limit)  # without -t: each has its own --stop-timeout
    found = engine.inspect_all("container", names)  # where the engine is away, who asks waits for it
    ended = [name for name in names if name not in found or not found[name]["State"]["Running"]]
    left.lines += [KILLED.format(name) for name in ended if name in running and _was_killed(found.get(name))]
    gone = [name for name in ended if left.remove_container(name)]
    seconds = round(time.monotonic() - began, 1)
    return [{"container": name, "cut": 0, "seconds": seconds} for name in gone if name in running]


def _was_killed(found: dict[str, Any] | None) -> bool:
    return bool(found) and found["State"]["ExitCode"] == 137 and not found["State"].get("OOMKilled")
