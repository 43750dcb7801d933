"""The command line, made from the table of verbs. Each verb prints its call of ansible-playbook and becomes it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from . import __version__, project, wrong
from .new import new
from .verbs import ENVIRONMENT, VERBS, Verb, Word

NAME = "flask-deploy"
TEMPLATE = re.compile("{[{%#]")
FEW = 2  # variables that are printed before a call; more of them make a line that nobody reads
SIMPLE = re.compile(r"[\w.:/@+-]+")  # needs no quotes, for a shell nor for Ansible


def complete_environment(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the environments of this directory that begin so."""
    return [CompletionItem(name) for name in project.environments() if name.startswith(begun)]


class InOrder(click.Group):
    """A group that lists its commands in the order they were added: that of an app's life."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=InOrder,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Each verb prints the ansible-playbook line that it runs. Words behind -- are added to that line.",
)
@click.version_option(__version__, prog_name=NAME)
def cli() -> None:
    """Put a Flask app on your own Debian servers."""


def parameter(word: Word) -> click.Parameter:
    """Return a word as Click has it."""
    kind = click.Choice(word.choices) if word.choices else click.IntRange(1, word.most) if word.most else None
    if not word.name.startswith("--"):
        more = {"default": word.default} if word.default else {}  # Click takes None for a default, not for none
        often = -1 if word.rest else 1
        return click.Argument([word.name.lower()], type=kind, required=word.needed, nargs=often, **more)
    return click.Option([word.name], type=kind, is_flag=word.flag or None, help=word.help)


def text(verb: Verb) -> str:
    """Return the help of a verb: what it does, its arguments, an example."""
    lines = [f"{word.name}: {word.help}" for word in verb.words if word.help and not word.name.startswith("--")]
    return "\n\n".join([verb.help, *lines, f"Example: {NAME} {verb.example}"])


def variable(word: Word, value: Any) -> list[str]:
    """Return the argument that sets a word's variable."""
    if isinstance(value, tuple):  # one word may be a whole command in quotes
        value = value[0] if len(value) == 1 else shlex.join(value)
    if word.variable == "build_source" and os.path.isdir(value):
        value = os.path.abspath(value)
    value = "true" if value is True else str(value)
    if TEMPLATE.search(value):  # for the app, not for Ansible; YAML, whose strings are JSON's too
        return ["-e", f"{{{word.variable}: !unsafe {json.dumps(value, ensure_ascii=False)}}}"]
    if SIMPLE.fullmatch(value):
        return ["-e", f"{word.variable}={value}"]
    return ["-e", json.dumps({word.variable: value}, ensure_ascii=False)]  # name=value is split at spaces and quotes


def call(verb: Verb, values: dict[str, Any], environment: str | None, extra: tuple[str, ...]) -> list[str]:
    """Return the call of ansible-playbook that a verb is."""
    given = {word: values[word.name.strip("-").lower()] for word in verb.words}
    playbook = next((word.playbook for word, value in given.items() if word.playbook and value), verb.playbook)
    words = [project.ansible_playbook(), project.playbook(playbook.format(**values))]
    if verb.inventory:
        for word in (word for word in verb.words if word.rest and not environment):
            in_place(verb, given[word])
        words += ["-i", project.inventory(environment)]
    words += verb.arguments
    for word, value in given.items():
        if value in ("", ("",)):
            raise click.UsageError(f"{word.name} is empty")
        words += variable(word, value) if word.variable and value else []
    if verb.inventory and project.asks_for_vault(words[3], extra, project.settings()):
        words.append("--ask-vault-pass")
    return [*words, *extra]


def in_place(verb: Verb, typed: tuple[str, ...]) -> None:
    """Make sure that an environment does not stand behind the command that the app is to run.

    :raises UsageError: it does.
    """
    for at in range(1, len(typed) - 1):
        if typed[at] in ("-e", "--env") and typed[at + 1] in project.environments():
            own = shlex.join(["-e", typed[at + 1], *typed[:at], *typed[at + 2 :]])
            raise click.UsageError(f"an environment goes before the command: {NAME} {verb.name} {own}")


def become(words: list[str], environment: dict[str, str], unsaid: dict[str, str] | None = None) -> None:
    """Print a command as a line that can be pasted, then become it: colours, Ctrl-C and exit code are its own.

    :param unsaid: more of its environment, which is of this call alone.
    """
    before = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    if len(before) > FEW and shutil.which(NAME):
        before = [f'eval "$({NAME} env)";']
    click.echo(" ".join([*before, shlex.join(words)]), err=True)
    sys.stdout.flush()
    os.execvpe(words[0], words, {**os.environ, **environment, **(unsaid or {})})  # noqa: S606


def command(verb: Verb) -> click.Command:
    """Return a verb as a command of Click."""

    @click.pass_context
    def run(context: click.Context, /, env: str | None = None, **values: Any) -> None:
        settings, extra = project.settings(), context.obj or ()
        words = call(verb, values, env, extra)
        said = wrong.refused(words, extra, settings) if extra else ""
        if said:
            raise click.UsageError(said)
        become(words, settings, {ENVIRONMENT: env or ""})

    parameters = [parameter(word) for word in verb.words]
    if verb.inventory:
        described = "Environment: a directory of inventories/. Leave it out if there is only one."
        parameters.append(click.Option(["-e", "--env"], help=described, shell_complete=complete_environment))
    rest = any(word.rest for word in verb.words)  # options behind the first word are the command's own
    return click.Command(
        verb.name,
        callback=run,
        params=parameters,
        help=text(verb),
        short_help=verb.help,
        context_settings={"allow_interspersed_args": False} if rest else None,
    )


@click.command(short_help="Run the bundled app on a server in a container here.")
def demo() -> None:
    """Run the bundled app on a Debian server in a container of this machine.

    It needs a checkout of flask-deploy.

    Example: flask-deploy demo
    """
    if not (project.PROJECT / "molecule").is_dir():
        raise click.UsageError("the demo needs a checkout of flask-deploy: git clone it, then type there: make demo")
    become(["make", "-C", str(project.PROJECT), "demo"], {})


@click.command(short_help="Print what lets ansible-playbook find this project.")
def env() -> None:
    """Print the environment in which ansible-playbook finds this project from this directory.

    A shell takes it with eval "$(flask-deploy env)".

    Example: flask-deploy env
    """
    for name, value in project.settings().items():
        click.echo(f"export {name}={shlex.quote(value)}")


for each in (new, *map(command, VERBS), env, demo):
    cli.add_command(each)


def split(words: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the words for this command, and those behind the first ``--``, which are ansible-playbook's."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], tuple(words[at + 1 :])


def main() -> None:
    """Run the command. What is wrong with it is said in one line."""
    words, extra = split(sys.argv[1:])
    try:
        if extra and words[:1] in (["new"], ["env"], ["demo"]):
            raise click.UsageError("nothing goes behind -- here: no playbook is run")
        sys.exit(cli.main(words, prog_name=NAME, standalone_mode=False, obj=extra))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"{NAME}: {wrong.line(error, extra)}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # a directory that is read-only, a disk that is full
        click.echo(f"{NAME}: {error.filename or NAME}: {error.strerror or error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"{NAME}: stopped", err=True)
        sys.exit(130)
