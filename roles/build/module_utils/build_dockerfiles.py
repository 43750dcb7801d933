"""Images that a Dockerfile builds on, as BuildKit finds them (docs.docker.com, Dockerfile reference)."""

from __future__ import annotations

import fnmatch
import platform
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

HEREDOC = re.compile(r"(?:^|\s)\d*<<(-?)\s*(?:'([^']+)'|\"([^\"]+)\"|([^\s<'\"]+))")
FLAG = re.compile(r"--([\w-]+)(?:=((?:[^\s\"']|\"[^\"]*\"|'[^']*')*))?\s*")
NESTED = r"(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*"
VARIABLE = re.compile(rf"\$(?:(\w+)|\{{(\w+)(?:(:?[-+?]|##?|%%?|//?)({NESTED}))?\}})")
REFERENCE = re.compile(r"\w(?:[\w./:@-]*\w)?")  # roughly: of what is none, the build tells
PLATFORMS = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7"}


@dataclass
class Stage:
    """What follows a FROM: its image, its platform ("" is this host's), its name, and what else it takes files from."""

    image: str
    platform: str
    name: str
    takes: list[str] = field(default_factory=list)


def images(text: str, arguments: dict[str, Any]) -> list[tuple[str, str]]:
    """Return [(image, platform)] that the last stage needs from outside, each once; a platform "" is this host's.

    :param arguments: {name: value} of the build.
    """
    stages = _stages(text, arguments)
    found: dict[tuple[str, str], None] = {}
    left, seen = [len(stages) - 1], set()
    while left:
        number = left.pop()
        if number in seen or number < 0:
            continue
        seen.add(number)
        stage = stages[number]
        for name, target in [(stage.image, stage.platform), *((each, "") for each in stage.takes)]:
            earlier = _earlier(stages[:number], name)
            if earlier is None and name.isdecimal() and (name, target) != (stage.image, stage.platform):
                earlier = int(name)
            if earlier is not None:
                left += [earlier] if earlier < number else []
            elif name != "scratch" and REFERENCE.fullmatch(name):
                found[name, target] = None
    return sorted(found)


def _earlier(stages: list[Stage], name: str) -> int | None:
    """Return the number of the last stage of that name, or None."""
    fitting = [number for number, stage in enumerate(stages) if stage.name and stage.name.lower() == name.lower()]
    return fitting[-1] if fitting else None


def _stages(text: str, arguments: dict[str, Any]) -> list[Stage]:
    known = _global()
    stages: list[Stage] = []
    for word, rest in instructions(text):
        if word == "ARG" and not stages:
            for name, given, default in (part.partition("=") for part in _split(rest)):
                if given or name in arguments:
                    known[name] = str(arguments.get(name, _filled(default, known)))
        elif word == "FROM":
            flags, words = _flags(rest)
            image, *more = words.split() or [""]
            name = more[1] if len(more) > 1 and more[0].upper() == "AS" else ""
            stages.append(Stage(_filled(image, known), _filled(dict(flags).get("platform", ""), known), name))
        elif stages and word in ("COPY", "ADD"):
            stages[-1].takes += [value for flag, value in _flags(rest)[0] if flag == "from"]
        elif stages and word == "RUN":
            parts = [part for flag, value in _flags(rest)[0] if flag == "mount" for part in value.split(",")]
            stages[-1].takes += [part[5:] for part in parts if part.startswith("from=")]
    return stages


def _flags(rest: str) -> tuple[list[tuple[str, str]], str]:
    """Return ([(name, value)], what follows them) of an instruction; what looks so behind them is the command's own."""
    found = []
    while match := FLAG.match(rest):
        found.append((match[1], re.sub("[\"']", "", match[2] or "")))
        rest = rest[match.end() :]
    return found, rest


def _global() -> dict[str, str]:
    """Return the arguments that BuildKit knows by itself in a FROM."""
    machine = PLATFORMS.get(platform.machine(), platform.machine())
    here = {"PLATFORM": f"linux/{machine}", "OS": "linux", "ARCH": machine.partition("/")[0]}
    here["VARIANT"] = machine.partition("/")[2]
    return {f"{of}{name}": value for of in ("TARGET", "BUILD") for name, value in here.items()}


def _filled(text: str, known: dict[str, str]) -> str:
    """Return a text with its variables filled in; what is not understood stays as it is."""
    text = text.strip("\"'")

    def value(match: re.Match[str]) -> str:
        name, how, word = match[1] or match[2], match[3] or "", match[4] or ""
        there = name in known and (known[name] != "" or not how.startswith(":"))
        if how[:1] in ("#", "%"):
            return _cut(known.get(name, ""), how, word)
        if how[:1] == "/":
            return _replaced(known.get(name, ""), how, word, known)
        if how.endswith("+"):
            return _filled(word, known) if there else ""
        return known[name] if there else _filled(word, known) if how.endswith("-") else ""

    return VARIABLE.sub(value, text)


def _cut(value: str, how: str, pattern: str) -> str:
    """Return a value without the shortest beginning (#) or end (%) that a pattern fits; doubled, the longest."""
    sizes = range(len(value) + 1)
    for size in sizes if len(how) == 1 else reversed(sizes):
        if how[0] == "#" and fnmatch.fnmatchcase(value[:size], pattern):
            return value[size:]
        if how[0] == "%" and fnmatch.fnmatchcase(value[len(value) - size :], pattern):
            return value[: len(value) - size]
    return value


def _replaced(value: str, how: str, word: str, known: dict[str, str]) -> str:
    """Return a value with what a pattern fits first, the longest there, as another text; with //, each."""
    # a slash of a variable's value, or one behind a backslash, ends no pattern
    pattern, text = (_filled(each, known) for each in re.fullmatch(r"((?:\\.|[^/\\])*)/?(.*)", word, re.S).groups())
    pattern = re.sub(r"\\(.)", r"\1", pattern)
    if not pattern:
        return value
    fits = fnmatch.translate(pattern)[:-2]  # it need not end there
    return re.sub(fits, lambda match: text if match[0] else "", value, count=0 if how == "//" else 1)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield (word in capitals, what follows it) of each instruction; comments and the bodies of heredocs are none."""
    text = text.removeprefix("\ufeff")
    directive = re.match(r"(?:#\s*(?:syntax|check)\s*=[^\n]*\n)*#\s*escape\s*=\s*([`\\])", text, re.IGNORECASE)
    escape = re.escape(directive[1] if directive else "\\")
    goes_on = re.compile(rf"(?<!{escape}){escape}[ \t]*$")
    lines = [line.rstrip("\r") for line in reversed(text.split("\n"))]
    while lines:
        whole = lines.pop().strip()
        while goes_on.search(whole) and not whole.startswith("#"):
            while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
                lines.pop()
            more = lines.pop() if lines else ""
            whole = goes_on.sub("", whole) + more.rstrip()
        if not whole or whole.startswith("#"):
            continue
        word, rest = [*whole.split(None, 1), ""][:2]
        if word.upper() in ("RUN", "COPY", "ADD", "ONBUILD"):
            for tabs, *names in HEREDOC.findall(rest):
                _leave_out(lines, "".join(names), "\t" if tabs else "")
        yield word.upper(), rest.strip()


def _leave_out(lines: list[str], end: str, before: str) -> None:
    """Take the body of a heredoc from the lines to come; where no line ends it, it is none."""
    for number in reversed(range(len(lines))):
        if lines[number].lstrip(before) == end if before else lines[number] == end:
            del lines[number:]
            return
