"""watch look|note KEY|failed KEY|good KEY|tell|try: what monit calls on this host.

look finds what is wrong and writes it down for monit; note, failed and good tell people of a change that monit saw;
tell sends what waits and says "I am alive"; try sends a message to everybody.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from . import looking, sending, telling

TRY = "this is a try: messages of flask-deploy arrive"


def do_look(_key: str) -> None:
    looking.look(time.time())
    telling.begin()


def do_note(key: str) -> None:
    telling.note(key, looking.items(key))
    telling.tell()


def do_failed(key: str) -> None:
    telling.note(key, {key: telling.words(key, os.environ.get("MONIT_DESCRIPTION", ""))})
    telling.tell()


def do_good(key: str) -> None:
    telling.note(key, {})
    telling.tell()


def do_tell(_key: str) -> None:
    telling.settle()
    telling.tell()
    for address in {told["ping"] for told in looking.settings().values() if told["ping"]}:
        try:
            sending.ping(address)
        except OSError as error:
            sys.stderr.write(f"ping: {sending.plain(error, f'ping {address}')}\n")


def do_try(_key: str) -> None:
    for told in looking.settings().values():
        for target in sending.targets(told):
            sending.send(target, told, [TRY])


WORDS = {
    "look": do_look,
    "note": do_note,
    "failed": do_failed,
    "good": do_good,
    "tell": do_tell,
    "try": do_try,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="watch", description=__doc__)
    parser.add_argument("word", choices=WORDS)
    parser.add_argument("key", nargs="?", default="")
    arguments = parser.parse_args()
    WORDS[arguments.word](arguments.key)
    return 0


if __name__ == "__main__":
    sys.exit(main())
