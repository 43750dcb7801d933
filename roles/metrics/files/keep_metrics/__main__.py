"""metrics write|end: what is measured of this host and its apps, for node exporter; or the end of that."""

from __future__ import annotations

import argparse
import sys

from ansible.module_utils.flask_deploy.host import files, locks
from ansible.module_utils.flask_deploy.release.places import App

from . import asking, counting, ending, places
from .exposition import text

WAIT = 50  # seconds for one that runs already


def do_write() -> None:
    """Measure, and put it where node exporter reads it."""
    known = places.settings()
    files.ensure_directory(places.TEXTS)
    counted = counting.count(known)
    texts = {app: text([*asking.of_app(App(app), told), *counted[app]]) for app, told in known.items()}
    places.keep({**texts, places.HOST: text(asking.of_host())})


def do_end() -> None:
    sys.stdout.writelines(f"removed {path}\n" for path in ending.end())


WORDS = {"write": do_write, "end": do_end}


def main() -> int:
    parser = argparse.ArgumentParser(prog="metrics", description=__doc__)
    parser.add_argument("word", choices=WORDS)
    with locks.locked(places.LOCK, WAIT):
        WORDS[parser.parse_args().word]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
