"""What an app's Python says of it: read as a tree of syntax, within bounds; none of it is imported or run."""

from __future__ import annotations

import ast
import re
from collections.abc import Set
from typing import Any

from . import apps, beyond, commands, facts, settings, syntax
from .facts import Code, Read, is_address
from .paths import Paths, Texts
from .routes import Routes
from .syntax import constant, dotted, named_of
from .tree import MOST, Tree

MODULES = 300  # files of Python that are read, those of the highest directories first
SCRIPTS = 10  # files of SQL
ENVIRON = "os.environ"
GETS = {"os.getenv", f"{ENVIRON}.get", f"{ENVIRON}.setdefault"}
OPENS = {"sqlite3.connect", "SqliteDatabase", "SqliteExtDatabase"}
SETTING = re.compile(r"[A-Z][A-Z0-9_]+")


def read(tree: Tree) -> Code:
    """Return what the Python files of a source say."""
    scripts = sorted((name for name in tree.names if name.endswith(".sql")), key=lambda name: (name.count("/"), name))
    code = Code(sql={name.rpartition("/")[2]: tree.text(name) for name in scripts[:SCRIPTS]})
    names, roots = facts.of_python(tree), dict[str, list[str]]()
    for name in names:
        roots.setdefault(facts.root(name), []).append(name)
    _modules(code, tree, roots.pop("", []))
    for place, beneath in roots.items() if not code.apps else ():
        other = Code(sql=code.sql, unread=[*code.unread])
        _modules(other, tree, beneath)
        if other.apps:
            tree.roots = (place,)
            return other
    return code


def _modules(code: Code, tree: Tree, names: list[str]) -> None:
    if len(names) > MODULES:
        code.unread.append(f"{len(names) - MODULES} of {len(names)} Python files, the deepest ones")
    for name in names[:MODULES]:
        try:
            code.modules[name] = syntax.parse(tree.text(name))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # what ast.parse says
            why = f"larger than {MOST >> 10} KiB" if name in tree.cut else str(error).replace("<unknown>, ", "")
            code.unread.append(f"{name}: {why}")
    _read(code)


def again(code: Code, dead: Set[int]) -> Code:
    """Return what the same files say without some classes, but for the variables that an import of them demands.

    :param dead: the identities of the classes' nodes.
    """
    other = Code(modules=code.modules, unread=code.unread, sql=code.sql)
    _read(other, dead)
    other.apps = code.apps
    return other


def _read(code: Code, dead: Set[int] = frozenset()) -> None:
    routes, within, kinds = Routes(), {}, apps.Kinds(code.modules)
    idle = facts.idle(code.modules, lambda name: name in kinds.factories or apps.FACTORY.fullmatch(name))
    named = [row for tree in code.modules.values() for row in syntax.assigned_of(tree).items()]
    code.known = {name: value for name, value in named if name.isupper()}
    code.wrappers, code.models = settings.wrappers(code.modules), {"BaseSettings"}
    for each in (node for tree in code.modules.values() for node in tree.body if isinstance(node, ast.ClassDef)):
        code.models |= (
            {each.name} if any(dotted(base).rpartition(".")[2] in code.models for base in each.bases) else set()
        )
    makers = commands.makers(code.modules, code.sql)
    folder = next((name.rpartition("/")[0] for name, tree in code.modules.items() if apps.is_root(tree)), "")
    for name, module_ in [row for row in code.modules.items() if id(row[1]) not in dead]:
        try:
            reader = Reader(code, name, module_, dead, folder)
            reader.read()
            code.opened |= {path: f"{name}:{line}" for path, line in settings.opened(module_, reader.paths).items()}
            routes.read(name, reader.nodes, idle)
            code.celery |= facts.celery_apps(name, module_)
            within |= facts.celery_within(name, reader.nodes)
            code.tables |= commands.made(name, module_, makers, code.sql)
        except RecursionError:
            code.unread.append(name)
            del code.modules[name]
    code.tables |= commands.uncalled(code.modules, code.sql)
    code.apps = [app for name, module_ in code.modules.items() for app in apps.found(name, module_, kinds)]
    apps.resolved(code.apps, code.modules)
    code.late = routes.late
    code.routes, code.open, code.celery = routes.found(), routes.open, code.celery | within


