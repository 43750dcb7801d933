"""Judge what an inventory sets: names, types, values, and what only shows between them."""

from __future__ import annotations

import difflib
import functools
import json
import os

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from . import app, docker, exact, nginx

ROLES = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
ROLE_NAMES = ("host", "docker", "nginx", "app")
PREFIXES = tuple(f"{role}_" for role in ROLE_NAMES)
CHECKS = app.CHECKS | nginx.CHECKS | docker.CHECKS
EXAMPLES = app.EXAMPLES | docker.EXAMPLES


@functools.cache
def load_specs():
    """Return {variable: its argument specification} of all roles."""
    options = {}
    for role in ROLE_NAMES:
        with open(os.path.join(ROLES, role, "meta", "argument_specs.yml"), encoding="utf-8") as file:
            options.update(yaml.safe_load(file)["argument_specs"]["main"]["options"])
    return options


def check_types(specs, values):
    """Return (values as their types, mistakes) of what an inventory sets."""
    typed, mistakes = {}, []
    for name, value in values.items():
        spec = {key: specs[name][key] for key in ("type", "elements", "choices") if key in specs[name]}
        try:
            result = ArgumentSpecValidator({name: spec}).validate({name: value})
        except OverflowError:  # .inf as a whole number
            mistakes.append(f"{name}: {value} is not a {spec['type']}")
            continue
        if value is None:
            said = "has no value; write one, or remove the line"
        elif not result.error_messages:
            said = check_reading(name, specs[name], value, result.validated_parameters[name])
        elif specs[name].get("no_log"):
            said = f"is not a {spec['type']}"
        elif "choices" in spec:
            said = f"{value!r} is not one of {', '.join(spec['choices'])}"
        else:
            said = f"{value!r} is not a {spec['type']}"
        if said:
            mistakes.append(f"{name}: {said}")
        else:
            typed[name] = result.validated_parameters[name]
    return typed, mistakes


def check_reading(name, spec, value, typed):
    """Say why a value is not what it reads as; where it could not work in quotes either, its own check says so."""
    said = exact.judge(name, spec, value)
    if said or (name in CHECKS and CHECKS[name](typed)):
        return said
    return exact.quotes(spec, value)


def check_names(specs, names):
    """Return a mistake for each variable with one of our prefixes that no role knows."""
    mistakes = []
    for name in sorted(names):
        if name.startswith(PREFIXES) and name not in specs:
            near = difflib.get_close_matches(name, specs, 1)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else f"supported are those in roles/{name.partition('_')[0]}/README.md"
            )
            mistakes.append(f"{name}: no role knows this variable; {hint}")
    return mistakes


def check_values(values):
    """Return a mistake for each value that has the right type and cannot work."""
    mistakes = []
    for name, value in values.items():
        said = CHECKS[name](value) if name in CHECKS else None
        if said:
            mistakes.append(f"{name}: {said}")
    return mistakes


def with_examples(specs, mistakes):
    """Add an example, often the default, to mistakes that show none."""
    lines = []
    for line in mistakes:
        name = line.partition(":")[0]
        example = EXAMPLES.get(name, specs[name].get("default"))
        shows = "example: " in line or "make one: " in line or example == ""
        text = example if isinstance(example, str) else json.dumps(example)
        lines.append(line if shows else f"{line}; example: {name}: {text}")
    return lines


def check_together(values, hosts):
    """Return mistakes that only show when variables are seen together, for the hosts of one group."""
    return app.check_together(values, hosts) + nginx.check_together(values, hosts)
