"""What is printed: YAML by a YAML emitter, a reason as the comment of each line, and what could not be decided."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from inventory_check.inventory import check_types, check_values, load_specs

TEMPLATE = re.compile(r"\{[{%#]")
REASON = 200  # characters
ADVICE = 600  # which may end with a command


class Template(str):
    """A template of ours; whatever a repository says is none."""


class _Dumper(yaml.SafeDumper):
    """Writes each value on one line, and text that Ansible would take for a template as what it is."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    if TEMPLATE.search(value):
        return dumper.represent_scalar("!unsafe", value, style='"')
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if value.isprintable() else '"')


_Dumper.add_representer(str, _text)
_Dumper.add_representer(
    Template, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", str(value), style='"')
)


@dataclass
class Answer:
    """What was decided: {variable: (value, why)}, or {variable: {key: (value, why)}} of a map.

    :ivar itself: what a deploy finds out without a line.
    """

    values: dict[str, tuple[Any, str]] = field(default_factory=dict)
    maps: dict[str, dict[str, tuple[Any, str]]] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)
    itself: list[str] = field(default_factory=list)

    def set(self, name: str, value: Any, why: str) -> None:
        self.values.setdefault(name, (value, why))

    def put(self, name: str, key: str, value: Any, why: str) -> None:
        self.maps.setdefault(name, {}).setdefault(key, (value, why))

    def variables(self) -> dict[str, Any]:
        """Return it as variables."""
        plain = {name: value for name, (value, _why) in self.values.items()}
        return plain | {name: {key: value for key, (value, _why) in row.items()} for name, row in self.maps.items()}


def entry(name: str, value: Any, why: str, indent: str = "") -> str:
    """Return one line: a name, its value, and why."""
    return f"{indent}{_dumped(name)}: {_dumped(value)}  # {one_line(why)}"


def _dumped(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("...\n").rstrip("\n")


def one_line(text: str, most: int = REASON) -> str:
    """Return a text as the comment of a line: whatever would end the line is shown as its code."""
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= most else f"{text[: most - 1]}…"


def block(answer: Answer, source: str) -> str:
    """Return what people paste, and what they have to look at."""
    lines = [f"# Of {one_line(source)}. Put it into inventories/<yours>/group_vars/web/app.yml"]
    lines += [entry(name, value, why) for name, (value, why) in answer.values.items()]
    for name, row in answer.maps.items():
        lines += [f"{name}:", *(entry(key, value, why, "  ") for key, (value, why) in row.items())]
    vault = [
        value
        for row in answer.maps.values()
        for value, _why in row.values()
        if isinstance(value, Template) and "vault_" in value
    ]
    if vault:
        names = sorted(set(re.findall(r"\w+", " ".join(vault))))
        lines += ["", "# In vault.yml beside it, made by: ansible-vault create; a new one: openssl rand -hex 32"]
        lines += [f'# {name}: ""' for name in names]
    lines += _part("Not decided; look at it:", answer.unsure)
    lines += _part("Found by a deploy itself, no line is needed:", answer.itself)
    return "\n".join(lines)


def _part(title: str, rows: Iterable[str]) -> list[str]:
    rows = list(dict.fromkeys(rows))
    return ["", f"# {title}", *(f"#   {one_line(row, ADVICE)}" for row in rows)] if rows else []


def checked(answer: Answer) -> Answer:
    """Leave out what the check of an inventory would refuse, and say so; of a map, the row that it would refuse."""
    specs = load_specs()
    maps = {name: row for name, row in answer.maps.items() if name != "app_secrets"}  # whose values are not there yet
    for name, row in maps.items():
        for key, (value, _why) in list(row.items()):
            if _refused(specs, name, {key: value}, answer):
                row.pop(key)
    for name, value in answer.variables().items():
        if name != "app_secrets" and (value == {} or _refused(specs, name, value, answer)):
            answer.values.pop(name, None)
            answer.maps.pop(name, None)
    return answer


def _refused(specs: dict[str, Any], name: str, value: Any, answer: Answer) -> bool:
    """Tell whether the check would refuse a value, and say why."""
    typed, mistakes = check_types(specs, {name: value})
    mistakes += check_values(typed)
    answer.unsure += [f"{each} (left out)" for each in mistakes[:1]]
    return bool(mistakes)
