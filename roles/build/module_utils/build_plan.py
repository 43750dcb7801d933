"""How an app is built, as the files in its source say it: a function of names and texts, and of what a user chose."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible.module_utils import build_kinds as kinds
from ansible.module_utils import build_python as pythons
from ansible.module_utils.build_python import table

NONE = "none"
LOOKED_FOR = (
    "uv.lock, poetry.lock, pdm.lock, Pipfile.lock, pylock.toml, requirements.txt, Pipfile, pyproject.toml, setup.py"
)
LIKE = re.compile(r"([^/]+/)?[^/]*(req|deps|dependenc)[^/]*\.(txt|in)|reqs?/[^/]+\.(txt|in)")
# What lists packages for programs that install no Python packages alone.
OTHERS = {
    "environment.yml": "conda",
    "environment.yaml": "conda",
    "conda-lock.yml": "conda",
    "pixi.toml": "pixi",
    "pixi.lock": "pixi",
}


@dataclass(frozen=True)
class Choices:
    """What a user chose of how an app is built; each name is that of a variable without its build_."""

    dependencies: str = ""
    extras: Sequence[str] = ()
    groups: Sequence[str] = ()
    requirements: Sequence[str] = ()
    python: str = ""
    packages: Sequence[str] = ()
    image_packages: Sequence[str] = ()
    command: str = ""


NOTHING = Choices()


@dataclass(frozen=True)
class Plan:
    """How an app is built.

    :param file: what lists its dependencies; "" is nothing.
    :param steps: how those are installed; None installs none.
    :param project: why the project itself is installed too; "" is not.
    :param path: directory that its code is imported from; "" is the source itself.
    :param choices: what its user chose.
    :param said: a line for people.
    """

    file: str
    steps: kinds.Steps | None
    python: pythons.Wish
    project: str
    path: str
    choices: Choices
    said: str


def plan(files: Mapping[str, str], choices: Choices = NOTHING) -> Plan:
    """Return how an app is built.

    :param files: {name: text} of those files of its source that tell something; of some the name is enough.
    :raises KindError: what was chosen cannot be had, or what lists the dependencies cannot be read.
    """
    source = kinds.Source(files, choices.extras, choices.groups)
    python = pythons.wanted(files, choices.python)
    kind, steps, others = _found(source, choices.dependencies)
    project, path = _project(files)
    file = kind.file if kind else ""
    said = _said(file, others, files) if choices.dependencies != NONE else "no dependencies but gunicorn and gevent"
    return Plan(file, steps, python, project, path, choices, said)


def _found(source: kinds.Source, chosen: str) -> tuple[kinds.Kind | None, kinds.Steps | None, list[str]]:
    """Return the kind of file that counts, how it is installed, and the files that would do as well."""
    if chosen and chosen != NONE:
        kind = kinds.of(chosen)
        lacking = sorted({chosen, *kind.beside} - source.files.keys())
        steps = None if lacking else kind.read(source, chosen)
        if steps is None:
            why = f"the source has no {lacking[0]}" if lacking else f"{chosen} lists no dependencies"
            raise kinds.KindError(f"build_dependencies: {why}; name a file of the source, or remove the setting")
        return kind, steps, []
    # what cannot be chosen of a file is said of the one that counts alone
    plain = kinds.Source(source.files)
    found = [(kind, steps) for kind in kinds.candidates(source.files) if (steps := kind.read(plain, kind.file))]
    if chosen == NONE:
        return None, None, []
    if not found:
        _demand_toml(source.files, "pyproject.toml")
        return None, None, []
    kind, steps = found[0]
    mine = {kind.file, *steps.copied, *kind.beside}
    return kind, kind.read(source, kind.file), [other.file for other, _ in found[1:] if other.file not in mine]


def _demand_toml(files: Mapping[str, str], name: str) -> None:
    """Refuse a TOML file that is none, where no tool will."""
    try:
        tomllib.loads(files.get(name, ""))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise kinds.KindError(f"{name} cannot be read: {error}\n  what to do: correct it in the source") from error


def _said(file: str, others: Sequence[str], files: Mapping[str, str]) -> str:
    if file:
        also = f"; {', '.join(others)} would do as well, by build_dependencies" if others else ""
        return f"dependencies of {file}{also}"
    return f"no dependencies but gunicorn and gevent, as nothing lists any ({LOOKED_FOR}); {_way_out(files)}"


def _way_out(files: Mapping[str, str]) -> str:
    """Return what a user may do where nothing lists dependencies."""
    for name, program in OTHERS.items():
        if name in files:
            return (
                f"{name} lists packages for {program}, which the build does not use: list what the app needs in "
                "requirements.txt, or write a Dockerfile"
            )
    below = sorted({name.split("/")[0] for name in files if kinds.OF_A_FOLDER.fullmatch(name)})
    if below:
        return f"is this it? build_subdir: {' or '.join(below)}"
    alike = sorted(name for name in files if LIKE.fullmatch(name))
    if alike:
        return f"is this it? build_dependencies: {' or '.join(alike[:3])}"
    return "name the file that does: build_dependencies"


def _project(files: Mapping[str, str]) -> tuple[str, str]:
    """Return (why the project itself is installed, the directory that its code is imported from)."""
    project, poetry, of_uv = (
        table(files, "pyproject.toml", *keys) for keys in (("project",), ("tool", "poetry"), ("tool", "uv"))
    )
    path = "src" if any(name.startswith("src/") and name.endswith(".py") for name in files) else ""
    described = project or poetry.get("name") or files.keys() & {"setup.py", "setup.cfg"}
    if not described or poetry.get("package-mode") is False or of_uv.get("package") is False:
        return "", path
    points = [project.get(key) for key in ("scripts", "gui-scripts", "entry-points")]
    points += [poetry.get("scripts"), poetry.get("plugins")]
    of_setup = "".join(files.get(name, "") for name in ("setup.py", "setup.cfg"))
    if any(points) or "entry_points" in of_setup:
        return "it has entry points", path
    return ("its code is below src" if path else ""), path
