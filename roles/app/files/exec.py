"""Become a command of the app, with the environment that its operator wrote.

Usage: exec.py COMMAND [ARGUMENT ...]. Later files win: release, then secrets.
"""

import json
import os
import sys

FILES = ("/release/env.json", "/run/secrets/env.json")


def main() -> None:
    with open("/release/release.json", encoding="utf-8") as file:
        os.environ["APP_RELEASE"] = json.load(file)["id"]
    for path in FILES:
        with open(path, encoding="utf-8") as file:
            os.environ.update(json.load(file))
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - to become the command is what this is for


main()
