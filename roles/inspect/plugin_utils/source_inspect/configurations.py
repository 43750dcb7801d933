"""Which configurations a source has, and where one of them is taken."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .apps import FACTORY, imported
from .facts import file_of, module
from .serving import Found
from .syntax import constant, dotted

STAGES = {
    **dict.fromkeys(("prod", "production", "prd", "live"), "production"),
    **dict.fromkeys(("dev", "devel", "develop", "development", "local", "debug"), "development"),
    **dict.fromkeys(("test", "tests", "testing", "unittest", "unittests"), "development"),
    **dict.fromkeys(("staging", "stage", "qa", "ci", "demo", "heroku", "docker", "unix", "aws", "azure"), "other"),
}
CLASS = re.compile(r"\w*(config|configuration|settings|conf)", re.IGNORECASE)
HOPS = 2  # names that a variable's value is handed on by
DYNACONF = re.compile(r"([\w-]+/)*(settings|config)\.(toml|ya?ml|json|ini)")
BY_NAME = ("from_object", "import_string", "import_module")
TAKES = {"config_by_name", "get_config", "load_config"}


def stage(name: str) -> str:
    """Return what a configuration is for, by its name: "production", "development", "other" or ""."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name.rpartition(".")[2])
    return next((STAGES[word.lower()] for word in words if word.lower() in STAGES), "")


@dataclass
class Configurations:
    """What a source has of them: its classes, {key: class} of its maps, and words that it compares with."""

    found: Found
    classes: dict[str, tuple[str, ast.ClassDef | ast.Module]] = field(default_factory=dict)
    maps: list[dict[str, str]] = field(default_factory=list)
    words: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        modules = self.found.code.modules
        for file, tree in modules.items():
            classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
            named = [node for node in classes if CLASS.fullmatch(node.name) or stage(node.name)]
            self.classes |= {node.name: (file, node) for node in named if node.name not in self.classes}
        for tree in modules.values():
            for node in ast.walk(tree):
                self._map(node)
                self._named(node)
                if isinstance(node, ast.Compare):
                    sides = [inner for side in [node.left, *node.comparators] for inner in ast.walk(side)]
                    self.words |= {constant(each) for each in sides if stage(str(constant(each) or "")) == "production"}

        if "dynaconf" in self.found.needs:
            texts = [self.found.tree.text(name) for name in self.found.tree.names if DYNACONF.fullmatch(name)]
            self.words |= {"production" for text in texts if re.search(r"(?m)^(\[|\s*\")?production\b", text)}

    def _map(self, node: ast.AST) -> None:
        rows: list[tuple[object, ast.AST]] = []
        if isinstance(node, ast.Dict):
            rows = [(constant(key), value) for key, value in zip(node.keys, node.values, strict=True)]
        elif isinstance(node, ast.Call) and dotted(node.func) == "dict":
            rows = [(each.arg, each.value) for each in node.keywords]
        named = {}
        for key, value in rows:
            inner = value.func if isinstance(value, ast.Call) else value
            name = str(constant(inner) or dotted(inner)).rpartition(".")[2]
            if isinstance(key, str) and name in self.classes:
                named[key] = name
        if len(named) > 1:
            self.maps.append(named)

    def _named(self, node: ast.AST) -> None:
        """Take the configurations whose name is put together, as `from_object('config_' + name)`."""
        last = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        if not isinstance(node, ast.Call) or last not in (*BY_NAME, "getattr"):
            return
        for begin, end, lower in filter(None, map(parts, node.args)):
            paths = {self.path(name): name for name in self.classes}
            paths |= {name: name for name in self.classes} if last == "getattr" else {}
            trees = {module(file) or "": (file, tree) for file, tree in self.found.code.modules.items()}
            found = {}
            for path, name in [*paths.items(), *((path, path.rpartition(".")[2]) for path in trees)]:
                key = path.removeprefix(begin).removesuffix(end)
                if f"{begin}{key}{end}" == path and key.isidentifier():
                    found[key.lower() if lower else key] = name
                    self.classes.setdefault(name, trees.get(path, ("", ast.Module([], []))))
            if sum(bool(stage(key)) for key in found) > 1:
                self.maps.append(found)

    def path(self, name: str) -> str:
        """Return what a configuration is imported as."""
        file, node = self.classes[name]
        return f"{module(file)}.{name}" if isinstance(node, ast.ClassDef) else module(file) or ""

    def target(self, value: str) -> str:
        """Return the class that a value stands for, or ""."""
        for each in self.maps:
            if value in each:
                return each[value]
        last = value.rpartition(".")[2]
        if last in self.classes:
            return last
        known = [name for name in self.classes if re.fullmatch(rf"{re.escape(last)}(config\w*|settings)?", name, re.I)]
        same = [name for name in self.classes if stage(name) == stage(last) == "production"]
        return next(iter([*known, *same]), "")

    def develops(self, value: str) -> bool:
        """Tell whether a value stands for what nobody should serve."""
        name = self.target(value)
        for_what = stage(name) or stage(value)
        return for_what == "development" or (bool(name) and not for_what and bool(self.live()))

    def production(self, value: str) -> str:
        """Return what to write in its place for production, in the same form; "" where there is none."""
        for each in self.maps:
            if value in each:
                return self.key(each)
        begin, dot, last = value.rpartition(".")
        if last in self.classes:
            near = self.classes[last][0]
            name = next(iter(sorted(self.live(), key=lambda name: self.classes[name][0] != near)), "")
            return f"{begin}{dot}{name}" if name else ""
        if dot and file_of(self.found.tree, value):
            names = {module(name) or "" for name in self.found.tree.names if name.endswith(".py")}
            beside = sorted(name for name in names if name.rpartition(".")[0] == begin and stage(name) == "production")
            return beside[0] if beside else ""
        words = sorted(self.words) or [word for word in ("production", "prod") if self.target(word)]
        word = next((word for word in ("production", "prod", *words) if word in words), "")
        return word.title() if value.istitle() else word

    def live(self) -> list[str]:
        return [name for name in self.classes if stage(name) == "production"]

    @staticmethod
    def key(each: Mapping[str, str]) -> str:
        live = [key for key, name in each.items() if "production" in (stage(key), stage(name))]
        return next((key for key in ("production", "prod", *live) if key in live), "")

    def dead(self, chosen: str) -> set[int]:
        """Return the classes (by the identity of their nodes) that are not taken where one is."""
        alive, left = set(), [chosen]
        while left:
            name = left.pop()
            if name in self.classes and name not in alive:
                alive.add(name)
                node = self.classes[name][1]
                left += [dotted(base).rpartition(".")[2] for base in getattr(node, "bases", ())]
                left += [each.rpartition(".")[2] for each in imported(node)] if isinstance(node, ast.Module) else []
        mapped = {name for each in self.maps if chosen in each.values() for name in each.values()}
        staged = {name for name in self.classes if stage(name)}
        return {id(self.classes[name][1]) for name in (mapped | staged) - alive} if chosen in self.classes else set()


