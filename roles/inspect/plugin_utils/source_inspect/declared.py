"""What a repository says of itself in files that others read: Procfile, app.json, compose, dotenv, Dockerfile."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible.module_utils import build_dockerfiles
from source_starts import compose, dockerfile, files, platforms, shells

from .tree import Tree

EXAMPLES = (
    *(".env.example", ".env.sample", ".env.template", ".env.dist", ".env-example", ".env-sample", ".env_example"),
    *(".env_sample", "env.example", "env.sample", "example.env", "sample.env", ".env.production", ".env.development"),
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
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
    ports: list[str] = field(default_factory=list)
    dockerfile: str = ""
    without_code: bool = False  # whether the Dockerfile copies no code into the image
    entry: str = ""  # ENTRYPOINT of the image
    workdir: str = "/app"  # of the image
    copied: dict[str, str] = field(default_factory=dict)  # {what a COPY takes: where it lies in the image}
    set_aside: str = ""  # the text of a Dockerfile that builds nothing
    once: str = ""  # what Heroku runs when it has made the app, and never again
    unread: list[str] = field(default_factory=list)


def read(tree: Tree) -> Declared:
    """Return what those files say."""
    found = Declared()
    found.commands = files.procfiles(tree)
    _app_json(tree, found)
    found.dockerfile = "Dockerfile" if "Dockerfile" in tree.names else ""
    _dockerfile(tree.text("Dockerfile"), found)
    found.without_code = dockerfile.without_code(tree.text("Dockerfile"), tree.names)
    found.commands |= files.starters(tree)
    found.commands = files.supervised(tree) | found.commands
    _platforms(tree, found)
    for name in compose.FILES:
        _compose(tree, name, found)
    _examples(tree, found)
    for name in (".flaskenv", ".env.example"):
        found.flask |= {
            key: (value, name) for key, value in _dotenv(tree.text(name)) if key.startswith("FLASK_")
        } | found.flask
    for line in tree.text("Aptfile").splitlines():
        if re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line.strip()):
            found.packages.setdefault(line.strip(), "Aptfile")
    return found


def above(top: Tree, folder: str, found: Declared) -> None:
    """Add what the files above the app's directory say of it; what lies in it counts first."""
    for name, (command, file) in files.procfiles(top).items():
        if inside := files.within(command, folder):
            found.commands.setdefault(name, (inside, f"../{file}"))
    _platforms(top, found, folder)
    for name in compose.FILES:
        _compose(top, name, found, folder)
    _app_json(top, found)
    _examples(top, found, "../")


def _examples(tree: Tree, found: Declared, place: str = "") -> None:
    for name in EXAMPLES:
        for key, value in _dotenv(tree.text(name)):
            value = shells.filled(value)
            found.variables.setdefault(key, ("" if "${" in value else value, f"{place}{name}"))


def _app_json(tree: Tree, found: Declared) -> None:
    """Read Heroku's manifest: variables, the command after the first deploy, how many of each process, add-ons."""
    text = tree.text("app.json")
    try:
        told = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found.unread.append("app.json, which is no JSON")
        return
    told = told if isinstance(told, dict) else {}
    for name, about in compose.items(told.get("env")):
        if isinstance(about, dict):
            if about.get("generator") == "secret":
                found.secrets.setdefault(name, "app.json")
            elif about.get("required", True):
                found.variables.setdefault(name, (compose.plain(about.get("value")), "app.json"))
        else:
            found.variables.setdefault(name, (compose.plain(about), "app.json"))
    for name, command in compose.items(told.get("scripts")):
        if name == "postdeploy" and isinstance(command, str):
            found.once = found.once or command
    for name, about in compose.items(told.get("formation")):
        count = about.get("quantity") if isinstance(about, dict) else None
        if isinstance(count, int) and 0 < count <= 100:
            found.counts.setdefault(name.lower(), count)
    addons = told.get("addons")
    for each in addons[:MORE] if isinstance(addons, list) else []:
        plan = each.get("plan") if isinstance(each, dict) else each
        if isinstance(plan, str):
            found.services |= _data(plan.removeprefix("heroku-"), "app.json")


