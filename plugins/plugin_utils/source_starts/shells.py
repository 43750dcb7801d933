"""Commands as a shell takes them."""

from __future__ import annotations

import re
import shlex

SHELL = re.compile(r"[$;&|<>`]")
ASSIGNED = re.compile(r"[A-Za-z_]\w*=", re.ASCII)  # a variable, which a shell sets for the command behind it


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


def program(command: str) -> str:
    """Return the name of the program that a command starts."""
    rest = (word for word in words(command) if word not in ("env", "exec") and not ASSIGNED.match(word))
    return next(rest, "").rpartition("/")[2]


def in_shell(command: str) -> str:
    """Return a command as words without a shell; one that needs a shell gets it."""
    if SHELL.search(command):
        return f"sh -c {shlex.quote(command)}"
    command = command.removeprefix("exec ").lstrip()
    return f"env {command}" if ASSIGNED.match(command) else command
