"""What lists an app's dependencies: in which directory, by which file, with which extras and groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import yaml
from ansible.module_utils import build_kinds, build_plan, build_sources
from ansible.module_utils.build_python import table
from source_starts.compose import Loader

from . import code
from .block import Answer
from .facts import FLASK
from .places import LEFT_OUT, REQUIREMENT, SERVED, lacks_flask
from .tree import Tree

DEEP = 3  # directories that an app may lie in, such as services/web
FOLDERS = 8  # of which the code is read
LISTS = re.compile(
    r"([^/]+/)?((environment|conda)[\w-]*\.ya?ml|pyproject\.toml|setup\.(py|cfg)|pylock\.toml|(uv|poetry|pdm)\.lock"
    r"|Pipfile|[^/]*requirements[^/]*\.(txt|in|lock)|requirements/[^/]+\.txt)"
)
WEB = ("backend", "back", "back-end", "api", "server", "web", "app", "flask", "src")  # directories, the likeliest first
ODD = re.compile(r"[\w.-]*(requires?|requirements?|deps|dependencies|packages|pip|freeze)[\w.-]*", re.IGNORECASE)
ITSELF = re.compile(rf"{SERVED.pattern}(?!-)", re.IGNORECASE)
CONDA = re.compile(r"(conda-)?(environment|env|conda)([_.-][\w-]+)?\.ya?ml|pixi\.(toml|lock)|conda-lock\.ya?ml")
# Files that list something and are not read: what to type for a list that is.
UNREAD = {
    "hatch.toml": "pip freeze > requirements.txt",
    "poetry.lock": "poetry export -o requirements.txt",
}
PRODUCTION = re.compile(r"(prod|production|deploy|deployment|server|serve|web|live|heroku|wsgi|gunicorn|all)")
DRIVERS = re.compile(
    r"(psycopg\w*|asyncpg|pg8000|mysqlclient|pymysql|redis|gunicorn|gevent|uwsgi|mariadb|cx_oracle|mysql\w*|sentry_sdk)"
)
FOR_WORK = re.compile(r"(dev\w*|tests?|testing|docs?|lint\w*|ci|style|typing|types|checks?|build|local)")


def told(tree: Tree, more: str = "") -> dict[str, str]:
    """Return what role build reads of a source.

    :param more: a file that is read whatever it is called.
    """
    names = sorted(name for name in tree.names if name == more or build_sources.TELLING.fullmatch(name))
    return {name: tree.text(name) if name == more or build_sources.READ.fullmatch(name) else "" for name in names}


def plan(files: Mapping[str, str], answer: Answer, choices: build_plan.Choices = build_plan.NOTHING) -> build_plan.Plan:
    """Return how role build would build it; say why it could not."""
    try:
        return build_plan.plan(files, choices)
    except build_kinds.KindError as error:
        answer.unsure.append(str(error).partition("\n")[0])
        return build_plan.plan({name: text for name, text in files.items() if name != "pyproject.toml"})


def folder(tree: Tree, file: str, given: Mapping[str, Any], answer: Answer) -> str | None:
    """Return the directory of the app, where nothing above it lists dependencies; "" of none, None of several.

    :param file: what lists dependencies at the top.
    """
    if file or given.get("build_subdir") or "Dockerfile" in tree.names:
        return ""
    found = sorted(_folders(tree), key=lambda name: (name.count("/"), _rank(name), name))
    if not found or _at_top(tree, found, answer):
        return ""
    highest = [name for name in found if name.count("/") == found[0].count("/")]
    if len(highest) == 1 and (len(found) == 1 or _app_in(tree, highest[0]) or not _with_app(tree, found[1:])):
        answer.set(
            "build_subdir",
            highest[0],
            "what lists dependencies lies there alone" + (", or deeper" if found[1:] else ""),
        )
        return highest[0]
    apps = _with_app(tree, found)
    if not apps:
        answer.unsure.append(f"build_subdir: which of these is the app's? {', '.join(found[:FOLDERS])}")
        return ""
    first, others = next(iter(apps)), ", ".join(f"{name} ({apps[name]})" for name in list(apps)[1:])
    if others and _rank(first) == len(WEB):
        both = f"{first} ({apps[first]}), {others}"
        answer.unsure.append(f"build_subdir: each of these holds an app: {both}; inspect one: -e build_subdir={first}")
        return None
    beside = ", ".join(name for name in found if name not in apps)
    why = f"{apps[first]} makes the app" + (
        f"; {beside} lists dependencies too, and holds no Flask app" if beside else ""
    )
    answer.set("build_subdir", first, why)
    if others:
        answer.unsure.append(
            f"build_subdir: {others} holds an app too; inspect it by itself: -e build_subdir={list(apps)[1]}"
        )
    return first


def _at_top(tree: Tree, found: list[str], answer: Answer) -> bool:
    """Tell whether the app is made at the top all the same; its list may lie in a package of it."""
    top = Tree([name for name in tree.names if name.endswith(".py") and "/" not in name], tree.bytes)
    if not code.read(top).apps:
        return False
    lists = [name for name in (f"{place}/requirements.txt" for place in found) if name in tree.names]
    if len(lists) == 1:
        answer.set("build_dependencies", lists[0], "it alone lists dependencies, and the app is made above it")
    return True


def _folders(tree: Tree) -> set[str]:
    """Return the directories that list dependencies, without those that lie in another one."""
    found = set()
    for name in tree.names:
        for depth in range(1, min(name.count("/"), DEEP) + 1):
            parts = name.split("/")
            inside = "/".join(parts[depth:])
            place = "/".join(parts[:depth])
            if LISTS.fullmatch(inside) and ("/" not in inside or inside.startswith("requirements/")):
                found.add(place)
    plain = {name for name in found if not LEFT_OUT.fullmatch(name) and not name.endswith("requirements")}
    return {name for name in plain if not any(name.startswith(f"{other}/") for other in plain)}


def _rank(name: str) -> int:
    last = name.rpartition("/")[2].lower()
    return WEB.index(last) if last in WEB else len(WEB)


def _app_in(tree: Tree, name: str) -> str:
    apps = [app for app in code.read(tree.below(name)).apps if app.framework == FLASK and app.kind != "imported"]
    return f"{name}/{apps[0].file}" if apps else ""


def _with_app(tree: Tree, names: list[str]) -> dict[str, str]:
    """Return {directory: the file that makes an app there}."""
    found = {name: _app_in(tree, name) for name in names[:FOLDERS]}
    return {name: file for name, file in found.items() if file}


def decide(tree: Tree, files: dict[str, str], first: build_plan.Plan, answer: Answer) -> build_plan.Plan:
    """Decide what lists the dependencies, and what of it is installed; return the plan."""
    named = answer.values.get("build_dependencies", ("",))[0]
    choices = build_plan.Choices(dependencies=named) if named else _file(tree, first, answer)
    if choices:
        first = plan(told(tree, choices.dependencies), answer, choices)
    if "Dockerfile" not in tree.names:
        _chosen(files, first, answer)
    return first


def _file(tree: Tree, first: build_plan.Plan, answer: Answer) -> build_plan.Choices | None:
    """Return the file that build_dependencies has to name; say which files are not read."""
    locked = any(kind.file == first.file and kind.locked for kind in build_kinds.KINDS)
    for name, command in UNREAD.items():
        if name in tree.names and not locked and first.file in ("", "pyproject.toml"):
            answer.unsure.append(f"build_dependencies: {name} is not read; for the versions of it type: {command}")
    if first.file.endswith(".txt") and lacks_flask(told(tree), first.file):
        answer.set("build_dependencies", "pyproject.toml", f"{first.file} lists no Flask; this does")
        return build_plan.Choices(dependencies="pyproject.toml")
    if first.file:
        return None
    top = [name for name in tree.names if "/" not in name or name.startswith("requirements/")]
    texts = [name for name in sorted(top) if ODD.fullmatch(name.rpartition("/")[2]) and "." in f"{name}."]
    texts = [
        name for name in texts if not name.endswith((".py", ".json", ".yml", ".yaml", ".toml", ".md", ".cfg", ".sh"))
    ]
    listing = [name for name in texts if SERVED.search(tree.text(name)) and not build_kinds.NOT_FOR_USE.search(name)]
    if listing:
        others = f"; {', '.join(listing[1:])} would do as well" if listing[1:] else ""
        answer.set("build_dependencies", listing[0], f"it lists Flask, under a name of its own{others}")
        return build_plan.Choices(dependencies=listing[0])
    for name in sorted(top):
        if CONDA.fullmatch(name) or name in ("requirements.yml", "requirements.yaml"):
            _conda(tree, name, answer)
    return None


def _conda(tree: Tree, name: str, answer: Answer) -> None:
    """Say how to get a list that is read out of an environment of conda."""
    answer.unsure.append(
        f"build_dependencies: {name} is conda's, and is not read; in that environment type: "
        "pip list --format=freeze > requirements.txt"
    )
    known: Any = None
    text = tree.text(name) if name.endswith(("yml", "yaml")) else ""
    with suppress(yaml.YAMLError, RecursionError, ValueError):
        known = yaml.load(text, Loader)  # noqa: S506 - a safe one
    rows = known.get("dependencies") if isinstance(known, dict) else None
    rows = rows if isinstance(rows, list) else []
    inner = [row["pip"] for row in rows if isinstance(row, dict) and isinstance(row.get("pip"), list)]
    listed = [str(each) for part in inner for each in part][:20]
    if listed:
        answer.unsure.append(f"build_dependencies: pip's part of {name} can go there as it is: {', '.join(listed)}")
    python = next((match for row in rows if (match := re.match(r"python\s*=+\s*(3\.1\d)(?!\d)", str(row)))), None)
    if python:
        answer.unsure.append(f'build_python: "{python[1]}", as {name} has it')


def _chosen(files: Mapping[str, str], first: build_plan.Plan, answer: Answer) -> None:
    """Choose the extras and groups that are for production, as far as the file that counts has such."""
    project = table(files, "pyproject.toml", "project", "optional-dependencies")
    poetry = table(files, "pyproject.toml", "tool", "poetry")
    extras = {**project, **(poetry.get("extras") if isinstance(poetry.get("extras"), dict) else {})}
    groups = {**table(files, "pyproject.toml", "dependency-groups")}
    for name, about in table(files, "pyproject.toml", "tool", "poetry", "group").items():
        groups[name] = list((about.get("dependencies") or {}) if isinstance(about, dict) else [])
    if first.file.startswith("Pipfile"):
        plain = ("packages", "dev-packages", "source", "requires", "scripts", "pipenv", "pipfile")
        groups = {name: list(about) for name, about in table(files, "Pipfile").items() if name not in plain}
    for variable, known in (("build_groups", groups), ("build_extras", extras)):
        named, held = [], {}
        lists = [str(each) for about in known.values() if isinstance(about, list) for each in about]
        itself = ITSELF if any(map(ITSELF.match, lists)) else SERVED  # not only a library for it
        for name, about in known.items():
            inside = [str(each) for each in about] if isinstance(about, list) else []
            drivers = [
                each
                for each in inside
                if (match := REQUIREMENT.match(each)) and DRIVERS.fullmatch(re.sub(r"[-_.]", "_", match[1].lower()))
            ]
            words = re.split(r"[-_.]", name.lower())
            if any(map(FOR_WORK.fullmatch, words)) or not _can(files, first, variable, name):
                continue
            if any(map(PRODUCTION.fullmatch, words)) or any(map(itself.match, inside)):
                named.append(name)
            elif drivers:
                held[name] = drivers
        if named:
            what = "Pipfile" if first.file.startswith("Pipfile") else "pyproject.toml"
            answer.set(variable, named, f"{what} has it: for production by its name, or it lists Flask")
        for name, drivers in held.items():
            answer.unsure.append(f"{variable}: [{name}] would install {', '.join(drivers)} too")


def _can(files: Mapping[str, str], first: build_plan.Plan, variable: str, name: str) -> bool:
    """Tell whether the file that counts has such extras and groups."""
    chosen = build_plan.Choices(**{"dependencies": first.choices.dependencies, variable.removeprefix("build_"): [name]})
    try:
        build_plan.plan(files, chosen)
    except build_kinds.KindError:
        return False
    return bool(first.file)
