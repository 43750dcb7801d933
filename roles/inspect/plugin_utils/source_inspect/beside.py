"""What runs beside the web: the release command, processes, services of data."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from . import commands, declared
from .block import Answer
from .facts import unreachable
from .serving import SERVERS, Found

SHELL = re.compile(r"[$;&|<>`]")
SERVES = re.compile(rf"\b({'|'.join(SERVERS)}|flask run|runserver|npm|yarn|node|flower)\b")
SERVICES = {
    "postgres": ("DATABASE_URL", {"psycopg", "psycopg2", "psycopg2-binary", "asyncpg", "pg8000"}, "post"),
    "valkey": ("REDIS_URL, and in CELERY_BROKER_URL", {"redis", "valkey", "celery", "rq", "flask-rq2"}, "redis|valkey"),
}
SCHEDULES = re.compile(r"\bcelery\b.* beat\b|\b(rqscheduler|celerybeat)\b")  # must not run twice
RUNNERS = {
    "celery",
    "rq",
    "flask",
    "python",
    "python3",
    "dramatiq",
    "huey_consumer",
    "huey_consumer.py",
    "arq",
    "rqscheduler",
}
PROCESS = re.compile(r"[a-z][a-z0-9-]{0,30}")


def decide(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    """Decide it all."""
    _release_command(found, needs, answer)
    _processes(found, needs, answer)
    _services(found, needs, answer)


def _services(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    """Say which services could lie beside the app: where they lie by now, no source tells."""
    wanted = dict(found.declared.services)
    for service, (variable, drivers, names) in SERVICES.items():
        known = sorted(needs.keys() & drivers)
        here = [f"{wanted.pop(name)} has {name}" for name in list(wanted) if re.match(names, name)]
        if not known and not here:
            continue
        more = ", and postgres_driver: postgresql+psycopg" if "psycopg" in known and "sqlalchemy" in str(needs) else ""
        why = f"{known[0]} is a dependency" if known else here[0]
        answer.unsure.append(
            f"app_needs: [{service}]{more} would set one up beside the app, its address in {variable}; {why}"
        )
    for name, file in wanted.items():
        answer.unsure.append(
            f"{name} of {file}: nothing here brings it; let a variable of the app name one that is there"
        )


def in_shell(command: str) -> str:
    """Return a command as words without a shell; one that needs a shell gets it."""
    return f"sh -c {shlex.quote(command)}" if SHELL.search(command) else command


def _release_command(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    command, file = found.declared.commands.get("release", ("", ""))
    if command:
        answer.set("app_release_command", in_shell(command), f"release command of {file}")
        if upgrade := re.fullmatch(r"(python3? manage\.py db) upgrade", command.strip()):
            answer.set("app_schema_command", f"{upgrade[1]} current", "tells what that changes, for rollbacks")
    elif not _migrations(found, needs, answer):
        _tables(found, answer)
    if found.declared.once:
        rest = "run it once yourself, with playbooks/run.yml"
        chosen = answer.values.get("app_release_command", ("none",))[0]
        answer.unsure.append(
            f"app_release_command: {chosen}; Heroku runs once, after the first deploy: {found.declared.once}; {rest}"
        )


def _migrations(found: Found, needs: Mapping[str, str], answer: Answer) -> bool:
    """Decide how the database is migrated; tell whether there are migrations."""
    names = found.tree.names
    folders = sorted(name.rpartition("/")[0] for name in names if re.fullmatch(r"(.+/)?migrations/env\.py", name))
    of_flask = bool(needs.keys() & {"flask-migrate", "flask-alembic"})
    plain = "alembic.ini" in names and (not folders or not (of_flask or _asks_flask(found, folders[0])))
    if plain:
        command, why, package = "alembic upgrade head", "alembic.ini", "alembic"
        listed = of_flask or "alembic" in needs
    elif folders:
        where = "" if folders[0] == "migrations" else f" -d {shlex.quote(folders[0])}"
        command, why = f"flask db upgrade{where}", f"{folders[0]}/ is alembic's, of Flask-Migrate"
        package, listed = "Flask-Migrate", of_flask
    else:
        return False
    if needs and not listed:
        answer.unsure.append(
            f"app_release_command: {command}, once {package} is a dependency, which nothing lists ({why})"
        )
        return True
    answer.set("app_release_command", command, why)
    if not plain:
        answer.itself.append("app_schema_command: flask db current follows from flask db upgrade")
    return True


def _asks_flask(found: Found, folder: str) -> bool:
    """Tell whether the environment of migrations is the one of Flask-Migrate, which asks the app for its database."""
    return "current_app" in found.tree.text(f"{folder}/env.py")


def _tables(found: Found, answer: Answer) -> None:
    """Say what makes the tables, where a start does not."""
    made = found.code.tables
    if not made or "" in made.values() or found.declared.once:
        return
    place, by = min(made.items(), key=lambda row: (row[1] == commands.SCRIPT, row[1].endswith(commands.TOO)))
    if by == commands.SCRIPT:
        said = (
            f"{place} makes tables only where that file is run itself, which gunicorn does not; let the app make them"
        )
    elif by.endswith(commands.TOO):
        said = f"only {by}, makes the tables ({place}), so no deploy may run it; let the app make them"
    else:
        said = f"{by} could be it, if it leaves alone what is there: it makes the tables ({place}), a start does not"
    answer.unsure.append(f"app_release_command: {said}")


def _processes(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    """Decide what runs beside web."""
    rows = {}
    for name, (command, file) in found.declared.commands.items():
        first = next(iter(declared.words(command)), "").rpartition("/")[2]
        meant = file == "Procfile" or first in RUNNERS
        if name not in ("web", "release", "image") and PROCESS.fullmatch(name) and meant and not SERVES.search(command):
            about = {"command": in_shell(command), "count": found.declared.counts.get(name, 1)}
            if SCHEDULES.search(command):
                about = {"command": about["command"], "hosts": "one"}
            rows[name] = (about, f"{file}: {name}")
    if not rows and "celery" in needs and found.code.celery:
        name, place = next(iter(found.code.celery.items()))
        rows["worker"] = ({"command": f"celery -A {name} worker", "count": 1}, f"Celery in {place}")
    if not rows and "rq" in needs:
        rows["worker"] = ({"command": "rq worker", "count": 1}, "rq is a dependency")
        answer.unsure.append("app_processes: rq worker takes its Redis from RQ_REDIS_URL, or from --url")
    for name, (about, why) in rows.items():
        answer.put("app_processes", name, about, why)
        if nobody := unreachable(str(about["command"])):
            answer.unsure.append(f"app_processes: {name} asks {nobody}, which no container reaches")
    if "scheduler" in found.code.words:
        place = found.code.words["scheduler"]
        answer.unsure.append(f"app_workers: {place} starts a scheduler in each worker; its jobs run once a worker")
    if "flask-socketio" in needs:
        answer.set("app_workers", 1, "Flask-SocketIO keeps its sessions in one process")
