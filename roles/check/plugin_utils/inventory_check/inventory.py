"""Judge what an inventory sets: names, types, values, and what only shows between them."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader

from . import exact
from .renamed import GONE, RENAMED, hint, unprefixed

ROLES = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
ROLE_NAMES = (
    *("host", "kernel", "docker", "nginx", "postgres", "valkey", "build", "site", "tokens", "app", "backup", "archive"),
    *("logs", "run", "restore", "remove", "doctor", "report", "monitor", "metrics", "balancer", "kubernetes"),
)
PREFIXES = tuple(f"{role}_" for role in ROLE_NAMES)


def load_rules(role: str, part: str = "rules") -> ModuleType:
    """Return a role's rules.py, which values of its variables can work, or its risks.py, which are seldom meant."""
    name = f"{part}_of_{role}"
    spec = importlib.util.spec_from_file_location(name, os.path.join(ROLES, role, f"{part}.py"))
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RULES = {role: load_rules(role) for role in ROLE_NAMES if os.path.exists(os.path.join(ROLES, role, "rules.py"))}
RISKS = load_rules("app", "risks")
CHECKS = {name: check for rules in RULES.values() for name, check in rules.CHECKS.items()}
EXAMPLES = {name: example for rules in RULES.values() for name, example in rules.EXAMPLES.items()}


@functools.cache
def load_specs() -> dict[str, dict[str, Any]]:
    """Return {variable: its argument specification} of all roles, whichever entry point reads it."""
    options = {}
    for role in ROLE_NAMES:
        with open(os.path.join(ROLES, role, "meta", "argument_specs.yml"), encoding="utf-8") as file:
            entries = yaml.safe_load(file)["argument_specs"]
        for entry in entries.values():
            options.update(entry.get("options", {}))
    return options


@functools.cache
def load_defaults() -> dict[str, Any]:
    """Return {variable: its default} of all roles, whichever of them a play has."""
    defaults = {}
    for role in ROLE_NAMES:
        path = os.path.join(ROLES, role, "defaults", "main.yml")
        defaults.update(DataLoader().load_from_file(path, trusted_as_template=True))
    return defaults


def check_types(specs: dict[str, dict[str, Any]], values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return (values as their types, mistakes) of what an inventory sets."""
    typed, mistakes = {}, []
    for name, value in values.items():
        spec = {key: specs[name][key] for key in ("type", "elements", "choices") if key in specs[name]}
        try:
            result = ArgumentSpecValidator({name: spec}).validate({name: value})
        except OverflowError:  # .inf as a whole number
            mistakes.append(f"{name}: {value} is not {exact.NAMES[spec['type']]}")
            continue
        if value is None:
            said = "has no value; write one, or remove the line"
        elif not result.error_messages:
            said = check_reading(name, specs[name], value, result.validated_parameters[name])
        elif specs[name].get("no_log"):
            said = f"is not {exact.NAMES[spec['type']]}"
        elif "choices" in spec:
            said = f"{value!r} is not one of {', '.join(spec['choices'])}"
        else:
            said = f"{value!r} is not {exact.NAMES[spec['type']]}"
        if said:
            mistakes.append(f"{name}: {said}")
        else:
            typed[name] = result.validated_parameters[name]
    return typed, mistakes


def check_reading(name: str, spec: dict[str, Any], value: Any, typed: Any) -> str | None:
    """Say why a value is not what it reads as; where it could not work in quotes either, its own check says so."""
    said = exact.judge(name, spec, value)
    if said or (name in CHECKS and CHECKS[name](typed)):
        return said
    return exact.quotes(spec, value)


def check_names(specs: dict[str, dict[str, Any]], names: Iterable[str]) -> list[str]:
    """Return a mistake for each variable of another name, for what is gone, and for what has a prefix of ours alone."""
    mistakes = []
    for name in sorted(names):
        if name in RENAMED:
            mistakes.append(f"{name} is now {RENAMED[name]}")
        elif name in GONE:
            mistakes.append(f"{name} is gone: {GONE[name]}; remove the line")
        elif name.startswith(PREFIXES) and name not in specs:
            near, page = hint(name, specs), f"roles/{name.partition('_')[0]}/README.md"
            said = f"did you mean {near}?" if near else f"supported are those in {page}"
            mistakes.append(f"{name}: no role knows this variable; {said}")
    return mistakes


def with_new_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return variables with those of old names under their new ones too, so that all mistakes are told at once."""
    return {RENAMED[name]: value for name, value in values.items() if name in RENAMED} | dict(values)


def check_values(values: dict[str, Any]) -> list[str]:
    """Return a mistake for each value that has the right type and cannot work."""
    mistakes = []
    for name, value in values.items():
        said = CHECKS[name](value) if name in CHECKS else None
        if said:
            mistakes.append(f"{name}: {said}")
    return mistakes


def with_examples(specs: dict[str, dict[str, Any]], mistakes: list[str]) -> list[str]:
    """Add an example, often the default, to mistakes that show none."""
    lines = []
    for line in mistakes:
        name = line.partition(":")[0]
        example = EXAMPLES.get(name, specs[name].get("default"))
        tells = ("example: ", "make one: ", f"write {name}: ")
        shows = any(each in line for each in tells) or example == ""
        text = example if isinstance(example, str) else json.dumps(example)
        lines.append(line if shows else f"{line}; example: {name}: {text}")
    return lines


def check_together(values: dict[str, Any], groups: dict[str, list[str]]) -> list[str]:
    """Return mistakes that only show when variables are seen together, for the hosts of the inventory's groups."""
    hosts = groups.get("web", [])
    each = [rules.check_together(values, hosts) for rules in RULES.values() if hasattr(rules, "check_together")]
    each += [rules.check_groups(values, groups) for rules in RULES.values() if hasattr(rules, "check_groups")]
    return [line for lines in each for line in lines]


def check_outside(values: dict[str, Any], place: str | None) -> list[str]:
    """Return mistakes that only others know, such as a repository; the hosts of a run share what they answer."""
    each = [rules.check_outside(values, place) for rules in RULES.values() if hasattr(rules, "check_outside")]
    return [line for lines in each for line in lines]


def calendars(values: dict[str, Any]) -> dict[str, str]:
    """Return {what comes at times: these}, for the host's systemd to judge."""
    jobs = {f"app_jobs: {name}": job["at"] for name, job in values["app_jobs"].items()}
    return jobs | RULES["backup"].times(values) | RULES["host"].times(values)


def warnings(values: dict[str, Any], variables: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
    """Return what is right and seldom meant, on one host.

    :param variables: all that the host has, as they are written.
    :param seen: what module check_host told.
    """
    own = {name: value for name, value in variables.items() if name not in ("hostvars", "vars")}
    hosts = own["groups"].get("web", [])
    each = [rules.warnings(values, hosts, seen["processors"]) for rules in (RULES["build"], RISKS)]
    unasked = RULES["tokens"].unasked(values, own) if seen["keys"] else []
    return [line for lines in each for line in lines] + unasked + unprefixed(own, load_specs())
