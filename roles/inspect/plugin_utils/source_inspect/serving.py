"""What is served, and how: the name for app_wsgi, the settings of gunicorn, the health path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from source_starts import gunicorn, scripts, shells

from . import beyond, commands
from . import routes as pages
from .apps import there, with_pages
from .block import Answer
from .declared import Declared
from .facts import FLASK, App, Code, file_of, module
from .syntax import constants
from .tree import Tree

NAMED = re.compile(r"([A-Za-z_][\w.]*)(?::([A-Za-z_][\w.]*)(\(.*\))?)?", re.ASCII)
# Names of files and of apps, the likeliest first.
FILES = ("wsgi", "application", "autoapp", "app", "main", "run", "server", "api", "web")
MADE = ("wsgi", "application", "autoapp")  # for a server
NAMES = ("app", "application", "server", "create_app", "make_app")
FIRST_PAGE = ("dash", "flask-appbuilder")  # they answer at / themselves
STARTS = ("web", "startup", "image", "uwsgi", "app", "backend", "api")  # commands that serve, the likeliest first
KINDS = {"gevent", "gthread", "sync"}


@dataclass
class Found:
    """All that was read of a source."""

    tree: Tree
    code: Code
    declared: Declared
    needs: Mapping[str, str] = field(default_factory=dict)


def decide(found: Found, answer: Answer) -> None:
    """Decide what is served, and how."""
    beyond.settle(found.code, found.tree)
    wsgi = named(found)
    other = unfit(found, wsgi[0]) if wsgi else None
    if other:
        _beyond(found, other, answer)
    elif wsgi := wsgi or guessed(found, answer):
        answer.set("app_wsgi", *wsgi)
    _gunicorn(found, answer)
    _health(found, answer)


def named(found: Found) -> tuple[str, str] | None:
    """Return (what a command or a settings file serves, why)."""
    told = found.declared
    for command, file in _starting(found):
        command = scripts.through_script(found.tree, command)
        words = shells.words(command)
        server = next((number for number, word in enumerate(words) if word.rpartition("/")[2] in scripts.SERVERS), None)
        for word in words[server + 1 :] if server is not None else []:
            calls = "--call" in words or any(each.startswith("--factory") for each in words)
            if wsgi := _existing(found, word.rpartition("=")[2], calls):
                return wsgi, f"{file} serves it: {command}"
    settings = gunicorn.file(started(found)[2], found.tree.names)
    if wsgi := _existing(found, str(constants(found.tree.text(settings)).get("wsgi_app", ""))):
        return wsgi, settings
    value, file = told.flask.get("FLASK_APP") or told.variables.get("FLASK_APP", ("", ""))
    if wsgi := _of_flask(found, value):
        return wsgi, f"FLASK_APP={value} in {file}"
    return _developed(found)


def _of_flask(found: Found, value: str) -> str | None:
    return _existing(found, value.removesuffix(".py").replace("/", ".").removeprefix("."), False, "FLASK_APP")


def _developed(found: Found) -> tuple[str, str] | None:
    """Return (the app behind a command that serves for development, why), where no file is made for a server."""
    for command, file in _starting(found):
        words = shells.words(command)
        flask = {"flask", "/usr/local/bin/flask"} & {*words}
        value = (shells.option(words, "--app", "-A") if flask else None) or shells.option(words, "FLASK_APP", "")
        if wsgi := _of_flask(found, str(value or "")):
            return wsgi, f"what {file} runs for development: {command}"
        script = commands.runs_app(found.code, command)
        apps = [app for app in found.code.apps if app.file == script and not app.runs and app.framework == FLASK]
        made = any(_stem(app) in MADE for app in found.code.apps)
        if apps and not made and (wsgi := _existing(found, module(script) or "", False, "FLASK_APP")):
            return wsgi, f"what {file} runs for development: {command}"
    return None


def _beyond(found: Found, app: App, answer: Answer) -> None:
    command = scripts.through_script(found.tree, found.declared.commands.get("image", ("", ""))[0])
    if not beyond.by_image(app, found.declared, command, answer):
        beyond.say(app, answer)


def unfit(found: Found, wsgi: str) -> App | None:
    """Return the app that a name stands for where gunicorn cannot serve it."""
    place, _, name = wsgi.partition(":")
    file = file_of(found.tree, place)
    same = [app for app in found.code.apps if app.file == file and app.name == name.partition("(")[0]]
    return same[0] if same and same[0].framework != FLASK else None


def _existing(found: Found, word: str, calls: bool = False, asks: str = "") -> str | None:
    """Return a name to serve where its module is in the source; without an attribute, the one that is there."""
    match = NAMED.fullmatch(word)
    file = file_of(found.tree, match[1]) if match else None
    if not match or not file:
        return None
    apps = {app.name: app for app in sorted(found.code.apps, key=_rank, reverse=True) if app.file == file}
    name, brackets = match[2], match[3] or ""
    if not name:
        name = next(iter(reversed(apps)), "") if asks else "application"
    if not name:
        return None
    factory = name in apps and apps[name].kind == "factory"
    if factory and apps[name].demands and not brackets:
        return None
    return f"{match[1]}:{name}{brackets or ('()' if factory or calls else '')}"


def guessed(found: Found, answer: Answer) -> tuple[str, str] | None:
    """Return (what the code itself makes, why); say what else it could be."""
    fit = [app for app in found.code.apps if app.framework == FLASK]
    others = sorted((app for app in found.code.apps if app.framework != FLASK and not app.demands), key=_rank)
    apps = sorted((app for app in fit if not app.demands or app.kind != "factory"), key=_rank)
    short = [app for app in fit if app.kind == "factory" and app.demands]
    if not apps and others:
        _beyond(found, min(others, key=lambda app: app.framework.endswith(".app")), answer)
        return None
    if not apps:
        for app in short:
            name = f"{module(app.file)}:{app.name}"
            answer.unsure.append(f"app_wsgi: {name} needs {app.demands} arguments; write them, as {name}('production')")
        if not short:
            beyond.none(found.needs, answer)
        return None
    best = apps[0]
    scripts = [app for app in apps if "/" not in app.file and _stem(app) not in FILES and app.kind == "instance"]
    if best in scripts[:1] and len(scripts) > 1:  # each makes the app for what it does with it
        best = next((app for app in apps if app.kind == "factory"), best)
    best = beyond.laid_out(with_pages(best, apps, found.code), apps, found.code, answer)
    if rival := _rival(best, apps):
        both = f"{_wsgi(best)} and {_wsgi(rival)}"
        answer.unsure.append(
            f"app_wsgi: which of these is served, {both}? They look alike; the other is a deploy of its own"
        )
        return None
    also = [_wsgi(app) for app in apps if app is not best and app.kind != "imported" and not app.runs]
    if also:
        answer.unsure.append(f"app_wsgi: also found: {', '.join(also[:5])}")
    for app in [app for app in others if app.framework != "Dash"][:1]:
        answer.unsure.append(f"app_wsgi: {app.file}:{app.line} makes an app of {app.framework}, which is not served")
    if best.runs:
        answer.unsure.append(f"app_wsgi: {best.file} starts a server when it is imported; put app.run() below __main__")
    why = {"instance": f"the app that {best.file} makes", "factory": f"the factory in {best.file}"}
    return _wsgi(best), why.get(best.kind, f"{best.file} imports it")


def _rival(best: App, apps: list[App]) -> App | None:
    """Return an app that differs by its directory alone, in a package that is none of the first one's."""
    ranked = [app for app in apps if app is not best and _rank(app)[:-2] == _rank(best)[:-2] and not app.runs]
    top = best.file.partition("/")[0]
    return next((app for app in ranked if "/" in best.file and app.file.partition("/")[0] not in (top, "src")), None)


