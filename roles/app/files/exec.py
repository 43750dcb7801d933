"""Become a command of the app, with the environment that its operator wrote.

Usage: exec.py COMMAND [ARGUMENT ...]. Later files win: release, then secrets.
"""

import json
import os
import sys

FILES = ("/release/env.json", "/run/secrets/env.json")
SOURCE = "src"  # below the app's directory, where its packages do not lie beside it


def know_the_app(wsgi: str) -> None:
    """Let `flask` find the app that app_wsgi names, and Python find its module; what the image says wins."""
    if not wsgi:
        return
    os.environ.setdefault("FLASK_APP", wsgi)
    name = wsgi.partition(":")[0].partition(".")[0]
    source = os.path.join(os.getcwd(), SOURCE)
    if not holds(os.getcwd(), name) and holds(source, name):
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([source, *([known] if known else [])])


def holds(folder: str, name: str) -> bool:
    """Tell whether a module or package of that name lies in a directory."""
    return os.path.isdir(os.path.join(folder, name)) or os.path.isfile(os.path.join(folder, f"{name}.py"))


def main() -> None:
    with open("/release/release.json", encoding="utf-8") as file:
        record = json.load(file)
    os.environ["APP_RELEASE"] = record["id"]
    know_the_app(record.get("wsgi", ""))
    for path in FILES:
        with open(path, encoding="utf-8") as file:
            os.environ.update(json.load(file))
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - to become the command is what this is for


main()
