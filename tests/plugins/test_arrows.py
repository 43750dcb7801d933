"""Whose code uses whose: arrows point from the switch to releases to the host, and never in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "plugins" / "module_utils" / "flask_deploy"
NAME = "ansible.module_utils.flask_deploy"
MAY_USE = {
    "host": {"host"},
    "release": {"release", "host"},
    "switch": {"switch", "release", "host"},
    "keys": {"keys", "host"},
    "certificates": {"certificates", "host"},
    "postgres": {"postgres", "switch", "release", "host"},
}


def used(text, modules):
    """Return the modules of the package that a text imports, in functions too.

    :param modules: names of all there are, as "host.files".
    """
    found = set()
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        found |= {name.removeprefix(f"{NAME}.") for name in names} & modules
    return found


def arrows(package):
    """Return {module: the modules it uses} of a package on disk."""
    texts = {".".join(path.relative_to(package).with_suffix("").parts): path for path in package.glob("*/[!_]*.py")}
    return {module: used(path.read_text(), set(texts)) for module, path in texts.items()}


def wrong(known):
    """Return the arrows that point into a room that theirs may not use."""
    room = {module: module.partition(".")[0] for module in known}
    pairs = [(one, other) for one, others in known.items() for other in others]
    return sorted(f"{one} -> {other}" for one, other in pairs if room[other] not in MAY_USE[room[one]])


def circle(known):
    """Return modules that use each other in a circle; none where there is none."""
    left = {module: set(others) for module, others in known.items()}
    while ends := {module for module, others in left.items() if not others & left.keys()}:
        left = {module: others for module, others in left.items() if module not in ends}
    return sorted(left)


def test_no_arrow_points_the_wrong_way():
    known = arrows(PACKAGE)
    assert len(known) > 30 and {module.partition(".")[0] for module in known} == MAY_USE.keys()
    assert wrong(known) == []


def test_no_modules_use_each_other_in_a_circle():
    assert circle(arrows(PACKAGE)) == []


@pytest.mark.parametrize(
    ("module", "line", "seen"),
    [
        ("host/files.py", f"from {NAME}.release import places", "host.files -> release.places"),
        ("release/places.py", f"    import {NAME}.switch.lease", "release.places -> switch.lease"),
        ("keys/pem.py", f"from {NAME}.release.places import App", "keys.pem -> release.places"),
    ],
)
def test_a_wrong_arrow_is_seen(tmp_path, module, line, seen):
    for name in ("host/files.py", "release/places.py", "switch/lease.py", "keys/pem.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    (tmp_path / module).write_text(f"if True:\n{line}\n" if line[0] == " " else f"{line}\n")
    assert wrong(arrows(tmp_path)) == [seen]


def test_a_circle_is_seen():
    known = {"host.files": {"host.locks"}, "host.locks": {"host.command"}, "host.command": set()}
    assert circle(known) == []
    assert circle({**known, "host.command": {"host.files"}}) == sorted(known)


def test_the_package_uses_no_role_s_own_code():
    """Else a role that is not there would break it."""
    shared = [path for path in PACKAGE.rglob("*.py") for line in path.read_text().splitlines() if _of_a_role(line)]
    assert shared == []


def _of_a_role(line):
    return line.startswith(
        ("from ansible.module_utils.app", "from ansible.module_utils import", "from ansible.modules")
    )


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_room_is_told_in_a_sentence_and_nothing_else(path):
    """What lies in it is imported by its own name: an import there would be an arrow from all to all."""
    (only,) = ast.parse(Path(path).read_text()).body
    assert isinstance(only, ast.Expr) and isinstance(only.value.value, str)
