"""flask-deploy new: asks what is not given, and makes a repository or another environment of one."""

from __future__ import annotations

import os
import re
import shlex
import sys
from functools import partial
from pathlib import Path

import click

from . import __version__, repository

ENVIRONMENTS = ("production", "staging")
NAME = re.compile(r"[A-Za-z0-9][\w-]*")
LOCAL = (
    "for CI: write into {} an address that CI and your team can reach, such as: "
    f"flask-deploy @ git+https://git.example.com/flask-deploy.git@v{__version__}"
)
KEEP = "keep a copy of {} where your team keeps passwords: it opens the vaults, and git leaves it out"
NEXT = """
next, when you have read {0} and committed all:
{1}  flask-deploy check -e {2}   # changes nothing
  flask-deploy setup -e {2}   # sets up the server, and deploys the app"""
BESIDE = "for CI: write a Git address as build_source; {} is not in this repository"
UNLISTED = "for CI: it deploys only the environments that its files list; add {} to each list in {}"
HELP = """Make a repository of your own for deploys, or another environment in it. What is there is left alone.

DIRECTORY: such as infra, or deploy inside the app's own repository.

Example: flask-deploy new infra --domain shop.example.com --source https://git.example.com/shop.git --wsgi shop:app"""
CHECKS = {
    "app": (r"[a-z](-?[a-z0-9]){0,30}", "write a short name of small letters and digits, such as shop"),
    "host": (r"(?!-)[^\s/]+", "write one server, such as deploy@shop.example.com"),
    "domain": (r"[A-Za-z0-9][A-Za-z0-9.-]*", "write the name alone, such as shop.example.com"),
    "wsgi": (r"[\w.]+:\S.*", "write module:name, such as shop:app or shop:create_app()"),
}
QUESTIONS = {
    "domain": "Domain of the app, such as shop.example.com",
    "host": "Server, as ssh knows it",
    "source": "Source: a repository's address, or a directory",
    "wsgi": "What to serve, such as shop:app or shop:create_app()",
}


def ask(given: dict[str, str | None], place: Path) -> dict[str, str]:
    """Return the answers: those given, and those typed on a terminal.

    :raises click.UsageError: one is missing, and there is no terminal to ask on.
    """
    above = repository.top(place.resolve())
    known = {name: value for name, value in given.items() if value}
    if above != place.resolve():
        known.setdefault("source", str(above))
    missing = [f"--{name}" for name in QUESTIONS if name not in known and name != "host"]
    if missing and not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to ask on; add {', '.join(missing)}")
    for name, question in QUESTIONS.items():
        if name not in known and name == "host" and not sys.stdin.isatty():
            known["host"] = known["domain"]
        if name not in known:
            default = known["domain"] if name == "host" else None
            known[name] = click.prompt(question, default=default, err=True, value_proc=partial(checked, name))
    return {name: checked(name, value) for name, value in known.items()}


def checked(name: str, value: str) -> str:
    """Return an answer that may be right.

    :raises click.UsageError: it cannot be; on a terminal the question is asked again.
    """
    form, said = CHECKS.get(name, (".*", ""))
    if not re.fullmatch(form, value):
        raise click.UsageError(f"--{name}: {said}")
    if name == "source" and not re.search("[:{]", value) and not Path(value).is_dir():
        raise click.UsageError(f"--source: {value} is no directory here, and no address")
    return value


def answers_for(names: list[str], given: dict[str, str]) -> dict[str, repository.Answers]:
    """Return the answers of each environment; those after the first are told apart by their names."""
    first, *others = names
    found = {first: repository.Answers(**given)}
    for name in others:
        user, at, _ = given["host"].rpartition("@")
        there = f"{name}.{given['domain']}"
        found[name] = repository.Answers(**{**given, "domain": there, "host": f"{user}{at}{there}"})
    return found


def beside(place: Path, answers: dict[str, repository.Answers]) -> list[str]:
    """Return the directories, of the sources, that a clone of this repository does not have."""
    found = {Path(each.source).resolve() for each in answers.values() if Path(each.source).is_dir()}
    top = repository.top(place.resolve()).resolve()
    return sorted(str(path) for path in found if not path.is_relative_to(top))


