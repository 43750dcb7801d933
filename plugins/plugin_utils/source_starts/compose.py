"""Services of Compose, https://docs.docker.com/reference/compose-file/services/."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from source_starts.shells import filled, unwrapped

FILES = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
MORE = 100  # of a kind; what is more is left out
PLAIN = (str, int, float, bool)


class Loader(yaml.SafeLoader):
    """Leaves merges out: a few lines of them make a map that fills the memory."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        node.value = [pair for pair in node.value if pair[0].tag != "tag:yaml.org,2002:merge"]


@dataclass
class Service:
    """A service.

    :ivar context: the directory that it is built from, None where it is not built.
    :ivar image: what it runs, or what is built for it.
    :ivar environment: (variable, value) that it gets; a value that Compose fills in itself, or that names another
        service, is "".
    """

    name: str
    context: str | None
    dockerfile: str
    image: str
    command: str
    environment: list[tuple[str, str]]


def services(text: str) -> list[Service]:
    """Return the services of a file.

    :raises ValueError: it is no YAML.
    """
    try:
        told = yaml.load(text, Loader) if text else {}  # noqa: S506 - a safe one
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from None
    known = items(told.get("services") if isinstance(told, dict) else None)
    return [_service(name, about, {each for each, _ in known}) for name, about in known if isinstance(about, dict)]


def _service(name: str, about: dict[Any, Any], others: set[str]) -> Service:
    build = about.get("build")
    build = {"context": build} if isinstance(build, str) else build
    built = build if isinstance(build, dict) else {}
    rows = [(key, value, value.partition(":")[0]) for key, value in _environment(about.get("environment"))]
    return Service(
        name=name,
        context=posixpath.normpath(plain(built.get("context")) or ".") if build else None,
        dockerfile=posixpath.normpath(plain(built.get("dockerfile")) or "Dockerfile"),
        image=plain(about.get("image")),
        command=_command(about.get("command")),
        environment=[(key, "" if host and host in others else value) for key, value, host in rows],
    )


def of_app(known: list[Service], folder: str) -> list[Service]:
    """Return the services that run the app: what is built from its directory, and whatever has the image of such a one.

    :param folder: the app's directory below the file; "" takes all that are built.
    """
    built = [each for each in known if each.context is not None and (not folder or _within(each, folder))]
    images = {each.image for each in built} - {""}
    others = [each for each in known if each.context is None and (built or not folder)]
    shared = [each for each in others if not each.image or each.image in images]  # without an image, it merges another
    return [each for each in known if each in (*built, *shared)]


def _within(service: Service, folder: str) -> bool:
    file = posixpath.normpath(posixpath.join(service.context or ".", service.dockerfile))
    return service.context == folder or file.startswith(f"{folder}/")


def _command(told: Any) -> str:
    """Return a command, which may be a list of words."""
    words = [plain(each) for each in told] if isinstance(told, list) else []
    command = " ".join(map(_quoted, words)) if words else plain(told).strip()
    command = re.sub(
        r"'((?![^']*\$\$)[^'\"]*\$[^'\"]*)'", r'"\1"', command
    )  # Compose fills in a variable in any quotes
    return unwrapped(command.replace("$$", "$"))


def _quoted(word: str) -> str:
    """Return a word that a shell takes for one; a variable in it, which Compose fills in, stays one."""
    return word if re.fullmatch(r"[\w$@%+=:,./{}-]+", word) else shlex.quote(word)


def _environment(told: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of a service's environment; a value that compose fills in itself is none."""
    rows = items(told) if isinstance(told, dict) else []
    if isinstance(told, list):
        rows = [tuple(row.partition("=")[::2]) for row in told[:MORE] if isinstance(row, str)]
    for name, value in rows:
        text = filled(plain(value))
        yield name, "" if "$" in text else text


def items(told: Any) -> list[tuple[str, Any]]:
    """Return the items of a map as far as they are named, and not too many."""
    named = told.items() if isinstance(told, dict) else ()
    return [(name, value) for name, value in named if isinstance(name, str)][:MORE]


def plain(value: Any) -> str:
    """Return a plain value as text; of what is none, nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:500] if isinstance(value, PLAIN) else ""
