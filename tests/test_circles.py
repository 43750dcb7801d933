"""No modules of a package need each other in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "app/flask_app",
    "app/flask_jwt_keys",
    "bench",
    "plugins/flask_deploy_tool",
    "roles/check/plugin_utils/inventory_check",
    "roles/doctor/plugin_utils/health_rules",
    "roles/report/plugin_utils/html_page",
    "roles/kubernetes/plugin_utils/manifests",
    "roles/backup/files/keep_backups",
    "roles/archive/files/keep_archive",
    "roles/monitor/files/keep_watch",
    "roles/metrics/files/keep_metrics",
)


def imported(package, module):
    """Return the modules of its package that one imports: wherever that stands, for types alone too."""
    own = package.name
    names = set()
    for node in ast.walk(ast.parse((package / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            names |= {name.name.removeprefix(f"{own}.") for name in node.names if name.name.startswith(f"{own}.")}
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            whole = (node.level == 1 and not origin) or (node.level == 0 and origin == own)
            if whole:
                names |= {name.name for name in node.names}
            elif node.level == 1 or origin.startswith(f"{own}."):
                names.add(origin.removeprefix(f"{own}."))
    return {name for name in names if (package / f"{name}.py").exists()}


def circles(package):
    """Return each set of modules that reach each other."""
    needs = {path.stem: imported(package, path.stem) for path in package.glob("*.py")}
    reached = {module: set() for module in needs}
    for module, found in reached.items():
        left = set(needs[module])
        while left:
            found.add(one := left.pop())
            left |= needs[one] - found
    return {frozenset(other for other in found if module in reached[other]) for module, found in reached.items()} - {
        frozenset()
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other(package):
    assert len(list((ROOT / package).glob("*.py"))) > 2
    assert sorted(map(sorted, circles(ROOT / package))) == []


@pytest.mark.parametrize(
    "back",
    [
        "from .a import one",
        "from . import a",
        "import shop.a",
        "from shop import a",
        "from shop.a import one",
        "def later():\n    from . import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import one",
    ],
)
def test_a_circle_is_seen_however_it_is_closed(tmp_path, back):
    package = tmp_path / "shop"
    package.mkdir()
    for module, text in {
        "a": "from . import b",
        "b": "from .c import one",
        "c": back,
        "d": "from .a import one",
    }.items():
        (package / f"{module}.py").write_text(text)
    assert circles(package) == {frozenset("abc")}
