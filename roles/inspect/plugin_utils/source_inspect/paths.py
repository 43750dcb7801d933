"""Where the code puts files: paths as it writes them, and those that it joins to the directory of one of its files."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterable

from .syntax import constant, dotted


class Paths:
    """The paths of one file, relative to the source."""

    def __init__(self, file: str, nodes: Iterable[ast.AST]) -> None:
        self.file = file
        self.known: dict[str, str] = {}
        for node in nodes:
            folder = self._folder(node.value) if isinstance(node, ast.Assign) else None
            if folder is not None:
                self.known |= {dotted(target): folder for target in node.targets}

    def text(self, node: ast.AST | None) -> str | None:
        """Return a path as text; None of one that only the running code knows."""
        if isinstance(node, ast.Call) and dotted(node.func).endswith("path.join") and node.args:
            return self._joined(node.args[0], [constant(each) for each in node.args[1:]])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return self._joined(node.left, [constant(node.right)])
        said = constant(node)
        return said if isinstance(said, str) else None

    def _joined(self, base: ast.AST, parts: list[object]) -> str | None:
        folder = self._folder(base)
        if folder is None and isinstance(base, ast.BinOp):
            folder = self.text(base)
        if folder is None or not all(isinstance(part, str) for part in parts):
            return None
        path = posixpath.normpath(posixpath.join(folder, *map(str, parts)))
        return None if path.startswith("..") else path

    def _folder(self, node: ast.AST) -> str | None:
        """Return the directory that an expression of __file__, or a name of one, stands for."""
        inner = list(ast.walk(node))
        if not any(isinstance(each, ast.Name) and each.id == "__file__" for each in inner):
            return self.known.get(dotted(node))
        if any(isinstance(each, ast.Constant) for each in inner):
            return None
        ups = sum(isinstance(each, ast.Call) and dotted(each.func).endswith("dirname") for each in inner)
        ups += sum(isinstance(each, ast.Attribute) and each.attr == "parent" for each in inner)
        parts = self.file.split("/")
        return "/".join(parts[:-ups]) if 0 < ups <= len(parts) else None
