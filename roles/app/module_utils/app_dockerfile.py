"""Images that a Dockerfile builds on, as BuildKit finds them (docs.docker.com, Dockerfile reference)."""

from __future__ import annotations

import platform
import re
import shlex
from dataclasses import dataclass, field

HEREDOC = re.compile(r"(?:^|\s)\d*<<-?(['\"]?)(\w+)\1")
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^}]*))?\})")
PLATFORMS = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7"}


@dataclass
class Stage:
    """What follows a FROM: its image, its platform ("" is this host's), its name, and what else it takes files from."""

    image: str
    platform: str
    name: str
    takes: list = field(default_factory=list)


def images(text, arguments):
    """Return [(image, platform)] that the last stage needs from outside, each once; a platform "" is this host's.

    :param arguments: {name: value} of the build.
    """
    stages = _stages(text, arguments)
    numbers = {stage.name.lower(): number for number, stage in enumerate(stages) if stage.name}
    found, left, seen = {}, [len(stages) - 1], set()
    while left:
        number = left.pop()
        if number in seen or number < 0:
            continue
        seen.add(number)
        stage = stages[number]
        for name, target in [(stage.image, stage.platform), *((each, "") for each in stage.takes)]:
            earlier = numbers.get(name.lower(), int(name) if name.isdecimal() else number)
            if earlier < number:
                left.append(earlier)
            elif name not in ("", "scratch") and "$" not in name:
                found[name, target] = None
    return sorted(found)


def _stages(text, arguments):
    known, stages = _global(), []
    for word, rest in _instructions(text):
        if word == "ARG" and not stages:
            for name, _, default in (part.partition("=") for part in _split(rest)):
                known[name] = str(arguments.get(name, _filled(default, known)))
        elif word == "FROM":
            words = rest.split()
            flags = dict(each[2:].partition("=")[::2] for each in words if each.startswith("--"))
            image, *more = [each for each in words if not each.startswith("--")] or [""]
            name = more[1] if len(more) > 1 and more[0].upper() == "AS" else ""
            stages.append(Stage(_filled(image, known), _filled(flags.get("platform", ""), known), name))
        elif stages and word in ("COPY", "ADD"):
            stages[-1].takes += re.findall(r"(?:^|\s)--from=(\S+)", rest)
        elif stages and word == "RUN":
            mounts = re.findall(r"(?:^|\s)--mount=(\S+)", rest)
            stages[-1].takes += [each[5:] for mount in mounts for each in mount.split(",") if each.startswith("from=")]
    return stages


def _global():
    """Return the arguments that BuildKit knows by itself in a FROM."""
    machine = PLATFORMS.get(platform.machine(), platform.machine())
    here = {"PLATFORM": f"linux/{machine}", "OS": "linux", "ARCH": machine.partition("/")[0]}
    here["VARIANT"] = machine.partition("/")[2]
    return {f"{of}{name}": value for of in ("TARGET", "BUILD") for name, value in here.items()}


def _filled(text, known):
    """Return a text with its variables filled in; what is not understood stays as it is."""
    text = text.strip("\"'")

    def value(match):
        name, how, word = match[1] or match[2], match[3] or "", match[4] or ""
        there = name in known and (known[name] != "" or not how.startswith(":"))
        if how.endswith("+"):
            return _filled(word, known) if there else ""
        return known[name] if there else _filled(word, known) if how else match[0]

    return VARIABLE.sub(value, text)


def _split(text):
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _instructions(text):
    """Yield (word in capitals, what follows it) of each instruction; comments and the bodies of heredocs are none."""
    directive = re.match(r"(?:#[^\n]*\n)*?#\s*escape\s*=\s*(\S)", text, re.IGNORECASE)
    escape = directive[1] if directive else "\\"
    lines = iter(text.splitlines())
    for line in lines:
        whole = line.strip()
        while whole.endswith(escape) and not whole.startswith("#"):
            more = next((each for each in lines if each.strip() and not each.lstrip().startswith("#")), "")
            whole = f"{whole[:-1]} {more.strip()}"
        if not whole or whole.startswith("#"):
            continue
        word, rest = [*whole.split(None, 1), ""][:2]
        if word.upper() in ("RUN", "COPY", "ADD"):
            for _quote, end in HEREDOC.findall(rest):
                next((each for each in lines if each.strip() == end), "")
        yield word.upper(), rest.strip()
