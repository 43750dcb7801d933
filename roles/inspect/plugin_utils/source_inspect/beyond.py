"""What gunicorn cannot serve as it is: apps of ASGI, of Dash and Connexion, servers; and what suits a desk alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

from ansible.module_utils import build_plan, build_python

from .block import Answer
from .declared import Declared
from .facts import FLASK, App, Code, module
from .syntax import constant, dotted, last_of, named_of, python_of, together
from .tree import Tree

THIRD = "Connexion 3"
LISTS = re.compile(r"(requirements.*\.(txt|in)|requirements/[^/]+\.(txt|in)|pyproject\.toml|Pipfile|setup\.(py|cfg))")
OF_ASGI = re.compile(r"\b(uvicorn|hypercorn|daphne|granian)\b", re.IGNORECASE)
SECOND = re.compile(
    r"connexion\b[^\n#,;]*?(==|~=|\^|~|[\"'=]\s*[\"'])\s*[12]\b|connexion\b[^\n#;]*<\s*=?\s*[23]\b"
    r"|name = \"connexion\"\nversion = \"[12]\."
)
HOST = re.compile(r"(\w+_)?(REDIS|VALKEY)_?(HOST|HOSTNAME|SERVER|PORT)")
RANDOM = ("urandom", "token_hex", "token_bytes", "token_urlsafe", "uuid4")
HOMES = (
    "user_data_dir",
    "user_data_path",
    "user_config_dir",
    "user_state_dir",
    "get_app_dir",
    "AppDirs",
    "PlatformDirs",
)
REDIS = ("Redis", "StrictRedis", "Valkey", "ConnectionPool", "BlockingConnectionPool", "FlaskRedis")
# Servers of their own: the port that they listen on.
SERVERS = {
    **{"streamlit": 8501, "gradio": 7860, "chainlit": 8000, "panel": 5006, "bokeh": 5006, "voila": 8866},
    **{"nicegui": 8080, "solara": 8765, "shiny": 8000, "reflex": 8000, "taipy": 5000, "mesop": 32123},
    **{"aiohttp": 8080, "tornado": 8888},
}


def settle(code: Code, tree: Tree) -> None:
    """Say of each app of Connexion whether it is one of the second version, which is a WSGI app, or of the third."""
    if not any(app.framework.startswith("Connexion") for app in code.apps):
        return
    texts = [tree.text(name) for name in tree.names if LISTS.fullmatch(name) or name in ("uv.lock", "poetry.lock")]
    second = any(SECOND.search(text) for text in texts)
    for app in code.apps:
        if app.framework in ("Connexion", "Connexion.app"):
            app.framework = FLASK if second else app.framework.replace("Connexion", THIRD)


def say(app: App, answer: Answer) -> None:
    """Say why an app is not served, and what to write."""
    place, name = f"{app.file}:{app.line}", f"{module(app.file)}:{app.name}"
    if app.framework == "Dash":
        if app.kind == "factory":
            add = f"let {app.name}() return the Dash app's .server"
            served = f'"{name}()"'
        else:
            add = f"add a line below it: server = {app.name}.server"
            served = f"{module(app.file)}:server"
        answer.unsure.append(f"app_wsgi: {place} makes a Dash app, and gunicorn serves its Flask app: {add}")
        answer.unsure.append(f"app_wsgi: {served}, once that is there")
        return
    if app.framework == f"{THIRD}.app":
        answer.unsure.append(
            f"app_wsgi: {place} takes the Flask app out of {THIRD}: served alone, it checks no request and no token"
        )
    else:
        since = ", as no version below 3 is demanded" if app.framework == THIRD else ""
        answer.unsure.append(
            f"app_wsgi: {place} makes an ASGI app ({app.framework}{since}); "
            "gunicorn's workers here speak WSGI and cannot serve it"
        )
    server = "hypercorn -b" if app.framework == "Quart" else "uvicorn --port 8000 --host"
    address = "0.0.0.0:8000" if app.framework == "Quart" else "0.0.0.0"  # noqa: S104 - of a container
    factory = " --factory" if app.kind == "factory" and app.framework != "Quart" else ""
    command = f"{server} {address}{factory} {name}{'()' if app.kind == 'factory' and not factory else ''}"
    answer.unsure.append(f"app_server: port:8000, with a Dockerfile that runs: {command}")
    if app.kind == "instance":
        answer.unsure.append(
            f"or, without websockets, make it WSGI: list a2wsgi as a dependency, add to {app.file}: "
            f"wsgi = a2wsgi.ASGIMiddleware({app.name}); then app_wsgi: {module(app.file)}:wsgi"
        )


def by_image(app: App, told: Declared, command: str, answer: Answer) -> bool:
    """Tell whether the repository's own Dockerfile serves an app of ASGI, and let it.

    :param command: what the image runs.
    """
    if app.framework in ("Dash", FLASK) or not told.dockerfile or not OF_ASGI.search(command):
        return False
    ports = [*re.findall(r"(?:port[=\s]+|:)([1-9][0-9]{3,4})\b", command), *told.ports, "8000"]
    why = f"an ASGI app ({app.framework}), which the Dockerfile's own command serves"
    answer.set("app_wsgi", f"{module(app.file)}:{app.name}{'()' if app.kind == 'factory' else ''}", why)
    answer.set("app_server", f"port:{ports[0]}", f"Dockerfile: {command}")
    return True


def none(needs: Mapping[str, str], answer: Answer) -> None:
    """Say what there is where no app was found."""
    known = next((name for name in SERVERS if name in needs), "")
    if known:
        answer.unsure.append(
            f"app_wsgi: no Flask app was found, but {known}, which is a server of its own; gunicorn cannot serve it"
        )
        answer.unsure.append(
            f"app_server: port:{SERVERS[known]}, with a Dockerfile whose command starts {known} on that port"
        )
        return
    answer.unsure.append("app_wsgi: no Flask app was found; write what gunicorn would serve, as shop:create_app()")


def laid_out(best: App, apps: list[App], code: Code, answer: Answer) -> App:
    """Return the app of the file that gives a Dash app its pages, where that is another file than the app's."""
    if "Dash" not in {app.framework for app in code.apps}:
        return best
    files = [file for file, tree in code.modules.items() if any(map(_lays_out, tree.body))]
    if len(files) != 1 or best.file == files[0]:
        return best
    here = [app for app in apps if app.file == files[0]]
    if not here:
        answer.unsure.append(
            f"app_wsgi: {files[0]} gives the app its layout; import {best.name} there, and serve "
            f"{module(files[0])}:{best.name}"
        )
    return here[0] if here else best


