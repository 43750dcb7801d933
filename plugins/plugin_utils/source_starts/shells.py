"""Commands as a shell takes them."""

from __future__ import annotations

import re
import shlex

SHELL = re.compile(r"[$;&|<>`]")


def words(command: str) -> list[str]:
    """Return a command's words as a shell splits them, or as they stand where it would not."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def option(words: list[str], option: str, short: str) -> str | bool | None:
    """Return what a command gives an option; None where it has none."""
    for number, word in enumerate(words):
        if word == option == "--preload":
            return True
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word in (option, short) and number + 1 < len(words):
            return words[number + 1]
    return None


def in_shell(command: str) -> str:
    """Return a command as words without a shell; one that needs a shell gets it."""
    return f"sh -c {shlex.quote(command)}" if SHELL.search(command) else command
