"""What was typed wrong, in one line that says what to type."""

from __future__ import annotations

import click

from . import project


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
