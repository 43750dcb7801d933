"""What each app and its host are like, in samples: of programs and files that others of ours read, too."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ansible.module_utils.flask_deploy.host import condition, nginx
from ansible.module_utils.flask_deploy.release import failures, jobs, processes
from ansible.module_utils.flask_deploy.release.places import App

from .exposition import Sample

PATIENCE = 4  # seconds that an app has to answer
LEFT = ("rejected", "reverted")  # states of a release that was taken back
Question = Callable[[App, dict[str, Any]], list[Sample]]


def releases(app: App, _told: dict[str, Any]) -> list[Sample]:
    serving, known = app.serving(), {release: app.state(release) for release in app.known()}
    kept = Counter(state.get("state", "unknown") for state in known.values())
    failed = [each["at"] for each in failures.recall(app)]
    failed += [state.get("since", 0) for state in known.values() if state.get("state") in LEFT]
    samples: list[Sample] = [("releases", {"state": state}, number) for state, number in sorted(kept.items())]
    samples.append(("switches_total", {}, app.next_order() - 1))
    samples.append(("deploy_failed_timestamp_seconds", {}, max(failed, default=0)))
    if serving:
        samples.append(("release_info", {"release": serving}, 1))
        samples.append(("release_switched_timestamp_seconds", {}, known[serving].get("switched", 0)))
    return samples


def web(app: App, _told: dict[str, Any]) -> list[Sample]:
    release = app.serving()
    if not release:
        return []
    record = app.record(release)
    try:
        up = nginx.probe_door(record["domain"], record["health_path"], PATIENCE) < 400
    except Exception:  # whatever an app may answer with
        up = False
    return [("maintenance", {}, os.path.exists(f"{app.root}/maintenance/html")), ("app_up", {}, up)]


def beside(app: App, _told: dict[str, Any]) -> list[Sample]:
    rows = [each for each in processes.told(app) if each["release"] == app.serving()]
    fields = {"processes_wanted": "wanted", "processes_up": "up"}
    return [(name, {"process": each["process"]}, each[field]) for name, field in fields.items() for each in rows]


def of_jobs(app: App, _told: dict[str, Any]) -> list[Sample]:
    samples: list[Sample] = []
    for row in jobs.status(app):
        labels, record = {"job_name": row["name"]}, row["record"]  # Prometheus has a label job of its own
        samples.append(("job_timer_up", labels, row["timer"]))
        if record and not row["runs"]:  # of one that runs nobody knows yet
            samples.append(("job_success", labels, record.get("result") == "success"))
        if "ended" in record:
            samples.append(("job_ended_timestamp_seconds", labels, record["ended"]))
            samples.append(("job_seconds", labels, record["ended"] - record["began"]))
    return samples


def certificate(_app: App, told: dict[str, Any]) -> list[Sample]:
    known, labels = condition.told("keep_certificates", told["certificate"]) or {}, {"domain": told["domain"]}
    samples: list[Sample] = [("certificate_problems", labels, len(known.get("problems", [])))]
    if known.get("not_after"):
        end = datetime.fromisoformat(known["not_after"]).timestamp()
        samples.append(("certificate_not_after_timestamp_seconds", labels, end))
    return samples


def backup(app: App, told: dict[str, Any]) -> list[Sample]:
    if not told["backup"]:
        return []
    known = condition.told("keep_backups", app.name) or {}
    samples: list[Sample] = [("backup_problems", {}, len(known.get("problems", [])))]
    for kind, run in known.get("runs", {}).items():
        samples.append(("backup_success", {"kind": kind}, not run["failed"]))
        if run["good"]:
            samples.append(("backup_good_timestamp_seconds", {"kind": kind}, run["good"]))
    return samples


APP: dict[str, Question] = {
    "releases": releases,
    "web": web,
    "processes": beside,
    "jobs": of_jobs,
    "certificate": certificate,
    "backup": backup,
}


def of_app(app: App, told: dict[str, Any]) -> list[Sample]:
    """Return what an app is like; what cannot be looked at is told, and hides nothing else."""
    samples: list[Sample] = []
    for subject, question in APP.items():
        try:
            samples += [(name, {"app": app.name, **labels}, value) for name, labels, value in question(app, told)]
            failed = 0
        except Exception as error:  # whatever is wrong with a host
            said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            sys.stderr.write(f"{subject} of {app.name} cannot be looked at: {said}\n")
            failed = 1
        samples.append(("look_failed", {"app": app.name, "subject": subject}, failed))
    return samples


def of_host() -> list[Sample]:
    units: list[Sample] = [
        ("unit_problem", {"unit": each["name"], "state": state}, 1)
        for state, found in condition.units().items()
        for each in found
    ]
    return [*units, ("clock_in_step", {}, condition.clock()["in_step"])]