def _lays_out(node: ast.AST) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(each, ast.Attribute) and dotted(each).endswith(".layout") for each in targets)


def without_eventlet(needs: Mapping[str, str]) -> str:
    """Return what to change where an app asks for eventlet's workers."""
    mode = ", give SocketIO async_mode='gevent'" if "flask-socketio" in needs else ""
    return f"take eventlet and its monkey_patch() out of code and list{mode}, and write app_server: gevent"


def look(code: Code, needs: Mapping[str, str], answer: Answer) -> None:
    """Say what works where people run the app themselves, and not where gunicorn does."""
    _eventlet(code, needs, answer)
    _valkey(code, answer)
    homes = [code.words.get("home"), code.demanded.get("HOME"), code.optional.get("HOME", ("",))[0]]
    if home := next(filter(None, homes), ""):
        answer.unsure.append(
            f"app_writable: {home} finds a directory by HOME, which is /tmp here: each deploy loses what lies there; "
            "let the code take one below /data, or a directory of app_writable"
        )
    for place in dict.fromkeys(code.late.values()):
        paths = [path for path in code.late if code.late[path] == place]
        more = f" and {len(paths) - 3} more" if paths[3:] else ""
        answer.unsure.append(
            f"app_wsgi: {place} makes the pages {', '.join(paths[:3])}{more}, in code that no import runs: below "
            "__main__, or in a function that nothing else calls; let the module that is served do it"
        )