def _platforms(tree: Tree, found: Declared, folder: str = "") -> None:
    """Read the manifests of platforms.

    :param folder: where the app lies, if that is below them.
    """
    for service in platforms.services(tree):
        file = f"../{service.file}" if folder else service.file
        here = service.folder == folder
        command = service.command if here else files.within(service.command, folder) if folder else ""
        if not command:
            continue
        found.commands.setdefault(service.name, (command, file))
        found.counts.setdefault(service.name, service.count)
        if service.release:
            before = service.release if here else files.within(service.release, folder)
            found.commands |= {"release": (before, file)} | found.commands if before else {}
        for name, value, secret in service.variables:
            if NAME.fullmatch(name) and secret:
                found.secrets.setdefault(name, file)
            elif NAME.fullmatch(name):
                found.variables.setdefault(name, (value, file))


def _compose(tree: Tree, name: str, found: Declared, folder: str = "") -> None:
    """Read a file of Compose.

    :param folder: where the app lies, if that is below the file.
    """
    file = f"../{name}" if folder else name
    try:
        known = compose.services(tree.text(name))
    except ValueError:
        found.unread.append(f"{file}, which is no YAML")
        return
    own = compose.of_app(known, folder)
    for service in known:
        if service not in own:
            found.services |= _data(service.image.rpartition("/")[2], file) if service.context is None else {}
            continue
        for key, value in service.environment:
            if NAME.fullmatch(key):
                found.variables.setdefault(key, (value, file))
        if service.command:
            found.commands.setdefault(service.name.lower(), (service.command, file))


def _data(image: str, file: str) -> dict[str, str]:
    """Return {name: file} of a service that keeps data, where it is one."""
    match = DATA.match(image)
    return {match[0]: file} if match else {}


def _dockerfile(text: str, found: Declared) -> None:
    for word, rest in build_dockerfiles.instructions(text):
        if word == "FROM":
            found.commands.pop("image", None)
            found.copied, found.workdir, found.entry = {}, "/", ""
        elif word == "WORKDIR":
            found.workdir = posixpath.normpath(posixpath.join(found.workdir, rest.strip("\"'")))
        elif word in ("COPY", "ADD") and "--from" not in rest:
            *sources, target = [each for each in _of_exec(rest).split() if not each.startswith("--")] or [""]
            place = posixpath.normpath(posixpath.join(found.workdir, target))
            found.copied |= {posixpath.normpath(each.lstrip("/")): place for each in sources}
        elif word == "ENV" and (match := re.search(r"\bFLASK_APP[= ]\"?([^\s\"]+)", rest)):
            found.flask["FLASK_APP"] = (match[1], "Dockerfile")
        elif word in ("CMD", "ENTRYPOINT"):
            found.entry = _of_exec(rest) if word == "ENTRYPOINT" else found.entry
            before = found.commands.get("image", ("", ""))[0] if word == "CMD" else ""
            found.commands["image"] = (f"{before} {_of_exec(rest)}".strip(), "Dockerfile")
        elif word == "EXPOSE":
            found.ports += [port.partition("/")[0] for port in rest.split() if port.partition("/")[0].isdecimal()]
    if "image" in found.commands:
        found.commands["image"] = (shells.unwrapped(found.commands["image"][0]), "Dockerfile")


def set_aside(text: str, found: Declared) -> None:
    """Take what a Dockerfile tells of an app that is built without it: what it serves, and its environment."""
    other = Declared()
    _dockerfile(text, other)
    found.set_aside, found.entry = text or found.set_aside, other.entry or found.entry
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
    return shlex.join(map(compose.plain, said)) if isinstance(said, list) else rest


def _dotenv(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", line, re.ASCII)
        if match:
            value = match[2]
            quoted = re.fullmatch(r"(['\"])(.*)\1(\s+#.*)?", value)
            yield match[1], quoted[2] if quoted else re.sub(r"(^|\s+)#.*", "", value)
