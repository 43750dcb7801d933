"""Files that say what is started: Procfile, supervisord's, uWSGI's and Azure's."""

from __future__ import annotations

import re
from typing import Protocol

from source_starts.shells import unwrapped

MORE = 100  # commands of one kind
# What starts the processes that another file lists, and is none itself.
MANAGES = re.compile(
    r"(exec )?(\S*/)?(honcho|foreman|forego|overmind|goreman|hivemind|supervisord|supervisorctl|circusd)\b"
)
SUPERVISOR = re.compile(r"(.+/)?(supervisord?[\w.-]*\.conf|supervisor(d|\.d)?/([\w.-]+/)?[\w.-]+\.(conf|ini))")
STARTS = re.compile(r"(exec )?(\S*/)?(gunicorn|waitress-serve|uwsgi|hypercorn|uvicorn)\s")
UWSGI = re.compile(r"([^/]+/)?uwsgi[\w.-]*\.ini")
SETTING = re.compile(r"\s*(module|wsgi|wsgi-file|mount|callable)\s*[=:]\s*([^\s;#]+)")


class Files(Protocol):
    """The files of a source."""

    names: frozenset[str]

    def text(self, name: str) -> str:
        """Return a file's text; "" where there is no such file."""


def procfiles(tree: Files) -> dict[str, tuple[str, str]]:
    """Return {process: (command, file)} of a Procfile, and of the one that a manager of processes in it takes."""
    found: dict[str, tuple[str, str]] = {}
    left = ["Procfile"]
    for file in left:
        for line in tree.text(file).splitlines():
            match = re.fullmatch(r"([A-Za-z0-9_-]+):\s*(.+)", line.strip())
            if match and len(found) < MORE and MANAGES.match(match[2]):
                other = re.search(r"\s(?:-f|--procfile)[ =]?(\S+)", match[2])
                left += [other[1]] if other and len(left) == 1 else []
            elif match and len(found) < MORE:
                found.setdefault(match[1].lower(), (unwrapped(match[2].strip()), file))
    return found


def supervised(tree: Files) -> dict[str, tuple[str, str]]:
    """Return {process: (command, file)} of supervisord's programs, http://supervisord.org/configuration.html."""
    found: dict[str, tuple[str, str]] = {}
    for file in sorted(name for name in tree.names if SUPERVISOR.fullmatch(name)):
        program = ""
        for line in tree.text(file).splitlines():
            section, command = re.match(r"\[(program:)?(\S+?)\]", line), re.match(r"command\s*=\s*(.+)", line)
            program = section[2].lower() if section and section[1] else "" if section else program
            if program and command and len(found) < MORE:
                runs = unwrapped(re.sub(r"\s;.*", "", command[1]).strip())
                found.setdefault("startup" if STARTS.match(runs) else program, (runs, file))
    return found


def starters(tree: Files) -> dict[str, tuple[str, str]]:
    """Return {"startup" or "uwsgi": (command, file)} of files that start the web: Azure's, and uWSGI's settings.

    https://learn.microsoft.com/azure/app-service/configure-language-python, https://uwsgi-docs.readthedocs.io
    """
    found: dict[str, tuple[str, str]] = {}
    for file in ("startup.txt", "startup.sh"):
        lines = [line.strip() for line in re.sub(r"\\\s*\n", " ", tree.text(file)).splitlines()]
        serving = [line for line in lines if STARTS.match(line)]
        if serving:
            found.setdefault("startup", (serving[-1].removeprefix("exec "), file))
    for file in sorted(name for name in tree.names if UWSGI.fullmatch(name)):
        told = dict(match.groups() for match in map(SETTING.match, tree.text(file).splitlines()) if match)
        path = told.get("wsgi-file") or told.get("mount", "").partition("=")[2]
        served = told.get("module") or told.get("wsgi") or path.removesuffix(".py").strip("/").replace("/", ".")
        name = "" if ":" in served or "callable" not in told else f":{told['callable']}"
        if served:
            found.setdefault("uwsgi", (f"uwsgi {served}{name}", file))
    return found


def within(command: str, folder: str) -> str:
    """Return what a command runs in a directory that it changes to; "" of one that runs elsewhere."""
    place = rf"(\./)?{re.escape(folder)}/?"
    if match := re.match(rf"(cd|pushd)\s+{place}\s*(&&|;)\s*", command):
        return command[match.end() :]
    changes = re.compile(rf"\s(--chdir|--workdir|--pythonpath|--app-dir)[= ]{place}(?=\s)")
    return changes.sub("", command) if changes.search(command) else ""
