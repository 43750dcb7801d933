"""What a repository says of itself in files that others read: Procfile, app.json, compose, dotenv, Dockerfile."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from ansible.module_utils import build_dockerfiles
from source_starts import files, shells

from . import syntax
from .tree import Tree

COMPOSE = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
EXAMPLES = (
    *(".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env", ".env.production"),
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
PLAIN = (str, int, float, bool)
DATA = re.compile(
    r"(postgres(ql)?|postgis|mysql|mariadb|redis|valkey|memcached|mongo(db)?|elasticsearch|opensearch|rabbitmq|minio|"
    r"meilisearch|kafka|solr|influxdb|couchdb|jawsdb|cloudamqp|rediscloud)[\w-]*"
)
MORE = 100  # of a kind; what is more is left out


@dataclass
class Declared:
    """What was found; commands are {name: (command, file)}, variables {name: (value or "", file)}."""

    commands: dict[str, tuple[str, str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    variables: dict[str, tuple[str, str]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    flask: dict[str, tuple[str, str]] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    gunicorn: dict[str, Any] = field(default_factory=dict)
    ports: list[str] = field(default_factory=list)
    dockerfile: str = ""
    workdir: str = "/app"  # of the image
    copied: dict[str, str] = field(default_factory=dict)  # {what a COPY takes: where it lies in the image}
    once: str = ""  # what Heroku runs when it has made the app, and never again
    unread: list[str] = field(default_factory=list)


class Loader(yaml.SafeLoader):
    """Leaves merges out: a few lines of them make a map that fills the memory."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        node.value = [pair for pair in node.value if pair[0].tag != "tag:yaml.org,2002:merge"]


def read(tree: Tree) -> Declared:
    """Return what those files say."""
    found = Declared()
    found.commands = files.procfiles(tree)
    _app_json(tree, found)
    found.gunicorn = syntax.constants(tree.text("gunicorn.conf.py"))
    found.dockerfile = "Dockerfile" if "Dockerfile" in tree.names else ""
    _dockerfile(tree.text("Dockerfile"), found)
    found.commands |= files.starters(tree)
    found.commands = files.supervised(tree) | found.commands
    for name in COMPOSE:
        _compose(tree, name, found)
    for name in EXAMPLES:
        for key, value in _dotenv(tree.text(name)):
            found.variables.setdefault(key, (value, name))
    for name in (".flaskenv", ".env.example"):
        found.flask |= {
            key: (value, name) for key, value in _dotenv(tree.text(name)) if key.startswith("FLASK_")
        } | found.flask
    for line in tree.text("Aptfile").splitlines():
        if re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line.strip()):
            found.packages.setdefault(line.strip(), "Aptfile")
    return found


def _app_json(tree: Tree, found: Declared) -> None:
    """Read Heroku's manifest: variables, the command after the first deploy, how many of each process, add-ons."""
    text = tree.text("app.json")
    try:
        told = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found.unread.append("app.json, which is no JSON")
        return
    told = told if isinstance(told, dict) else {}
    for name, about in _items(told.get("env")):
        if isinstance(about, dict):
            if about.get("generator") == "secret":
                found.secrets.setdefault(name, "app.json")
            elif about.get("required", True):
                found.variables.setdefault(name, (_text(about.get("value")), "app.json"))
        else:
            found.variables.setdefault(name, (_text(about), "app.json"))
    for name, command in _items(told.get("scripts")):
        if name == "postdeploy" and isinstance(command, str):
            found.once = command
    for name, about in _items(told.get("formation")):
        count = about.get("quantity") if isinstance(about, dict) else None
        if isinstance(count, int) and 0 < count <= 100:
            found.counts[name.lower()] = count
    addons = told.get("addons")
    for each in addons[:MORE] if isinstance(addons, list) else []:
        plan = each.get("plan") if isinstance(each, dict) else each
        if isinstance(plan, str):
            found.services |= _data(plan.removeprefix("heroku-"), "app.json")


def _compose(tree: Tree, file: str, found: Declared) -> None:
    text = tree.text(file)
    try:
        told = yaml.load(text, Loader) if text else {}  # noqa: S506 - a safe one
    except (yaml.YAMLError, RecursionError, ValueError):
        found.unread.append(f"{file}, which is no YAML")
        return
    services = told.get("services") if isinstance(told, dict) else None
    for name, about in _items(services):
        if not isinstance(about, dict):
            continue
        image = about.get("image")
        if isinstance(image, str) and "build" not in about:
            found.services |= _data(image.rpartition("/")[2], file)
            continue
        for key, value in _environment(about.get("environment")):
            host = value.partition(":")[0]  # of another service of compose, which is not there
            found.variables.setdefault(key, ("" if host and host in services else value, file))
        command = about.get("command")
        command = " ".join(map(_text, command)) if isinstance(command, list) else command
        if isinstance(command, str) and command.strip():
            found.commands.setdefault(name.lower(), (command.strip(), file))


