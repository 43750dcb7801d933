"""Jobs of an app: what the release that serves says of them, and the timers of systemd that start them."""

from __future__ import annotations

import calendar
import os
import re
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files, systemd
from ansible.module_utils.flask_deploy.release.places import App

FILE = "jobs.json"  # in a release's directory: app_jobs as the inventory had it
DEFAULTS = {"memory": "", "timeout": 3600, "hosts": "one", "catch_up": True}  # no memory: that of the release
FIELDS = {"command": str, "at": str, "memory": str, "timeout": (int, str), "hosts": str, "catch_up": bool}
STOP_PATIENCE = 30  # seconds that a job has to end once its time is up
RUNS = ("activating", "active", "deactivating", "reloading")
HEAD = """\
# Managed by Ansible: flask-deploy
[Unit]
Description=Job {job} of {app.name}
"""
# Exact, or it would start within a minute; and what a deploy rewrites is not started for that.
TIMER = """\

[Timer]
OnCalendar={at}
AccuracySec=1us
Persistent={catch_up}

[Install]
WantedBy=timers.target
"""
SERVICE = """\
Wants=docker.service
After=docker.service flask-deploy-settle@{app.name}.service
RequiresMountsFor={app.root}

[Service]
Type=exec
ExecStart=/usr/bin/python3 -I {app.tool} --job {job}
ExecStopPost=/usr/bin/python3 -I {app.tool} --ended {job}
RuntimeMaxSec={timeout}
TimeoutStopSec={patience}
SyslogIdentifier={app.name}-{job}
LogExtraFields=FLASK_DEPLOY_APP={app.name} FLASK_DEPLOY_PROCESS=job-{job}
"""


def unit(app: App, job: str, kind: str = "service") -> str:
    return f"flask-deploy-job-{app.name}-{job}.{kind}"  # no app's name has the _ of a job's, no job's the - of an app's


def defined(app: App, release: str | None) -> dict[str, dict[str, Any]]:
    """Return the jobs that a release tells of; one that is damaged is none, and earlier versions knew none."""
    told = files.read_json(app.path(release, FILE), {}) if release else {}
    every = {name: {**DEFAULTS, **job} for name, job in told.items() if isinstance(job, dict)}
    return {n: j for n, j in every.items() if all(isinstance(j.get(field), kind) for field, kind in FIELDS.items())}


def known(app: App) -> list[str]:
    """Return the names of the jobs that have a timer on this host, or half of one."""
    pattern = re.compile(unit(app, "([a-z0-9_]+)", "(?:timer|service)"))
    names = os.listdir(app.systemd) if os.path.isdir(app.systemd) else []
    return sorted({found[1] for found in map(pattern.fullmatch, names) if found})


def paths(app: App, job: str) -> list[str]:
    """Return the paths of a job's units, and of the link that a boot starts its timer by."""
    timer, service = (f"{app.systemd}/{unit(app, job, kind)}" for kind in ("timer", "service"))
    return [f"{app.systemd}/timers.target.wants/{unit(app, job, 'timer')}", timer, service]


