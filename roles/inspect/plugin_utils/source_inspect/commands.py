"""What is run beside the web: the name that `celery -A` takes, and commands that make the tables of a database."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .facts import module
from .syntax import constant, dotted

NAMES = ("celery", "celery_app")
MAKES = {"create_all", "create_tables", "init_db"}
DROPS = {"drop_all", "drop_tables"}
SCRIPT = "__main__"  # made only where the file is run as a script
TOO = ", which also drops tables"


def makes_celery(called: str) -> bool:
    """Tell whether a function's name says that it makes a Celery app."""
    return called == "Celery" or bool(
        re.fullmatch(r"(create|make|build|init|get|setup|new)_?celery\w*|celery_init_app", called)
    )


def named(file: str, tree: ast.Module) -> dict[str, str]:
    """Return {name: place} of the Celery apps that a file holds.

    The name has the attribute: without one, Celery takes an `app` of that module, which may be a Flask app.
    """
    here = module(file) or ""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and _is_celery(node.value):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.ImportFrom) and "celery" in here.rpartition(".")[2] and node.module != "celery":
            names = [name for name in (each.asname or each.name for each in node.names) if name in NAMES]
        else:
            names = []
        found |= {f"{here}.{name}": f"{file}:{node.lineno}" for name in names}
    return found


def inside(file: str, nodes: list[ast.AST]) -> dict[str, str]:
    """Return {module: place} of a file that makes one within a function."""
    calls = [node for node in nodes if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] == "Celery"]
    return {module(file) or "": f"{file}:{call.lineno}" for call in calls[:1]}


def _is_celery(value: ast.AST) -> bool:
    """Tell whether a value is a Celery app: made here, or taken out of Flask's extensions."""
    if isinstance(value, ast.Call):
        return makes_celery(dotted(value.func).rpartition(".")[2])
    return isinstance(value, ast.Subscript) and constant(value.slice) == "celery"


def made(file: str, tree: ast.Module) -> dict[str, str]:
    """Return {place: what makes tables there} of a file: "" at a start, SCRIPT, or the command of Flask."""
    return {f"{file}:{line}": within for line, within in _made(tree, "", file)}


def _made(node: ast.AST, within: str, file: str) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        within = _command(node, file)
        if node.name in MAKES and not within:
            return  # it counts where it is called
    elif isinstance(node, ast.If) and "'__main__'" in ast.dump(node.test):
        within = SCRIPT
    elif isinstance(node, ast.Call) and _called(node) in MAKES:
        yield node.lineno, within
    for each in ast.iter_child_nodes(node):
        yield from _made(each, within, file)


def _called(node: ast.AST) -> str:
    return dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def _drops(node: ast.AST) -> bool:
    """Tell whether a function drops tables unasked, not behind an `if`."""
    inner = [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.If)]
    return _called(node) in DROPS or any(map(_drops, inner))


def _command(node: ast.FunctionDef | ast.AsyncFunctionDef, file: str) -> str:
    """Return the command that a function is; "" of another function.

    https://click.palletsprojects.com/en/stable/api/#click.command says how a function names its command.
    """
    drops = TOO if _drops(node) else ""
    for each in node.decorator_list:
        called = each.func if isinstance(each, ast.Call) else each
        owner, _, last = dotted(called).rpartition(".")
        if last == "command" and re.search(r"(^|\.)(cli|click|manager)$", owner):
            given = constant(each.args[0]) if isinstance(each, ast.Call) and each.args else None
            own, name = owner in ("cli", "manager"), given or node.name
            if not given and owner != "manager":  # Flask-Script keeps a name as it is
                name = re.sub(r"_(command|cmd|group|grp)$", "", node.name.lower()).replace("_", "-")
            group = "" if own or re.fullmatch(r"click|(\w*app|application)\.cli", owner) else "… "
            return f"python {file} {name}{drops}" if own else f"flask {group}{name}{drops}"
    return ""
