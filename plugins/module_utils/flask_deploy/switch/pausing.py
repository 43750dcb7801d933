"""An app's processes, stopped in their order while its data is exchanged, and started again.

What is exchanged for several apps opens them once all of them answer: ``answer``, then ``resume``.
"""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files, systemd
from ansible.module_utils.flask_deploy.release import aside, containers, jobs, processes
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import unit

PAGE = "This site is being restored. Please come back in a few minutes."
RUNS = ("running", "restarting", "paused")
STOP = 900  # seconds that all processes have to end


def look(app: App) -> dict[str, Any]:
    """Return what runs: {"page": whether the maintenance page stands, "web", "workers", "timers"}."""
    serving = app.serving()
    states = engine.containers(app.name) if engine.installed() else {}
    web = app.container(serving) if serving else ""
    workers = [name for name, state in states.items() if processes.is_one(app, name) and state in RUNS]
    timers = [jobs.unit(app, job, "timer") for job in jobs.known(app)]
    page = os.path.exists(f"{app.root}/maintenance/html")
    return {"page": page, "web": web if states.get(web) in RUNS else "", "workers": workers, "timers": timers}


def stop(app: App, running: dict[str, Any], said: str = PAGE) -> None:
    """Show the maintenance page, then stop jobs, workers and the web, the last one last.

    :param said: what the page says.
    :raises EngineError: one does not end.
    """
    if running["web"] and not running["page"]:
        files.ensure_directory(f"{app.root}/maintenance")
        for name in ("json", "html"):  # the page comes last: its being there closes
            files.write(f"{app.root}/maintenance/{name}", said.encode())
    if running["timers"]:
        systemd.ask("stop", *running["timers"])
        services = [timer.replace(".timer", ".service") for timer in running["timers"]]
        systemd.ask("stop", *services, limit=jobs.STOP_PATIENCE + systemd.PATIENCE)
    if not (running["web"] or running["workers"]):
        return
    systemd.ask("stop", *unit.lasting(app), limit=unit.STOP_PATIENCE)  # they would start again what is killed
    engine.remove(*aside.here(app))
    for names in (running["workers"], [running["web"]] if running["web"] else []):
        if names:
            engine.docker("stop", *names, timeout=STOP)


def start(app: App, running: dict[str, Any], timeout: float) -> None:
    """Start what was stopped, the web first, and show the app again once it answers.

    :param timeout: seconds that the web has to answer.
    :raises NotReady: it does not.
    """
    answer(app, running, timeout)
    resume(app, running)


def answer(app: App, running: dict[str, Any], timeout: float) -> None:
    """Start the web behind its maintenance page, and see that it answers.

    :raises NotReady: it does not.
    """
    if running["web"]:
        engine.docker("start", running["web"])
        release = app.serving()
        record = app.record(release)
        containers.wait_ready(app, release, record["domain"], record["health_path"], timeout)


def resume(app: App, running: dict[str, Any]) -> None:
    """Start workers and jobs, and take the page down; what hosts claim is started by whoever has it now."""
    workers = [name for name in running["workers"] if processes.policy(app, name) != "no"]
    if workers:
        engine.docker("start", *workers)
    if running["web"] or running["workers"]:
        systemd.ask("start", *unit.lasting(app))
    if running["timers"]:
        systemd.ask("start", *running["timers"])
    if running["web"] and not running["page"] and os.path.exists(f"{app.root}/maintenance/html"):
        files.remove(f"{app.root}/maintenance/html")
