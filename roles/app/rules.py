"""Which values of role app's variables can work."""

from __future__ import annotations

import re
import shlex
from typing import Any

from inventory_check.callables import wsgi
from inventory_check.exact import FLOAT, unquoted
from inventory_check.values import (
    SIZE,
    app_name,
    calendar,
    entries,
    environment,
    number,
    odd_name,
    one_of,
    pattern,
    some_of,
    text,
    whole,
)

FILE = re.compile(r"(?!env\.json$)[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
PLACEHOLDERS = re.compile(
    r"(change.?me|secret|password|default|example|todo|dev|x+|.*not.?so.?secret.*)", re.IGNORECASE
)
SECRET_LENGTH = 8
LEAST_MEMORY = 6 << 20  # bytes; docker refuses less


def memory(value: str, name: str = "app_memory") -> str | None:
    wrong = pattern(SIZE, f"{name}: 512m")(value)
    if not wrong and in_bytes(value) < LEAST_MEMORY:
        wrong = f"{value} is less than docker's least, 6m"
    return wrong


WRITABLE = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*(:(memory|[1-9][0-9]*[kmg]))?", re.ASCII)
TMP, TMP_SIZE = "/tmp", "64m"  # noqa: S108 - of a container
OURS = re.compile(r"/(data|release|run|proc|sys|dev|tmp)(/.*)?|/(bin|etc|lib|lib64|opt|root|sbin|srv|usr|var|venv)")
PLACED = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", re.ASCII)
ENGINES = re.compile(r"/etc/(passwd|hosts|hostname|resolv\.conf)")  # mounted for each container
UNITS = {"k": 10, "m": 20, "g": 30}


def in_bytes(size: str) -> int:
    return int(size[:-1]) << UNITS[size[-1]]


def writable(values: list[str]) -> str | None:
    example = "example: app_writable: [uploads, cache:memory, /tmp:200m]"
    paths = []
    for value in values:
        path = value.partition(":")[0]
        if not WRITABLE.fullmatch(value) or {".", ".."} & set(path.split("/")):
            return f"{value!r} is not a directory, or one with its size in memory; {example}"
        sized = path == TMP and value[len(TMP) + 1 :] not in ("", "memory")
        if OURS.fullmatch(path) and not sized:
            return f"{path} is the container's own, of which /tmp alone may have a size, /tmp:200m; {example}"
        for other in paths:
            if f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/"):
                return f"{path} and {other} are one place or lie within each other; keep one of them"
        paths.append(path)
    return None


def server(value: str) -> str | None:
    kind, _, port = value.partition(":")
    if value in ("auto", "gevent", "gthread", "sync") or (kind == "port" and re.fullmatch("[1-9][0-9]{0,4}", port)):
        return None if not port or 1024 <= int(port) <= 65535 else f"{port} is not between 1024 and 65535"
    return f"{value!r} is not auto, gevent, gthread, sync or a port; example: app_server: port:5000"


def command(value: str) -> str | None:
    try:
        words = shlex.split(value)
    except ValueError as error:
        return f"{value!r} is no command ({error}); example: flask --app shop db upgrade"
    if shell := [word for word in words if word in ("&&", "||", ";", "|", ">", "<")]:
        return f"no shell runs it, so {shell[0]} means nothing; example: sh -c 'one && two'"
    name = (re.match(r"[A-Za-z_]\w*=", (words or [""])[0], re.ASCII) or [""])[0]
    example = f"example: env {name}… flask db upgrade"
    return f"no shell runs it, so {name}… is no program; write env before it, {example}" if name else None


def words(value: Any) -> str | None:
    """Judge a command that is a text or a list of words."""
    given = value if isinstance(value, list) else [value]
    if odd := [word for word in given if not isinstance(word, str)]:
        return f"{odd[0]!r} is not text"
    if not given or not given[0].strip():
        return "it is empty"
    if given[0].lstrip().startswith("-"):
        return f"{given[0]!r} begins with an option, not with a program"
    return command(value if isinstance(value, str) else shlex.quote(given[0]))


def cpus(value: Any) -> str | None:
    if isinstance(value, bool) or not FLOAT.fullmatch(str(value)):
        return f"{value!r} is not a number"
    return number(0, 1024)(float(value))


PROCESS = {
    "command": words,
    "count": whole(0, 64),
    "hosts": one_of("one", "all"),
    "memory": text(lambda value: memory(value, "memory")),
    "cpus": cpus,
    "pids": whole(16, 100000),
    "stop_timeout": whole(1, 3600),
}
PROCESS_NAME = re.compile(r"(?!web$)(?=.{1,16}$)[a-z][a-z0-9-]*")
WEB = "web is what gunicorn serves, as app_wsgi says; remove it here"
PROCESSES = "app_processes: {worker: {command: celery -A shop worker, count: 2, memory: 512m}}"
JOB = {
    "command": text(words),
    "at": text(calendar),
    "memory": PROCESS["memory"],
    "timeout": whole(1, 604_800),
    "hosts": one_of("one", "all"),
    "catch_up": one_of(True, False),
}
PROCESSES_CHECK = entries(PROCESS_NAME, PROCESS, ("command",), PROCESSES)
JOB_NAME = re.compile("[a-z][a-z0-9_]{0,30}")
JOBS = 'app_jobs: {purge: {command: flask purge, at: "*-*-* 03:00"}}'


def secrets(values: dict[Any, Any]) -> str | None:
    wrong = environment(values)
    for name, value in {} if wrong else values.items():
        text = str(value).strip()
        if len(text) < SECRET_LENGTH or PLACEHOLDERS.fullmatch(text):
            wrong = f"{name} is empty, a placeholder, or shorter than {SECRET_LENGTH} characters"
            return f"{wrong}; make one: openssl rand -hex 32"
    return wrong


def secret_files(values: dict[Any, Any]) -> str | None:
    if said := odd_name(values):
        return said
    for name, value in values.items():
        if not FILE.fullmatch(name):
            return f"{name!r} is not a plain file name; example: users.json"
        if value in (None, ""):
            return f"{name} is empty; remove it, or give it a content"
    return unquoted(values)


def files(values: dict[Any, Any]) -> str | None:
    example = "example: app_files: {config.py: …}"
    for path, value in values.items():
        if not isinstance(path, str) or not PLACED.fullmatch(path) or {".", ".."} & set(path.split("/")):
            return f"{path!r} is not the path of a file; {example}"
        if OURS.fullmatch(path) or ENGINES.fullmatch(path):
            return f"{path} is the container's own; {example}"
        if value in (None, "") or not isinstance(value, str):
            return f"{path} is empty, or not text; remove it, or give it a content"
        if within := next((other for other in values if str(other).startswith(f"{path}/")), None):
            return f"{path} is a file, so {within} cannot lie in it; keep one of them"
    return unquoted(values)


CHECKS = {
    "app_name": app_name,
    "app_wsgi": wsgi,
    "app_env": environment,
    "app_secrets": secrets,
    "app_secret_files": secret_files,
    "app_files": files,
    "app_server": server,
    "app_needs": some_of("postgres", "valkey"),
    "app_uid": number(10000, 60000),
    "app_writable": writable,
    "app_memory": memory,
    "app_cpus": number(0, 1024),
    "app_pids": number(16, 100000),
    "app_processes": lambda values: WEB if "web" in values else PROCESSES_CHECK(values),
    "app_workers": number(0, 1024),
    "app_max_requests": number(0, 10**9),
    "app_timeout": number(1, 3600),
    "app_jobs": entries(JOB_NAME, JOB, ("command", "at"), JOBS),
    "app_health_path": pattern(re.compile(r"/[\w./~%+-]*(\?[\w=&.~%+-]*)?", re.ASCII), "app_health_path: /healthz"),
    "app_start_timeout": number(1, 3600),
    "app_rollback_to": pattern(re.compile(r"[0-9a-f]{12}|"), "app_rollback_to: 3f9a0c41d2b7"),
    "app_drain_timeout": number(0, 3600),
    "app_watch_seconds": number(0, 3600),
    "app_watch_errors": number(0, 100),
    "app_watch_slow": number(0, 3600),
    "app_watch_slower": number(0, 1000),
    "app_confirm_timeout": number(5, 3600),
    "app_lock_wait": number(0, 86_400),
    "app_release_command": command,
    "app_schema_command": command,
    "app_release_command_timeout": number(1, 86_400),
    "app_keep_releases": number(2, 1000),
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES = {
    "app_wsgi": "shop:create_app()",
    "app_env": {"CURRENCY": "EUR"},
    "app_lock_wait": 300,
    "app_needs": ["postgres"],
    "app_jobs": {"purge": {"command": "flask purge", "at": "*-*-* 03:00"}},
    "app_writable": ["uploads", "cache:memory", f"{TMP}:200m"],
    "app_processes": {"worker": {"command": "celery -A shop worker", "count": 2, "memory": "512m"}},
    "app_secrets": {"SECRET_KEY": "{{ vault_app_secret_key }}"},
    "app_secret_files": {"users.json": "{{ vault_app_users }}"},
    "app_files": {"config.py": "{{ lookup('ansible.builtin.template', inventory_dir ~ '/config.py.j2') }}"},
}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    both = sorted(set(values.get("app_env", {})) & set(values.get("app_secrets", {})))
    mistakes = [f"app_env: {name} is in app_secrets too; keep it in one of them" for name in both]
    folders = [word.partition(":")[0] for word in values.get("app_writable", [])]
    for path in values.get("app_files", {}):
        above = [folder for folder in folders if folder == path or folder.startswith(f"{path}/")]
        mistakes += [
            f"app_files: {path} is a file, so {each} of app_writable cannot be there; remove it" for each in above
        ]
    many = [name for name, each in values.get("app_processes", {}).items() if int(each.get("count", 1)) > 1]
    for name in (name for name in many if values["app_processes"][name].get("hosts") == "one"):
        mistakes.append(f"app_processes: {name}: hosts: one runs it once, so count cannot be more than 1; remove count")
    return mistakes + room(values)


def room(values: dict[str, Any]) -> list[str]:
    """Return what does not fit: a request's body into /tmp, where Flask puts large ones, or places into memory."""
    words = [word.partition(":")[::2] for word in values.get("app_writable", [])]
    tmp = next((size for path, size in words if path == TMP), TMP_SIZE)
    body, memory = values.get("site_max_body", "0k"), in_bytes(values.get("app_memory", "512m"))
    mistakes = []
    if 2 * in_bytes(body) > in_bytes(tmp):
        fits = f"{2 * int(body[:-1])}{body[-1]}"
        mistakes.append(
            f"app_writable: /tmp of {tmp} does not hold two bodies of requests, which may have {body} each "
            f"(site_max_body); example: app_writable: [/tmp:{fits}]"
        )
    held = sum(in_bytes(TMP_SIZE if size == "memory" else size) for path, size in words if size and path != TMP)
    if 2 * held > memory:
        mistakes.append(
            f"app_writable: {held >> 20} MB in memory are more than half of app_memory, which they are a part of; "
            "keep some on disk, example: app_writable: [cache]"
        )
    return mistakes