def _wsgi(app: App) -> str:
    return f"{module(app.file)}:{app.name}{'()' if app.kind == 'factory' else ''}"


def _rank(app: App) -> tuple[Any, ...]:
    """Return what sorts the likeliest app first."""
    stem = _stem(app)
    kind = ("instance", "factory", "imported").index(app.kind) if stem != "wsgi" else int(app.kind == "imported")
    of_file = FILES.index(stem) if stem in FILES else len(FILES)
    of_name = NAMES.index(app.name) if app.name in NAMES else len(NAMES)
    made_for_it = 0 if stem in MADE else 1
    return app.runs, made_for_it, kind, app.file.count("/"), of_file, of_name, app.file, app.name


def _stem(app: App) -> str:
    return (module(app.file) or "").split(".")[-1]


def _starting(found: Found) -> list[tuple[str, str]]:
    """Return (command, file) of what serves, the likeliest first."""
    told = found.declared.commands
    others = [row for name, row in told.items() if name not in STARTS and shells.program(row[0]) in scripts.SERVERS]
    return [*(told[name] for name in STARTS if name in told), *others]


def started(found: Found) -> tuple[str, str, str]:
    """Return (command that serves, its file, its line that serves, in a script that it may start)."""
    rows = [(*row, scripts.through_script(found.tree, row[0])) for row in _starting(found)]
    return next((row for row in rows if "gunicorn" in row[2]), (rows or [("", "", "")])[0])


