"""What else an app needs: processes, migrations, places to write, public files, packages of Debian."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from ansible.module_utils import build_kinds
from ansible.module_utils.build_python import setup_options, table

from . import addresses, commands, declared
from .block import Answer
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
FOLDERS = re.compile(
    r"((\w+_)?UPLOAD\w*_(FOLDER|PATH|DIR|DEST)|SESSION_FILE_DIR|CACHE_DIR|MEDIA_(FOLDER|ROOT)|WHOOSH_BASE)"
)
LEFT_OUT = re.compile(r"(.*/)?(node_modules|tests?|docs?|\.?venv|examples?)(/.*)?")
REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]\n]*\])?", re.MULTILINE)
MIB = 1 << 20
# Package of Python: packages of Debian in the image, and such that its build needs beside the usual headers.
OF_DEBIAN = {
    "gitpython": (["git"], []),
    "pydub": (["ffmpeg"], []),
    "ffmpeg-python": (["ffmpeg"], []),
    "python-magic": (["libmagic1"], []),
    "pytesseract": (["tesseract-ocr"], []),
    "pdf2image": (["poppler-utils"], []),
    "weasyprint": (["libpango-1.0-0", "libpangoft2-1.0-0"], []),
    "cairosvg": (["libcairo2"], []),
    "python-ldap": ([], ["libldap-dev", "libsasl2-dev"]),
    "pyodbc": ([], ["unixodbc-dev"]),
    "xmlsec": ([], ["libxmlsec1-dev", "pkg-config"]),
    "pycairo": ([], ["libcairo2-dev", "pkg-config"]),
}


def dependencies(files: Mapping[str, str], file: str) -> dict[str, str]:
    """Return {name: its extras} of what an app's files list themselves."""
    wanted: list[str] = []
    for name in build_kinds.included(file, files) if file and build_kinds.of(file) not in build_kinds.KINDS else ():
        wanted += [match[0] for match in REQUIREMENT.finditer(files.get(name, ""))]
    project = table(files, "pyproject.toml", "project").get("dependencies")
    wanted += [each for each in project if isinstance(each, str)] if isinstance(project, list) else []
    poetry = table(files, "pyproject.toml", "tool", "poetry", "dependencies")
    for name, about in [*poetry.items(), *table(files, "Pipfile", "packages").items()]:
        wanted.append(_with_extras(name, about))
    wanted += setup_options(files).get("install_requires", "").splitlines()
    matches = [match for match in map(REQUIREMENT.match, wanted) if match]
    return {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] or "" for match in matches}


def _with_extras(name: str, about: object) -> str:
    extras = about.get("extras") if isinstance(about, dict) else None
    return f"{name}[{','.join(map(str, extras))}]" if isinstance(extras, list) else name


