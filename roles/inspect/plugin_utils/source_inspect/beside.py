"""What runs beside the web: the release command, processes, services of data."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping

from source_starts import compose, processes, scripts, shells

from . import commands
from .block import Answer
from .facts import unreachable
from .serving import Found, started
from .syntax import constant, dotted

SERVICES = {
    "postgres": ("DATABASE_URL", {"psycopg", "psycopg2", "psycopg2-binary", "asyncpg", "pg8000"}, "post"),
    "valkey": ("REDIS_URL, and in CELERY_BROKER_URL", {"redis", "valkey", "celery", "rq", "flask-rq2"}, "redis|valkey"),
}
# Variables that the code reads: addresses of a service, brokers of Celery, parts of a database's address.
ADDRESSES = {
    "postgres": re.compile(r"(\w+_)?(DATABASE|DB|POSTGRES\w*|PG|SQLALCHEMY\w*)_UR[LI]"),
    "valkey": re.compile(r"(\w+_)?(REDIS|REDISTOGO|REDISCLOUD|VALKEY)\w*_UR[LI]"),
}
BROKER = re.compile(r"(CELERY_)?BROKER(_UR[LI])?")
RESULTS = re.compile(r"CELERY_RESULT_BACKEND")
PARTS = re.compile(r"(\w+_)?(DB|DATABASE|POSTGRES|SQL)_?(HOST|SERVER|PORT|USER|USERNAME|PASS|PASSWORD|NAME)")
NOT_FOR_USE = re.compile(r"(TEST(ING)?|DEV(ELOPMENT)?)_", re.ASCII)
QUEUE = re.compile(r"[a-z][a-z0-9-]{0,30}")


def decide(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    """Decide it all."""
    _release_command(found, needs, answer)
    _before(found, answer)
    _processes(found, needs, answer)
    _services(found, needs, answer)


def _of_rq(found: Found) -> tuple[str, str]:
    """Return (command of a worker of RQ, why): the app's own, or RQ's with the queues that the code fills; "" of none.

    RQ's own takes its Redis from RQ_REDIS_URL, https://python-rq.org/docs/workers/#command-line-parameters
    """
    queues: dict[str, str] = {}
    for file, tree in found.code.modules.items():
        calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
        if not any(isinstance(each, ast.ImportFrom) and each.module == "rq" for each in ast.walk(tree)):
            continue
        if (command := commands.works(file, tree)) is not None:
            return command, f"{file} runs a worker of RQ"
        for call in (each for each in calls if dotted(each.func).rpartition(".")[2] == "Queue"):
            name = constant(call.args[0]) if call.args else "default"
            if isinstance(name, str) and QUEUE.fullmatch(name):
                queues.setdefault(name, f"{file}:{call.lineno}")
    names, why = " ".join(queues), ", ".join(queues.values())
    variable = next(iter(_read(found, ADDRESSES["valkey"])), "REDIS_URL")
    address = "" if variable == "RQ_REDIS_URL" else f' --url "${variable}"'
    command = f"exec rq worker{address} {names}".rstrip()
    return shells.in_shell(command) if address else command.removeprefix("exec "), why or "rq is a dependency"


def _read(found: Found, names: re.Pattern[str]) -> list[str]:
    """Return the variables of a kind that the code reads, but those of tests."""
    code = found.code
    return [each for each in [*code.demanded, *code.optional] if names.fullmatch(each) and not NOT_FOR_USE.match(each)]


def _address(found: Found, service: str, drivers: set[str]) -> str:
    """Return how the app gets the address of a service: by which variable, and what to write where it reads another."""
    parts = _read(found, PARTS) if service == "postgres" else []
    names = _read(found, ADDRESSES[service])
    broker = [name for name in _read(found, BROKER) if "celery" in drivers and service == "valkey"]
    if "DATABASE_URL" in names or "REDIS_URL" in names or not (names or parts or broker):
        return SERVICES[service][0]
    if names:
        more = ", and in CELERY_BROKER_URL" if service == "valkey" else ""
        return f"{names[0]}{more}, with {service}_variable: {names[0]}"
    if broker and "CELERY_BROKER_URL" not in broker:
        return f"REDIS_URL, and in {broker[0]}, with valkey_celery_variable: {broker[0]}"
    if parts:
        reads = ", ".join(parts[:6])
        return f"DATABASE_URL, PGHOST, PGUSER and PGDATABASE; the app reads {reads}, let it take those"
    return SERVICES[service][0]


def _services(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    """Say which services could lie beside the app: where they lie by now, no source tells."""
    wanted = dict(found.declared.services)
    for service, (_variable, drivers, names) in SERVICES.items():
        known = sorted(needs.keys() & drivers)
        here = [f"{wanted.pop(name)} has {name}" for name in list(wanted) if re.match(names, name)]
        if not (known or here) or (not here and service == "postgres" and _of_sqlite(found)):
            continue
        more = ", and postgres_driver: postgresql+psycopg" if "psycopg" in known and "sqlalchemy" in str(needs) else ""
        why = f"{known[0]} is a dependency" if known else here[0]
        variable = _address(found, service, set(known))
        answer.unsure.append(
            f"app_needs: [{service}]{more} would set one up beside the app, its address in {variable}; {why}"
        )
        if service == "valkey" and _read(found, RESULTS):
            answer.unsure.append(
                "app_needs: [valkey] leaves CELERY_RESULT_BACKEND empty; let the code take CELERY_BROKER_URL there"
            )
    for name, file in wanted.items():
        answer.unsure.append(
            f"{name} of {file}: nothing here brings it; let a variable of the app name one that is there"
        )


def _of_sqlite(found: Found) -> bool:
    """Tell whether SQLite is all that the code uses: it has a file of it, and asks for no other database."""
    asked = [*_read(found, ADDRESSES["postgres"]), *_read(found, PARTS)]
    servers = [text for text in found.code.addresses if text.startswith("postgres")]
    return bool(found.code.texts) and not asked and not servers


def _release_command(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    command, file = found.declared.commands.get("release", ("", ""))
    if command:
        command = _in_image(found, command)
        answer.set("app_release_command", command, f"release command of {file}")
        if upgrade := re.fullmatch(r"((?:env .*)?python3? manage\.py db) upgrade", command):
            answer.set("app_schema_command", f"{upgrade[1]} current", "tells what that changes, for rollbacks")
    elif not _migrations(found, needs, answer):
        _tables(found, answer)
    if found.declared.once and _more(found.declared.once, answer):
        rest = "run it once yourself, with playbooks/run.yml"
        chosen = answer.values.get("app_release_command", ("none",))[0]
        answer.unsure.append(
            f"app_release_command: {chosen}; Heroku runs once, after the first deploy: {found.declared.once}; {rest}"
        )


def _in_image(found: Found, command: str) -> str:
    """Return how the image runs a command: role build's own has all programs on its PATH, and no uv or poetry."""
    return shells.in_shell(command if found.declared.dockerfile else shells.without_runner(command))


