"""What a repository tells gunicorn, https://docs.gunicorn.org/en/stable/settings.html."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from source_starts.shells import option

# Option of gunicorn: its short form, setting in its file, our variable.
OPTIONS = {
    "--timeout": ("-t", "timeout", "app_timeout"),
    "--workers": ("-w", "workers", "app_workers"),
    "--worker-class": ("-k", "worker_class", "app_server"),
    "--max-requests": ("", "max_requests", "app_max_requests"),
    "--preload": ("", "preload_app", "app_preload"),
}


def asked(words: list[str], file: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield (our variable, its value, the option, or "" of one that gunicorn's file has).

    :param words: its command.
    :param file: the settings of its file.
    """
    for name, (short, setting, variable) in OPTIONS.items():
        value: Any = option(words, name, short)
        where = name if value is not None else ""
        value = file.get(setting) if value is None else value
        if isinstance(value, str) and value.isdecimal() and len(value) < 10:
            value = int(value)
        if value is not None:
            yield variable, value, where
