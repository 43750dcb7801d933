"""What each kind of file that lists dependencies means, and the commands that install what it lists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible.module_utils.build_python import setup_options, table
from ansible.module_utils.build_sources import COPIED, included

EXPORTED = "/dev/shm/requirements.txt"  # noqa: S108 - of a build's step, in memory: it may name an index with its password
PIPENV = "uvx -q pipenv requirements"
PDM = "env PDM_USE_VENV=0 PDM_IGNORE_SAVED_PYTHON=1 uvx -q 'pdm>=2,<3'"  # without them it writes beside the code
POETRY = 'uvx -q --with "poetry-plugin-export>=1.9,<2" "poetry>=2,<3" export --with-credentials'
# poetry's own reader of its own format: uv asks a build backend, which refuses what is no package
POETRY_LISTS = (
    "uv run -q --no-project --with 'poetry-core>=2,<3' python -c 'import sys; from pathlib import Path; "
    "from poetry.core.factory import Factory; package = Factory().create_poetry(Path()).package; "
    "[print(each.to_pep_508()) for name in sys.argv[1:] for each in package.dependency_group(name).dependencies "
    "if not each.is_optional()]'"
)
# The best known names first; one that is alone may be called as it likes.
REQUIREMENTS = (
    *("requirements.txt", "requirements/prod.txt", "requirements/production.txt", "requirements-prod.txt"),
    *("requirements-production.txt", "requirements_prod.txt", "requirements/requirements.txt", "requirements/base.txt"),
    *("requirements/common.txt", "requirements/main.txt", "requirements.in"),
)
OTHERS = re.compile(r"(requirements/.+|[^/]*requirements[^/]*)\.(txt|in)")
NOT_FOR_USE = re.compile(r"(^|[-_./])(dev\w*|tests?|testing|docs?|lint|ci|constraints?|local)[-_./]", re.IGNORECASE)
BY_PATH = re.compile(r"[{,\s](path\s*=\s*[\"']|workspace\s*=\s*true)")
OF_A_FOLDER = re.compile(r"[^/]+/(uv\.lock|poetry\.lock|pdm\.lock|Pipfile|requirements\.txt|pyproject\.toml|setup\.py)")
EDITABLE = re.compile(r"^\s*(?:-e|--editable)[\s=]+\w+\+\w+:", re.MULTILINE)
LOCAL = re.compile(r"^\s*(?:(?:-e|--editable)[\s=]*)?(?:\.|file:)", re.MULTILINE)


class KindError(Exception):
    """What a user asked for cannot be had of the file that is there; the message says what to change."""


@dataclass(frozen=True)
class Source:
    """What is known of an app, and what its user chose of it."""

    files: Mapping[str, str]
    extras: Sequence[str] = ()
    groups: Sequence[str] = ()

    def options(self, extra: str, group: str) -> list[str]:
        """Return the words that choose extras and groups; an empty template means that a kind has none."""
        for values, template, name in ((self.extras, extra, "extras"), (self.groups, group, "groups")):
            if values and not template:
                raise KindError(f"build_{name}: the file that lists the dependencies has no {name}; remove the setting")
        return [
            *(extra.format(shlex.quote(value)) for value in self.extras),
            *(group.format(shlex.quote(value)) for value in self.groups),
        ]


@dataclass(frozen=True)
class Steps:
    """How dependencies are installed.

    :param copied: files that the commands read, copied before the code.
    :param install: installs them; takes more options at its end.
    :param export: writes them to EXPORTED before; "" is nothing to do.
    :param listed: file that uv reads them from, also for another Python.
    :param listing: writes that file, where it is not there anyway.
    :param checks: what should hold once all code is there.
    :param partly: files that may name what is in the code itself, which is left out first.
    :param again: what is run once all code is there, for what was left out.
    :param perhaps: none of them may be known before that.
    """

    copied: tuple[str, ...]
    install: str
    export: str = ""
    listed: str = EXPORTED
    listing: str = ""
    checks: str = ""
    partly: tuple[str, ...] = ()
    again: str = ""
    perhaps: bool = False


@dataclass(frozen=True)
class Kind:
    """A file that lists dependencies, what must lie beside it, and what reads it."""

    file: str
    read: Callable[[Source, str], Steps | None]
    beside: frozenset[str] = frozenset()
    locked: bool = False


def _uv(source: Source, file: str) -> Steps:
    chosen = source.options("--extra {}", "--group {}")
    sync = " ".join(["uv sync --frozen --no-dev --inexact", *chosen])
    local = "workspace" in table(source.files, "pyproject.toml", "tool", "uv") or _by_path(source)
    again = f"{sync} --only-install-local" if local else ""
    # another index than the lock's is no difference in what is locked
    checks = f"fits {file} pyproject.toml env -u UV_DEFAULT_INDEX -u UV_INDEX uv lock --check"
    listing = f"uv export -q --frozen --no-dev --no-hashes --no-emit-local -o {EXPORTED}"
    return Steps((file, "pyproject.toml"), f"{sync} --no-install-local", listing=listing, checks=checks, again=again)


def _poetry(source: Source, file: str) -> Steps:
    chosen = source.options("--extras {}", "--with {}")
    export = " ".join([POETRY, f"-o {EXPORTED}", *chosen])
    return _exported((file, "pyproject.toml"), export, _by_path(source))


def _pdm(source: Source, file: str) -> Steps:
    chosen = source.options("-G {}", "-G {}")
    # with a group of development, only those that are named; without one, none
    export = " ".join(
        [PDM, "export -f requirements", *([] if source.groups else ["--prod"]), *chosen, f"-o {EXPORTED}"]
    )
    checks = f"fits {file} pyproject.toml {PDM} lock --check"
    return _exported((file, "pyproject.toml"), export, _by_path(source), checks)


def _pylock(source: Source, file: str) -> Steps:
    source.options("", "")
    return Steps((file,), _requirements(file), listed=file)


def _pipenv_lock(source: Source, file: str) -> Steps:
    categories = _categories(source)
    export = f"{PIPENV} --hash{categories} > {EXPORTED}"
    return _exported((file, "Pipfile"), export, _in_pipfile(source), f"fits {file} Pipfile uvx -q pipenv verify")


def _pipenv(source: Source, file: str) -> Steps:
    export = f"{PIPENV} --from-pipfile --no-lock{_categories(source)} > {EXPORTED}"
    return _exported((file,), export, _in_pipfile(source))


def _categories(source: Source) -> str:
    source.options("", "{}")
    return f" --categories {shlex.quote(' '.join(['packages', *source.groups]))}" if source.groups else ""


def _in_pipfile(source: Source) -> bool:
    packages = table(source.files, "Pipfile", "packages")
    return any(isinstance(each, dict) and "path" in each for each in packages.values())


def _plain(source: Source, file: str) -> Steps:
    source.options("", "")
    if not COPIED.fullmatch(file):
        raise KindError(f"{file!r} has a character in its name that a build does not copy; rename it")
    copied = included(file, source.files)
    partly = tuple(name for name in copied if LOCAL.search(source.files.get(name, "")))
    again = _requirements(file) if partly else ""
    editable = [name for name in copied if EDITABLE.search(source.files.get(name, ""))]
    export = shlex.join(["not_editable", *editable]) if editable else ""
    return Steps(copied, _requirements(file), export, listed=file, partly=partly, again=again)


def _pyproject(source: Source, file: str) -> Steps | None:
    project = table(source.files, file, "project")
    poetry = table(source.files, file, "tool", "poetry", "dependencies")
    if "dependencies" in project.get("dynamic", []):
        return _of_backend(source, file)
    if not project.get("dependencies") and poetry.keys() - {"python"}:
        source.options("", "{}")
        chosen = " ".join(shlex.quote(group) for group in ["main", *source.groups])
        return _exported((file,), f"{POETRY_LISTS} {chosen} > {EXPORTED}", _by_path(source))
    if project.get("dependencies") or (project and (source.extras or source.groups)):
        chosen = source.options("--extra {}", "--group {}")
        install = " ".join([_requirements(file), *chosen])
        local = _by_path(source)
        return Steps((file,), install, listed=file, again=install if local else "", perhaps=local)
    return None


def _of_backend(source: Source, file: str) -> Steps | None:
    if file == "setup.cfg" and not setup_options(source.files).get("install_requires"):
        return None
    readable = re.compile(r"(README|VERSION|MANIFEST|setup\.|pyproject\.toml|[^/]*requirements[^/]*\.txt)[^/]*")
    copied = tuple(sorted(name for name in source.files if readable.fullmatch(name) and COPIED.fullmatch(name)))
    install = " ".join([_requirements(file), *source.options("--extra {}", "")])
    return Steps(copied, install, listed=file, again=install, perhaps=True)


def _exported(copied: tuple[str, ...], export: str, local: bool, checks: str = "") -> Steps:
    install = _requirements(EXPORTED)
    partly, again = ((EXPORTED,), install) if local else ((), "")
    export = f"{export}\nnot_editable {EXPORTED}"
    return Steps(copied, install, export, checks=checks, partly=partly, again=again)


def _requirements(file: str) -> str:
    return f"uv pip install -r {shlex.quote(file)}"


def _by_path(source: Source) -> bool:
    """Tell whether pyproject.toml names other projects of the same source."""
    tool = table(source.files, "pyproject.toml", "tool")
    text = source.files.get("pyproject.toml", "")
    return (
        bool(tool.keys() & {"uv", "poetry"}) and re.search(r"[{,\s](path\s*=|workspace\s*=\s*true)", text) is not None
    )


# The most exact first; lists of requirements come behind what is locked.
KINDS = (
    Kind("uv.lock", _uv, frozenset({"pyproject.toml"}), locked=True),
    Kind("poetry.lock", _poetry, frozenset({"pyproject.toml"}), locked=True),
    Kind("pdm.lock", _pdm, frozenset({"pyproject.toml"}), locked=True),
    Kind("Pipfile.lock", _pipenv_lock, frozenset({"Pipfile"}), locked=True),
    Kind("pylock.toml", _pylock, locked=True),
    Kind("requirements.lock", _plain, locked=True),  # of Rye: a list of requirements
    Kind("Pipfile", _pipenv),
    Kind("pyproject.toml", _pyproject),
    Kind("setup.py", _of_backend),
    Kind("setup.cfg", _of_backend),
)


def of(name: str) -> Kind:
    """Return the kind of a file that somebody named; what is none of the known is a list of requirements."""
    return next((kind for kind in KINDS if kind.file == name), Kind(name, _plain))


def candidates(files: Iterable[str]) -> list[Kind]:
    """Return the kinds whose files are there, the most exact first; of lists of requirements, one."""
    names = frozenset(name for name in files if COPIED.fullmatch(name))
    alone = [name for name in names if OTHERS.fullmatch(name) and not NOT_FOR_USE.search(name)]
    lists = [name for name in REQUIREMENTS if name in names] or (alone if len(alone) == 1 else [])
    found = [kind for kind in KINDS if kind.file in names and kind.beside <= names]
    if lists:
        place = sum(kind.locked for kind in found)
        found.insert(place, Kind(lists[0], _plain))
    return found
