"""Which configuration the app takes: by a variable, by a default, or by what stands in the code."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from .apps import FACTORY, imports_of, statements
from .block import Answer
from .code import again
from .configurations import Configurations, given_to_objects, stage, uses
from .facts import Read, file_of, module
from .serving import Found
from .syntax import constant, dotted

SELECTS = re.compile(
    r"(\w+_)?(ENV|ENVIRONMENT|CONFIG|CONFIGURATION|SETTINGS|STAGE|MODE|PROFILE)"
    r"(_(NAME|MODE|TYPE|CLASS|MODULE|OBJECT|ENV|FOR_DYNACONF))?"
)
ARGUMENT = re.compile(r"(\w+_)?(conf\w*|env\w*|settings\w*|mode|stage)", re.IGNORECASE)


@dataclass
class Fixed:
    """A configuration that the code itself names.

    :param factory: what is called with it, as "shop:create_app"; "" where nothing is.
    :param own: it is the default of an argument of the factory that gunicorn would call.
    """

    value: str
    place: str
    factory: str = ""
    own: bool = False


def decide(found: Found, answer: Answer) -> set[str]:
    """Let the app take its configuration for production, and forget what the others read.

    :return: the variables that choose one, of which nothing more is to be said.
    """
    known = Configurations(found)
    _with_argument(found, known, answer)
    fixed = _fixed(found, known, answer)
    used = dict(uses(found))
    reads = [] if fixed else [read for read in found.code.reads if _selects(read, used, found, known)]
    chosen = _taken(fixed, found, known, answer) if fixed else ""
    for read in reads:
        told, _file = found.declared.variables.get(read.name, ("", ""))
        default = read.default if isinstance(read.default, str) else ""
        value = _value(used.get(id(read.node), ""), default, told, known)
        if value and (not default or known.develops(default)):
            said = f"{read.place} takes {default!r} without it" if default else f"{read.place} reads it"
            answer.put("app_env", read.name, value, f"{said}; {known.target(value) or value} is for production")
        chosen = chosen or known.target(value or default)
    chosen = chosen or _plain(found, known, answer, bool(reads or fixed))
    dead = known.dead(chosen) if chosen else set()
    found.code = again(found.code, dead) if dead else found.code
    return {read.name for read in reads if read.default or read.name in answer.maps.get("app_env", {})}


def _selects(read: Read, used: dict[int, str], found: Found, known: Configurations) -> bool:
    """Tell whether a read of a variable chooses a configuration."""
    default = read.default if isinstance(read.default, str) else ""
    named = SELECTS.fullmatch(read.name)
    told = found.declared.variables.get(read.name, ("",))[0]
    if id(read.node) in used:
        return bool(known.target(default) or stage(default)) if default else bool(named)
    if not named:
        return False
    return bool(stage(default) and (known.target(default) or known.words)) or (not default and known.develops(told))


def _value(use: str, default: str, told: str, known: Configurations) -> str:
    """Return what a variable has to be for production; "" where the source has nothing for it."""
    for given in (default, told):
        if given and known.develops(given) and (value := known.production(given)):
            return value
    if default:
        return ""
    if told and known.target(told) and not known.develops(told):
        return told
    live = known.live()
    keys = [key for each in known.maps if (key := known.key(each))]
    if use == "path" and live:
        return known.path(live[0])
    if use == "word":
        return known.production("development")
    return keys[0] if use == "key" and keys else ""


def _with_argument(found: Found, known: Configurations, answer: Answer) -> None:
    """Serve a factory that demands a configuration with the one for production."""
    short = [app for app in found.code.apps if app.kind == "factory" and app.demands == 1]
    if "app_wsgi" in answer.values or not short:
        return
    app = short[0]
    function = _function(found, app.name)
    if function and (value := _argument(found, known, function)):
        served = f"{module(app.file)}:{app.name}({value!r})"
        answer.set("app_wsgi", served, f"the factory in {app.file}; {known.target(value)} is for production")
        answer.unsure[:] = [said for said in answer.unsure if not said.startswith(f"app_wsgi: {module(app.file)}:")]


def _argument(found: Found, known: Configurations, function: ast.FunctionDef) -> str:
    """Return what a factory is to be called with for production, as far as it can be told."""
    names = [each.arg for each in function.args.args]
    if not names or not ARGUMENT.fullmatch(names[0]):
        return ""
    if any(function.name in given_to_objects(tree) for tree in found.code.modules.values()):
        return _value("path", "", "", known)
    return _value("key", "", "", known)


def _function(found: Found, name: str) -> ast.FunctionDef | None:
    nodes = [node for tree in found.code.modules.values() for node in tree.body]
    return next((node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name), None)


def _home(found: Found, name: str) -> str:
    """Return the file that a factory stands in."""
    return next((app.file for app in found.code.apps if app.kind == "factory" and app.name == name), "")


def _fixed(found: Found, known: Configurations, answer: Answer) -> Fixed | None:
    """Return what the call that makes the served app names."""
    served = answer.values.get("app_wsgi", ("",))[0]
    place, _, name = served.partition(":")
    file = file_of(found.tree, place) or ""
    if "(" in name:
        function, call = name.partition("(")[0], ast.parse(f"f{name[name.index('(') :]}", mode="eval").body
        fixed = _of_call(call, file, function, found, known, own=True)
        if fixed and answer.values["app_wsgi"][1].startswith("FLASK_APP="):  # which people work with
            fixed.own = True
        return fixed
    for _ in range(5):
        tree = found.code.modules.get(file)
        if not tree:
            return None
        for node in statements(tree.body):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if name in map(dotted, targets) and isinstance(node.value, ast.Call):
                return _of_call(node.value, file, dotted(node.value.func).rpartition(".")[2], found, known)
        origin, _, name = imports_of(tree).get(name, "").rpartition(".")
        begin = file.rpartition("/")[0].replace("/", ".")
        file = file_of(found.tree, origin) or file_of(found.tree, f"{begin}.{origin}".strip(".")) or ""
    return None


def _of_call(
    call: ast.AST, file: str, function: str, found: Found, known: Configurations, own: bool = False
) -> Fixed | None:
    if not isinstance(call, ast.Call) or not (FACTORY.fullmatch(function) or _home(found, function)):
        return None
    home = _home(found, function)
    factory = f"{module(home)}:{function}" if home else ""
    named = [each.value for each in call.keywords if each.arg and ARGUMENT.fullmatch(each.arg)]
    for given in [*call.args[:1], *named]:
        text = _text(given, found.code.modules.get(file), known)
        return Fixed(text, f"{file}:{getattr(given, 'lineno', 1)}", factory) if text else None
    definition = _function(found, function)
    if not definition or call.args:
        return None
    arguments = definition.args.args[len(definition.args.args) - len(definition.args.defaults) :]
    for argument, default in zip(arguments, definition.args.defaults, strict=True):
        text = _text(default, None, known)
        if ARGUMENT.fullmatch(argument.arg) and text:
            return Fixed(text, f"{home}:{definition.lineno}", factory, own)
    return None


def _text(node: ast.AST, tree: ast.Module | None, known: Configurations) -> str:
    """Return the configuration that an expression names, or ""."""
    plain = {dotted(each.targets[0]): each.value for each in tree.body if isinstance(each, ast.Assign)} if tree else {}
    node = plain.get(dotted(node), node) if dotted(node) else node
    value = constant(node.slice) if isinstance(node, ast.Subscript) else constant(node) or dotted(node)
    return value if isinstance(value, str) and (known.target(value) or stage(value)) else ""


def _taken(fixed: Fixed, found: Found, known: Configurations, answer: Answer) -> str:
    """Say what to write where the code takes a configuration that is not for production; return the one it takes."""
    if not known.develops(fixed.value):
        return known.target(fixed.value)
    name = fixed.factory.partition(":")[2]
    function = _function(found, name) if name else None
    value = (_argument(found, known, function) if function else "") or known.production(fixed.value)
    if not value:
        answer.unsure.append(f"app_wsgi: {fixed.place} always takes {fixed.value}, which is not for production")
        return known.target(fixed.value)
    if fixed.own:
        why = f"the factory in {fixed.place.partition(':')[0]}, which otherwise takes {fixed.value}; "
        answer.values["app_wsgi"] = (f"{fixed.factory}({value!r})", f"{why}{known.target(value)} is for production")
        return known.target(value)
    live = known.classes[known.target(value)][1] if known.target(value) else ast.Module([], [])
    inside = {id(node) for node in ast.walk(live)}
    names = ", ".join(dict.fromkeys(read.name for read in found.code.reads if id(read.node) in inside))
    answer.unsure.append(
        f"app_wsgi: {fixed.place} always takes {fixed.value!r}; for production write "
        f'app_wsgi: "{fixed.factory}({value!r})"{f", which also reads {names}" if names else ""}'
    )
    return known.target(fixed.value)


def _plain(found: Found, known: Configurations, answer: Answer, settled: bool) -> str:
    """Return the class that from_object() always takes, where there is one such call."""
    calls = [
        (call, file)
        for file, tree in found.code.modules.items()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and call.args and getattr(call.func, "attr", "") == "from_object"
    ]
    either = [node for tree in found.code.modules.values() for node in ast.walk(tree) if isinstance(node, ast.IfExp)]
    for node in either:  # DevConfig if get_debug_flag() else ProdConfig
        if not settled and stage(dotted(node.orelse)) == "production" and stage(dotted(node.body)) == "development":
            return known.target(dotted(node.orelse))
    if settled or len(calls) != 1:
        return ""
    call, file = calls[0]
    text = _text(call.args[0], None, known)
    live = known.live()
    if text and live and known.develops(text) and stage(text) == "development":
        path = known.path(live[0])
        answer.unsure.append(
            f"app_env: {file}:{call.lineno} always takes {text}; let a variable choose: "
            f"from_object(os.environ.get('APP_SETTINGS', {path!r}))"
        )
    return known.target(text) if text else ""
