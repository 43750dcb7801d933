"""What one node of a syntax tree says."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Any

STARTS = re.compile(
    r"(?<!_)(\w+_)?(app|config|settings|env|environment|init|setup|main)(_\w+)?(?<!_)"
)  # functions of a start
EXITS = ("exit", "_exit")
VITAL = re.compile(  # settings without which an app cannot answer
    r"SQLALCHEMY_DATABASE_URI|MONGO_URI|MONGODB_HOST|(CELERY_)?BROKER_URL|(JWT_)?SECRET_KEY|(CELERY_)?broker(_url)?"
)

SRC = "src."  # begins modules of a source whose src/ is a package, and that otherwise lie at the top
KEEPS = ("replace", "strip", "rstrip", "lstrip")  # give nothing where there is nothing


def parse(text: str) -> ast.Module:
    """Return a file's syntax tree, without a warning of what is odd in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def given_before(nodes: list[ast.AST]) -> set[int]:
    """Return the reads, as `x["A"]`, of what the file has set further up, by `x["A"] = …` or `x.setdefault("A", …)`."""
    first: dict[tuple[str, str], int] = {}
    reads = [node for node in nodes if isinstance(node, ast.Subscript)]
    rows: list[tuple[ast.AST, ast.expr]] = [
        (each.value, each.slice) for each in reads if isinstance(each.ctx, ast.Store)
    ]
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setdefault":
            rows += [(node.func.value, each) for each in node.args[:1]]
    for owner, key in rows:
        name = dotted(owner), ast.dump(key)
        first[name] = min(key.lineno, first.get(name, key.lineno))
    late = [(each, first.get((dotted(each.value), ast.dump(each.slice)))) for each in reads]
    return {id(each) for each, line in late if line and line < each.lineno}


def number(node: ast.AST) -> Any:
    """Return a constant, or the product of some, as 16 * 1024 * 1024; None of what is none."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = number(node.left), number(node.right)
        whole = isinstance(left, int) and isinstance(right, int) and abs(left) < 1 << 40 and abs(right) < 1 << 40
        return left * right if whole else None
    return constant(node)


def imported_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name.split(".")[0] for each in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield (node.module or "").split(".")[0]


def named_of(call: ast.Call) -> dict[str, ast.expr]:
    """Return the arguments of a call that have a name."""
    return {each.arg: each.value for each in call.keywords if each.arg}


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
    name = ".".join([*filter(None, above), *filter(None, [node.module])])
    return f"{name}.".removeprefix(SRC).removesuffix(".")


def together(node: ast.AST) -> str:
    """Return a text that is put together, with {} for what only the running code knows."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return together(node.left) + together(node.right)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(together, node.values))
    return constant(node) if isinstance(constant(node), str) else "{}"


def constant(node: ast.AST | None) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def constants_of(tree: ast.Module) -> dict[str, Any]:
    """Return {name: value} of the constants that a module sets."""
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    return found


def python_of(text: str) -> str:
    """Return the Python that a Dockerfile's last image of Python has, as "3.12"; "" of none."""
    known = dict(re.findall(r"(?im)^\s*ARG\s+(\w+)=[\"']?([\w.-]+)", text))
    images = re.findall(r"(?im)^\s*FROM\s+(?:--\S+\s+)?(?:\S+/)?python:(\S+)", text)
    tags = [re.sub(r"\$\{?(\w+)[^}\s-]*\}?", lambda found: known.get(found[1], ""), each) for each in images]
    versions = [match[0] for match in (re.match(r"\d+\.\d+", each) for each in tags) if match]
    return versions[-1] if versions else ""


def constants(text: str) -> dict[str, Any]:
    """Return the constants that a settings file sets, as gunicorn.conf.py."""
    try:
        return constants_of(parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def assigned_of(tree: ast.Module) -> dict[str, ast.expr]:
    """Return {last part of a name: value} of the texts, lists and maps that a module or a class in it sets."""
    kinds = (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Call)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AnnAssign)]
    rows = [(each, node.value) for node in nodes for each in getattr(node, "targets", [getattr(node, "target", node)])]
    return {last_of(target): value for target, value in rows if last_of(target) and isinstance(value, kinds)}


def last_of(node: ast.AST | None) -> str:
    return dotted(node).rpartition(".")[2]


