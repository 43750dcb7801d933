"""What is wrong with apps and their host, as far as monit does not see it itself: {item: what, and what to type}.

A key is one check of monit's: <app>.<what>, or host.<what>.
"""

from __future__ import annotations

import functools
import glob
import os
import re
from collections.abc import Callable
from typing import Any

from ansible.module_utils.flask_deploy.host import condition, engine, files, nginx
from ansible.module_utils.flask_deploy.release import jobs, processes
from ansible.module_utils.flask_deploy.release.places import App

from . import sending, traffic

ETC = "/etc/flask-deploy/monitor"  # a file of settings for each app, and monit's own
WORK = "/var/lib/flask-deploy/monitor"
EVENTS = "release"  # what happens, and is not well or ill
SELDOM = 55  # seconds; programs that take long to answer are not asked more often
LASTING = ("processes", "asleep")  # keys of what may be away for a moment; it is wrong at the second look in a row
# Keys, and seconds that one of their items is well before it counts as such.
STEADY, HOLD = ("jobs", "units", *LASTING), 90
BOOT = 180  # seconds after a boot in which an app may still start
PATIENCE = 4  # seconds that an app has to answer
DECIDED = "draining"  # phase of a switch after which a release has nothing but its last requests to end
TOLD = ("backup", "drill", "archive", "archive-drill")  # units whose failure keep_backups tells
UNITS = re.compile(r"flask-deploy-certificates\.service|(nginx|docker)\.service")  # are told by other keys
DOWN = "{}: {} answers {} through nginx; type there: sudo docker logs --tail 50 {}"
Question = Callable[[App, dict[str, Any]], dict[str, str]]


def settings() -> dict[str, dict[str, Any]]:
    """Return {app: its settings} of the apps that are watched here."""
    paths = sorted(glob.glob(f"{ETC}/*.json"))
    return {os.path.basename(path)[:-5]: known for path in paths if (known := files.read_json(path))}


def found(key: str) -> str:
    """Return the path of what was last found for a key; it is empty where all is well, and monit looks at its size."""
    return f"{WORK}/found/{key}"


def items(key: str) -> dict[str, str]:
    """Return {item: what is wrong with it} of what was last found for a key."""
    lines = (files.read(found(key)) or b"").decode(errors="replace").splitlines()
    return {item: text for item, _, text in (line.partition("\t") for line in lines)}


def keep(key: str, known: dict[str, str], now: float) -> None:
    """Write down what was found for a key, where that is another than before; the file's time is that of the look."""
    text = "".join(f"{item}\t{sending.one_line(text)}\n" for item, text in sorted(known.items()))
    path = found(key)
    if files.read(path) != text.encode():
        files.write(path, text.encode(), 0o600)
    os.utime(path, (now, now))


def look(now: float) -> None:
    """Look at everything, and write down what was found."""
    known = settings()
    files.ensure_directory(WORK, 0o700)
    files.ensure_directory(f"{WORK}/found", 0o700)
    counts = functools.cache(
        lambda: traffic.look({name: told["slow"] for name, told in known.items()}, now, f"{WORK}/traffic.json")
    )
    for name, told in known.items():
        for what, question in APP.items():
            _keep(f"{name}.{what}", lambda question=question, told=told, name=name: question(App(name), told), now)
        for what, judge in traffic.JUDGES.items():
            _keep(f"{name}.{what}", lambda judge=judge, told=told, name=name: judge(name, counts()[name], told), now)
    _keep("host.units", lambda: units(list(known)), now)
    _keep("host.asleep", lambda: asleep(list(known)), now)
    _keep("host.clock", clock, now)


def _keep(key: str, question: Callable[[], dict[str, str]], now: float) -> None:
    """Ask, and write down; what cannot be looked at is wrong too, and hides nothing else."""
    if key.rpartition(".")[2] in ("certificate", "backup") and 0 <= _age(found(key), now) < SELDOM:
        return
    try:
        known = _lasting(key, question()) if key.rpartition(".")[2] in LASTING else question()
        keep(key, _steady(key, known, now) if key.rpartition(".")[2] in STEADY else known, now)
    except Exception as error:  # whatever is wrong with a host
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        keep(key, {"look": f"{key} cannot be looked at: {said}"}, now)


def _lasting(key: str, known: dict[str, str]) -> dict[str, str]:
    """Return what was wrong at the last look, too."""
    path, before = f"{WORK}/first.json", items(key)
    seen = files.read_json(path, {})
    if seen.get(key, []) != sorted(known):
        files.write_json(path, {**seen, key: sorted(known)}, 0o600)
    return {item: text for item, text in known.items() if item in before or item in seen.get(key, [])}


def _steady(key: str, known: dict[str, str], now: float) -> dict[str, str]:
    """Return what is wrong, with what was so a moment ago: what is started again and again is well in between."""
    path, before = f"{WORK}/seen.json", items(key)
    seen = files.read_json(path, {})
    times = {item: at for item, at in seen.get(key, {}).items() if item in before and 0 <= now - at < HOLD}
    times |= dict.fromkeys(known, now)
    if times != seen.get(key, {}):
        files.write_json(path, {**seen, key: times}, 0o600)
    return {item: known.get(item) or before[item] for item in times}


def _age(path: str, now: float) -> float:
    """Return how old a file is, which is negative where the clock went back since; one that is not there is ancient."""
    return now - os.stat(path).st_mtime if os.path.exists(path) else now


