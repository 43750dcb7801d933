"""A repository as variables of this project: what was decided, why, and what could not be."""

from __future__ import annotations

import json
import os
import posixpath
import re
import shlex
from typing import Any

import build_image
from ansible.module_utils import build_plan
from inventory_check.inventory import CHECKS
from inventory_check.values import app_name
from source_starts import debian, dockerfile, scripts

from . import beside, beyond, block, choices, code, commands, declared, environment, listed, places, serving
from . import tree as trees
from .block import Answer
from .tree import Tree

GIVEN = ("build_source", "build_ref", "build_subdir", "build_dockerfile", "app_name", "site_domain")
IN_AN_INVENTORY = re.compile(r'; example: "\{\{ inventory_dir.*')  # no inventory is read here
NOWHERE = (
    "; name a directory of this machine, or a repository's address, example: "
    "ansible-playbook playbooks/inspect.yml -e build_source=https://git.example.com/shop.git"
)


def read(given: dict[str, Any]) -> str:
    """Return what is printed of a source."""
    for name in GIVEN:
        said = CHECKS[name](given[name]) if given.get(name) else None
        if said:
            raise trees.TreeError(f"{name}: {IN_AN_INVENTORY.sub(NOWHERE, said)}")
    source = given["build_source"]
    if build_image.is_repository(source):
        with trees.Repository(source, given.get("build_ref") or "HEAD") as tree:
            answer = report(tree, given)
    else:
        folder = os.path.abspath(os.path.expanduser(source))
        given = {**given, "build_source": folder, "build_ref": ""}
        tree = trees.of_directory(folder, build_image.list_files(folder))
        answer = report(tree, given)
    return block.block(answer, given["build_source"])


def report(tree: Tree, given: dict[str, Any], why: str = "") -> Answer:
    """Return what a source is deployed with.

    :param given: {variable: value} that its user wrote: build_source, and perhaps more.
    :param why: why its Dockerfile is set aside, where its user wrote nothing of it.
    """
    answer = _given(given)
    if why:
        answer.values["build_dockerfile"] = ("none", why)
    top, subdir = tree, given.get("build_subdir", "").strip("/")
    tree = (top.below(subdir) if subdir else top).bounded(subdir)
    tree = _built_by(tree, given.get("build_dockerfile") or "Dockerfile")
    told = listed.told(tree)
    plan = listed.plan(told, answer)
    folder = listed.folder(tree, plan.file, given, answer)
    if folder is None:
        return block.checked(answer)
    if folder:
        subdir, tree = folder, tree.below(folder)
        told = listed.told(tree)
        plan = listed.plan(told, answer)
    plan = listed.decide(tree, told, plan, answer)
    if "build_dependencies" in answer.values:
        told[plan.file] = tree.text(plan.file)
    needs = places.dependencies(told, plan.file)
    said = _declared(top, tree, subdir, given)
    tree = declared.in_image(tree, said)
    found = serving.Found(tree, code.read(tree), said, needs)
    serving.decide(found, answer)
    wrong, serves = _refused(found, answer)
    if wrong and plan.file and not given.get("build_dockerfile"):
        return report(top, {**given, "build_dockerfile": "none"}, wrong)
    beyond.look(found.code, needs, answer)
    _image(found, plan, needs, (wrong, serves), answer)
    environment.decide(found, answer, choices.decide(found, answer))
    beside.decide(found, needs, answer)
    places.decide(found, needs, answer)
    _built_with(found, needs, answer)
    _unread(found, answer)
    return block.checked(answer)


def _declared(top: Tree, tree: Tree, subdir: str, given: dict[str, Any]) -> declared.Declared:
    """Return what files say of the app that lies in a directory of a source."""
    said = declared.read(tree)
    if subdir:
        declared.above(top, subdir, said)
    if given.get("build_dockerfile") == "none":
        for name in dict.fromkeys(("Dockerfile", f"{subdir}/Dockerfile".lstrip("/"))):
            declared.set_aside(top.text(name), said)
    return said


def _unread(found: serving.Found, answer: Answer) -> None:
    """Say what was not read, or not to its end."""
    unread = found.code.unread
    cut = [name for name in found.tree.cut if not any(f"{each}:".startswith(f"{name}:") for each in unread)]
    rows = [*unread, *found.declared.unread, *(f"the end of {name}" for name in cut)]
    answer.unsure += [f"not read: {row}" for row in rows]


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
    return "app" if app_name(name) else name


