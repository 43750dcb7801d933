"""What expressions stand for: texts, also in loops over lists of them, and paths to where the code puts files."""

from __future__ import annotations

import ast
import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from .syntax import constant, dotted, last_of, named_of

TEXTS = 100  # that one expression may stand for
HOPS = 3  # names on the way to a list
# What writes a file, and which of its arguments names it; -1 is the path whose method it is.
WRITERS = {
    **dict.fromkeys(("to_csv", "to_excel", "to_json", "to_parquet", "to_pickle", "to_html", "savefig", "imwrite"), 0),
    **dict.fromkeys(("save", "savez", "savez_compressed", "savetxt", "write_image", "write_html"), 0),
    **dict.fromkeys(("joblib.dump", "torch.save", "urlretrieve", "request.urlretrieve"), 1),
    **dict.fromkeys(("write_text", "write_bytes", "touch"), -1),
    **dict.fromkeys(("FileHandler", "RotatingFileHandler", "TimedRotatingFileHandler", "shelve.open"), 0),
}


class Texts:
    """What expressions stand for, as far as lists of texts tell: names of loops over them too."""

    def __init__(self, nodes: Iterable[ast.AST], known: Mapping[str, ast.expr]) -> None:
        """:param known: what `assigned_of` found."""
        self.known = known
        self.loops: dict[int, list[str]] = {}
        for node in nodes:
            for each in node.generators if hasattr(node, "generators") else [node]:
                if isinstance(each, ast.For | ast.comprehension):
                    self._loop(each.target, list(itertools.islice(self._rows(each.iter), TEXTS)), node)

    def of(self, node: ast.AST | None) -> list[str]:
        """Return the texts that an expression may be; none where only the running code knows."""
        if isinstance(node, ast.Name) and id(node) in self.loops:
            return self.loops[id(node)]
        if last_of(node).isupper():
            node = self.known.get(last_of(node))
            return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._joined([node.left, node.right])
        if isinstance(node, ast.JoinedStr):
            return self._joined([each.value if isinstance(each, ast.FormattedValue) else each for each in node.values])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "upper":
            return [text.upper() for text in self.of(node.func.value)]
        said = constant(node)
        return [said] if isinstance(said, str) else []

    def _joined(self, parts: list[ast.expr]) -> list[str]:
        return ["".join(row) for row in itertools.islice(itertools.product(*map(self.of, parts)), TEXTS)]

    def _loop(self, target: ast.expr, rows: list[ast.expr], within: ast.AST) -> None:
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        for number, name in enumerate(names):
            cells = [self._cell(row, number) for row in rows] if isinstance(target, ast.Tuple) else rows
            texts = [text for cell in cells for text in self.of(cell)][:TEXTS]
            inside = [each for each in ast.walk(within) if texts and isinstance(each, ast.Name)]
            self.loops |= {id(each): texts for each in inside if each.id == dotted(name)}

    @staticmethod
    def _cell(row: ast.expr, number: int) -> ast.expr | None:
        cells = row.elts if isinstance(row, ast.Tuple | ast.List) else []
        return cells[number] if len(cells) > number else None

    def _rows(self, node: ast.expr, left: int = HOPS) -> Iterator[ast.expr]:
        """Yield what a loop over an expression goes through.

        :param left: names that may still be followed: a list may be made of itself.
        """
        left, node = (left - 1, self.known.get(last_of(node), node)) if last_of(node) else (left, node)
        if left < 0:
            return
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            for each in node.elts:
                yield from self._rows(each.value, left) if isinstance(each, ast.Starred) else [each]
        elif isinstance(node, ast.Dict):
            yield from filter(None, node.keys)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            yield from [*self._rows(node.left, left), *self._rows(node.right, left)]
        elif isinstance(node, ast.Call):
            yield from self._called(node, left)

    def _called(self, node: ast.Call, left: int) -> Iterator[ast.expr]:
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        last = getattr(node.func, "attr", dotted(node.func))
        whole = self.known.get(last_of(owner), owner)
        if last == "split" and not node.args:
            yield from (ast.Constant(each) for text in self.of(owner) for each in text.split())
        elif last in ("items", "values", "keys") and isinstance(whole, ast.Dict):
            pairs = [(key, value) for key, value in zip(whole.keys, whole.values, strict=True) if key]
            wanted = {"items": lambda pair: ast.Tuple([*pair]), "keys": lambda pair: pair[0]}
            yield from map(wanted.get(last, lambda pair: pair[1]), pairs)
        elif last in ("tuple", "list", "set", "frozenset", "sorted", "reversed"):
            yield from (row for each in node.args[:1] for row in self._rows(each, left))


