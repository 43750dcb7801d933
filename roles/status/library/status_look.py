#!/usr/bin/python
"""Tell how an app is on this host."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import certificate, engine, files, nginx
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import failures, jobs, places, processes

DOCUMENTATION = r"""
module: status_look
short_description: Tell how an app is on this host
description: Reads records and asks the app through its socket; changes nothing.
options:
  app: {type: str, required: true, description: Name of the app.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look at the app
  status_look:
    app: shop
"""

RETURN = r"""
release: {type: str, returned: always, description: Id of the release that serves, or null.}
healthy: {type: bool, returned: always, description: Whether it answers on its health path.}
health: {type: str, returned: always, description: The answer's status, or why there is none.}
since: {type: float, returned: always, description: When it began to serve, in seconds since 1970.}
image: {type: str, returned: always, description: Its image id.}
interrupted: {type: bool, returned: always, description: Whether a switch was cut off; the next deploy finishes it.}
certificate_days: {type: int, returned: always, description: Whole days until the certificate expires, or null.}
disk_free_mb: {type: int, returned: always, description: Free space below /srv in MiB.}
age: {type: str, returned: always, description: The same as a span in its largest unit.}
maintenance: {type: bool, returned: always, description: Whether visitors see the maintenance page.}
history: {type: list, returned: always, description: One line for each release, the newest first.}
failures: {type: list, returned: always, description: "What failed before it served, and why; the newest first."}
processes: {type: list, returned: always, description: "Those beside the web: release, how many are up, restarts."}
jobs: {type: list, returned: always, description: "Each job's last run, its result, its seconds, and the next run."}
remarks: {type: list, returned: always, description: What somebody should know or do.}
"""

REASON = 200  # characters
PLAYBOOK = "ansible-playbook playbooks/{} -i inventories/..."
SHOW = f"{PLAYBOOK.format('maintenance.yml')} -e site_maintenance=off"
CLOSED = f"visitors see the maintenance page; to show the app again: {SHOW}"
KILLED = "it was killed {} times, last with code {}, and started again: sudo journalctl -u flask-deploy-keep@{}"
DOWN = "{process}: {up} of {wanted} up; why: sudo docker logs --tail 50 {down}"
LEFT = f"{{process}} of {{release}} is left and should not run; a deploy settles it: {PLAYBOOK.format('app.yml')}"
CUT_OFF = f"a switch is under way or was cut off; a deploy settles it: {PLAYBOOK.format('app.yml')}"


def health(app: places.App, release: str) -> tuple[bool, str]:
    record = app.record(release)
    if not record["domain"]:
        return False, "its release.json is damaged"
    try:
        status = nginx.probe_socket(app.socket(release), record["health_path"], record["domain"])
    except Exception as error:  # whatever an app may answer with
        return False, " ".join(str(error).split())[:REASON]
    return status < 400, str(status)


def certificate_days(app: places.App) -> int | None:
    known = certificate.look(f"{app.etc}/tls/current/fullchain.pem")
    return int((known[2] - time.time()) // 86400) if known else None


def age(seconds: float) -> str:
    """Return a span in its largest whole unit, such as 3 h."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def describe(app: places.App) -> dict[str, Any]:
    release = app.serving()
    state, record = (app.state(release), app.record(release)) if release else ({}, {})
    healthy, said = health(app, release) if release else (False, "no release")
    known = sorted(app.known(), key=app.order, reverse=True)
    since, rows = state.get("switched", 0), jobs.status(app)
    told = {
        "release": release,
        "healthy": healthy,
        "health": said,
        "since": since,
        "age": age(time.time() - since) if since else "-",
        "image": record.get("image", ""),
        "interrupted": files.read(app.pending) is not None,
        "maintenance": os.path.exists(f"{app.root}/maintenance/html"),
        "certificate_days": certificate_days(app),
        "disk_free_mb": shutil.disk_usage("/srv").free >> 20,
        "history": [app.describe(each) for each in known],
        "failures": failures.lines(app),
        "processes": beside(app),
        "jobs": [job_row(row) for row in rows],
    }
    said = remarks(app, told, record.get("health_path")) + job_remarks(app, rows)
    return {**told, "remarks": said}


def outcome(row: dict[str, Any]) -> str:
    """Return in a word or two how a job's last run ended."""
    record = row["record"]
    if row["runs"]:
        return "runs"
    if not record:
        return "never ran"
    if "ended" not in record:
        return "cut off"  # with its host
    words = {"success": "ok", "timeout": "too long", "exit-code": f"code {record.get('code')}"}
    return words.get(str(record.get("result")), str(record.get("result")))


def job_row(row: dict[str, Any]) -> dict[str, str]:
    """Return how a job is, in words; times are UTC."""
    record = row["record"]
    began, ended = record.get("began", 0), record.get("ended", 0)
    return {
        "name": row["name"],
        "last": clock(began),
        "result": outcome(row),
        "took": f"{max(ended - began, 0):.0f} s" if ended else "-",
        "next": clock(row["next"]) if row["timer"] else "no timer",
    }


def clock(seconds: float) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds else "-"


def job_remarks(app: places.App, rows: list[dict[str, Any]]) -> list[str]:
    """Return which jobs failed or have no timer, and what to look at."""
    said = []
    for row in rows:
        how, log = outcome(row), f"sudo journalctl -n 50 -u {jobs.unit(app, row['name'])}"
        if how not in ("ok", "runs", "never ran"):
            said.append(f"job {row['name']} failed ({how}); its log: {log}")
        if not row["timer"]:
            said.append(f"job {row['name']} has no timer that is up; a deploy starts it: {PLAYBOOK.format('app.yml')}")
    return said


def beside(app: places.App) -> list[dict[str, Any]]:
    """Return how the processes beside the web are; where the engine is away nobody can tell."""
    try:
        return processes.told(app)
    except engine.EngineError:
        return []


def remarks(app: places.App, told: dict[str, Any], path: str | None) -> list[str]:
    """Return what somebody should know or do."""
    said = []
    if told["release"] and not told["healthy"]:
        said.append(
            f"{path} answers {told['health']}; why: sudo docker logs --tail 50 {app.container(told['release'])}"
        )
    said += [CLOSED] if told["maintenance"] else []
    said += [CUT_OFF] if told["interrupted"] else []
    said += [DOWN.format(**each) for each in told["processes"] if each["up"] < each["wanted"]]
    said += [LEFT.format(**each) for each in told["processes"] if not each["wanted"] and not told["interrupted"]]
    revived = files.read_json(app.revived, {})
    if told["release"] and revived.get("release") == told["release"]:
        said.append(KILLED.format(revived.get("times"), revived.get("code"), app.name))
    if told["release"]:
        served = (app.site(told["release"]) or b"").decode(errors="replace")
        said += [each for each in certificate.judge(served) if each]
    return said


def main() -> None:
    module = QuietModule(argument_spec={"app": {"type": "str", "required": True}}, supports_check_mode=True)
    if not engine.installed():
        module.fail_json(msg="no Docker engine here; deploy first: ansible-playbook site.yml")
    module.exit_json(changed=False, **describe(places.App(module.params["app"])))


if __name__ == "__main__":
    main()
