"""What `celery -A` is to be called with."""

from __future__ import annotations

import ast
import re

from .facts import module
from .syntax import constant, dotted

NAMES = ("celery", "celery_app")


def makes(called: str) -> bool:
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
        if isinstance(node, ast.Assign) and _makes(node.value):
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


def _makes(value: ast.AST) -> bool:
    """Tell whether a value is a Celery app: made here, or taken out of Flask's extensions."""
    if isinstance(value, ast.Call):
        return makes(dotted(value.func).rpartition(".")[2])
    return isinstance(value, ast.Subscript) and constant(value.slice) == "celery"
