"""Which Python an app's own files ask for."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

OFFERED = ("3.10", "3.11", "3.12", "3.13", "3.14")  # what gunicorn and gevent of the role's Dockerfile run on
USUAL = "3.13"
NEXT = tuple(f"3.{minor}" for minor in range(15, 20))  # there will be images of them
BEFORE = ("2.7", *(f"3.{minor}" for minor in range(10)))
OF_SETUP = re.compile(r"""^[^#\n]*python_requires["']?\s*[=:]\s*(?:["']([^"'\n]+)["']|(\w+))""", re.MULTILINE)
CLAUSE = re.compile(r"(===|~=|==|!=|<=|>=|<|>|\^|~|)\s*(\d+)(?:\.(\d+|\*))?(?:\.(\d+|\*))?[\w.*]*")

# How uv, pip and poetry say which Python they have, and which one they want.
WANT = re.compile(
    r"(?:current|requested) Python version \(([^)]+)\) does not satisfy Python\s*((?:[<>=!~]+ ?[\d.*]+,? ?)+)"
    r"|different Python: ([\d.]+) not in '([^']+)'"
    r"|resolved to Python ([\d.]+), which is incompatible with the project's Python requirement: `([^`]+)`"
    r"|(?i:current(?:ly activated)? Python version) \(?([\d.]+)\)? is not (?:allowed|supported) by the project "
    r"\(([^)]+)\)"
)
WHEELS = re.compile(r"CPython ([\d.]+) \(`cp\d+`\), but [^\n]* Python ABI tags?: ([^\n]+)")
IGNORED = re.compile(r"([\w.]+) Requires-Python ([^;\n]+)")


@dataclass(frozen=True)
class Wish:
    """Which Python an app gets, and why.

    :param version: as "3.12".
    :param why: the file or variable that asks for it; "" is none.
    :param fitting: the versions that would do as well.
    :param said: what people should know of it.
    """

    version: str
    why: str = ""
    fitting: tuple[str, ...] = ()
    said: str = ""


def wanted(files: Mapping[str, str], chosen: str = "") -> Wish:
    """Return which Python to build with.

    :param files: {name: text} of an app's files.
    :param chosen: what build_python says; it wins.
    """
    if chosen:
        return Wish(chosen, "build_python", (chosen,))
    for why, version, exact in _asked(files):
        if exact and _newer(version):
            return Wish(version, why, (version,), f"Python {version}, as {why} asks")
        fitting = tuple(each for each in OFFERED if (version == each if exact else fits(version, each)))
        if fitting:
            best = USUAL if USUAL in fitting else fitting[-1]
            return Wish(best, why, fitting, f"Python {best}, as {why} {'asks' if exact else 'allows'}")
        return _out_of_reach(why, version)
    return Wish(USUAL, said=f"Python {USUAL}, as nothing asks for another")


def _out_of_reach(why: str, asked: str) -> Wish:
    """Return what becomes of a wish that no Python fulfils which is offered."""
    if newer := [each for each in NEXT if fits(asked, each)]:
        return Wish(newer[0], why, tuple(newer), f"Python {newer[0]}, as {why} asks")
    if any(fits(asked, each) for each in BEFORE):
        best, because = OFFERED[0], f"gunicorn needs {OFFERED[0]} or newer"
    else:
        best, because = USUAL, "no Python is that"
    said = f"Python {best}, though {why} asks for {asked}: {because}; build_python chooses another"
    return Wish(best, why, (), said)


def fits(specifier: str, version: str) -> bool:
    """Tell whether a Python "3.12" of any patch level can be what a specifier of PEP 440 or of poetry asks for."""
    here = tuple(map(int, version.split(".")))
    return any(all(_holds(here, *clause) for clause in CLAUSE.findall(part)) for part in specifier.split("||"))


def other(said: str) -> str | None:
    """Return what to do about a failed build that wants another Python; None where it does not say so."""
    here, asked = "", []
    for found in WANT.finditer(said):
        here, specifier = (each for each in found.groups() if each)
        asked.append(specifier.rstrip(", "))
    if here and not here[0].isdecimal():
        lists = f"pyproject.toml allows Python {here}, and what it lists needs {asked[0]}"
        return f'{lists}: requires-python = "{asked[0]}"'
    fitting = [each for each in OFFERED if asked and all(fits(one, each) for one in asked)]
    if found := WHEELS.search(said):
        here, asked = found[1], [f"with a wheel of it ({found[2]})"]
        fitting = [each for each in OFFERED if f"`cp{each.replace('.', '')}`" in found[2]]
    elif not asked and "require a different python version" in said:
        pinned = re.search(r"satisfies the requirement \S+?==([\w.]+)", said)
        asked = [one for version, one in IGNORED.findall(said) if not pinned or version == pinned[1]][-1:]
        here, fitting = "the image's", [each for each in OFFERED if asked and fits(asked[0], each)]
    if not asked:
        return None
    wanted = f"what the app needs wants another Python than {here}"
    if not fitting:
        none = f"none of Python {OFFERED[0]} to {OFFERED[-1]} is one"
        return f"{wanted}, {' and '.join(asked)}, and {none}: a newer version of what asks for it, build_requirements"
    best = USUAL if USUAL in fitting else fitting[-1]
    return f"{wanted}: build_python: '{best}', or a newer version of what asks for it, build_requirements"


def _newer(version: str) -> bool:
    return tuple(map(int, version.split("."))) > tuple(map(int, OFFERED[-1].split(".")))


def _holds(here: tuple[int, ...], how: str, major: str, minor: str, patch: str) -> bool:
    given = (int(major), int(minor)) if minor.isdecimal() else (int(major),)
    mine = here[: len(given)]
    if how == "<":  # 3.12.1 is below 3.12.4 and not below 3.12
        return mine < given or (mine == given and patch.isdecimal() and int(patch) > 0)
    if how == "!=":
        return mine != given or (len(given) == 2 and patch.isdecimal())
    if how == "^" or (how == "~=" and not patch):
        return here[0] == given[0] and mine >= given
    return {">=": mine >= given, ">": mine >= given, "<=": mine <= given}.get(how, mine == given)


def _asked(files: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """Yield (file, version or specifier, whether it is one version) of what says a Python; the first one counts."""
    for name, line in {
        ".python-version": r"(?:cpython[-@]?|python[-@]?)?(\d+\.\d+)",
        "runtime.txt": r"(?:python-?)?(\d+\.\d+)",
        ".tool-versions": r"python\s+(\d+\.\d+)",
        "mise.toml": r"python\s*=\s*\[?\s*[\"'](\d+\.\d+)",
    }.items():
        if match := re.search(rf"^\s*{line}", files.get(name, ""), re.MULTILINE):
            yield name, match[1], True
    requires = table(files, "Pipfile", "requires")
    for key in ("python_full_version", "python_version"):
        if match := re.match(r"\d+\.\d+", str(requires.get(key, ""))):
            yield "Pipfile", match[0], True
    for name in ("environment.yml", "environment.yaml"):
        if match := re.search(r"^\s*-\s*[\"']?python\s*=+\s*(\d+\.\d+)", files.get(name, ""), re.MULTILINE):
            yield name, match[1], True
    for name, specifier in (
        ("pyproject.toml", table(files, "pyproject.toml", "project").get("requires-python")),
        ("pyproject.toml", table(files, "pyproject.toml", "tool", "poetry", "dependencies").get("python")),
        ("setup.cfg", setup_options(files).get("python_requires")),
        ("setup.py", _of_setup(files.get("setup.py", ""))),
    ):
        if isinstance(specifier, str) and CLAUSE.search(specifier):
            yield name, specifier, False


def _of_setup(text: str) -> str:
    """Return python_requires of a setup.py, as it is written there or in a name of its own."""
    found = OF_SETUP.search(text)
    if not found or found[1]:
        return found[1] if found else ""
    named = re.search(rf"""^{found[2]}\s*=\s*["']([^"'\n]+)["']""", text, re.MULTILINE)
    return named[1] if named else ""


def table(files: Mapping[str, str], name: str, *keys: str) -> dict[str, Any]:
    """Return a table of a TOML file; an empty one where there is none, or no TOML: the tool that reads it will say."""
    try:
        found: Any = tomllib.loads(files.get(name, ""))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def setup_options(files: Mapping[str, str]) -> Mapping[str, str]:
    """Return what setup.cfg says of a package."""
    parser = configparser.ConfigParser(interpolation=None)
    with suppress(configparser.Error):
        parser.read_string(files.get("setup.cfg", ""))
    return parser["options"] if parser.has_section("options") else {}
