"""What a repository tells gunicorn, https://docs.gunicorn.org/en/stable/settings.html."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from source_starts.shells import option, words

USUAL = "gunicorn.conf.py"
# Option of gunicorn: its short form, setting in its file, our variable.
OPTIONS = {
    "--timeout": ("-t", "timeout", "app_timeout"),
    "--workers": ("-w", "workers", "app_workers"),
    "--worker-class": ("-k", "worker_class", "app_server"),
    "--max-requests": ("", "max_requests", "app_max_requests"),
    "--preload": ("", "preload_app", "app_preload"),
}


def asked(given: list[str], file: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield (our variable, its value, the option, or "" of one that gunicorn's file has).

    :param given: its command.
    :param file: the settings of its file.
    """
    for name, (short, setting, variable) in OPTIONS.items():
        value: Any = option(given, name, short)
        where = name if value is not None else ""
        value = file.get(setting) if value is None else value
        if isinstance(value, str) and value.isdecimal() and len(value) < 10:
            value = int(value)
        if value is not None:
            yield variable, value, where


def file(command: str, names: Iterable[str]) -> str:
    """Return the file of the source that holds its settings; "" of none.

    :param command: what serves.
    :param names: all files of the source.
    """
    parts = words(command) if "gunicorn" in command else []
    names, given, folder = set(names), str(option(parts, "--config", "-c") or ""), option(parts, "--chdir", "")
    if not given:
        return USUAL if USUAL in names else ""
    if given.startswith("python:"):
        given = f"{given.removeprefix('python:').replace('.', '/')}.py"
    parts = posixpath.normpath(given.removeprefix("file:")).strip("/").split("/")
    ends = ["/".join(parts[number:]) for number in range(len(parts))]  # an absolute path is one of the image
    places = [f"{begin}{end}" for end in ends for begin in ("", f"{folder}/", "src/")]
    alike = sorted((name for name in names if name.rpartition("/")[2] == parts[-1]), key=lambda name: name.count("/"))
    return next((place for place in [*places, *alike] if place in names), "")
