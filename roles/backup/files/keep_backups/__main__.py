"""python3 -m keep_backups open|save|drill|status|told|list|fetch APP: the backups of one app of this host.

open makes the repository where there is none, save backs up, drill proves the newest backup, status tells how they are,
told what came of the last one, list names the snapshots, fetch SNAPSHOT DIRECTORY restores one there.
Exit code: 0; 1 with the cause and what to do on standard error.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import locks

from . import report
from .drill import drill
from .fetching import fetch
from .places import BackupError, Place
from .restic import Restic, moment, shown
from .saving import repository, save

WAIT = 12 * 3600  # seconds; a backup and a drill of one app follow each other


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")


def do_open(place: Place, _arguments: argparse.Namespace) -> None:
    repository(place, Restic(place))


def do_save(place: Place, _arguments: argparse.Namespace) -> None:
    save(place)
    sys.stdout.write("\n".join(report.lines(place, time.time())[:1]) + "\n")


def do_drill(place: Place, _arguments: argparse.Namespace) -> None:
    drill(place)
    sys.stdout.write("\n".join(report.lines(place, time.time())[1:]) + "\n")


def do_status(place: Place, _arguments: argparse.Namespace) -> None:
    now = time.time()
    lines, problems, keeper = of_archive(place, now)
    problems = report.problems(place, place.settings(), now) + problems
    say(lines=report.lines(place, now) + lines, problems=problems, runs=report.runs(place), keeper=keeper)


def of_archive(place: Place, now: float) -> tuple[list[str], list[str], str]:
    """Return (how the backups of PostgreSQL are, what to mend, the app they are kept with), where role archive does."""
    if importlib.util.find_spec("keep_archive") is None:
        return [], [], ""
    telling = importlib.import_module("keep_archive.telling")
    return *telling.tell(place, now), telling.keeper()


def do_told(place: Place, _arguments: argparse.Namespace) -> None:
    sys.stdout.write(report.summary(place, "backup") + "\n")


def do_list(place: Place, _arguments: argparse.Namespace) -> None:
    found = Restic(place, patience=60).snapshots()
    say(snapshots=[f"{each['id'][:8]} {shown(moment(each['time']))}" for each in found])


def do_fetch(place: Place, arguments: argparse.Namespace) -> None:
    restic = Restic(place)
    found = restic.snapshot(arguments.snapshot)
    said = {"snapshot": found["id"], "time": moment(found["time"])}
    if arguments.directory:
        restic.unlock()
        said["databases"] = fetch(place, restic, found, os.path.realpath(arguments.directory))
    say(**said)


WORDS = {
    "open": do_open,
    "save": do_save,
    "drill": do_drill,
    "status": do_status,
    "told": do_told,
    "list": do_list,
    "fetch": do_fetch,
}
ALONE = ("open", "save", "drill")


def main() -> int:
    parser = argparse.ArgumentParser(prog="keep_backups", description=__doc__)
    parser.add_argument("command", choices=WORDS)
    parser.add_argument("app")
    parser.add_argument("snapshot", nargs="?", default="latest")
    parser.add_argument("directory", nargs="?")
    arguments = parser.parse_args()
    place = Place(arguments.app)
    try:
        if arguments.command in ALONE:
            with locks.locked(place.lock, WAIT):
                WORDS[arguments.command](place, arguments)
        else:
            WORDS[arguments.command](place, arguments)
    except (BackupError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