def _before(found: Found, answer: Answer) -> None:
    """Say what runs before the web does, but for what is the release command already."""
    command, file, _line = started(found)
    rows = scripts.before(found.tree, command)
    if more := [row for row in rows if _more(row, answer)]:
        name = scripts.script(found.tree, command) or file
        answer.unsure.append(
            f"build_command, app_release_command: {name} also runs, before it serves: {'; '.join(more)}"
        )


def _more(command: str, answer: Answer) -> bool:
    """Tell whether a command does what the release command does not."""
    release = shells.unwrapped(answer.values.get("app_release_command", ("",))[0])
    known = {shells.essence(part) for part in shells.parts(release)}
    return not {shells.essence(part) for part in shells.parts(shells.unwrapped(command))} <= known


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
    if made and "" not in made.values() and not found.declared.once:
        answer.unsure += [f"app_release_command: {said}" for said in commands.of_tables(made)]


def _programs(found: Found, answer: Answer) -> dict[str, tuple[str, str]]:
    """Return the commands without those of Compose that are no program: a script of the image takes them."""
    told = dict(found.declared.commands)
    for name, (command, file) in found.declared.commands.items():
        of_compose = file.rpartition("/")[2] in compose.FILES
        script, runs = scripts.argument(found.tree, found.declared.entry, command) if of_compose else ("", "")
        if script:
            told.pop(name)
        if script and not processes.SERVES.search(runs):
            answer.unsure.append(
                f"app_processes: {name} of {file} is left out, {script} (ENTRYPOINT) takes {command} as an argument; "
                f"write what it runs{f': {runs}' if runs else ''}"
            )
    return told


def _processes(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    """Decide what runs beside web."""
    rows = {}
    own = [row for row in processes.meant(_programs(found, answer)) if not commands.runs_app(found.code, row.command)]
    for row in processes.once(own, answer.unsure):
        count = {"hosts": "one"} if row.schedules else {"count": found.declared.counts.get(row.name, 1)}
        about = {"command": _in_image(found, row.command), **count}
        rows[processes.named(row.name, ("web", *rows))] = (about, f"{row.file}: {row.name}")
    if not rows and "celery" in needs and found.code.celery:
        name, place = next(iter(found.code.celery.items()))
        rows["worker"] = ({"command": f"celery -A {name} worker", "count": 1}, f"Celery in {place}")
    if not rows and "rq" in needs:
        command, why = _of_rq(found)
        if command:
            rows["worker"] = ({"command": command, "count": 1}, why)
        else:
            answer.unsure.append(f"app_processes: {why}, by a command of its own; write it, as worker: {{command: …}}")
    for name, (about, why) in rows.items():
        answer.put("app_processes", name, about, why)
        if nobody := unreachable(str(about["command"])):
            answer.unsure.append(f"app_processes: {name} asks {nobody}, which no container reaches")
    if "scheduler" in found.code.words:
        place = found.code.words["scheduler"]
        answer.unsure.append(
            f"app_workers: {place} starts a scheduler in each worker, and its jobs run once a worker; "
            "write app_workers: 1, or start it in a file of its own, as a process of app_processes with hosts: one"
        )
    if "flask-socketio" in needs:
        answer.set("app_workers", 1, "Flask-SocketIO keeps its sessions in one process")
