"""Commands of the app's own code: what starts a server, and what makes a database's tables."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping

from source_starts.shells import words

from .facts import Code, module
from .syntax import constant, demands_of, dotted

MAKES = {"create_all", "create_tables", "init_db"}
DROPS = {"drop_all", "drop_tables"}
SCRIPT = "__main__"  # made only where the file is run as a script
TOO = ", which also drops tables"
TWICE = ", which fails where they are"
EXECUTES = {"execute", "executescript", "execute_script"}
CREATES = re.compile(r"\bCREATE\s+TABLE\b(\s+IF\s+NOT\s+EXISTS\b)?", re.IGNORECASE)
DROP = re.compile(r"\bDROP\s+TABLE\b", re.IGNORECASE)
SETUP = re.compile(r"(init|create|setup|make|build|seed|reset)\w*|\w*(init|schema|setup)|db|database", re.IGNORECASE)


def runs_app(code: Code, command: str) -> str:
    """Return the file that a command runs as a script, where that starts a server: `python app.py`; else ""."""
    given = [word for word in words(command) if not re.fullmatch(r"(\S*/)?python[\d.]*|exec|env|-u|-m|\w+=\S*", word)]
    if not re.search(r"\bpython", command) or not given:
        return ""
    plain = given[0].removeprefix("./").removesuffix(".py").replace(".", "/")
    files = [
        file for file in (f"{plain}.py", f"{plain}/__main__.py", f"src/{plain}/__main__.py") if file in code.modules
    ]
    names = {app.name for app in code.apps} | {"app", "application", "server", "socketio", "web"}
    for node in (inner for file in files for inner in ast.walk(code.modules[file])):
        owner = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        owner = owner.func if isinstance(owner, ast.Call) else owner
        starts = _called(node) in ("run", "run_server") and dotted(owner).rpartition(".")[2] in names
        if starts or _called(node) in ("serve_forever", "run_simple", "run_app") or _waitress(node):
            return files[0]
    return ""


def _waitress(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) in ("serve", "waitress.serve") and bool(node.args)


def works(file: str, tree: ast.Module) -> str | None:
    """Return the command by which a file runs a worker of RQ, "" where that cannot be told; None of another file."""
    made = any(isinstance(node, ast.Call) and dotted(node.func).endswith("Worker") for node in ast.walk(tree))
    if not made or not _works(tree):
        return None
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    left: list[ast.AST] = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    alone = f"python {file}" if "/" not in file else f"python -m {module(file)}"
    while left:  # what runs with the file, and the functions that this calls
        node = left.pop()
        if _works(node):
            return alone
        left += [functions.pop(name) for name in {_called(each) for each in ast.walk(node)} & functions.keys()]
    found = next((_command(node, file) for node in functions.values() if _works(node)), "").removesuffix(TOO)
    script = any(map(_is_main, tree.body))
    return (
        "" if "…" in found or (found.startswith("python ") and not script) else found.replace(f"python {file}", alone)
    )


def _works(node: ast.AST) -> bool:
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    return any(isinstance(each, ast.Attribute) and each.attr == "work" for each in calls)


def makers(modules: Mapping[str, ast.Module], sql: Mapping[str, str]) -> dict[str, str]:
    """Return {function that makes tables where it is called: "", TOO or TWICE}.

    :param sql: {name of a file: its text}.
    """
    nodes = [node for tree in modules.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    found = {node.name: _end(node, sql) for node in nodes if not _command(node, "") and _runs(node, sql)}
    return {node.name: TOO if _drops(node) else "" for node in nodes if node.name in MAKES} | found


def made(file: str, tree: ast.Module, known: Mapping[str, str], sql: Mapping[str, str]) -> dict[str, str]:
    """Return {place: what makes tables there} of a file: "" at a start, SCRIPT, or the command of Flask.

    :param known: what `makers` found.
    """
    alone = f"python {file}" if "/" not in file else f"python -m {module(file)}"
    script = alone if SETUP.fullmatch((module(file) or "").rpartition(".")[2]) else ""
    plain = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If)]
    body = ast.Module(plain, [])
    found = {f"{file}:{line}": within for line, within in _made(tree, script, file, known)}
    for node in tree.body:
        if _is_main(node) and _runs(node, sql):
            found.setdefault(f"{file}:{node.lineno}", script + _end(node, sql) if script else SCRIPT)
    if _runs(body, sql) and not found:
        found[f"{file}:{next(node.lineno for node in plain if _runs(body, sql, node))}"] = script + _end(body, sql)
    return found


def of_tables(made: Mapping[str, str]) -> list[str]:
    """Return what to say of a release command where only these make the tables: what `made` found, and no start."""
    ends = (SCRIPT, TOO, TWICE)
    place, by = min(made.items(), key=lambda row: [row[1].endswith(end) for end in ends])
    if by == SCRIPT:
        said = (
            f"{place} makes tables only where that file is run itself, which gunicorn does not; let the app make them"
        )
    elif by.endswith(TOO):
        said = f"only {by}, makes the tables ({place}), so no deploy may run it; let the app make them"
    elif by.endswith(TWICE):
        said = f"only {by}, makes the tables ({place}): run it once"
    else:
        said = f"{by} could be it, if it leaves alone what is there: it makes the tables ({place}), a start does not"
    command = by.removesuffix(TOO).removesuffix(TWICE)
    once = f"playbooks/run.yml -e {shlex.quote(f'run_command={command}')}"
    return [said, *([f"for the first tables alone, after the first deploy: {once}"] if by.endswith(ends[1:]) else [])]


def uncalled(modules: Mapping[str, ast.Module], sql: Mapping[str, str]) -> dict[str, str]:
    """Return {place: command} of functions that make tables by SQL and that nothing calls."""
    called = {_called(node) for tree in modules.values() for node in ast.walk(tree)}
    found = {}
    for file, tree in modules.items():
        for node in (each for each in tree.body if isinstance(each, ast.FunctionDef)):
            free = not (demands_of(node) or node.decorator_list)
            if free and node.name not in called and _runs(node, sql):
                command = f'python -c "from {module(file)} import {node.name}; {node.name}()"'
                found[f"{file}:{node.lineno}"] = command + _end(node, sql)
    return found


def _is_main(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "'__main__'" in ast.dump(node.test)


def _runs(node: ast.AST, sql: Mapping[str, str], part: ast.AST | None = None) -> bool:
    """Tell whether code, or a part of it, executes SQL that makes tables."""
    calls = {_called(each) for each in ast.walk(part or node)}
    return bool(calls & EXECUTES) and bool(CREATES.search(_sql(node, sql)))


def _sql(node: ast.AST, sql: Mapping[str, str]) -> str:
    texts = [str(constant(each)) for each in ast.walk(node) if isinstance(constant(each), str)]
    return "\n".join(sql.get(text.rpartition("/")[2], text) for text in texts)


def _end(node: ast.AST, sql: Mapping[str, str]) -> str:
    text = _sql(node, sql)
    twice = any(not match[1] for match in CREATES.finditer(text))
    return TOO if DROP.search(text) or _drops(node) else TWICE if twice else ""


def _made(node: ast.AST, within: str, file: str, known: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        within = _command(node, file)
        if node.name in known and not within:
            return  # it counts where it is called
    elif _is_main(node):
        within = within or SCRIPT
    elif isinstance(node, ast.Call) and (_called(node) in MAKES or _called(node) in known):
        end = known.get(_called(node), "") if within and within != SCRIPT and not within.endswith(TOO) else ""
        yield node.lineno, within + end
    for each in ast.iter_child_nodes(node):
        yield from _made(each, within, file, known)


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return dotted(node.func).rpartition(".")[2] or getattr(node.func, "attr", "")


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