def unlisted(place: Path, wanted: list[str]) -> list[str]:
    """Return a line on the environments that a file for CI does not name; none where each names all."""
    top = repository.top(place.resolve())
    texts = {path: (top / path).read_text() for path in repository.CI if (top / path).exists()}
    lacking = {path: [name for name in wanted if f'"{name}"' not in text] for path, text in texts.items()}
    names = dict.fromkeys(name for absent in lacking.values() for name in absent)
    paths = [os.path.relpath(top / path) for path in lacking if lacking[path]]
    return [UNLISTED.format(", ".join(names), ", ".join(paths))] if names else []


def say(place: Path, name: str, made: list[str], left: list[str], lacks: list[str]) -> None:
    """Say what was made, what was left alone, what CI would lack, and what to type next.

    :param name: the environment to check first.
    :param lacks: a line on each.
    """
    config = place / "ansible.cfg"
    for title, paths in (("made", made), ("left as it was", left)):
        if paths:
            click.echo(f"{title}: {', '.join(map(os.path.relpath, paths))}")
    if str(place / repository.PASSWORD) in made:
        click.echo(KEEP.format(os.path.relpath(place / repository.PASSWORD)))
    if "file:" in (place / "requirements.txt").read_text():
        click.echo(LOCAL.format(os.path.relpath(place / "requirements.txt")))
    for line in lacks:
        click.echo(line)
    if str(config) in left and not re.search(r"vault_(password_file|id)", config.read_text()):
        click.echo(f"add to {config}, below [defaults]: vault_password_file = {repository.PASSWORD}")
    if made:
        where = "" if place == Path() else f"  cd {shlex.quote(str(place))}\n"
        click.echo(NEXT.format(os.path.relpath(place / "inventories"), where, name))


@click.command(help=HELP, short_help="Make a repository for your deploys, or one more environment.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--domain", help="Its public name; a second environment gets staging.<domain>.")
@click.option("--host", help="The server, as ssh knows it, or user@server; the domain by default.")
@click.option("--source", help="A git repository's address or a directory; the repository around DIRECTORY by default.")
@click.option("--wsgi", help="What to serve: module:name or module:factory().")
@click.option("--app", help="app_name, if several apps share a server; each gets a user id of its own.")
@click.option("-e", "--env", "names", multiple=True, help="Environment to make; production and staging by default.")
def new(directory: Path, names: tuple[str, ...], app: str | None, **given: str | None) -> None:
    """Make what is missing."""
    for name in names:
        if not NAME.fullmatch(name):
            raise click.UsageError(f"{name!r} cannot be an environment's name; letters, digits, - and _ can")
    repository.kept_out(directory)
    wanted = list(dict.fromkeys(names or ENVIRONMENTS))
    app = checked("app", app) if app else None
    missing = repository.missing(directory, wanted)
    answers = answers_for(missing, {**ask(given, directory), "app": app}) if missing else {}
    with repository.alone(directory):
        made = repository.missing(directory, wanted)  # somebody else may have made some meanwhile
        write_all(directory, wanted, {name: answers[name] for name in answers if name in made})


def write_all(directory: Path, wanted: list[str], answers: dict[str, repository.Answers]) -> None:
    """Write the repository's files, then its environments."""
    domain = answers[next(iter(answers))].domain if answers else directory.name
    made, left = [], []
    kept = directory / repository.PASSWORD
    if answers and not kept.exists():
        made.append(str(kept))
    password = repository.password(directory) if answers else ""
    for path, text in repository.files(directory, wanted[0], domain).items():
        (made if repository.write(path, text) else left).append(str(path))
    for name in wanted:
        path = str(directory / "inventories" / name)
        if name in answers:
            repository.write_environment(directory, name, answers[name], password)
        (made if name in answers else left).append(path)
    away = [BESIDE.format(os.path.relpath(path)) for path in beside(directory, answers)]
    say(directory, wanted[0], made, left, away + (unlisted(directory, wanted) if made else []))