def answers(app: App, _told: dict[str, Any]) -> dict[str, str]:
    """Return whether the release that serves answers on its health path, as visitors ask it: through nginx."""
    release = app.serving()
    if not release or _boots() or os.path.exists(f"{app.root}/maintenance/html"):
        return {}
    record = app.record(release)
    try:
        status = str(nginx.probe_door(record["domain"], record["health_path"], PATIENCE))
        good = int(status) < 400
    except Exception as error:  # whatever an app may answer with
        status, good = " ".join(str(error).split())[:200], False
    said = DOWN.format(app.name, record["health_path"], status, app.container(release))
    return {} if good else {"web": said}


def beside(app: App, _told: dict[str, Any]) -> dict[str, str]:
    """Return which processes beside the web are not up; while a switch is under way they change over."""
    if _boots() or files.read(app.pending) is not None:
        return {}
    try:
        known = processes.told(app)
    except engine.EngineError:  # is told of the engine
        return {}
    return {
        each["process"]: "{}: {} of {} {} are up; type there: sudo docker logs --tail 50 {}".format(
            app.name, each["up"], each["wanted"], each["process"], each["down"]
        )
        for each in known
        if each["up"] < each["wanted"]
    }


def failed_jobs(app: App, _told: dict[str, Any]) -> dict[str, str]:
    """Return which jobs' last run failed, and which have no timer."""
    rows, lines, before = jobs.status(app), {}, items(f"{app.name}.jobs")
    for row in rows:
        record, name = row["record"], row["name"]
        log = f"type there: sudo journalctl -n 50 -u {jobs.unit(app, name)}"
        if not row["timer"]:
            lines[f"{name} timer"] = f"{app.name}: the timer of job {name} does not run; deploy again"
        if row["runs"] and name in before:  # nobody knows how this run ends
            lines[name] = before[name]
        if row["runs"] or not record:
            continue
        if "ended" not in record:
            lines[name] = f"{app.name}: job {name} was cut off with its host; {log}"
        elif record.get("result") != "success":
            lines[name] = f"{app.name}: job {name} failed ({record.get('result')} {record.get('code')}); {log}"
    return lines


def certificate(_app: App, told: dict[str, Any]) -> dict[str, str]:
    """Return what role nginx's keeper of certificates says is wrong."""
    known = condition.told("keep_certificates", told["certificate"]) or {}
    days, said = known.get("days_left"), "; ".join(known.get("problems", []))
    left = "" if days is None else f" ({days} days left)"
    look = "type there: sudo journalctl -n 50 -u flask-deploy-certificates"
    return {"certificate": f"the certificate of {told['domain']}{left}: {said}; {look}"} if said else {}


def backup(app: App, told: dict[str, Any]) -> dict[str, str]:
    """Return what the program of role backup says is wrong: one that failed, is late or was never proved."""
    known = (condition.told("keep_backups", app.name) or {}) if told["backup"] else {}
    # Of one that is late again and again the line has another time.
    return {re.sub(r" of \d.*", "", line)[:40]: f"{app.name}: {line}" for line in known.get("problems", [])}


def release(app: App, _told: dict[str, Any]) -> dict[str, str]:
    """Return what became of releases: which serves, and which was taken back; each is told once, when it is decided."""
    if (files.read_json(app.pending) or {}).get("phase", DECIDED) != DECIDED:
        return items(f"{app.name}.{EVENTS}")
    happened = {}
    for each in app.known():
        state, record = app.state(each), app.record(each)
        word, order = state.get("state"), state.get("order", 0)
        if word == "live" and each == app.serving():
            switch = (files.read_json(app.path(each, "switch.json")) or {}).get("id")
            by = record.get("by") or "unknown"
            happened[f"{each} {switch}"] = f"{app.name}: release {each} of {by} serves"
        elif word in ("rejected", "reverted"):
            why = " ".join(str(state.get("reason") or "").split())[:200]
            happened[f"{each} {order} {word}"] = f"{app.name}: release {each} was taken back{f': {why}' if why else ''}"
    return happened


APP: dict[str, Question] = {
    "answers": answers,
    "processes": beside,
    "jobs": failed_jobs,
    "certificate": certificate,
    "backup": backup,
    EVENTS: release,
}


def units(apps: list[str]) -> dict[str, str]:
    """Return which units failed or are started again and again; what other keys tell is not told twice."""
    told, lines = [f"flask-deploy-{kind}@{app}.service" for kind in TOLD for app in apps], {}
    jobs_of = tuple(f"flask-deploy-job-{app}-" for app in apps)
    for state, found in condition.units().items():
        for each in found:
            name = each["name"]
            if name in told or name.startswith(jobs_of) or UNITS.fullmatch(name):
                continue
            how = f"failed ({each['result']})" if state == "failed" else "is started again and again"
            lines[name] = f"{name} {how}; type there: sudo journalctl -n 50 -u {name}"
    return lines


def asleep(apps: list[str]) -> dict[str, str]:
    """Return which units of ours do not run that should; timers of jobs are told with their jobs."""
    jobs_of = tuple(f"flask-deploy-job-{app}-" for app in apps)
    names = [] if _boots() else [name for name in condition.asleep() if not name.startswith(jobs_of)]
    return {name: f"{name} does not run; type there: sudo systemctl start {name}" for name in names}


def clock() -> dict[str, str]:
    known = condition.clock()
    said = "the clock is not set by any server; type there: timedatectl"
    return {} if known["in_step"] else {"clock": said}


def _boots() -> bool:
    """Tell whether the host began so lately that an app may not be up yet."""
    return float((files.read("/proc/uptime") or b"0").split()[0]) < BOOT
