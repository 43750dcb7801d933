"""python3 -m keep_archive VERB [APP] [TARGET]: the archive of this host's PostgreSQL.

open makes the archive where there is none and sees that PostgreSQL writes to it, save backs up, full does so without
building on earlier backups, drill proves the newest one, told says what came of the last backup, list names them all.
plan tells what a restore of an app's database would take and lose, load brings it beside the one that serves, exchange
lets it serve, settle goes back, keep lets go of the one before.
Exit code: 0; 1 with the cause and what to do on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from ansible.module_utils.flask_deploy.host import locks
from keep_backups.places import BackupError, Place

from . import drilling, fetching, pgbackrest, saving, telling
from .places import Archive

WAIT = 12 * 3600  # seconds; all backups and drills of one app follow each other


def do_open(archive: Archive, place: Place, _arguments: argparse.Namespace) -> str:
    pgbackrest.ensure(archive, place)
    return ""


def do_save(archive: Archive, place: Place, arguments: argparse.Namespace) -> str:
    saving.save(archive, place, arguments.command == "full")
    return telling.summary(place)


def do_told(_archive: Archive, place: Place, _arguments: argparse.Namespace) -> str:
    return telling.summary(place)


def do_list(archive: Archive, _place: Place, _arguments: argparse.Namespace) -> str:
    return "\n".join(telling.described(each) for each in pgbackrest.sets(archive))


def do_drill(archive: Archive, place: Place, _arguments: argparse.Namespace) -> str:
    drilling.drill(archive, place)
    return "\n".join(telling.lines(place, time.time())[1:])


def do_plan(archive: Archive, _place: Place, arguments: argparse.Namespace) -> str:
    return json.dumps(fetching.plan(archive, arguments.app, arguments.target))


def do_load(archive: Archive, _place: Place, arguments: argparse.Namespace) -> str:
    return json.dumps(fetching.load(archive, arguments.app, arguments.target))


def do_change(_archive: Archive, _place: Place, arguments: argparse.Namespace) -> str:
    return json.dumps({"done": fetching.CHANGES[arguments.command](arguments.app)})


WORDS = {"open": do_open, "save": do_save, "full": do_save, "told": do_told, "list": do_list}
WORDS |= {"drill": do_drill, "plan": do_plan, "load": do_load} | dict.fromkeys(fetching.CHANGES, do_change)
ALONE = ("open", "save", "full", "drill", "load")


def main() -> int:
    parser = argparse.ArgumentParser(prog="keep_archive", description=__doc__)
    parser.add_argument("command", choices=WORDS)
    parser.add_argument("app", nargs="?", default="")
    parser.add_argument("target", nargs="?", default="latest")
    arguments = parser.parse_args()
    try:
        archive = Archive()
        place = Place(archive.settings()["app"])
        if arguments.command in ALONE:
            with locks.locked(place.lock, WAIT):
                said = WORDS[arguments.command](archive, place, arguments)
        else:
            said = WORDS[arguments.command](archive, place, arguments)
    except (BackupError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{said}\n" if said else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
