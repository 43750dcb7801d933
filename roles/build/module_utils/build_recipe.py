"""The role's own Dockerfile for an app, and the commands of its steps, from the app's plan."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import string
from collections.abc import Iterable, Sequence

from ansible.module_utils.build_kinds import Steps
from ansible.module_utils.build_plan import Plan

DEBIAN = "RUN --mount=type=secret,id=steps sh /run/secrets/steps debian"
SECRETS = ("steps", "ca", "known_hosts")
MOUNTS = " ".join([*(f"--mount=type=secret,id={name}" for name in SECRETS), "--mount=type=ssh"])

VERSIONED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*[<>=!~@].*")
OF_TOOLS = re.compile("(PIP|UV|POETRY|PIPENV)_")


class Recipe(string.Template):
    """A text with places like @{code}: those of Docker begin with $."""

    delimiter = "@"


def dockerfile(template: str, common: str, app: str, plan: Plan, arguments: Iterable[str] = ()) -> tuple[str, str]:
    """Return (the text of an app's Dockerfile, the commands of its steps: the secret "steps" of its build).

    :param template: files/Dockerfile.in.
    :param common: files/steps.sh.
    :param arguments: names of the build's.
    """
    names = sorted(arguments)
    early = [name for name in names if OF_TOOLS.match(name)]
    late = [name for name in names if name not in early]
    choices = plan.choices
    packages = sorted({*choices.packages, *choices.image_packages})
    parts = {
        "debian": [shlex.join(["packages", *packages])],
        "dependencies": _dependencies(plan),
        "code": _code(plan),
        "final": [shlex.join(["image", *sorted(choices.image_packages)])],
    }
    functions = {name: _function(name, commands) for name, commands in parts.items()}
    digests = {name: _digest(common, function) for name, function in functions.items()}
    text = Recipe(template).substitute(
        mounts=f"{MOUNTS} {_cache(app)}",
        mounts_of_tools=f"{MOUNTS} {_cache('_tools')}",  # no app's name: one layer for all apps of a host
        packages=f"{DEBIAN} {digests['debian']}" if packages else "",
        arguments_of_tools="\n".join(f"ARG {name}" for name in early),
        arguments="\n".join(f"ARG {name}" for name in late),
        copied="\n".join(_copied(plan.steps.copied if plan.steps else ())),
        tools=_digest(common),
        **digests,
    )
    return text, "\n".join([common, *functions.values(), '"$1"\n'])


def _cache(owner: str) -> str:
    return f"--mount=type=cache,id=flask-deploy-{owner},target=/root/.cache"


def _function(name: str, commands: Sequence[str]) -> str:
    return "\n  ".join([f"{name}() {{", *commands]) + "\n}\n"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _copied(files: Sequence[str]) -> list[str]:
    """Return instructions that copy files to where they were, in the form whose names may have spaces."""
    folders: dict[str, list[str]] = {}
    for name in files:
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    return [f"COPY {json.dumps([*names, f'./{folder}/' if folder else './'])}" for folder, names in folders.items()]


def _dependencies(plan: Plan) -> list[str]:
    """Return what is done where no code is but the files that list dependencies."""
    steps, lines, server = plan.steps, [], _server(plan)
    if plan.python.fitting:
        lines.append(f"asked {shlex.quote(plan.python.why)} {' '.join(plan.python.fitting)}")
    if plan.path:  # here, as what the code's step writes into /venv has all of that copied once more
        lines.append(f"path {plan.path}")
    if not steps:
        return [*lines, server]
    lines += _listed(plan, steps)
    if steps.partly:
        lines.append(shlex.join(["without_local", *steps.partly]))
    install = _install(plan, steps.install)
    lines.append(f"{install} --compile-bytecode || true" if steps.perhaps else f"built {install}")
    return lines if steps.again else [*lines, server]


def _code(plan: Plan) -> list[str]:
    """Return what is done where all code is."""
    steps, lines = plan.steps, []
    if steps and steps.again:
        install = _install(plan, steps.again)
        lines += [*_listed(plan, steps), "only=", f"built {install}", "only=--no-build", _server(plan)]
    if steps and steps.checks:
        lines.append(steps.checks)
    if plan.project:
        lines.append(f"project {shlex.quote(plan.project)}")
    if plan.choices.command:
        lines.append(f"commanded {shlex.quote(plan.choices.command)}")
    return [*lines, "compiled"]


def _server(plan: Plan) -> str:
    return shlex.join(["server", *plan.choices.requirements])


def _install(plan: Plan, command: str) -> str:
    """Return a command that installs, without what build_requirements has in other versions."""
    if not command.startswith("uv sync"):  # the others take them as overrides
        return command
    return " ".join([command, *(f"--no-install-package {name}" for name in _versioned(plan).values())])


def _versioned(plan: Plan) -> dict[str, str]:
    """Return {requirement: its name} of those in build_requirements that say which version."""
    matches = ((each, VERSIONED.fullmatch(each)) for each in plan.choices.requirements)
    return {each: found[1] for each, found in matches if found}


def _listed(plan: Plan, steps: Steps) -> list[str]:
    """Return what lists the dependencies, for uv to read, and what is installed instead of some."""
    versioned = _versioned(plan)
    return [
        *([steps.export] if steps.export else []),
        f"list={shlex.quote(steps.listed)}",
        f"listing() {{ {steps.listing or ':'}; }}",
        *([shlex.join(["instead", *versioned])] if versioned else []),
    ]