def decide(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    """Decide it all.

    :param known: the variables that roles have.
    """
    _release_command(found, needs, answer)
    _processes(found, needs, answer)
    _writable(found, needs, answer)
    _static(found, answer)
    _packages(found, needs, answer)
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
    folders = sorted(
        name.rpartition("/")[0] for name in found.tree.names if re.fullmatch(r"(.+/)?migrations/env\.py", name)
    )
    if command:
        answer.set("app_release_command", in_shell(command), f"release command of {file}")
        if upgrade := re.fullmatch(r"(python3? manage\.py db) upgrade", command.strip()):
            answer.set("app_schema_command", f"{upgrade[1]} current", "tells what that changes, for rollbacks")
    elif folders:
        where = "" if folders[0] == "migrations" else f" -d {shlex.quote(folders[0])}"
        answer.set("app_release_command", f"flask db upgrade{where}", f"{folders[0]}/ is alembic's, of Flask-Migrate")
        answer.itself.append("app_schema_command: flask db current follows from flask db upgrade")
        if needs and not needs.keys() & {"flask-migrate", "flask-alembic"}:
            answer.unsure.append("app_release_command: nothing lists Flask-Migrate, which it needs")
    elif "alembic.ini" in found.tree.names:
        answer.set("app_release_command", "alembic upgrade head", "alembic.ini")
    else:
        _tables(found, answer)
    if found.declared.once:
        rest = "run it once yourself, with playbooks/run.yml"
        chosen = answer.values.get("app_release_command", ("none",))[0]
        answer.unsure.append(
            f"app_release_command: {chosen}; Heroku runs once, after the first deploy: {found.declared.once}; {rest}"
        )


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
        if nobody := addresses.unreachable(str(about["command"])):
            answer.unsure.append(f"app_processes: {name} asks {nobody}, which no container reaches")
    if "scheduler" in found.code.words:
        place = found.code.words["scheduler"]
        answer.unsure.append(f"app_workers: {place} starts a scheduler in each worker; its jobs run once a worker")
    if "flask-socketio" in needs:
        answer.set("app_workers", 1, "Flask-SocketIO keeps its sessions in one process")


def _writable(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    wanted = dict(found.code.made)
    for name, (value, place) in found.code.settings.items():
        if FOLDERS.fullmatch(name) and isinstance(value, str):
            wanted.setdefault(value, place)
    if found.code.settings.get("SESSION_TYPE", ("",))[0] == "filesystem":
        wanted.setdefault("flask_session", "SESSION_TYPE, " + found.code.settings["SESSION_TYPE"][1])
    paths, why = [], []
    for path, place in wanted.items():
        plain = path.removeprefix("./").rstrip("/")
        if re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", plain) and not plain.startswith(
            ("instance", ".", "data")
        ):
            paths.append(plain)
            why.append(place)
        elif plain.startswith("/") and not re.match(r"/(tmp|data|dev|proc)(/|$)", plain):
            answer.unsure.append(f"app_writable: {place} writes to {path}")
    body = found.code.settings.get("MAX_CONTENT_LENGTH", (0, ""))
    if isinstance(body[0], int) and 10 * MIB < body[0] < 1 << 40:
        size = -(-body[0] // MIB)
        answer.set("site_max_body", f"{size}m", f"MAX_CONTENT_LENGTH in {body[1]}")
        if 2 * size > 64:
            paths.append(f"/tmp:{2 * size}m")  # noqa: S108 - of a container
            why.append("room for two bodies")
    if paths:
        answer.set("app_writable", paths, ", ".join(dict.fromkeys(why)))
    if "instance_path" in found.code.words:
        answer.itself.append(f"app_writable: instance/ ({found.code.words['instance_path']}) is kept")
    if "flask-assets" in needs:
        answer.unsure.append("app_writable: Flask-Assets writes .webassets-cache below the static directory")


def _static(found: Found, answer: Answer) -> None:
    inner = [re.match(r"((?:.+/)?static)/", name) for name in found.tree.names if not LEFT_OUT.fullmatch(name)]
    folders = sorted({match[1] for match in inner if match}, key=lambda path: (path.count("/"), path))
    served, _why = answer.values.get("app_wsgi", ("", ""))
    package = served.partition(":")[0].replace(".", "/")
    near = [path for path in folders if package and path.removeprefix("src/") == f"{package}/static"]
    if "static" in folders:
        answer.itself.append("site_static: nginx serves static/")
    elif near or len(folders) == 1:
        path = (near or folders)[0]
        answer.set("site_static", path, f"public files lie in {path}/")
    elif folders:
        answer.unsure.append(f"site_static: which of these are public? {', '.join(folders[:5])}")


def _packages(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    if found.declared.dockerfile:
        return
    image = dict(found.declared.packages)
    build: dict[str, str] = {}
    for name in sorted(needs.keys() & OF_DEBIAN.keys()):
        runs, builds = OF_DEBIAN[name]
        image |= dict.fromkeys(runs, name) | image
        build |= dict.fromkeys(builds, name) | build
    if "psycopg" in needs and not re.search(r"\b(binary|c)\b", needs["psycopg"]):
        image.setdefault("libpq5", "psycopg, without its extra binary")
    for variable, wanted in (("build_image_packages", image), ("build_packages", build)):
        if wanted:
            answer.set(variable, sorted(wanted), ", ".join(dict.fromkeys(wanted.values())))
