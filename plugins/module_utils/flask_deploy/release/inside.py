"""What is found in the image of a release: asked once for each image, in a container that may do nothing."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from ansible.module_utils.flask_deploy.host import command as commands
from ansible.module_utils.flask_deploy.host import engine
from ansible.module_utils.flask_deploy.host.untrusted import plain
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError

LIMIT = 60  # seconds
MOST = 1 << 20  # bytes of an answer
NAME = "app"  # of the user, where the image has no other of that name
HOME = "/tmp"  # noqa: S108 - the container's own
FOUND = {"uid": int, "passwd": str, "workdir": str, "instance": str, "volumes": list, "command": list}  # of a record
ANYTHING = {"uid": 0, "passwd": "passwd", "workdir": "/", "instance": "/instance", "volumes": []}  # of any image
ANYTHING |= {"command": ["command"]}
TOLD = {"passwd": str, "instance": str, "gunicorn": bool}  # by the program below
HINTS = {"names", "modules"}  # that it tells of the code, for the message where app_wsgi names what is not there
MOST_HINTS = 10
# Of Flask's way to its instance folder (find_package, auto_find_instance_path); nothing of the app is imported.
PROGRAM = """
import ast, importlib.util, json, os, re, shutil, sys

folder, module = os.getcwd(), sys.argv[1]
name = module.partition(".")[0]
sys.path[:0] = [folder, os.path.join(folder, "src"), *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]
try:
    found = importlib.util.find_spec(name)
    place = next(iter(found.submodule_search_locations or [found.origin]))
    package, prefix = os.path.dirname(os.path.abspath(place)), os.path.abspath(sys.prefix)
except Exception:
    package, prefix = folder, ""
installed = prefix and (package + "/").startswith(prefix.rstrip("/") + "/")
instance = os.path.join(prefix, "var", name + "-instance") if installed else os.path.join(package, "instance")
with open("/etc/passwd", errors="replace") as file:
    passwd = file.read()

def file_of(base, parts):
    path = os.path.join(base, *parts)
    return next((each for each in (path + ".py", os.path.join(path, "__init__.py")) if os.path.isfile(each)), None)