def required(nodes: list[ast.AST]) -> set[int]:
    """Return the calls whose value must not be empty: an error follows where it is, and when the app starts."""
    later = [node for node in nodes if isinstance(node, ast.FunctionDef) and not STARTS.fullmatch(node.name)]
    inside = {id(inner) for node in later for inner in ast.walk(node)}
    nodes = [node for node in nodes if id(node) not in inside]
    named, missing = {}, _missing(nodes)
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            named |= {dotted(target): id(node.value) for target in node.targets}
    found = set()
    for node in nodes:
        tests = [node.test] if isinstance(node, ast.Assert) else []
        if isinstance(node, ast.If) and any(map(_ends, node.body)):
            found |= {number for each in ast.walk(node.test) for number in missing.get(last_of(each) or id(each), ())}
            tests = [_asked(each) for each in _parts(node.test) if _lacks(each)]
        for each in tests:
            found.add(named.get(dotted(each), id(each)))
    return found


def _missing(nodes: list[ast.AST]) -> dict[str | int, list[int]]:
    """Return {name or identity of a list of what lacks: the expressions that it asks}, `[x for x in X if not f(x)]`."""
    found: dict[str | int, list[int]] = {}
    for node in nodes:
        for part in getattr(node, "generators", ()):
            tests = [*part.ifs, getattr(node, "elt", node)]
            found[id(node)] = [id(_asked(each)) for each in tests if _lacks(each)]
    for node in nodes:
        if isinstance(node, ast.Assign):
            inside = [number for each in ast.walk(node.value) for number in found.get(id(each), ())]
            found |= {last_of(target): inside for target in node.targets if inside}
        elif isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Call):  # not all(f(x) for x in X)
            inner = node.operand.args[:1] if dotted(node.operand.func) == "all" else []
            found |= {id(each): [id(each.elt)] for each in inner if hasattr(each, "elt")}
    return found


def _asked(test: ast.expr) -> ast.expr:
    """Return what a test asks whether it is there: of `"X" not in os.environ` that is the test itself."""
    if isinstance(test, ast.Compare) and not isinstance(test.ops[0], ast.NotIn):
        return test.left
    return test.operand if isinstance(test, ast.UnaryOp) else test


def vital(nodes: list[ast.AST]) -> Iterator[int]:
    """Yield the expressions that the code gives, by a name or not, to settings which have to have a value."""
    named: dict[str, list[ast.AST]] = {}
    for node in nodes:
        for target in node.targets if isinstance(node, ast.Assign) else []:
            if dotted(target) not in map(dotted, ast.walk(node.value)) or any(map(_either, ast.walk(node.value))):
                named.setdefault(dotted(target), []).append(node.value)
    taken = {each.arg for each in nodes if isinstance(each, ast.arg)}
    left, seen = [value for node in nodes for value in _vital(node)], set[int]()
    for value in left:
        if id(value) in seen:
            continue
        seen.add(id(value))
        inner = value.func.value if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) else None
        left += [inner] if inner and getattr(value.func, "attr", "") in KEEPS else []
        whole = named.get(dotted(value), []) if dotted(value) not in taken else []
        left += whole if len(whole) == 1 else []
    yield from seen


def _either(node: ast.AST) -> bool:
    """Tell whether an expression has something else where there is nothing."""
    return isinstance(node, ast.Or) or (isinstance(node, ast.IfExp) and constant(node.orelse) is not None)


def _vital(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign):
        names = [constant(each.slice) if isinstance(each, ast.Subscript) else last_of(each) for each in node.targets]
        yield from [node.value] if any(VITAL.fullmatch(str(name)) for name in names) else []
    elif isinstance(node, ast.Call):
        yield from (value for name, value in named_of(node).items() if VITAL.fullmatch(name))
    elif isinstance(node, ast.Dict):
        rows = zip(node.keys, node.values, strict=True)
        yield from (value for key, value in rows if VITAL.fullmatch(str(constant(key))))


def _parts(test: ast.expr) -> list[ast.expr]:
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) else [test]


def _lacks(node: ast.AST) -> bool:
    """Tell whether a test holds where there is nothing: `not x`, `x is None`, `x == ""`, `"x" not in y`."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    if not isinstance(node, ast.Compare) or isinstance(node.ops[0], ast.NotIn):
        return isinstance(node, ast.Compare)
    alike = isinstance(node.ops[0], ast.Is | ast.Eq) and isinstance(node.comparators[0], ast.Constant)
    return alike and not constant(node.comparators[0])


def _ends(node: ast.AST) -> bool:
    called = dotted(node.value.func) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else ""
    return isinstance(node, ast.Raise) or called.rpartition(".")[2] in EXITS