class Reader:
    """Reads one file."""

    def __init__(self, code: Code, file: str, tree: ast.Module, dead: Set[int], root: str) -> None:
        self.code, self.file, self.tree = code, file, tree
        nodes = list(ast.walk(tree))
        unseen = [inner for node in nodes if id(node) in dead for inner in ast.walk(node)]
        later = {id(inner) for node in unseen if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)}
        self.muted = {id(node) for node in unseen}
        nodes = [node for node in nodes if id(node) not in later]
        self.nodes, self.paths = nodes, Paths(file, nodes, root)
        tests = [node for node in tree.body if isinstance(node, ast.If) and "'__main__'" in ast.dump(node.test)]
        self.scripts = {id(inner) for node in tests for inner in ast.walk(node)}
        imported = {name for node in nodes for name in syntax.imported_of(node)}
        # a WSGI server hands an `environ` of its own to what is called so
        self.short = {name: what for node in nodes for name, what in facts.names_of_os(node)}
        for node in nodes:
            if isinstance(node, ast.Assign) and settings.is_environment(node.value, self.called):
                self.short |= {dotted(target): ENVIRON for target in node.targets if isinstance(target, ast.Name)}
        self.texts = Texts(nodes, {**code.known, **syntax.assigned_of(tree)})
        self.readers, self.required = settings.Readers(nodes, imported), syntax.required(nodes)
        self.required |= {*syntax.vital(nodes)}
        self.given = syntax.given_before(nodes)
        self.caught = {id(inner) for node in nodes for inner in facts.caught_in(node)}
        self.otherwise = {id(call): last for node in nodes for call, last in facts.otherwise_of(node)}

    def called(self, node: ast.AST) -> str:
        """Return a name as it is written, with the module that it was taken out of."""
        first, dot, rest = dotted(node).partition(".")
        return f"{self.short.get(first, first)}{dot}{rest}"

    def at(self, node: ast.AST) -> str:
        return f"{self.file}:{getattr(node, 'lineno', 1)}"

    def read(self) -> None:
        for row in settings.by_libraries(self.nodes):
            self.take(row)
        databases, parts = self.paths.databases(node for node in self.nodes if id(node) not in self.muted)
        self.code.texts |= {text: self.at(node) for text, node in databases.items()} | self.code.texts
        for word, node in beyond.words(node for node in self.nodes if id(node) not in self.muted):
            self.code.words.setdefault(word, self.at(node))
        for node in self.nodes:
            if isinstance(node, ast.Subscript):
                self.subscript(node)
            elif isinstance(node, ast.Call):
                self.call(node)
            elif id(node) in self.muted:
                continue
            elif isinstance(node, ast.Assign):
                self.assign(node)
            elif isinstance(node, ast.ClassDef):
                for row in settings.of_class(node, self.code.models):
                    self.take(row)
            elif isinstance(node, ast.Compare) and self.called(node.comparators[0]) == ENVIRON:
                self.variables(node.left, node, id(node) in self.required)
            elif isinstance(node, ast.JoinedStr | ast.BinOp) and is_address(text := syntax.together(node)):
                self.code.addresses.setdefault(text, self.at(node))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                self.text(node.value, node)

    def text(self, text: str, node: ast.AST) -> None:
        if text.startswith("sqlite:"):
            self.code.texts.setdefault(text, self.at(node))
        elif is_address(text):
            self.code.addresses.setdefault(text, self.at(node))

    def subscript(self, node: ast.Subscript) -> None:
        if self.called(node.value) != ENVIRON or not isinstance(node.ctx, ast.Load) or id(node) in self.given:
            return
        self.variables(node.slice, node, id(node) not in self.caught)

    def variables(self, named: ast.expr, node: ast.AST, hard: bool, default: Any = None) -> None:
        for name in self.texts.of(named):
            self.take((name, node, hard, default))

    def demand(self, name: Any, node: ast.AST) -> None:
        if isinstance(name, str):
            self.code.demanded.setdefault(name, self.at(node))
            self.code.reads.append(Read(name, None, self.at(node), node))

    def optional(self, name: Any, node: ast.AST, default: Any) -> None:
        if isinstance(name, str) and id(node) not in self.muted:
            self.code.optional.setdefault(name, (self.at(node), default))
            self.code.reads.append(Read(name, default, self.at(node), node))

    def call(self, node: ast.Call) -> None:
        name, first = self.called(node.func), constant(node.args[0]) if node.args else None
        last = name.split(".")[-1] or getattr(node.func, "attr", "")
        rows = self.readers.read(node, self.texts)
        if name in GETS and node.args:
            default = facts.default_of(node)
            default = self.otherwise.get(id(node)) if default is None else default
            hard = id(node) in self.required and default in (None, "") and (default == "" or not facts.given(node))
            self.variables(node.args[0], node, hard, default)
        elif rows:
            for row in rows:
                self.take(row)
        elif last in self.code.wrappers and node.args and any(map(SETTING.fullmatch, self.texts.of(node.args[0]))):
            self.variables(
                node.args[0], node, self.code.wrappers[last] and not facts.given(node), facts.default_of(node)
            )
        elif id(node) in self.muted:
            return
        elif found := settings.prefix_of(node):
            self.code.prefixes.setdefault(found[0], self.at(node))
            if found[1] in settings.SWITCHES:
                self.optional(settings.SWITCHES[found[1]], node, "development")
        elif last == "Validator" and isinstance(first, str) and constant(named_of(node).get("must_exist")):
            self.code.validated.setdefault(first, self.at(node))
        elif last in ("mkdir", "makedirs"):
            self.makes(node, first, last)
        elif (path := self.paths.written(node)) and id(node) not in self.scripts:
            self.code.wrote.setdefault(path, self.at(node))
        elif isinstance(folder := constant(named_of(node).get("static_folder")), str):
            self.code.settings.setdefault("static_folder", (folder, self.at(node)))
        elif last == "from_envvar" and isinstance(first, str):
            silent = bool(constant(named_of(node).get("silent")) or [each for each in node.args[1:] if constant(each)])
            self.optional(first, node, None) if silent else self.demand(first, node)
            self.code.files.setdefault(first, (self.at(node), silent))
        elif name in OPENS and node.args:
            path = self.paths.begun(node.args[0])
            if path and path[0] != ":":
                self.code.texts.setdefault(f"sqlite:{path}", self.at(node))

    def take(self, row: settings.Row) -> None:
        name, node, hard, default = row
        self.demand(name, node) if hard else self.optional(name, node, default)

    def makes(self, node: ast.Call, first: Any, last: str) -> None:
        if last == "mkdir" and first is None and isinstance(node.func, ast.Attribute):
            inner = node.func.value  # Path("logs").mkdir()
            first = constant(inner.args[0]) if isinstance(inner, ast.Call) and inner.args else self.paths.text(inner)
        first = self.paths.text(node.args[0]) if first is None and node.args else first
        if isinstance(first, str):
            self.code.made.setdefault(first, self.at(node))

    def assign(self, node: ast.Assign) -> None:
        value = syntax.number(node.value)
        value = self.paths.text(node.value) if value is None else value
        for target in node.targets:
            name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", None)
            if isinstance(target, ast.Subscript) and dotted(target.value).endswith("config"):
                name = constant(target.slice)
            if isinstance(name, str) and SETTING.fullmatch(name) and value is not None:
                self.code.settings.setdefault(name, (value, self.at(node)))
