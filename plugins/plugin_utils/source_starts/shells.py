"""Commands as a shell takes them."""

from __future__ import annotations

import re
import shlex

SHELL = re.compile(r"[$;&|<>`\n]")
SHELLS = re.compile(r"(\S*/)?(ba|da|z|a)?sh")
PART = re.compile(r"""(?:[^;&\n'"]|'[^']*'|"(?:\\.|[^"\\])*"|(?<!&)&(?!&))+""")
LOOPS = re.compile(r"(until|while|do|done|if|then|else|elif|fi|for|case|esac)\b")
# How a program is started where no PATH names it; that of an image of role build does.
RUNNER = re.compile(
    r"(^|&&|;|\bexec\s|\b[A-Za-z_]\w*=\S*\s)\s*"
    r"((\S*/)?(uv|poetry|pipenv|pdm|rye|hatch) run\s+(--(no-\w+|frozen)?\s+)*(?!-)|(\S*/)?\.?v?env/bin/(?=\w))"
)
# What only waits for another service, or looks for programs.
WAITS = re.compile(
    r"((source|\.)\s+\S*activate|sleep|echo|nc|printf|(\S*/)?(dockerize|wait[\w.-]*|\w*wait[_-]for[\w.-]*))(\s|$)"
)
ASSIGNED = re.compile(r"[A-Za-z_]\w*=", re.ASCII)  # a variable, which a shell sets for the command behind it


def filled(text: str) -> str:
    """Return a value as a shell fills it in where no variable is set: the default of `${X:-default}`."""
    return re.sub(r"\$\{\w+:?-([^${}]*)\}", r"\1", text)


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


def unwrapped(command: str) -> str:
    """Return what a command gives to a shell, as in `bash -c "…"`; another command as it is."""
    words = shlex.split(command) if _splits(command) else []
    words = words[1:] if words[:1] == ["exec"] else words
    if not words or not SHELLS.fullmatch(words[0]):
        return command
    number = next((at for at, word in enumerate(words[1:], 1) if not word.startswith("-")), len(words))
    script = words[number].strip() if number < len(words) and re.fullmatch(r"-\w*c", words[number - 1]) else ""
    return script or command


def _splits(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def parts(command: str) -> list[str]:
    """Return the commands that a shell runs one after the other."""
    return [part.strip() for part in PART.findall(command) if part.strip()] if _splits(command) else [command]


def last(command: str) -> str:
    """Return the command that a shell runs last."""
    return next(reversed(parts(command)), command)


def without_waits(command: str) -> str:
    """Return a command without what only waits before it, and so that its last part takes the place of the shell.

    That one gets the signal which ends it.
    """
    each = parts(command)
    if len(each) < 2 or any(map(LOOPS.match, each)):
        return command
    each = [part for part in each[:-1] if not WAITS.match(part)] + each[-1:]
    ends = each[-1].removeprefix("exec ")
    return " && ".join([*each[:-1], ends if len(each) == 1 or SHELL.search(ends) else f"exec {ends}"])


def without_runner(command: str) -> str:
    """Return a command whose programs the PATH of the image names, without what finds them elsewhere."""
    return RUNNER.sub(lambda match: f"{match[1].strip()} ".lstrip(), command.strip())


def program(command: str) -> str:
    """Return the name of the program that a command starts."""
    rest = [word for word in words(without_runner(command)) if word not in ("env", "exec")]
    return next((word for word in rest if not ASSIGNED.match(word)), "").rpartition("/")[2]


def essence(command: str) -> str:
    """Return what two commands have in common that do the same: without variables, `exec`, `python -m` and `--app`."""
    rest = [word for word in words(command) if word not in ("env", "exec") and not ASSIGNED.match(word)]
    rest = rest[2:] if re.match(r"(\S*/)?python[\d.]* -m ", " ".join(rest)) else rest
    return re.sub(r"^(\S*/)?(?=\S)|\s--app[= ]\S+", "", " ".join(rest))


def in_shell(command: str) -> str:
    """Return a command as words without a shell; one that needs a shell gets it."""
    if SHELL.search(command):
        return f"sh -c {shlex.quote(command)}"
    command = command.removeprefix("exec ").lstrip()
    return f"env {command}" if ASSIGNED.match(command) else command