def parts(node: ast.AST) -> tuple[str, str, bool] | None:
    """Return (what stands before a name, what behind it, whether its case is changed) of a text of such parts."""
    inner: list[ast.AST] = [node]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left = node.left
        inner = [left.left, left.right] if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add) else [left]
        inner.append(node.right)
    elif isinstance(node, ast.JoinedStr):
        inner = [each.value if isinstance(each, ast.FormattedValue) else each for each in node.values]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        begin, braces, end = str(constant(node.func.value) or "").replace("{0}", "{}").partition("{}")
        inner = [ast.Constant(begin), *node.args[:1], ast.Constant(end)] if braces else []
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        begin, sign, end = str(constant(node.left) or "").partition("%s")
        inner = [ast.Constant(begin), node.right, ast.Constant(end)] if sign else []
    names = [number for number, each in enumerate(inner) if not isinstance(constant(each), str)]
    if len(inner) < 2 or len(names) != 1:
        return None
    texts = ["".join(str(constant(each)) for each in part) for part in (inner[: names[0]], inner[names[0] + 1 :])]
    changed = getattr(getattr(inner[names[0]], "func", None), "attr", "") in ("title", "capitalize", "upper")
    return texts[0], texts[1], changed


def uses(found: Found) -> Iterator[tuple[int, str]]:
    """Yield (read, how it is used) of each read of a variable that a configuration is taken by."""
    reads = {id(read.node) for read in found.code.reads}
    paths = {name for tree in found.code.modules.values() for name in given_to_objects(tree)}
    for tree in found.code.modules.values():
        nodes = list(ast.walk(tree))
        named: dict[str, list[int]] = {}
        for node in [each for each in nodes if isinstance(each, ast.Assign)] * HOPS:
            inside = [id(each) for each in ast.walk(node.value) if id(each) in reads]
            inside += [number for each in ast.walk(node.value) for number in named.get(dotted(each), [])]
            for target in node.targets:
                named[dotted(target)] = list({*named.get(dotted(target), []), *inside})
        for node in nodes:
            for use, arguments in _places(node, paths):
                for each in (inner for argument in arguments for inner in ast.walk(argument)):
                    seen = [id(each)] if id(each) in reads else named.get(dotted(each), [])
                    yield from ((number, use) for number in seen)


def _places(node: ast.AST, paths: set[str]) -> Iterator[tuple[str, list[ast.expr]]]:
    """Yield (how it is used, expressions) where a node may take a configuration."""
    if isinstance(node, ast.FunctionDef) and FACTORY.fullmatch(node.name):
        yield "path" if node.name in paths else "key", [*node.args.defaults, *filter(None, node.args.kw_defaults)]
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(stage(str(constant(each) or "")) == "production" for side in sides for each in ast.walk(side)):
            yield "word", sides
    elif isinstance(node, ast.Subscript) and re.search(r"conf|settings", dotted(node.value).lower()):
        if not isinstance(node.slice, ast.Constant) and isinstance(node.ctx, ast.Load):
            yield "key", [node.slice]
    elif isinstance(node, ast.Call):
        owner, _, last = dotted(node.func).rpartition(".")
        given = [*node.args, *(each.value for each in node.keywords)]
        if last in BY_NAME:
            yield "key" if any(map(parts, given)) else "path", given
        elif last == "getattr" and any(map(parts, given)):
            yield "key", given[1:]
        elif last in TAKES or (last == "get" and re.search(r"config|settings", owner.lower())):
            yield "key", given[:1]
        elif FACTORY.fullmatch(last):
            yield "path" if last in paths else "key", given


def for_work(found: Found, place: str) -> bool:
    """Tell whether a place lies in a configuration for development or tests, be it a file or a class."""
    file, _, line = place.rpartition(":")
    classes = [node for node in ast.walk(found.code.modules[file]) if isinstance(node, ast.ClassDef)]
    here = [node.name for node in classes if node.lineno <= int(line) <= (node.end_lineno or 0)]
    return "development" in map(stage, [module(file) or "", *here])


def given_to_objects(tree: ast.Module) -> Iterator[str]:
    """Yield the names of functions that hand an argument of theirs to from_object() as it is."""
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        names = {each.arg for each in [*function.args.args, *function.args.kwonlyargs]}
        calls = [each for each in ast.walk(function) if isinstance(each, ast.Call) and each.args]
        if any(dotted(call.func).endswith("from_object") and dotted(call.args[0]) in names for call in calls):
            yield function.name
