"""Scripts that a command starts, and what serves in them."""

from __future__ import annotations

import re

from source_starts.files import Files
from source_starts.shells import WAITS, parts, words

SERVERS = ("gunicorn", "uwsgi", "waitress-serve", "hypercorn", "uvicorn", "granian")
# How a line of a script begins that serves: by a runner, by a path, or as it is.
SERVES = re.compile(rf"((\S*/)?(uv|poetry|pipenv|pdm|rye|hatch|conda|mamba) run\s.*?)?(\S*/)?({'|'.join(SERVERS)})\b")

PASSES = re.compile(r"\$[@*]")  # a script that runs its arguments
RUNS = re.compile(r"(\S*/)?(celery|rq|flask|python3?|gunicorn|\S+\.py|supervisord|uwsgi)\s")
# Parts of a script that prepare nothing but the script itself, and where another part of it begins.
SETS = re.compile(
    r"#|[\[{}(]|(cd|pushd|export|set|source|\.|exit|trap|shift|umask|ulimit|break|continue|return|true|local|mkdir|chmod|chown|touch|"
    r"until|while|done|if|elif|else|fi|for|case|esac|then|do)(\s|$)|[A-Za-z_]\w*=\S*$"
)
BEGINS = re.compile(r"(function\s+)?[\w-]+\s*\(\)|[\w|* \"'-]+\)$|.*;;$")
MOST = 20  # lines of a script that belong to one of its arguments


def script(tree: Files, command: str) -> str:
    """Return the name of a script of the source that a command starts; "" of another command."""
    bases = {word.rpartition("/")[2] for word in words(command)}
    known = [name for name in sorted(tree.names) if name.rpartition("/")[2] in bases] if command else []
    return next((name for name in known if not name.endswith((".py", ".toml"))), "")


def through_script(tree: Files, command: str) -> str:
    """Return a command, or the line that serves in a script of the source that it starts."""
    lines = [line.strip().removeprefix("exec ") for line in tree.text(script(tree, command)).splitlines()]
    return next((line for line in lines if SERVES.match(line)), command)


def before(tree: Files, command: str) -> list[str]:
    """Return what a command, and a script that it starts, run before what serves."""
    rows, found = parts(command)[:-1], []
    for line in re.sub(r"\s*\\\n\s*", " ", tree.text(script(tree, command))).splitlines():
        line = line.strip()
        if SERVES.match(line.removeprefix("exec ")) or (PASSES.search(line) and not SETS.match(line)):
            rows += found
            break
        found = [] if BEGINS.match(line) else [*found, *([] if line.startswith("#") else parts(line))]
    rows = [re.sub(r"^(do|then|else)\s+", "", row) for row in rows]
    return list(dict.fromkeys(row for row in rows if not (SETS.match(row) or WAITS.match(row))))


def argument(tree: Files, entry: str, command: str) -> tuple[str, str]:
    """Return (script, what it runs for a command), where a command is an argument of the script that is an ENTRYPOINT.

    :param entry: that ENTRYPOINT.
    """
    name = script(tree, entry)
    lines = [line.strip() for line in tree.text(name).splitlines()]
    word = re.escape(command)
    asks = re.compile(
        rf"(function\s+)?{word}\s*\(\)|(.*\|\s*)?[\"']?{word}[\"']?\s*(\|.*)?\)(?!\))|.*[^!]=\s*[\"']?{word}[\"']?(?![^\s;\]])"
    )
    asked = next((number for number, line in enumerate(lines) if asks.match(line)), None)
    if not name or not re.fullmatch(r"[\w-]+", command) or (asked is None and PASSES.search(tree.text(name))):
        return "", ""
    rows = [] if asked is None else [each.strip() for line in lines[asked : asked + MOST] for each in line.split(";")]
    end = next((number for number, each in enumerate(rows) if each in ("fi", "}", "esac")), len(rows))
    part = [re.sub(r"^(then|exec|\s)*", "", each) for each in rows[:end]]
    return name, next((each for each in part if RUNS.match(each)), "")
