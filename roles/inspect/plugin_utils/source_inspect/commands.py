"""What is run: what starts the web and its processes, and commands that make a database's tables."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping

from .facts import Code, module
from .syntax import constant, demands_of, dotted
from .tree import Tree

SERVERS = ("gunicorn", "uwsgi", "waitress-serve", "hypercorn", "uvicorn", "granian")
SHELL = re.compile(r"[$;&|<>`]")
MORE = 100  # commands of one kind
# What starts the processes that another file lists, and is none itself.
MANAGES = re.compile(
    r"(exec )?(\S*/)?(honcho|foreman|forego|overmind|goreman|hivemind|supervisord|supervisorctl|circusd)\b"
)
SUPERVISOR = re.compile(r"(.+/)?(supervisord?[\w.-]*\.conf|supervisor(d|\.d)?/([\w.-]+/)?[\w.-]+\.(conf|ini))")
MAKES = {"create_all", "create_tables", "init_db"}
DROPS = {"drop_all", "drop_tables"}
SCRIPT = "__main__"  # made only where the file is run as a script
TOO = ", which also drops tables"
TWICE = ", which fails where they are"
EXECUTES = {"execute", "executescript", "execute_script"}
CREATES = re.compile(r"\bCREATE\s+TABLE\b(\s+IF\s+NOT\s+EXISTS\b)?", re.IGNORECASE)
DROP = re.compile(r"\bDROP\s+TABLE\b", re.IGNORECASE)
STARTS = re.compile(r"(exec )?(\S*/)?(gunicorn|waitress-serve|uwsgi|hypercorn|uvicorn)\s")
UWSGI = re.compile(r"([^/]+/)?uwsgi[\w.-]*\.ini")
SETTING = re.compile(r"\s*(module|wsgi|wsgi-file|mount|callable)\s*[=:]\s*([^\s;#]+)")
SETUP = re.compile(r"(init|create|setup|make|build|seed|reset)\w*|\w*(init|schema|setup)|db|database", re.IGNORECASE)


def words(command: str) -> list[str]:
    """Return a command's words as a shell splits them, or as they stand where it would not."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def procfiles(tree: Tree) -> dict[str, tuple[str, str]]:
    """Return {process: (command, file)} of a Procfile, and of the one that a manager of processes in it takes."""
    found: dict[str, tuple[str, str]] = {}
    left = ["Procfile"]
    for file in left:
        for line in tree.text(file).splitlines():
            match = re.fullmatch(r"([A-Za-z0-9_-]+):\s*(.+)", line.strip())
            if match and len(found) < MORE and MANAGES.match(match[2]):
                other = re.search(r"\s(?:-f|--procfile)[ =]?(\S+)", match[2])
                left += [other[1]] if other and len(left) == 1 else []
            elif match and len(found) < MORE:
                found.setdefault(match[1].lower(), (match[2].strip(), file))
    return found


def supervised(tree: Tree) -> dict[str, tuple[str, str]]:
    """Return {process: (command, file)} of supervisord's programs, http://supervisord.org/configuration.html."""
    found: dict[str, tuple[str, str]] = {}
    for file in sorted(name for name in tree.names if SUPERVISOR.fullmatch(name)):
        program = ""
        for line in tree.text(file).splitlines():
            section, command = re.match(r"\[(program:)?(\S+?)\]", line), re.match(r"command\s*=\s*(.+)", line)
            program = section[2].lower() if section and section[1] else "" if section else program
            if program and command and len(found) < MORE:
                serves = STARTS.match(command[1])
                found.setdefault("startup" if serves else program, (re.sub(r"\s;.*", "", command[1]).strip(), file))
    return found


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


def starters(tree: Tree) -> dict[str, tuple[str, str]]:
    """Return {"startup" or "uwsgi": (command, file)} of files that start the web: Azure's, and uWSGI's settings.

    https://learn.microsoft.com/azure/app-service/configure-language-python, https://uwsgi-docs.readthedocs.io
    """
    found: dict[str, tuple[str, str]] = {}
    for file in ("startup.txt", "startup.sh"):
        lines = [line.strip() for line in re.sub(r"\\\s*\n", " ", tree.text(file)).splitlines()]
        serving = [line for line in lines if STARTS.match(line)]
        if serving:
            found.setdefault("startup", (serving[-1].removeprefix("exec "), file))
    for file in sorted(name for name in tree.names if UWSGI.fullmatch(name)):
        told = dict(match.groups() for match in map(SETTING.match, tree.text(file).splitlines()) if match)
        path = told.get("wsgi-file") or told.get("mount", "").partition("=")[2]
        served = told.get("module") or told.get("wsgi") or path.removesuffix(".py").strip("/").replace("/", ".")
        name = "" if ":" in served or "callable" not in told else f":{told['callable']}"
        if served:
            found.setdefault("uwsgi", (f"uwsgi {served}{name}", file))
    return found


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


def through_script(tree: Tree, command: str) -> str:
    """Return a command, or the line that serves in a script of the source that it starts."""
    bases = {word.rpartition("/")[2] for word in words(command)}
    for name in sorted(tree.names) if command else ():
        if name.rpartition("/")[2] in bases and not name.endswith((".py", ".toml")):
            lines = [line.strip().removeprefix("exec ") for line in tree.text(name).splitlines()]
            return next((line for line in lines if line.startswith(SERVERS)), command)
    return command


def option(words: list[str], option: str, short: str) -> str | bool | None:
    """Return what a command gives an option; None where it has none."""
    for number, word in enumerate(words):
        if word == option == "--preload":
            return True
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word in (option, short) and number + 1 < len(words):
            return words[number + 1]
    return None


def in_shell(command: str) -> str:
    """Return a command as words without a shell; one that needs a shell gets it."""
    return f"sh -c {shlex.quote(command)}" if SHELL.search(command) else command
