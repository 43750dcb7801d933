"""No module and no function is longer than a person reads at once."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import ROOT

MODULE, FUNCTION = 250, 40  # lines
SOURCES = [
    path
    for room in ("plugins", "roles", "app", "bench")
    for path in sorted((ROOT / room).rglob("*.py"))
    if "tests" not in path.parts
]


def too_long(text):
    """Return what of a module is too long, with its lines."""
    found = {"the module": len(text.splitlines())} if len(text.splitlines()) > MODULE else {}
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    lines = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    return found | {name: count for name, count in lines.items() if count > FUNCTION}


def test_each_module_and_function_can_be_read_at_once():
    assert len(SOURCES) > 100
    found = {str(path.relative_to(ROOT)): long for path in SOURCES if (long := too_long(path.read_text()))}
    assert found == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1\n" * MODULE, {}),
        ("x = 1\n" * (MODULE + 1), {"the module": 251}),
        ("class A:\n    def f(self):\n" + "        x = 1\n" * (FUNCTION - 1), {}),
        ("class A:\n    def f(self):\n" + "        x = 1\n" * FUNCTION, {"f": 41}),
    ],
)
def test_what_is_longer_is_seen(text, found):
    assert too_long(text) == found
