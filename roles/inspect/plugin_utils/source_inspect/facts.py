"""What the Python of a source tells, where its modules lie, and at which addresses nothing answers a container."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass, field
from typing import Any

from .syntax import constant, dotted
from .tree import Tree

FLASK = "Flask"  # and whatever else gunicorn serves as it is

CELERY = ("celery", "celery_app")
ADDRESS = re.compile(
    r"(?P<kind>rediss?|valkey|postgres(?:ql)?|mysql|mariadb|amqps?|mongodb)(?:\+\w+)*://"
    r"(?:[^@/\s]*@)?(?P<host>[\w.-]+)(?P<port>:\d+)?(?![\w.-])",
    re.ASCII,
)


@dataclass
class App:
    """Something that could be served.

    :param kind: "instance", "factory" or "imported".
    :param demands: arguments that a factory must get.
    :param framework: FLASK, or what gunicorn cannot serve as it is.
    """

    file: str
    name: str
    kind: str
    demands: int = 0
    runs: bool = False
    framework: str = FLASK
    line: int = 1


@dataclass
class Read:
    """A place that reads a variable of the environment."""

    name: str
    default: Any
    place: str
    node: ast.AST


@dataclass
class Code:
    """All that was found; each place is "file:line"."""

    apps: list[App] = field(default_factory=list)
    demanded: dict[str, str] = field(default_factory=dict)
    optional: dict[str, tuple[str, Any]] = field(default_factory=dict)
    settings: dict[str, tuple[Any, str]] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)  # paths of routes that everybody may ask for
    made: dict[str, str] = field(default_factory=dict)
    wrote: dict[str, str] = field(default_factory=dict)  # {file that is written: place}
    texts: dict[str, str] = field(default_factory=dict)
    celery: dict[str, str] = field(default_factory=dict)  # {name for celery -A: place}, the likeliest first
    addresses: dict[str, str] = field(default_factory=dict)
    # {variable that names a file of settings: (place, whether it may lack)}
    files: dict[str, tuple[str, bool]] = field(default_factory=dict)
    opened: dict[str, str] = field(default_factory=dict)  # {file that an import reads: place}
    sql: dict[str, str] = field(default_factory=dict)  # {name of a file: its text}
    tables: dict[str, str] = field(default_factory=dict)  # {place: what makes tables there}
    words: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    prefixes: dict[str, str] = field(default_factory=dict)  # {prefix of variables that are all read: place}
    validated: dict[str, str] = field(default_factory=dict)  # {setting that must be there: place}
    wrappers: dict[str, bool] = field(default_factory=dict)  # {function that reads a variable: whether it demands it}
    models: set[str] = field(default_factory=set)  # classes of settings whose fields are variables
    known: dict[str, ast.expr] = field(default_factory=dict)  # {NAME: the text, list or map that a module sets}
    reads: list[Read] = field(default_factory=list)
    modules: dict[str, ast.Module] = field(default_factory=dict)


def module(file: str) -> str | None:
    """Return what a file is imported as, or None."""
    parts = file.removeprefix("src/").removesuffix(".py").split("/")
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts) if parts and all(map(_importable, parts)) else None


def _importable(part: str) -> bool:
    return part.isidentifier() and not keyword.iskeyword(part)


def file_of(tree: Tree, name: str) -> str | None:
    """Return the file that a module lies in, or None."""
    path = name.replace(".", "/")
    places = [f"{begin}{path}{end}" for begin in ("", "src/") for end in (".py", "/__init__.py")]
    return next((place for place in places if place in tree.names), None)


def is_address(text: str) -> bool:
    """Tell whether a text is such an address."""
    return bool(ADDRESS.match(text))


def unreachable(text: str) -> str:
    """Return what a text names that no container reaches, without user, password and database; "" of another text.

    That is the container itself, and a name without a dot: a service of Compose, which is not there.
    """
    match = ADDRESS.search(text)
    if not match or not ("." not in match["host"] or match["host"] == "127.0.0.1"):
        return ""
    return f"{match['kind']}://{match['host']}{match['port'] or ''}"


def makes_celery(called: str) -> bool:
    """Tell whether a function's name says that it makes a Celery app."""
    return called == "Celery" or bool(
        re.fullmatch(r"(create|make|build|init|get|setup|new)_?celery\w*|celery_init_app", called)
    )


def celery_apps(file: str, tree: ast.Module) -> dict[str, str]:
    """Return {name: place} of the Celery apps that a file holds.

    The name has the attribute: without one, Celery takes an `app` of that module, which may be a Flask app.
    """
    here = module(file) or ""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and _is_celery(node.value):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.ImportFrom) and "celery" in here.rpartition(".")[2] and node.module != "celery":
            names = [name for name in (each.asname or each.name for each in node.names) if name in CELERY]
        else:
            names = []
        found |= {f"{here}.{name}": f"{file}:{node.lineno}" for name in names}
    return found


def celery_within(file: str, nodes: list[ast.AST]) -> dict[str, str]:
    """Return {module: place} of a file that makes one within a function."""
    calls = [node for node in nodes if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] == "Celery"]
    return {module(file) or "": f"{file}:{call.lineno}" for call in calls[:1]}


def _is_celery(value: ast.AST) -> bool:
    """Tell whether a value is a Celery app: made here, or taken out of Flask's extensions."""
    if isinstance(value, ast.Call):
        return makes_celery(dotted(value.func).rpartition(".")[2])
    return isinstance(value, ast.Subscript) and constant(value.slice) == "celery"