def of_a_body(body):
    for node in body:
        for part in ("body", "orelse", "handlers", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
                yield from of_a_body(getattr(node, part, []))
        if isinstance(node, ast.FunctionDef) and re.search("(create|make|build|get|init).*app|app.*factory", node.name):
            yield node.name + "()"
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = ast.dump(node.value.func)
            yield from (each.id for each in node.targets if isinstance(each, ast.Name)
                        and re.search("'Flask'|create|make|build", made) or "app" in getattr(each, "id", ""))
        if isinstance(node, ast.ImportFrom):
            told = [each.asname or each.name for each in node.names]
            yield from (each + "()" * ("create" in each) for each in told if "app" in each and each != "current_app")

def hints():
    places = [path for path in (folder, os.path.join(folder, "src"))
              if os.path.isdir(path) and os.access(path, os.R_OK | os.X_OK)]
    modules = {each.partition(".")[0] for place in places for each in os.listdir(place)
               if (each.endswith(".py") or file_of(place, [each])) and not re.match("test|conftest|setup", each)}
    path = next(filter(None, (file_of(place, module.split(".")) for place in places)), None)
    try:
        with open(path, "rb") as file:
            names = list(of_a_body(ast.parse(file.read()).body))
    except Exception:
        names = []
    return {"names": list(dict.fromkeys(names)), "modules": sorted(modules)}

told = {"passwd": passwd, "instance": instance, "gunicorn": shutil.which("gunicorn") is not None}
print(json.dumps(dict(told, **hints())))
"""
OF_BASES = (["python3"], ["bash"], ["sh"], ["/bin/bash"], ["/bin/sh"])  # commands that serve nothing
NO_GUNICORN = (
    "the image has no gunicorn that its PATH names\n"
    "  what to do: add gunicorn to the app's requirements; or, where the image's own command serves on a port: "
    "app_server: port:{}"
)
NO_PYTHON = (
    "the image has no python3 that its PATH names, and each command of the app is started by it\n"
    "  what to do: install python3 in the Dockerfile; one in a virtual environment: ENV PATH=/venv/bin:$PATH"
)


def found(app: App, release: str, record: dict[str, Any], dry: bool = False) -> dict[str, Any]:
    """Return what is found in a release's image; a dry run looks into none, and takes what serves for it.

    :raises ReleaseError: the image is none that an app can be started in.
    """
    for each in filter(None, (release, app.serving())):
        known = app.record(each)
        same = known["image"] == record["image"] and known["wsgi"] == record["wsgi"] and port(known) == port(record)
        if (same or dry) and _whole(app, known["found"]):
            return known["found"]
    if dry:
        return {}
    told, config = _look(app, release, record), (engine.inspect("image", record["image"]) or {}).get("Config") or {}
    command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    own = port(record)
    if not own and not told["gunicorn"]:
        ports = [name.partition("/")[0] for name in config.get("ExposedPorts") or {}]
        raise ReleaseError(NO_GUNICORN.format(next(iter(sorted(ports)), "5000")))
    if own and not command:
        raise ReleaseError("app_server: the image has neither CMD nor ENTRYPOINT that could serve; set one of them")
    return {
        "uid": app.uid,
        "passwd": passwd(app.uid, told["passwd"]),
        "workdir": _directory("WORKDIR", config.get("WorkingDir") or "/"),
        "instance": _directory("instance folder", told["instance"]),
        "volumes": [_directory("VOLUME", each) for each in sorted(config.get("Volumes") or {})],
        "command": command,
        "unused": unused(config, app.uid, own),
        **{hint: told[hint] for hint in HINTS},
    }


def _directory(what: str, path: str) -> str:
    """Return a directory that an image names, if it is one that can be mounted.

    :raises ReleaseError: it is none, or says something to the engine: what is mounted from the host is not the image's
        to choose.
    """
    if path.startswith("/") and engine.mountable(path):
        return path
    raise ReleaseError(
        f"the image names {plain(path)!r} as its {what}, which is no directory that can be mounted\n"
        "  what to do: name one without commas and quotes in the Dockerfile"
    )


def port(record: dict[str, Any]) -> str:
    """Return the port on which the image's own command serves; "" where gunicorn does."""
    kind, _, number = str(record["container"].get("server", "")).partition(":")
    return number if kind == "port" else ""


def unused(config: dict[str, Any], uid: int, own: str) -> str:
    """Return a line on what a Dockerfile says and is not used, or ""."""
    words = []
    for name, value in (("ENTRYPOINT", config.get("Entrypoint")), ("CMD", config.get("Cmd"))):
        if value and not own and value not in OF_BASES:
            words.append(f"{name} {shlex.join(map(str, value))}")
    user = str(config.get("User") or "").partition(":")[0]
    words += [f"USER {user}"] if user not in ("", "10001", str(uid)) else []
    exposed = sorted(name.partition("/")[0] for name in config.get("ExposedPorts") or {})
    words += [f"EXPOSE {name}" for name in exposed if name != own]
    words += ["HEALTHCHECK"] if config.get("Healthcheck") else []
    said = f"not used of the Dockerfile: {', '.join(words)}; docs/how-to/dockerfile.md says what is in their place"
    return said if words else ""


def _whole(app: App, known: Any) -> bool:
    """Tell whether a record holds what every reader may look at, for the app's present user."""
    if not isinstance(known, dict) or not all(isinstance(known.get(name), kind) for name, kind in FOUND.items()):
        return False
    places = (known["workdir"], known["instance"], *map(str, known["volumes"]))
    return known["uid"] == app.uid and all(engine.mountable(path) for path in places)


def _look(app: App, release: str, record: dict[str, Any]) -> dict[str, Any]:
    name, module = f"{app.container(release)}-look", record["wsgi"].partition(":")[0]
    engine.remove(name)
    done = commands.attempt(
        *("docker", "run", "--name", name, "--label", f"flask-deploy.app={app.name}", "--network", "none"),
        *("--user", f"{app.uid}:{app.gid}", "--read-only", "--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges", "--memory", record["container"]["memory"]),
        *("--entrypoint", "python3", record["image"], "-I", "-c", PROGRAM, module),
        limit=LIMIT,
        most=MOST,
    )
    engine.remove(name)
    if done.code == 0:
        try:
            answer = json.loads(done.out)
            return {name: kind(answer[name]) for name, kind in TOLD.items()} | _hints(answer)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ReleaseError(f"the image's python3 does not say what was asked: {done.said[:200]!r}") from None
    if re.search(r'"?python3"?: .*(not found|no such file)', done.said, re.IGNORECASE):
        raise ReleaseError(NO_PYTHON)
    raise engine.EngineError(f"a look into the image failed: {done.said}")


def _hints(answer: dict[str, Any]) -> dict[str, list[str]]:
    """Return what was told of the code: names of an image that is not trusted."""
    words = {hint: answer.get(hint) for hint in HINTS}
    lists = {hint: told if isinstance(told, list) else [] for hint, told in words.items()}
    return {hint: [plain(str(each)) for each in told][:MOST_HINTS] for hint, told in lists.items()}


def passwd(uid: int, text: str) -> str:
    """Return an image's /etc/passwd with a name for the app's user; "" where it has one."""
    rows = [line.split(":") for line in text.splitlines()]
    if any(row[2:3] == [str(uid)] for row in rows):
        return ""
    name = f"{NAME}{uid}" if any(row[0] == NAME for row in rows) else NAME
    kept = text if text.endswith("\n") or not text else f"{text}\n"
    return f"{kept}{name}:x:{uid}:{uid}:{NAME}:{HOME}:/usr/sbin/nologin\n"


def contents(known: dict[str, Any]) -> dict[str, str]:
    """Return the files of a release that its image decides: {name: text}."""
    return {"passwd": known["passwd"]} if known.get("passwd") else {}
