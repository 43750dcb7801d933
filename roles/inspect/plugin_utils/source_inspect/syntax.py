"""What one node of a syntax tree says."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import Any


def parse(text: str) -> ast.Module:
    """Return a file's syntax tree, without a warning of what is odd in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def number(node: ast.AST) -> Any:
    """Return a constant, or the product of some, as 16 * 1024 * 1024; None of what is none."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = number(node.left), number(node.right)
        whole = isinstance(left, int) and isinstance(right, int) and abs(left) < 1 << 40 and abs(right) < 1 << 40
        return left * right if whole else None
    return constant(node)


def default_of(call: ast.Call) -> Any:
    given = [each.value for each in call.keywords if each.arg == "default"]
    return constant(call.args[1]) if len(call.args) > 1 else constant(given[0]) if given else None


def imported_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name.split(".")[0] for each in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield (node.module or "").split(".")[0]


def names_of_os(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (name here, what it is) of what a statement takes out of module os."""
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        known = [each for each in node.names if each.name in ("environ", "getenv")]
        yield from ((each.asname or each.name, f"os.{each.name}") for each in known)
    elif isinstance(node, ast.Import):
        yield from ((each.asname, "os") for each in node.names if each.name == "os" and each.asname)


def named_of(call: ast.Call) -> dict[str, ast.expr]:
    """Return the arguments of a call that have a name."""
    return {each.arg: each.value for each in call.keywords if each.arg}


def caught_in(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a `try` that goes on without the variable, or behind `if "X" in os.environ`."""
    if isinstance(node, ast.Try):
        names = {dotted(each.type) for each in node.handlers}
        if names & {"", "KeyError", "Exception", "LookupError"}:
            yield from (inner for each in node.body for inner in ast.walk(each))
    elif isinstance(node, ast.If | ast.IfExp) and _in_environment(node.test):
        inside = [inner for each in ast.iter_child_nodes(node) for inner in ast.walk(each)]
        reads = [inner for inner in inside if isinstance(inner, ast.Subscript)]
        yield from (each for each in reads if constant(each.slice) in map(constant, ast.walk(node.test)))


def _in_environment(test: ast.expr) -> bool:
    """Tell whether a test is `"X" in os.environ` or `os.environ.get("X")`."""
    if isinstance(test, ast.Compare):
        return isinstance(test.ops[0], ast.In) and dotted(test.comparators[0]).endswith("environ")
    return isinstance(test, ast.Call) and dotted(test.func).endswith(("environ.get", "getenv"))


def otherwise_of(node: ast.AST) -> Iterator[tuple[ast.AST, Any]]:
    """Yield (call, what stands for it where it gives nothing) of `call() or "text"`."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        yield from ((each, constant(node.values[-1])) for each in node.values[:-1])


def demands_of(node: ast.FunctionDef) -> int:
    arguments = node.args
    plain = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return plain + sum(default is None for default in arguments.kw_defaults)


def runs_server(node: ast.AST) -> bool:
    """Tell whether a statement starts a server when its file is imported."""
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and dotted(call.func).split(".")[-1] in ("run", "serve_forever")


def dotted(node: ast.AST | None) -> str:
    """Return a name as it is written, as "os.environ.get"; "" of what is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else ""
    return ""


def module_of(node: ast.ImportFrom, package: str) -> str:
    """Return the module that a statement takes something out of."""
    above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
    return ".".join([*filter(None, above), *filter(None, [node.module])])


def constant(node: ast.AST | None) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def constants_of(tree: ast.Module) -> dict[str, Any]:
    """Return {name: value} of the constants that a module sets."""
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    return found