def texts(app: App, job: str, told: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return what a job's timer and its service hold."""
    head = HEAD.format(app=app, job=job)
    timer = head + TIMER.format(at=told["at"], catch_up=str(told["catch_up"]).lower())
    service = head + SERVICE.format(app=app, job=job, timeout=told["timeout"], patience=STOP_PATIENCE)
    return timer.encode(), service.encode()


def ensure(app: App, first: bool) -> list[str]:
    """Let exactly the jobs of the release that serves have timers on this host; return the paths that changed.

    A timer that is as it should be is not touched, so no deploy starts a job or skips one.

    :param first: whether this host may run jobs that run on one.
    :raises UnitError: a timer does not start.
    """
    every = defined(app, app.serving())
    wanted = {name: job for name, job in every.items() if first or job["hosts"] == "all"}
    changed = remove(app, [name for name in known(app) if name not in wanted])
    for name, job in wanted.items():
        changed += _write(app, name, *texts(app, name, job))
    timers = [unit(app, name, "timer") for name in wanted]
    told = _show(*timers, *(unit(app, name) for name in wanted))
    asleep = [timer for timer in timers if told.get(timer, {}).get("ActiveState") != "active"]
    if changed or asleep or any(each.get("NeedDaemonReload") == "yes" for each in told.values()):
        systemd.ask("daemon-reload")
    if asleep:
        words = ("systemctl", "start", *asleep)
        command.run(*words, error=systemd.UnitError, limit=systemd.PATIENCE, called="a job's timer does not start")
    return changed


def _write(app: App, job: str, timer: bytes, service: bytes) -> list[str]:
    """Write a job's units; return the paths that changed. With another time it starts anew, and makes nothing up."""
    link, timer_path, service_path = paths(app, job)
    files.ensure_directory(os.path.dirname(link))
    if files.differs(timer_path, timer, 0o644, 0, 0):
        _forget(app, [job])
    changed = [path for path, text in ((service_path, service), (timer_path, timer)) if files.ensure_file(path, text)]
    if app.link(link) != timer_path:
        files.link(link, timer_path)
        changed.append(link)
    return changed


def _forget(app: App, jobs: list[str]) -> None:
    """Stop timers, and let systemd forget when they last went off: it would make up for times of another calendar."""
    timers = [unit(app, job, "timer") for job in jobs]
    systemd.ask("stop", *timers)
    systemd.ask("clean", "--what=state", *timers)


def remove(app: App, jobs: list[str], at_once: bool = False) -> list[str]:
    """Remove jobs from this host; return the paths that went.

    :param at_once: end what runs of them, too; else it runs to its end.
    """
    gone = [path for job in jobs for path in [*paths(app, job), record_of(app, job)] if os.path.lexists(path)]
    if jobs:
        _forget(app, jobs)
    if jobs and at_once:
        systemd.ask("stop", *(unit(app, job) for job in jobs), limit=STOP_PATIENCE + systemd.PATIENCE)
    for path in gone:
        files.remove(path)
    if jobs:
        systemd.ask("daemon-reload")
        systemd.ask("reset-failed", *(unit(app, job) for job in jobs))
    return gone


def _show(*units: str) -> dict[str, dict[str, str]]:
    """Return {unit: {property: value}}, as far as systemd knows them; times are UTC."""
    if not units:
        return {}
    names = "--property=Id,ActiveState,NeedDaemonReload,NextElapseUSecRealtime"
    done = command.attempt("systemctl", "show", names, *units, limit=systemd.PATIENCE, environment={"TZ": "UTC"})
    parts = done.out.decode(errors="replace").split("\n\n")
    found = [dict(line.partition("=")[::2] for line in part.splitlines() if "=" in line) for part in parts]
    return {each["Id"]: each for each in found if "Id" in each}


def _seconds(told: str) -> int:
    """Return a time that systemd told, in seconds since 1970; 0 where it told none."""
    found = re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", told)
    return calendar.timegm(time.strptime(found[0], "%Y-%m-%d %H:%M:%S")) if found else 0


def record_of(app: App, job: str) -> str:
    return f"{app.root}/jobs/{job}.json"


def status(app: App) -> list[dict[str, Any]]:
    """Return for each job on this host {"name", "runs", "next", "timer": whether it is up, "record"}; times in seconds.

    What ended has "ended", "result" and "code" in its record; one that ended with its host has none of them.
    """
    names = known(app)
    told = _show(*(unit(app, name, kind) for name in names for kind in ("timer", "service")))
    rows = []
    for name in names:
        timer, service = (told.get(unit(app, name, kind), {}) for kind in ("timer", "service"))
        rows.append(
            {
                "name": name,
                "runs": service.get("ActiveState") in RUNS,
                "next": _seconds(timer.get("NextElapseUSecRealtime", "")),
                "timer": timer.get("ActiveState") == "active",
                "record": files.read_json(record_of(app, name), {}),
            }
        )
    return rows
