"""What an app is told: names and values of its environment, secrets and secret files."""

from __future__ import annotations

import re

from .exact import unquoted

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FILE = re.compile(r"(?!env\.json$)[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
PLACEHOLDERS = re.compile(
    r"(change.?me|secret|password|default|example|todo|dev|x+|.*not.?so.?secret.*)", re.IGNORECASE
)
SECRET_LENGTH = 8


def environment(values):
    for name, value in values.items():
        if not isinstance(name, str):
            return f"{name!r} is not text, as YAML reads words such as NO; put it in quotes, example: 'NO'"
        if not VARIABLE.fullmatch(name):
            return f"{name!r} is not a name of an environment variable; example: DATABASE_URL"
        if value is None:
            return f'{name} has no value; write "" if it is meant to be empty'
    return unquoted(values)


def secrets(values):
    wrong = environment(values)
    for name, value in {} if wrong else values.items():
        text = str(value).strip()
        if len(text) < SECRET_LENGTH or PLACEHOLDERS.fullmatch(text):
            wrong = f"{name} is empty, a placeholder, or shorter than {SECRET_LENGTH} characters"
            return f"{wrong}; make one: openssl rand -hex 32"
    return wrong


def secret_files(values):
    for name, value in values.items():
        if not FILE.fullmatch(str(name)):
            return f"{name!r} is not a plain file name; example: users.json"
        if value in (None, ""):
            return f"{name} is empty; remove it, or give it a content"
    return unquoted(values)
