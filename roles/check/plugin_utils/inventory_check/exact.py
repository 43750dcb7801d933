"""What is judged must be what is written: values that a lenient reader would change are refused."""

from __future__ import annotations

import math
import re
from typing import Any

INT = re.compile(r"0|-?[1-9][0-9]*")
FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
# As both Ansible's argument specifications and its filter `bool` read them.
WORDS = {"yes", "on", "true", "1", "no", "off", "false", "0"}
NAMES = {  # of types, for people
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list",
    "dict": "a map",
}
# Read by a module of ours, in the way the check reads it.
ONE_OR_LIST = {"tokens_keys"}
CHANGED = (
    "YAML changes such words (1.10 becomes 1.1, 0123 becomes 83, yes becomes true); "
    'put them in quotes, example: VERSION: "1.10"'
)


def kind(value: Any) -> str | None:
    """Name what YAML made of a value without quotes; None for text, lists and maps."""
    if isinstance(value, str | list | dict | None):
        return None
    return "true or false" if isinstance(value, bool) else "a number" if isinstance(value, int | float) else "a date"


def unquoted(values: dict[Any, Any]) -> str | None:
    """Say which values of a map are not text, all at once and without showing any, or return None."""
    found = [f"{name} ({kind(value)})" for name, value in values.items() if kind(value)]
    return f"not text: {', '.join(found)}; {CHANGED}" if found else None


def judge(name: str, spec: dict[str, Any], value: Any) -> str | None:
    """Say why a value that its type's reader accepts would arrive as another one, or return None."""
    wanted = spec["type"]
    if wanted == "float" and isinstance(value, float):
        return None  # its bounds are judged elsewhere
    said = unwritable(value)
    if said:
        return said
    if wanted in ("int", "float"):
        exact = not isinstance(value, bool) and bool((INT if wanted == "int" else FLOAT).fullmatch(str(value)))
    elif wanted == "bool":
        exact = str(value).lower() in WORDS
    elif wanted == "str":
        exact = not isinstance(value, list | dict)
    else:
        exact = isinstance(value, list if wanted == "list" else dict) or name in ONE_OR_LIST
    if not exact:
        shown = "" if spec.get("no_log") else f"{value!r} "
        return f"{shown}is not {NAMES[wanted]}"
    return None


def quotes(spec: dict[str, Any], value: Any) -> str | None:
    """Say that text, or the texts of a list, were read as something else."""
    if spec["type"] == "str" and kind(value):
        return f"is {kind(value)}, not text; {CHANGED}"
    if spec.get("elements") == "str" and isinstance(value, list):
        odd = [element for element in value if not isinstance(element, str)]
        if odd:
            return f"holds {kind(odd[0]) or 'what is no text'}; {CHANGED}"
    return None


def unwritable(value: Any) -> str | None:
    """Refuse what no file, command line or JSON can hold, however deep it lies."""
    if isinstance(value, dict):
        for name, inner in value.items():
            said = unwritable(name) or unwritable(inner)
            if said:
                return f"{name!r} {said}"
        return None
    if isinstance(value, list):
        return next((said for said in map(unwritable, value) if said), None)
    if isinstance(value, float) and not math.isfinite(value):
        return "holds a number that JSON does not know (.nan, .inf); remove it"
    if isinstance(value, str) and "\0" in value:
        return "holds a NUL, which no command takes; remove it"
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        return "holds half a character, a surrogate of UTF-16; remove it"
    return None
