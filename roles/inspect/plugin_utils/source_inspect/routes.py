"""Which pages an app has: each route with the prefix that its blueprint is registered under."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from .facts import module
from .syntax import constant, dotted, module_of, named_of

HOPS = 10  # imports that a name is followed through, and blueprints within each other
UNKNOWN = "\0"  # begins a prefix that only the running app knows, and so no path that is asked for
GUARDS = re.compile(r"\w*(login|auth|required|protected|permission|token|jwt|admin)\w*", re.IGNORECASE)
# What tells that an app is well, the likeliest first; then the same below /api or /v1.
HEALTH = ("/healthz", "/health", "/livez", "/readyz", "/health/", "/healthcheck", "/_health", "/ping", "/up")
INNER_HEALTH = re.compile(r"(/[\w.-]+){1,3}/(healthz?|health[-_]?check|livez?|readyz?|ping)/?", re.ASCII)
PLAIN = re.compile(r"(/[\w.-]+)+/?", re.ASCII)
ACTS = re.compile(r"/(\w*logout|\w*callback|authorize|admin|delete|remove|reset|stop|shutdown|static)\w*\b", re.ASCII)

Name = tuple[str, str]  # of a module, and of what it holds


@dataclass
class Routes:
    """What all files say: {name: where it was imported from}, {blueprint: (its parent, its prefix)}."""

    seen: list[tuple[str, Name, str]] = field(default_factory=list)
    imports: dict[Name, Name] = field(default_factory=dict)
    made: dict[Name, str] = field(default_factory=dict)
    registered: list[tuple[Name, Name, str | None, str]] = field(default_factory=list)
    guarded: set[str] = field(default_factory=set)  # places of routes that ask who is there
    open: set[str] = field(default_factory=set)  # paths that everybody may ask for, and that are surely there
    views: dict[Name, ast.AST] = field(default_factory=dict)  # functions and classes that may answer
    ruled: list[tuple[str, Name, str, Name]] = field(default_factory=list)  # routes that name what answers
    idle: set[str] = field(default_factory=set)  # places of code that no import runs
    late: dict[str, str] = field(default_factory=dict)  # {path: the place of such code that makes it a page}

    def read(self, file: str, nodes: Iterable[ast.AST], idle: Collection[int]) -> None:
        """Take what one file says.

        :param idle: nodes that no import runs.
        """
        nodes = list(nodes)
        self.idle |= {f"{file}:{getattr(node, 'lineno', 0)}" for node in nodes if id(node) in idle}
        here = module(file) or ""
        package = here if file.endswith("__init__.py") else here.rpartition(".")[0]
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                self._import(node, here, package)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                self._make(node, node.value, here)
            elif isinstance(node, ast.Assign) and dotted(node.targets[0]).endswith(".prefix"):
                self.made[here, dotted(node.targets[0]).rpartition(".")[0]] = str(constant(node.value) or UNKNOWN)
            elif isinstance(node, ast.For) and isinstance(node.iter, ast.List | ast.Tuple):
                self._each(node, node.iter.elts, file, here)
            elif isinstance(node, ast.Call):
                self._register(node, file, here)
                self._rule(node, file, here)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.views[here, node.name] = node
                for call in node.decorator_list if _gets(node) else ():
                    self._route(call, file, here)
                    if _guarded(node):
                        self.guarded.add(f"{file}:{call.lineno}")

    def _register(self, call: ast.Call, file: str, here: str) -> None:
        holder, _, verb = dotted(call.func).rpartition(".")
        if verb in ("register_blueprint", "add_namespace") and call.args:
            prefix = _prefix(call, "url_prefix" if verb == "register_blueprint" else "path")
            self.registered.append(((here, dotted(call.args[0])), (here, holder), prefix, f"{file}:{call.lineno}"))

    def _each(self, node: ast.For, blueprints: list[ast.expr], file: str, here: str) -> None:
        """Take blueprints that a loop registers."""
        for call in (inner for inner in ast.walk(node) if isinstance(inner, ast.Call) and inner.args):
            if dotted(call.func).endswith(".register_blueprint") and dotted(call.args[0]) == dotted(node.target):
                parent = (here, dotted(call.func).rpartition(".")[0])
                place = f"{file}:{call.lineno}"
                self.registered += [((here, dotted(each)), parent, _prefix(call), place) for each in blueprints]

    def _rule(self, call: ast.Call, file: str, here: str) -> None:
        """Take a route of add_url_rule() or, of Flask-RESTful, add_resource()."""
        holder, _, verb = dotted(call.func).rpartition(".")
        named, paths, view = named_of(call), call.args[:1], call.args[2:3]
        if verb == "add_resource":
            paths, view = call.args[1:], call.args[:1]
        elif verb == "add_url_rule":
            paths = paths or [named[key] for key in ("rule",) if key in named]
            view = view or [named[key] for key in ("view_func",) if key in named]
        if verb not in ("add_resource", "add_url_rule") or not view or not _answers_get(call):
            return
        place = f"{file}:{call.lineno}"
        inner: ast.AST = view[0]
        while isinstance(inner, ast.Call):
            made = _last(inner) == "as_view"
            if not made and GUARDS.fullmatch(_last(inner)):
                self.guarded.add(place)
            inner = (
                inner.func.value
                if made and isinstance(inner.func, ast.Attribute)
                else next(iter(inner.args), ast.Pass())
            )
        texts = [text for text in map(constant, paths) if isinstance(text, str) and text.startswith("/")]
        self.ruled += [(text, (here, holder), place, (here, dotted(inner))) for text in texts]

    def _import(self, node: ast.ImportFrom, here: str, package: str) -> None:
        origin = module_of(node, package)
        for each in node.names:
            self.imports[here, each.asname or each.name] = (origin, each.name)

    def _make(self, node: ast.Assign, call: ast.Call, here: str) -> None:
        kind = dotted(call.func).rpartition(".")[2]
        for name in ((here, dotted(target)) for target in node.targets):
            if kind.endswith(("Blueprint", "Namespace")):
                self.made[name] = (_prefix(call) or "") if kind.endswith("Blueprint") else UNKNOWN
            elif kind == "Api" and call.args:
                self.registered.append((name, (here, dotted(call.args[0])), _prefix(call, "prefix"), ""))

    def _route(self, call: ast.AST, file: str, here: str) -> None:
        holder, _, verb = dotted(call.func).rpartition(".") if isinstance(call, ast.Call) else ("", "", "")
        path = constant(call.args[0]) if holder and isinstance(call, ast.Call) and call.args else None
        asked = verb == "get" or (verb == "route" and isinstance(call, ast.Call) and _answers_get(call))
        if asked and isinstance(path, str) and path.startswith("/"):
            self.seen.append((path, (here, holder), f"{file}:{getattr(call, 'lineno', 1)}"))

    def found(self) -> dict[str, str]:
        """Return {path: place} of all routes."""
        above: dict[Name, tuple[Name, str | None, str]] = {}
        for name, parent, prefix, place in sorted(self.registered, key=lambda row: row[3] in self.idle):
            above.setdefault(self._origin(name), (self._origin(parent), prefix, place))
        for path, holder, place, view in self.ruled:
            answers = self.views.get(self._origin(view))
            if answers is None or _gets(answers):
                self.seen.append((path, holder, place))
            if answers is not None and _guarded(answers):
                self.guarded.add(place)
        pages: dict[str, str] = {}
        for path, holder, place in self.seen:
            name, prefix, late = self._origin(holder), "", place if place in self.idle else ""
            for _ in range(HOPS):
                parent, given, by = above.get(name, (("", ""), None, ""))
                late = by if by in self.idle else late
                prefix = (self.made.get(name, "") if given is None else given).rstrip("/") + prefix
                if name not in above:
                    break
                name = parent
            if late:
                self.late.setdefault(prefix + path, late)
                continue
            pages.setdefault(prefix + path, place)
            if place not in self.guarded and name not in self.made:
                self.open.add(prefix + path)
        self.late = {path: place for path, place in self.late.items() if path not in pages and path[0] == "/"}
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


def _gets(view: ast.AST) -> bool:
    """Tell whether a function or class answers GET: a class of methods has one of that name."""
    if not isinstance(view, ast.ClassDef):
        return True
    names = {each.name for each in view.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    return "get" in names or not names & {"post", "put", "patch", "delete"}


def _guarded(view: ast.AST) -> bool:
    """Tell whether a function or class asks who is there."""
    rows = [*getattr(view, "decorator_list", ())]
    for node in view.body if isinstance(view, ast.ClassDef) else ():
        named = isinstance(node, ast.Assign) and dotted(node.targets[0]) in ("decorators", "method_decorators")
        rows += list(ast.walk(node.value)) if named and isinstance(node, ast.Assign) else []
        if isinstance(node, ast.FunctionDef) and node.name == "get" and node.decorator_list:
            return True  # or it takes what only its decorator knows
    return any(GUARDS.fullmatch(_last(each)) for each in rows)


def _prefix(call: ast.Call, name: str = "url_prefix") -> str | None:
    """Return the prefix that a call gives; None where it gives none."""
    given = next((each.value for each in call.keywords if each.arg == name), None)
    if given is None or (isinstance(given, ast.Constant) and given.value is None):
        return None
    said = constant(given)
    return said if isinstance(said, str) else UNKNOWN


def _last(node: ast.AST) -> str:
    return dotted(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def _answers_get(call: ast.Call) -> bool:
    """Tell whether a route answers GET; one whose methods only the running app knows does not for sure."""
    methods = named_of(call).get("methods")
    if methods is None:
        return True
    rows = methods.elts if isinstance(methods, ast.List | ast.Tuple | ast.Set) else []
    return "GET" in {str(constant(each)).upper() for each in rows}


def tells(path: str) -> bool:
    """Tell whether a path is, by its name, the one that says how an app is."""
    return path in HEALTH or bool(INNER_HEALTH.fullmatch(path))


def health(pages: Mapping[str, str], free: Collection[str], own: Collection[str], others: Collection[str]) -> str:
    """Return the page that tells that an app is well; else, where it has no page at /, one that everybody gets; or "".

    :param free: paths that everybody may ask for.
    :param own: files of the app that is served.
    :param others: files of other apps.
    """
    files = {path: pages[path].rpartition(":")[0] for path in pages}
    here = [path for path in pages if files[path] in own or (path in free and files[path] not in others)]
    inner = sorted((path for path in here if INNER_HEALTH.fullmatch(path)), key=lambda path: (path.count("/"), path))
    found = next((path for path in [*HEALTH, *inner] if path in here), "")
    if found or files.get("/", "") not in {"", *others}:
        return found
    rest = [path for path in here if path in free and PLAIN.fullmatch(path) and not ACTS.search(path)]
    return min(rest, key=lambda path: (path.count("/"), len(path), path), default="")