class Paths:
    """The paths of one file, relative to the source."""

    def __init__(self, file: str, nodes: Iterable[ast.AST], root: str = "") -> None:
        """:param root: the directory of the file that makes the app, which is its root_path."""
        self.file = file
        self.known = dict.fromkeys(("app.root_path", "current_app.root_path"), root)
        self.known |= dict.fromkeys(("app.instance_path", "current_app.instance_path"), "instance")
        self.texts: dict[str, str] = {}
        for node in (each for each in nodes if isinstance(each, ast.Assign)):
            folder, text = self._folder(node.value), self.text(node.value)
            if folder is not None:
                self.known |= {dotted(target): folder for target in node.targets}
            elif text is not None:
                self.texts |= {dotted(target): text for target in node.targets if dotted(target)}

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
            wraps = isinstance(node, ast.Call) and last_of(node.func) in ("Path", "str", "abspath", "realpath")
            return self._folder(node.args[0]) if wraps and len(node.args) == 1 else self.known.get(dotted(node))
        if any(isinstance(each, ast.Constant) for each in inner):
            return None
        ups = sum(isinstance(each, ast.Call) and dotted(each.func).endswith("dirname") for each in inner)
        ups += sum(isinstance(each, ast.Attribute) and each.attr == "parent" for each in inner)
        parts = self.file.split("/")
        return "/".join(parts[:-ups]) if 0 < ups <= len(parts) else None

    def written(self, call: ast.Call) -> str | None:
        """Return the file that a call writes, or its directory and a slash where only the running code knows it."""
        name = dotted(call.func)
        last = name.rpartition(".")[2] or getattr(call.func, "attr", "")
        named = named_of(call)
        if last == "open" and name != "shelve.open":
            plain = name in ("open", "io.open", "codecs.open")
            mode = self._argument(call, int(plain)) or named.get("mode")
            writes = set(str(constant(mode) or "")) & {*"wax+"}
            return self.begun(self._argument(call, 0 if plain else -1)) if writes else None
        if last == "basicConfig":
            return self.begun(named.get("filename"))
        number = WRITERS.get(name, WRITERS.get(last))
        return None if number is None else self.begun(self._argument(call, number) or named.get("filename"))

    @staticmethod
    def _argument(call: ast.Call, number: int) -> ast.AST | None:
        if number < 0:
            return call.func.value if isinstance(call.func, ast.Attribute) else None
        return call.args[number] if len(call.args) > number else None

    def begun(self, node: ast.AST | None) -> str | None:
        """Return a path, or as much of it as the code itself says."""
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in ("Path", "str") and node.args:
            return self.begun(node.args[0])
        whole = self.text(node) if node else None
        if whole is None and node:
            whole = self.texts.get(dotted(node))
        if whole is not None or node is None:
            return whole
        begin, parts = self._split(node)
        known = list(itertools.takewhile(lambda each: each is not None, map(constant, parts)))
        if begin is None or not all(isinstance(each, str) for each in known):
            return None
        path = posixpath.normpath(posixpath.join(begin, *known))
        end = "" if parts and len(known) == len(parts) else "/"
        return None if path.startswith("..") else f"{path}{end}".removeprefix("./")

    def sqlite(self, node: ast.AST) -> str | None:
        """Return the file of an address of SQLite that is put together; None where only the running code knows it."""
        first, *parts = _flat(node) or [node]
        begin = constant(first)
        if not parts or not isinstance(begin, str) or not re.fullmatch(r"sqlite(\+\w+)?:///(/?)", begin):
            return None
        path = self._folder(parts[0])
        path = self.begun(parts[0]) if path is None else path
        ends = [constant(each) for each in parts[1:]]
        if path is None or path.endswith("/") or not all(isinstance(each, str) for each in ends):
            return None
        return posixpath.normpath("".join([path, *ends])).removeprefix("" if path else "/")

    def databases(self, nodes: Iterable[ast.AST]) -> tuple[dict[str, ast.AST], set[int]]:
        """Return ({address of SQLite that is put together: where}, the parts of them)."""
        found: dict[str, ast.AST] = {}
        seen: set[int] = set()
        for node in nodes:
            path = None if id(node) in seen else self.sqlite(node)
            if path is not None:
                found.setdefault(f"sqlite:///{path}" if path[:1] == "/" else f"sqlite://code/{path}", node)
                seen |= {id(inner) for inner in ast.walk(node)}
        return found, seen

    def _split(self, node: ast.AST) -> tuple[str | None, list[ast.expr]]:
        """Return (the directory that a path begins with, what follows)."""
        if isinstance(node, ast.Call) and dotted(node.func).endswith("path.join") and node.args:
            base, *rest = node.args
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            base, rest = node.left, [node.right]
        else:
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                node = node.left
            text = constant(node.values[0]) if isinstance(node, ast.JoinedStr) and node.values else constant(node)
            return (text.rpartition("/")[0] if isinstance(text, str) and "/" in text else None), []
        inner = (
            base.args[0] if isinstance(base, ast.Call) and dotted(base.func).endswith("Path") and base.args else base
        )
        folder = self._folder(base)
        text = self.text(inner)
        return (text if text is not None else self.texts.get(dotted(base))) if folder is None else folder, rest


def _flat(node: ast.AST) -> list[ast.expr]:
    """Return the parts that a text is put together of."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_flat(node.left), *_flat(node.right)]
    if isinstance(node, ast.JoinedStr):
        return [each.value if isinstance(each, ast.FormattedValue) else each for each in node.values]
    value: ast.expr | None = None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        begin, _, end = str(constant(node.left) or "").partition("%s")
        value = node.right.elts[0] if isinstance(node.right, ast.Tuple) and node.right.elts else node.right
    elif (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format" and node.args
    ):
        begin, _, end = re.sub(r"\{\w*\}", "{}", str(constant(node.func.value) or "")).partition("{}")
        value = node.args[0]
    return [ast.Constant(begin), value, ast.Constant(end)] if value else [node]  # type: ignore[list-item]