def _refused(found: serving.Found, answer: Answer) -> tuple[str, bool]:
    """Return (why the image of the source's own Dockerfile cannot be served, or "", whether its own command serves)."""
    told = found.declared
    if not told.dockerfile or str(answer.values.get("app_server", ("",))[0]).startswith("port:"):
        return "", True
    if told.without_code:
        return "the Dockerfile copies no code into the image", False
    command = told.commands.get("image", ("", ""))[0]
    return dockerfile.refused(found.tree, command, told.entry, "gunicorn" in found.needs)


def _image(
    found: serving.Found, plan: build_plan.Plan, needs: dict[str, str], refused: tuple[str, bool], answer: Answer
) -> None:
    """Decide what the image is built by, and who serves in it.

    :param refused: (why a deploy would refuse it, or "", whether its own command serves all the same).
    """
    told = found.declared
    if not told.dockerfile:
        wish = beyond.python(told.set_aside, plan, answer)
        answer.itself += [each for each in (plan.said if plan.file else "", wish.said) if each]
        answer.unsure += [] if plan.file else [f"build_dependencies: {plan.said}"]
        if added := dockerfile.adds(told.set_aside):
            answer.unsure.append(
                f"build_image_packages: the Dockerfile installs {', '.join(added)}; name what the app itself needs"
            )
        return
    answer.itself.append("Dockerfile: the image is built by it")
    answer.unsure.append(
        "build_dockerfile: none, to have it built by the role's own Dockerfile instead; "
        "inspect it again to see with which dependencies and Python: -e build_dockerfile=none"
    )
    if str(answer.values.get("app_server", ("",))[0]).startswith("port:"):
        return
    command = told.commands.get("image", ("", ""))[0]
    line = scripts.through_script(found.tree, command)
    if refused[0]:
        if refused[1]:
            answer.set("app_server", f"port:{dockerfile.port(line, told.ports)}", refused[0])
        answer.unsure.append(f"build_dockerfile: {refused[0]}; mend that, or list the dependencies and write none")
        return
    if "gunicorn" in f"{found.tree.text('Dockerfile')} {line}" or "gunicorn" in needs:
        return
    port = dockerfile.port(command, told.ports)
    answer.set("app_server", f"port:{port}", f"Dockerfile: its own command answers there: {command or 'CMD'}")
    answer.unsure.append(f"app_server: port:{port}, unless the image has gunicorn: then auto")
    if re.search(r"\bflask\b.* run\b|\brunserver\b", command) or commands.runs_app(found.code, command):
        answer.unsure.append(
            f"app_server: {command} serves for development; build_dockerfile: none has gunicorn serve the app instead"
        )


def _built_with(found: serving.Found, needs: dict[str, str], answer: Answer) -> None:
    """Decide what a build by the role's own Dockerfile needs beside Python."""
    if not found.declared.dockerfile:
        _frontend(found, answer)
        _packages(found, needs, answer)


def _frontend(found: serving.Found, answer: Answer) -> None:
    """Say what builds the pages that a package.json makes, whose results no repository holds."""
    names = [name for name in found.tree.names if name.rpartition("/")[2] == "package.json" and name.count("/") < 3]
    for name in sorted(each for each in names if not places.LEFT_OUT.fullmatch(each)):
        if not _builds(found.tree.text(name)):
            continue
        folder = name.rpartition("/")[0]
        lock = f"{folder}/package-lock.json".lstrip("/") in found.tree.names
        command = f"npm {'ci' if lock else 'install'} && npm run build"
        command = f"cd {shlex.quote(folder)} && {command}" if folder else command
        answer.unsure.append(
            f"build_packages: [npm], and build_command: {command}, if the app serves what {name} builds"
        )
    outside = found.code.settings.get("static_folder", ("",))[0]
    if isinstance(outside, str) and outside.startswith("../"):
        place, subdir = found.code.settings["static_folder"][1], answer.values.get("build_subdir", ("",))[0]
        if subdir and posixpath.normpath(posixpath.join(place.rpartition("/")[0], outside)).startswith(".."):
            answer.unsure.append(
                f"build_subdir: {place} serves {outside}, which lies outside {subdir} and so is not in the image; "
                "build it into the app's directory, or write a Dockerfile"
            )


def _builds(text: str) -> bool:
    """Tell whether a package.json has a script that builds."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    scripts = said.get("scripts") if isinstance(said, dict) else None
    return isinstance(scripts, dict) and "build" in scripts


def _packages(found: serving.Found, needs: dict[str, str], answer: Answer) -> None:
    image, build = debian.packages(needs)
    image |= found.declared.packages
    for variable, wanted in (("build_image_packages", image), ("build_packages", build)):
        if wanted:
            answer.set(variable, sorted(wanted), ", ".join(dict.fromkeys(wanted.values())))