def _valkey(code: Code, answer: Answer) -> None:
    """Say that the Valkey of app_needs has no port, where the code asks for a host."""
    read = {name: place for name, place in code.demanded.items() if HOST.fullmatch(name)}
    read |= {name: place for name, (place, _default) in code.optional.items() if HOST.fullmatch(name)}
    place = code.words.get("host of redis") or next(iter(read.values()), "")
    if place:
        names = f", by {', '.join(sorted(read))}" if read else ""
        answer.unsure.append(
            f"app_needs: [valkey] listens on a socket alone, and {place} asks for a host{names}; "
            "let the code take the whole address: redis.from_url(os.environ['REDIS_URL'])"
        )


def _eventlet(code: Code, needs: Mapping[str, str], answer: Answer) -> None:
    """Say what to change where the code takes eventlet, or Flask-SocketIO would, as it is installed."""
    place = code.words.get("eventlet")
    listed = {"eventlet", "flask-socketio"} <= needs.keys() and "another mode" not in code.words
    if (place or listed) and not any("workers of eventlet" in said for said in answer.unsure):
        why = f"{place} takes eventlet" if place else "Flask-SocketIO takes eventlet where it is listed"
        answer.unsure.append(f"app_server: {why}; {without_eventlet(needs)}")


def words(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Yield (word, where) of what makes an app behave otherwise in a container than on a desk."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr == "instance_path":
            yield node.attr, node
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            named = [str(constant(getattr(each, "slice", None)) or dotted(each)).lower() for each in node.targets]
            if last_of(node.value.func) in RANDOM and any(name.endswith("secret_key") for name in named):
                yield "random key", node
        elif isinstance(node, ast.Call):
            if last_of(node.func) in ("BackgroundScheduler", "APScheduler"):
                yield "scheduler", node
            if dotted(node.func) == "Path.home" or last_of(node.func) in HOMES or _below_home(node):
                yield "home", node
            if last_of(node.func) in REDIS and "host" in named_of(node):
                yield "host of redis", node
            mode = constant(named_of(node).get("async_mode"))
            if mode == "eventlet" or dotted(node.func) == "eventlet.monkey_patch":
                yield "eventlet", node
            elif mode:
                yield "another mode", node
        elif isinstance(node, ast.JoinedStr) and together(node).startswith(("redis://{", "redis://:{")):
            yield "host of redis", node
        elif isinstance(node, ast.ImportFrom) and node.module == "eventlet":
            yield from (("eventlet", node) for each in node.names if each.name == "monkey_patch")


def _below_home(call: ast.Call) -> bool:
    """Tell whether a call finds a path below ~: os.path.expanduser("~/x"), Path("~/x").expanduser()."""
    inner = getattr(call.func, "value", None)
    given = [*call.args, *(inner.args if isinstance(inner, ast.Call) else [])]
    expands = getattr(call.func, "attr", dotted(call.func)) == "expanduser"
    return expands and any(together(each).startswith("~") for each in given)


def python(text: str, plan: build_plan.Plan, answer: Answer) -> build_python.Wish:
    """Return which Python the build takes: that of a Dockerfile that is set aside, where nothing else asks for one."""
    version = "" if plan.python.why else python_of(text)
    if not version:
        return plan.python
    wish = build_python.wanted({".python-version": version})
    if wish.version != plan.python.version:
        older = "" if wish.version == version else f", and the oldest here is {wish.version}"
        answer.set("build_python", wish.version, f"the Dockerfile is of Python {version}{older}")
    return build_python.wanted({}, wish.version)
