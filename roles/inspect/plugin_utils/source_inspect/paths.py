"""Where the code puts files: paths as it writes them, and those that it joins to the directory of one of its files."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator

from .syntax import constant, dotted, named_of

PLAIN = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)


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


def opened(tree: ast.Module, paths: Paths) -> dict[str, int]:
    """Return {path: line} of files that an import of a module reads: by open(), or as settings that may not lack."""
    calls = [each for node in tree.body for each in _at_import(node) if isinstance(each, ast.Call) and each.args]
    found = {}
    for call in calls:
        mode = constant(call.args[1]) if len(call.args) > 1 else constant(named_of(call).get("mode"))
        reads = dotted(call.func) == "open" and not set(str(mode or "r")) & {*"wax"}
        silent = bool(mode) or bool(constant(named_of(call).get("silent")))
        if reads or (dotted(call.func).endswith("config.from_pyfile") and not silent):
            path = paths.text(call.args[0])
            if path and PLAIN.fullmatch(path):
                found.setdefault(path, call.lineno)
    return found


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what an import runs, but for what an `if` or a `try` may leave out."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.If | ast.Try):
        yield node
        for each in ast.iter_child_nodes(node):
            yield from _at_import(each)
