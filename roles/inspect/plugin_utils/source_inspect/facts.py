"""What Python tells, how it reads variables, where modules lie, and at which addresses nothing answers a container."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .syntax import constant, dotted, last_of, named_of
from .tree import Tree

FLASK = "Flask"  # and whatever else gunicorn serves as it is

CELERY = ("celery", "celery_app")
ADDRESS = re.compile(
    r"(?P<kind>rediss?|valkey|postgres(?:ql)?|mysql|mariadb|amqps?|mongodb)(?:\+\w+)*://"
    r"(?:[^@/\s]*@)?(?P<host>[\w.-]+)(?P<port>:\d+)?(?![\w.-])",
    re.ASCII,
)

LEFT_OUT = re.compile(
    r"(.*/)?(tests?|docs?|examples?|migrations|alembic|node_modules|\.?venv|env|bin|scripts|build|dist)/.*"
    r"|(.*/)?(conftest|noxfile|fabfile|test_[^/]*|[^/]*_test|test(lib|case|util|helper|base)s?|gunicorn[^/]*)\.py"
)
INSTALLS = re.compile(r"\b(setuptools|distutils|skbuild)\b")


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
    late: dict[str, str] = field(default_factory=dict)  # {path: where code that no import runs makes it a page}
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


def root(file: str) -> str:
    """Return the directory above a file whose name no import can have, as "flask-app/"; "" of none."""
    folders = file.split("/")[:-1]
    odd = [number for number, part in enumerate(folders, 1) if not _importable(part)]
    return "/".join([*folders[: odd[-1]], ""]) if odd else ""


def module(file: str) -> str | None:
    """Return what a file is imported as, from the directory that root() tells or from the source; or None."""
    parts = file.removeprefix(root(file)).removeprefix("src/").removesuffix(".py").split("/")
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts) if parts and all(map(_importable, parts)) else None


def _importable(part: str) -> bool:
    return part.isidentifier() and not keyword.iskeyword(part)


def of_python(tree: Tree) -> list[str]:
    """Return the names of files that an app may be made of, those of the highest directories first."""
    names = [name for name in tree.names if name.endswith(".py") and not LEFT_OUT.fullmatch(name) and module(name)]
    names = [name for name in names if not (name.endswith("setup.py") and INSTALLS.search(tree.text(name)))]
    return sorted(names, key=lambda name: (name.count("/"), name))


def file_of(tree: Tree, name: str) -> str | None:
    """Return the file that a module lies in, or None."""
    path = name.replace(".", "/")
    places = [f"{begin}{path}{end}" for begin in (*tree.roots, "", "src/") for end in (".py", "/__init__.py")]
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


def default_of(call: ast.Call) -> Any:
    given = [each.value for each in call.keywords if each.arg == "default"]
    return constant(call.args[1]) if len(call.args) > 1 else constant(given[0]) if given else None


def given(call: ast.Call) -> bool:
    """Tell whether a call that reads a variable says what it is without it, be it known or not; None says nothing."""
    default = call.args[1] if len(call.args) > 1 else named_of(call).get("default")
    return default is not None and not (isinstance(default, ast.Constant) and default.value is None)


def names_of_os(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (name here, what it is) of what a statement takes out of module os."""
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        known = [each for each in node.names if each.name in ("environ", "getenv")]
        yield from ((each.asname or each.name, f"os.{each.name}") for each in known)
    elif isinstance(node, ast.Import):
        yield from ((each.asname, "os") for each in node.names if each.name == "os" and each.asname)


def caught_in(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a `try` that goes on without the variable, or behind `if "X" in os.environ`."""
    if isinstance(node, ast.Try):
        names = {dotted(each.type) for each in node.handlers}
        if names & {"", "KeyError", "Exception", "LookupError"}:
            yield from (inner for each in node.body for inner in ast.walk(each))
    tests = [node.test] if isinstance(node, ast.If | ast.IfExp) else []
    tests += [each for part in getattr(node, "generators", ()) for each in part.ifs]
    for owner, key in (pair for test in tests for pair in _there(test)):
        reads = [inner for inner in ast.walk(node) if isinstance(inner, ast.Subscript)]
        yield from (each for each in reads if dotted(each.value) == owner and ast.dump(each.slice) == key)


def _there(test: ast.expr) -> Iterator[tuple[str, str]]:
    """Yield (environment, what it is asked for) of tests such as `"X" in os.environ` and `os.environ.get("X")`."""
    for each in test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]:
        if isinstance(each, ast.Compare) and isinstance(each.ops[0], ast.In):
            yield dotted(each.comparators[0]), ast.dump(each.left)
        elif isinstance(each, ast.Call) and each.args:
            owner, _, last = dotted(each.func).rpartition(".")
            yield owner if last == "get" else "os.environ" if last == "getenv" else "", ast.dump(each.args[0])


def otherwise_of(node: ast.AST) -> Iterator[tuple[ast.AST, Any]]:
    """Yield (call, what stands for it where it gives nothing) of `call() or "text"`."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        yield from ((each, constant(node.values[-1])) for each in node.values[:-1])


def idle(modules: Mapping[str, ast.Module], free: Callable[[str], object]) -> set[int]:
    """Return the nodes that no import and no call of one runs: below __main__, and functions that nothing else names.

    :param free: tells whether a function of that name is called from elsewhere, as the factory of an app is.
    """
    waiting, left, named = list[ast.stmt](), list[ast.stmt](), set[str]()
    for node in (each for tree in modules.values() for each in tree.body):
        plain = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.decorator_list
        main = isinstance(node, ast.If) and "'__main__'" in ast.dump(node.test)
        (waiting if main or (plain and not free(node.name)) else left).append(node)
    while left:
        for each in (inner for node in left for inner in ast.walk(node)):
            named |= {each.name.rpartition(".")[2]} if isinstance(each, ast.alias) and each.asname else set()
            named |= (
                {*re.findall(r"\w+", text)} if isinstance(text := constant(each), str) and " " not in text else set()
            )
            named.add(last_of(each) or getattr(each, "attr", ""))
        left = [node for node in waiting if getattr(node, "name", None) in named]
        waiting = [node for node in waiting if node not in left]
    return {id(inner) for node in waiting for inner in ast.walk(node)}
