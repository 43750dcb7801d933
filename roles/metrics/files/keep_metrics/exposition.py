"""Metrics as text that Prometheus reads, and what each of them means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Sample = tuple[str, dict[str, Any], float]  # its name, its labels, its value
PREFIX = "flask_deploy_"
COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
FAMILIES = {
    "release_info": (GAUGE, "1 for the release that serves."),
    "release_switched_timestamp_seconds": (GAUGE, "When the release that serves began to."),
    "releases": (GAUGE, "Releases that are kept, by state."),
    "switches_total": (COUNTER, "How often another release began to serve: by a deploy, a rollback or a return."),
    "deploy_failed_timestamp_seconds": (GAUGE, "When a deploy failed or was taken back last; 0 if none did."),
    "app_up": (GAUGE, "1 if the health path answers below 400 through nginx."),
    "maintenance": (GAUGE, "1 while the maintenance page is shown."),
    "processes_wanted": (GAUGE, "Containers that a worker should have."),
    "processes_up": (GAUGE, "Containers of a worker that run."),
    "job_success": (GAUGE, "1 if the last run of a job succeeded, 0 if it failed or was cut off."),
    "job_ended_timestamp_seconds": (GAUGE, "When the last run of a job ended."),
    "job_seconds": (GAUGE, "How long the last run of a job took."),
    "job_timer_up": (GAUGE, "1 if a job's timer runs."),
    "certificate_not_after_timestamp_seconds": (GAUGE, "When the certificate that serves expires."),
    "certificate_problems": (GAUGE, "What is wrong with the certificate, counted."),
    "backup_problems": (GAUGE, "What is wrong with backups and drills, counted: failed, late, never proved."),
    "backup_success": (GAUGE, "1 if the last backup or drill succeeded."),
    "backup_good_timestamp_seconds": (GAUGE, "When the last good backup or drill began."),
    "requests_total": (COUNTER, "Requests that a release answered, by status, from nginx's log."),
    "first_byte_seconds": (HISTOGRAM, "Seconds from a request to the first byte of a release's answer."),
    "unit_problem": (GAUGE, "1 for a unit of systemd that failed or is started again and again."),
    "clock_in_step": (GAUGE, "1 if a time server sets the clock."),
    "look_failed": (GAUGE, "1 for what could not be looked at."),
}
PARTS = ("_bucket", "_sum", "_count")  # of a histogram
ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def text(samples: Iterable[Sample]) -> str:
    """Return samples as text, those of one family together."""
    groups: dict[str, list[str]] = {}
    for name, labels, value in samples:
        groups.setdefault(family(name), []).append(_line(name, labels, value))
    lines: list[str] = []
    for name, (kind, said) in FAMILIES.items():
        if name in groups:
            lines += [f"# HELP {PREFIX}{name} {said}", f"# TYPE {PREFIX}{name} {kind}", *groups[name]]
    return "".join(f"{line}\n" for line in lines)


def family(name: str) -> str:
    """Return the family that a sample is of.

    :raises KeyError: there is none of that name.
    """
    for part in PARTS:
        whole = name.removesuffix(part)
        if whole != name and FAMILIES.get(whole, ("",))[0] == HISTOGRAM:
            return whole
    FAMILIES[name]
    return name


def _line(name: str, labels: dict[str, Any], value: float) -> str:
    shown = ",".join(f'{label}="{str(text).translate(ESCAPED)}"' for label, text in labels.items())
    return f"{PREFIX}{name}{{{shown}}} {float(value):.15g}" if shown else f"{PREFIX}{name} {float(value):.15g}"