def _gunicorn(found: Found, answer: Answer) -> None:
    """Take over what the repository tells gunicorn, as far as it has a variable here."""
    _whole, file, command = started(found)
    words = shells.words(command) if "gunicorn" in command else []
    settings = gunicorn.file(command, found.tree.names)
    for variable, value, option in gunicorn.asked(words, constants(found.tree.text(settings))):
        where = file if option else settings
        if variable == "app_server" and variable in answer.values:
            continue
        if variable == "app_server" and value not in KINDS:
            way_out = (
                beyond.without_eventlet(found.needs) if value == "eventlet" else f"here are {', '.join(sorted(KINDS))}"
            )
            answer.unsure.append(f"app_server: {where} asks for workers of {value}; {way_out}")
        else:
            answer.set(variable, value, f"{option} in {where}" if option else where)
    if settings:
        answer.unsure.append(f"{settings}: the role has its own; hooks and what has no line above are not used")


def _serves(found: Found, answer: Answer, app: App) -> bool:
    """Tell whether an app is the one that is served: its file is, or the file that is served names it."""
    served = file_of(found.tree, answer.values.get("app_wsgi", ("",))[0].partition(":")[0])
    return served in (None, app.file) or bool(re.search(rf"\b{_stem(app) or '$.'}\b", found.tree.text(served)))


def _health(found: Found, answer: Answer) -> None:
    served = file_of(found.tree, answer.values.get("app_wsgi", ("",))[0].partition(":")[0])
    routes, own = there(found.code, served), {app.file for app in found.code.apps if _serves(found, answer, app)}
    others = {app.file for app in found.code.apps if app.kind != "imported"} - own
    path = pages.health(routes, found.code.open, own, others)
    first = next((name for name in FIRST_PAGE if name in found.needs), None)
    if path and (pages.tells(path) or not first):
        must = "" if pages.tells(path) else "; no route / was seen, and this one must answer below 400 without a login"
        answer.set("app_health_path", path, f"the route in {routes[path]}{must}")
        return
    if routes.get("/", "").rpartition(":")[0] not in {"", *others}:
        answer.itself.append(
            f"app_health_path: / is a route of {routes['/']}; it must answer below 400 without a login"
        )
    elif first:
        answer.itself.append(
            f"app_health_path: / is the first page of {first}; it must answer below 400 without a login"
        )
    else:
        answer.unsure.append("app_health_path: no route / was seen; name a page that answers below 400 without a login")
