"""A repository as variables of this project: what was decided, why, and what could not be."""

from __future__ import annotations

import os
import re
from typing import Any

import build_image
from ansible.module_utils import build_plan
from inventory_check.inventory import CHECKS, check_types, check_values, load_specs
from inventory_check.values import APP

from . import beside, choices, code, declared, environment, listed, places, serving
from . import tree as trees
from .block import Answer, block
from .tree import Tree

GIVEN = ("build_source", "build_ref", "build_subdir", "build_dockerfile", "app_name", "site_domain")
PORT = re.compile(r"(?:^|[\s:=])([1-9][0-9]{3,4})(?=\s|$)")


def read(given: dict[str, Any]) -> str:
    """Return what is printed of a source."""
    for name in GIVEN:
        said = CHECKS[name](given[name]) if given.get(name) else None
        if said:
            raise trees.TreeError(f"{name}: {said}")
    source, subdir = given["build_source"], given.get("build_subdir", "")
    if build_image.is_repository(source):
        with trees.Repository(source, given.get("build_ref") or "HEAD") as tree:
            answer = report(tree.below(subdir) if subdir else tree, given)
    else:
        folder = os.path.abspath(os.path.expanduser(source))
        given = {**given, "build_source": folder, "build_ref": ""}
        tree = trees.of_directory(folder, build_image.list_files(folder))
        answer = report(tree.below(subdir) if subdir else tree, given)
    return block(answer, given["build_source"])


def report(tree: Tree, given: dict[str, Any]) -> Answer:
    """Return what a source is deployed with.

    :param given: {variable: value} that its user wrote: build_source, and perhaps more.
    """
    answer = _given(given)
    whole, tree = tree, _built_by(tree, given.get("build_dockerfile") or "Dockerfile")
    told = listed.told(tree)
    plan = listed.plan(told, answer)
    subdir = listed.folder(tree, plan.file, given, answer)
    if subdir is None:
        return checked(answer)
    if subdir:
        tree = tree.below(subdir)
        told = listed.told(tree)
        plan = listed.plan(told, answer)
    plan = listed.decide(tree, told, plan, answer)
    if "build_dependencies" in answer.values:
        told[plan.file] = tree.text(plan.file)
    needs = places.dependencies(told, plan.file)
    said = declared.read(tree)
    if given.get("build_dockerfile") == "none":
        for name in dict.fromkeys(("Dockerfile", f"{subdir}/Dockerfile".lstrip("/"))):
            declared.set_aside(whole.text(name), said)
    tree = declared.in_image(tree, said)
    found = serving.Found(tree, code.read(tree), said, needs)
    serving.decide(found, answer)
    _image(found, plan, needs, answer)
    settled = choices.decide(found, answer)
    environment.decide(found, answer, settled)
    beside.decide(found, needs, answer)
    places.decide(found, needs, answer)
    cut = [
        f"the end of {name}"
        for name in tree.cut
        if not any(f"{each}:".startswith(f"{name}:") for each in found.code.unread)
    ]
    for file in [*found.code.unread, *found.declared.unread, *cut]:
        answer.unsure.append(f"not read: {file}")
    return checked(answer)


def _built_by(tree: Tree, name: str) -> Tree:
    """Return a source with the file that builds it as its Dockerfile, or, by the name none, without any."""
    if name == "Dockerfile":
        return tree
    if name == "none":
        return Tree([each for each in tree.names if each.rpartition("/")[2] != "Dockerfile"], tree.bytes)
    if name not in tree.names:
        raise trees.TreeError(f"build_dockerfile: the source has no {name}; none takes the role's own")
    return Tree(
        [*tree.names, "Dockerfile"], lambda each, most: tree.bytes(name if each == "Dockerfile" else each, most)
    )


def _given(given: dict[str, Any]) -> Answer:
    """Return an answer that holds what the user wrote."""
    answer = Answer()
    name = given.get("app_name") or _name(given["build_source"])
    answer.set(
        "app_name", name, "as you gave it" if given.get("app_name") else "its directory or repository; chosen once"
    )
    if given.get("site_domain"):
        answer.set("site_domain", given["site_domain"], "as you gave it")
    else:
        answer.unsure.append("site_domain: the public name, which you have to write; example: shop.example.com")
    usual = {"build_ref": "HEAD", "build_dockerfile": "Dockerfile"}
    for variable in ("build_source", "build_ref", "build_subdir", "build_dockerfile"):
        if given.get(variable, "") not in ("", usual.get(variable)):
            answer.set(variable, given[variable], "as you gave it")
    return answer


def _name(source: str) -> str:
    """Return a name for an app, of its source's last part."""
    last = re.split(r"[/:]", source.rstrip("/").removesuffix(".git"))[-1].lower()
    name = re.sub(r"[^a-z0-9]+", "-", last).strip("-0123456789")[:31].strip("-")
    return name if APP.fullmatch(name) else "app"


def _image(found: serving.Found, plan: build_plan.Plan, needs: dict[str, str], answer: Answer) -> None:
    """Decide what the image is built by, and who serves in it."""
    told = found.declared
    if not told.dockerfile:
        answer.itself += [plan.said, plan.python.said] if plan.file else [plan.python.said]
        answer.unsure += [] if plan.file else [f"build_dependencies: {plan.said}"]
        return
    answer.itself.append("Dockerfile: the image is built by it")
    answer.unsure.append(
        "build_dockerfile: none, to have it built by the role's own Dockerfile instead; "
        "inspect it again to see with which dependencies and Python: -e build_dockerfile=none"
    )
    if "app_server" in answer.values and str(answer.values["app_server"][0]).startswith("port:"):
        return
    command = told.commands.get("image", ("", ""))[0]
    text = f"{found.tree.text('Dockerfile')} {serving.through_script(found.tree, command)}"
    if "gunicorn" in text or "gunicorn" in needs:
        return
    ports = [*told.ports, *PORT.findall(command), "5000"]
    answer.set("app_server", f"port:{ports[0]}", f"Dockerfile: its own command answers there: {command or 'CMD'}")
    answer.unsure.append(f"app_server: port:{ports[0]}, unless the image has gunicorn: then auto")


def checked(answer: Answer) -> Answer:
    """Leave out what the check of an inventory would refuse, and say so."""
    specs = load_specs()
    for name, value in answer.variables().items():
        if name == "app_secrets":  # templates of the vault, whose values are not there yet
            continue
        typed, mistakes = check_types(specs, {name: value})
        mistakes += check_values(typed)
        if mistakes:
            answer.values.pop(name, None)
            answer.maps.pop(name, None)
            answer.unsure.append(f"{mistakes[0]} (left out)")
    return answer
