"""What was typed wrong, in one line that says what to type."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from difflib import get_close_matches

import click

from . import project

PATIENCE = 20  # seconds
# Ansible prints its whole help where an option is wrong: its parser is asked first, and tells what is wrong.
PARSER = """
import json, sys
from ansible.cli.playbook import PlaybookCLI
cli = PlaybookCLI(sys.argv)
cli.init_parser()
def error(said):
    print(json.dumps([said, list(cli.parser._option_string_actions)]))
    sys.exit()
cli.parser.error = error
cli.parser.parse_args()
"""
HELP = "(see ansible-playbook --help)"


def line(error: click.ClickException, extra: tuple[str, ...]) -> str:
    """Return an error as one line, with what to type where that can be told.

    :param extra: what was typed behind two dashes.
    """
    said = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if context is None:
        return said
    if isinstance(error, click.NoSuchOption):
        said = option(error, said)
    elif isinstance(error, click.MissingParameter) and extra:
        said = f"{said.removesuffix('.')}; words behind -- go to ansible-playbook: leave -- out"
    name = next((name for name in project.environments() if said.endswith(f"extra argument ({name})")), "")
    if name:
        said += f"; an environment goes behind -e: -e {name}"
    return f"{said} (see {context.command_path} --help)"


def option(error: click.NoSuchOption, said: str) -> str:
    """Return what is said of an unknown option: it may be one of ansible-playbook's, or in the wrong place."""
    unknown = error.message.removesuffix(".")
    if isinstance(error.ctx.command, click.Group):
        verb = "; the verb comes first: flask-deploy deploy -e production"
        return unknown + verb if error.option_name in ("-e", "--env") else said
    if error.ctx.info_name in ("new", "demo") or {"--help"} < {"--help", *(error.possibilities or ())}:
        return said
    return f"{unknown}; options of ansible-playbook go behind two dashes: -- {error.option_name}"


def refused(words: list[str], extra: tuple[str, ...], environment: dict[str, str]) -> str:
    """Return what ansible-playbook has against a call, in one line that says what to type; "" where it has nothing.

    :param words: the call.
    :param extra: what was typed behind two dashes.
    :param environment: what ansible-playbook will find beside this process's own.
    """
    command = [sys.executable, "-c", PARSER, *words[1:]]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE, env={**os.environ, **environment}
        )
        said, known = json.loads(asked.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):  # no Ansible in this Python, or nothing is wrong
        return ""
    unknown = re.match(r"unrecognized arguments: (-[\w-]+)", said)
    if not unknown:
        return f"ansible-playbook: {said} {HELP}"
    near = next(iter(get_close_matches(unknown[1], known, 1)), "")
    typed = shlex.join(word.replace(unknown[1], near, 1) if word.startswith(unknown[1]) else word for word in extra)
    return f"ansible-playbook has no option {unknown[1]}" + (f"; type: -- {typed}" if near else f" {HELP}")
