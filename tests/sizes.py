"""What is larger than the house allows: files and variables of roles, modules, functions, copies, the root."""

from __future__ import annotations

import ast
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
LIMITS = {
    "entries of the root that are seen": 16,
    "files of a role": 25,
    "files of the median role": 12,
    "variables of a role": 35,
    "lines of a task file": 80,
    "lines of a template": 80,
    "lines of a module": 250,
    "lines of a function": 40,
    "places of one function body": 1,
}
SHORT = 3  # lines; bodies below say little, and two may say it alike
HEAD = """\
# What is larger than the house allows, and how large it is today. Entries only shrink and go, as
# tests/test_sizes.py sees. Made by: python tests/sizes.py > tests/sizes.yml
"""
MOVING = {"plugins"}  # has its place in the root kept


def listed(root):
    """Return the files that are kept in git, as paths below the root."""
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(name for name in names if name and os.path.lexists(root / name))


def measure(root, files):
    """Return for each kind of LIMITS the sizes of what there is: {kind: {name: size}}."""
    sizes = {kind: {} for kind in LIMITS}
    seen = {file.partition("/")[0] for file in files if not file.startswith(".")}
    sizes["entries of the root that are seen"] = {".": len(seen | MOVING)}
    roles = defaultdict(list)
    for file in files:
        if file.startswith("roles/"):
            roles[file.split("/")[1]].append(file)
    sizes["files of a role"] = {role: len(own) for role, own in roles.items()}
    sizes["files of the median role"] = {"roles": statistics.median(sizes["files of a role"].values())}
    sizes["variables of a role"] = {role: variables(root / "roles" / role) for role in roles}
    for file in files:
        for kind, pattern in {
            "lines of a task file": "roles/*/tasks/*.yml",
            "lines of a template": "roles/*/templates/*",
            "lines of a module": "*.py",
        }.items():
            if fnmatch(file, pattern) and not of_tests(file):
                sizes[kind][file] = len((root / file).read_text().splitlines())
    bodies = defaultdict(list)
    for file in sizes["lines of a module"]:
        for name, function in functions(ast.parse((root / file).read_text())):
            sizes["lines of a function"][f"{file}: {name}"] = function.end_lineno - function.lineno + 1
            bodies[body(function)].append(f"{file}: {name}")
    sizes["places of one function body"] = {
        place: len(places) for text, places in bodies.items() if len(text.splitlines()) >= SHORT for place in places
    }
    return sizes


def of_tests(file):
    """Tell whether a file tests others. A test file is as long as its subject has claims."""
    return "tests" in Path(file).parts or Path(file).name == "conftest.py"


def variables(role):
    """Return how many variables a user of a role may set."""
    entries = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return len({name for entry in entries.values() for name in entry.get("options", {})})


def functions(tree, within=""):
    """Return (name, node) of each function, those of classes and functions too."""
    for node in ast.iter_child_nodes(tree):
        name = f"{within}{getattr(node, 'name', '')}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from functions(node, f"{name}.")
        else:
            yield from functions(node, within)


def body(function):
    """Return what a function does, as text: without its name, docstring and comments."""
    said = ast.get_docstring(function, clean=False) is not None
    return "\n".join(map(ast.unparse, function.body[said:]))


def over(sizes):
    """Return those that are larger than their limit."""
    found = {kind: {n: size for n, size in own.items() if size > LIMITS[kind]} for kind, own in sizes.items()}
    return {kind: own for kind, own in found.items() if own}


def complaints(known, found):
    """Return what is wrong, one line each: new offenders, what grew, and entries that nothing needs any more."""
    lines = []
    for kind, limit in LIMITS.items():
        old, new = known.get(kind, {}), found.get(kind, {})
        lines += [f"{n}: {new[n]} {kind}, {limit} are allowed" for n in new if n not in old]
        lines += [f"{n}: {new[n]} {kind}, and {old[n]} before" for n in new if n in old and new[n] > old[n]]
        lines += [f"{n}: no more than {limit} {kind}; take it out of tests/sizes.yml" for n in old if n not in new]
    return lines + [f"{kind}: no such kind in tests/sizes.yml" for kind in known if kind not in LIMITS]


if __name__ == "__main__":
    sys.stdout.write(HEAD + yaml.safe_dump(over(measure(ROOT, listed(ROOT))), sort_keys=False, width=110))