def _data(image: str, file: str) -> dict[str, str]:
    """Return {name: file} of a service that keeps data, where it is one."""
    match = DATA.match(image)
    return {match[0]: file} if match else {}


def _environment(told: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of a service's environment; a value that compose fills in itself is none."""
    rows = _items(told) if isinstance(told, dict) else []
    if isinstance(told, list):
        rows = [tuple(row.partition("=")[::2]) for row in told[:MORE] if isinstance(row, str)]
    for name, value in rows:
        if NAME.fullmatch(name):
            text = _text(value)
            yield name, "" if "$" in text else text


def _dockerfile(text: str, found: Declared) -> None:
    for word, rest in build_dockerfiles.instructions(text):
        if word == "FROM":
            found.commands.pop("image", None)
            found.copied, found.workdir = {}, "/"
        elif word == "WORKDIR":
            found.workdir = posixpath.normpath(posixpath.join(found.workdir, rest.strip("\"'")))
        elif word in ("COPY", "ADD") and "--from" not in rest:
            *sources, target = [each for each in _of_exec(rest).split() if not each.startswith("--")] or [""]
            place = posixpath.normpath(posixpath.join(found.workdir, target))
            found.copied |= {posixpath.normpath(each): place for each in sources}
        elif word == "ENV" and (match := re.search(r"\bFLASK_APP[= ]\"?([^\s\"]+)", rest)):
            found.flask["FLASK_APP"] = (match[1], "Dockerfile")
        elif word in ("CMD", "ENTRYPOINT"):
            before = found.commands.get("image", ("", ""))[0] if word == "CMD" else ""
            found.commands["image"] = (f"{before} {_of_exec(rest)}".strip(), "Dockerfile")
        elif word == "EXPOSE":
            found.ports += [port.partition("/")[0] for port in rest.split() if port.partition("/")[0].isdecimal()]


def set_aside(text: str, found: Declared) -> None:
    """Take what a Dockerfile tells of an app that is built without it: what it serves, and its environment."""
    other = Declared()
    _dockerfile(text, other)
    found.commands |= other.commands
    rows = [rest for word, rest in build_dockerfiles.instructions(text) if word == "ENV"]
    pairs = [
        each.partition("=") if "=" in rest else rest.partition(" ") for rest in rows for each in shells.words(rest)
    ]
    known = {name: value for name, _, value in pairs if NAME.fullmatch(name) and "$" not in value}
    found.variables = {name: (value, "Dockerfile") for name, value in known.items()} | found.variables


def in_image(tree: Tree, told: Declared) -> Tree:
    """Return the files as they lie in an image whose Dockerfile copies one directory of them to where it works."""
    here = [name for name, place in told.copied.items() if place == told.workdir and _holds(tree, name)]
    if len(here) != 1 or "." in told.copied:
        return tree
    begin = f"{here[0]}/"
    moved = {name.removeprefix(begin): name for name in tree.names if name.startswith(begin)}
    moved = {name: name for name in tree.names if "/" not in name and not name.endswith(".py")} | moved
    return Tree(moved, lambda name, most: tree.bytes(moved[name], most))


def _holds(tree: Tree, folder: str) -> bool:
    return any(name.startswith(f"{folder}/") for name in tree.names)


def _of_exec(rest: str) -> str:
    """Return the command of an instruction, whose words may be a list of JSON."""
    try:
        said = json.loads(rest)
    except (ValueError, RecursionError):
        return rest
    return shlex.join(map(_text, said)) if isinstance(said, list) else rest


def _dotenv(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", line, re.ASCII)
        if match:
            value = match[2]
            quoted = re.fullmatch(r"(['\"])(.*)\1(\s+#.*)?", value)
            yield match[1], quoted[2] if quoted else re.sub(r"(^|\s+)#.*", "", value)


def _items(told: Any) -> list[tuple[str, Any]]:
    """Return the items of a map as far as they are named, and not too many."""
    return (
        [(name, value) for name, value in told.items() if isinstance(name, str)][:MORE]
        if isinstance(told, dict)
        else []
    )


def _text(value: Any) -> str:
    """Return a plain value as text; of what is none, nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:500] if isinstance(value, PLAIN) else ""
