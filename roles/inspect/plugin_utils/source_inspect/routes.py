"""Which pages an app has: each route with the prefix that its blueprint is registered under."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from .facts import module
from .syntax import constant, dotted

HOPS = 10  # imports that a name is followed through, and blueprints within each other
UNKNOWN = "\0"  # begins a prefix that only the running app knows, and so no path that is asked for

Name = tuple[str, str]  # of a module, and of what it holds


@dataclass
class Routes:
    """What all files say: {name: where it was imported from}, {blueprint: (its parent, its prefix)}."""

    seen: list[tuple[str, Name, str]] = field(default_factory=list)
    imports: dict[Name, Name] = field(default_factory=dict)
    made: dict[Name, str] = field(default_factory=dict)
    registered: list[tuple[Name, Name, str | None]] = field(default_factory=list)

    def read(self, file: str, nodes: Iterable[ast.AST]) -> None:
        """Take what one file says."""
        here = module(file) or ""
        package = here if file.endswith("__init__.py") else here.rpartition(".")[0]
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                self._import(node, here, package)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                self._make(node, node.value, here)
            elif isinstance(node, ast.Call) and dotted(node.func).endswith(".register_blueprint") and node.args:
                parent = (here, dotted(node.func).rpartition(".")[0])
                self.registered.append(((here, dotted(node.args[0])), parent, _prefix(node)))
            for call in getattr(node, "decorator_list", ()):
                self._route(call, file, here)

    def _import(self, node: ast.ImportFrom, here: str, package: str) -> None:
        above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
        origin = ".".join([*filter(None, above), *filter(None, [node.module])])
        for each in node.names:
            self.imports[here, each.asname or each.name] = (origin, each.name)

    def _make(self, node: ast.Assign, call: ast.Call, here: str) -> None:
        kind = dotted(call.func).rpartition(".")[2]
        if kind.endswith(("Blueprint", "Namespace")):
            prefix = _prefix(call) or ""
            for target in node.targets:
                self.made[here, dotted(target)] = prefix if kind.endswith("Blueprint") else UNKNOWN

    def _route(self, call: ast.AST, file: str, here: str) -> None:
        holder, _, verb = dotted(call.func).rpartition(".") if isinstance(call, ast.Call) else ("", "", "")
        path = constant(call.args[0]) if holder and isinstance(call, ast.Call) and call.args else None
        if verb in ("route", "get") and isinstance(path, str) and path.startswith("/"):
            self.seen.append((path, (here, holder), f"{file}:{getattr(call, 'lineno', 1)}"))

    def found(self) -> dict[str, str]:
        """Return {path: place} of all routes."""
        above: dict[Name, tuple[Name, str | None]] = {}
        for name, parent, prefix in self.registered:
            above.setdefault(self._origin(name), (self._origin(parent), prefix))
        pages: dict[str, str] = {}
        for path, holder, place in self.seen:
            name, prefix = self._origin(holder), ""
            for _ in range(HOPS):
                parent, given = above.get(name, (("", ""), None))
                prefix = (self.made.get(name, "") if given is None else given).rstrip("/") + prefix
                name = parent
            pages.setdefault(prefix + path, place)
        return pages

    def _origin(self, name: Name) -> Name:
        """Return where a name was made, through the modules that import it from each other."""
        for _ in range(HOPS):
            if name in self.imports:
                name = self.imports[name]
                continue
            first, dot, rest = name[1].partition(".")
            if not dot or (name[0], first) not in self.imports:
                break
            name = (".".join(filter(None, self.imports[name[0], first])), rest)
        return name


def _prefix(call: ast.Call) -> str | None:
    """Return the prefix that a call gives; None where it gives none."""
    given = next((each.value for each in call.keywords if each.arg == "url_prefix"), None)
    if given is None or (isinstance(given, ast.Constant) and given.value is None):
        return None
    said = constant(given)
    return said if isinstance(said, str) else UNKNOWN
