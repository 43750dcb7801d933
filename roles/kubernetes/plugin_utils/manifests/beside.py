"""What runs beside the web: workers, jobs at their times, and the release command."""

from __future__ import annotations

import shlex
from typing import Any

from . import names, pods, web
from .cron import NoCron, cron

STOP_PATIENCE = 30  # seconds that a job has to end once its time is up, as on a host
LATE = 60  # seconds after which a job without catch_up is skipped; the controller looks each 10 s
LONGEST = 52  # characters of a CronJob's name: those of its runs are made of it
PROCESS = {"count": 1, "hosts": "all", "stop_timeout": 60}  # where they are not said
JOB = {"timeout": 3600, "hosts": "one", "catch_up": True}
KEPT_FAILURES = 3  # runs


def words(command: Any) -> list[str]:
    """Return the words of a command, which no shell splits or runs."""
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command]


def process(known: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a process as a Deployment; one that runs once ends before its successor starts."""
    asked = {**PROCESS, **known["processes"][name]}
    alone = asked["hosts"] == "one"
    limits = {limit: asked.get(limit, known[limit]) for limit in ("memory", "cpus")}
    limits["cpus"] = float(limits["cpus"])
    container = pods.runs(known, "process", [*pods.EXEC, *words(asked["command"])], limits)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}
    spec = {
        "replicas": int(asked["count"]) * (1 if alone else known["hosts"]),
        "revisionHistoryLimit": known["keep"] - 1,
        "selector": {"matchLabels": web.selector(known["app"], names.label(name))},
        "strategy": {"type": "Recreate"} if alone else rolling,
        "template": pods.template(
            known, names.label(name), [container], terminationGracePeriodSeconds=int(asked["stop_timeout"])
        ),
    }
    full = names.label(known["app"], name)
    return names.thing("apps/v1", "Deployment", known, full, names.label(name), spec=spec)


def job(known: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a job as a CronJob.

    :raises NoCron: its times have no form in cron.
    """
    asked, part = {**JOB, **known["jobs"][name]}, f"job.{names.label(name)}"
    schedule, zone = cron(asked["at"])
    command = [*pods.EXEC, *words(asked["command"])]
    limits = {"memory": asked.get("memory") or known["memory"], "cpus": known["cpus"]}
    spec = {
        "schedule": schedule,
        "timeZone": zone,
        "concurrencyPolicy": "Forbid",
        **({} if asked["catch_up"] else {"startingDeadlineSeconds": LATE}),
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": KEPT_FAILURES,
        "jobTemplate": {"spec": _once(known, part, command, limits, int(asked["timeout"]))},
    }
    full = names.label(known["app"], name, most=LONGEST)
    return names.thing("batch/v1", "CronJob", known, full, part, spec=spec)


def command(known: dict[str, Any]) -> dict[str, Any]:
    """Return the release command as a Job of its release: what has run once is not run again."""
    part = "release.command"
    given = [*pods.EXEC, *words(known["command"])]
    spec = _once(known, part, given, known, known["command_timeout"])
    return names.thing("batch/v1", "Job", known, command_name(known), part, spec=spec)


def command_name(known: dict[str, Any]) -> str:
    return f"{known['app']}-release-{known['release']}"


def _once(known: dict[str, Any], part: str, given: list[str], limits: dict[str, Any], timeout: int) -> dict[str, Any]:
    """Return a run that is not tried again if it fails: on a host it is not, either."""
    pod = pods.template(
        known,
        part,
        [pods.runs(known, "command", given, limits)],
        restartPolicy="Never",
        terminationGracePeriodSeconds=STOP_PATIENCE,
    )
    return {"backoffLimit": 0, "activeDeadlineSeconds": timeout, "template": pod}


def untold(known: dict[str, Any]) -> list[str]:
    """Return a line for each job whose times have no form in cron."""
    lines = []
    for name, asked in known["jobs"].items():
        try:
            cron(asked["at"])
        except NoCron as error:
            lines.append(f"app_jobs: {name}: at: {asked['at']!r} cannot be a CronJob: {error}")
    return lines
