"""What a source makes that could be served: apps and factories, of Flask and of others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from .facts import FLASK, App, Code, makes_celery, module
from .syntax import SRC, constants_of, demands_of, dotted, module_of, runs_server

CONNEXION = {"connexion.App": "Connexion", "connexion.FlaskApp": "Connexion", "connexion.AsyncApp": "Connexion 3"}
# Classes: what their apps are.
CLASSES = {
    **dict.fromkeys(("Flask", "APIFlask", "OpenAPI", "Eve", "FlaskAPI"), FLASK),
    **dict.fromkeys(("Dash", "DashProxy", "JupyterDash"), "Dash"),
    **{name: name for name in ("Quart", "FastAPI", "Starlette", "Litestar", "Sanic")},
    "QuartTrio": "Quart",
}
# The Flask app within: the attribute that it is, and what that is.
INNER = {"Dash": ("server", FLASK), "Connexion": ("app", "Connexion.app")}
FACTORY = re.compile(
    r"(?!\w+_(dir|directory|path|folder|file|name|id|url|version|info|key|token|root|port|host|logger)$)"  # of an app
    r"(create|make|build|init|get|setup|new)_?(\w*_)?(app|application|server|flask)(_\w+)?|app_factory"
)
SURE = ("create_app", "make_app", "build_app", "app_factory", "create_application", "make_application")
WRAPS = re.compile(r"\w*(Middleware|ProxyFix|ReverseProxied|WhiteNoise)")
KNOWN = ("app", "application")  # what is imported under such a name is taken for an app
NAMED = (*KNOWN, "server", "wsgi")  # what an `if` of a module makes under another name is for something else
# What imports modules that only the running code knows.
FINDS = ("import_module", "__import__", "import_string", "find_modules", "walk_packages", "iter_modules")
ROUNDS = 4  # classes and factories that are made of each other


class Kinds:
    """What each class and each factory of a source makes: {its name: what its apps are}."""

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        self.made = dict(CLASSES)
        self.factories: dict[str, str] = {}
        self.dash = any(
            "dash" in imports_of(tree).values() or "dash.Dash" in imports_of(tree).values() for tree in modules.values()
        )
        bodies = [(imports_of(tree), each) for tree in modules.values() for each in tree.body]
        for _ in range(ROUNDS):
            before = len(self.made), len(self.factories)
            for imported, node in bodies:
                if isinstance(node, ast.ClassDef):
                    kinds = [kind for base in node.bases if (kind := self._of_class(base, imported))]
                    if kinds:
                        self.made.setdefault(node.name, kinds[0])
                elif isinstance(node, ast.FunctionDef) and (kind := self.of_factory(node, imported)):
                    self.factories.setdefault(node.name, kind)
            if before == (len(self.made), len(self.factories)):
                break
        functions = {node.name for _imported, node in bodies if isinstance(node, ast.FunctionDef)}
        self.others = functions - self.factories.keys() - set(SURE)

    def _of_class(self, node: ast.AST, imported: Mapping[str, str]) -> str:
        first, dot, rest = dotted(node).partition(".")
        name = f"{imported.get(first, first)}{dot}{rest}"
        return CONNEXION.get(name) or self.made.get(name.rpartition(".")[2], "")

    def of(self, node: ast.AST | None, known: Mapping[str, str], imported: Mapping[str, str]) -> str:
        """Return what an expression gives: FLASK, another kind, or "" of what is no app."""
        if isinstance(node, ast.Name):
            return known.get(node.id, "")
        if isinstance(node, ast.Attribute):
            kind = self.of(node.value, known, imported)
            attribute, inner_kind = INNER.get(kind, ("", ""))
            return inner_kind if node.attr == attribute else ""
        if not isinstance(node, ast.Call):
            return ""
        called = dotted(node.func).rpartition(".")[2]
        if WRAPS.fullmatch(called):
            inner = [kind for each in node.args[:1] if (kind := self.of(each, known, imported))]
            return inner[0] if inner else ""
        if any(each.arg == "server" for each in node.keywords) and self._of_class(node.func, imported) == "Dash":
            return ""  # it lies in a Flask app that is there
        return self._of_class(node.func, imported) or self.factories.get(called, "")

    def of_factory(self, node: ast.FunctionDef, imported: Mapping[str, str]) -> str:
        """Return what a function gives, as far as it makes an app."""
        inner = list(ast.walk(node))
        known = {name: kind for each in inner for name, kind in self.assigned(each, {}, imported)}
        returned = [each.value for each in inner if isinstance(each, ast.Return) and each.value]
        plain = [value for value in returned if not isinstance(value, ast.Tuple)]
        kinds = [kind for value in plain if (kind := self.of(value, known, imported))]
        if kinds or not plain:
            return kinds[0] if kinds else ""
        makes = any(self.of(each, {}, imported) == FLASK for each in inner if isinstance(each, ast.Call))
        return FLASK if node.name in SURE or (makes and FACTORY.fullmatch(node.name)) else ""

    def assigned(
        self, node: ast.AST, known: Mapping[str, str], imported: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Yield (name, kind) of the apps that a statement gives names to."""
        if isinstance(node, ast.Assign | ast.AnnAssign) and (kind := self.of(node.value, known, imported)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id, kind


def is_root(tree: ast.Module) -> bool:
    """Tell whether a file makes an app whose root_path is the file's directory."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    return any(dotted(each.func).endswith("Flask") and dotted(each.args[0]) == "__name__" for each in calls)


def imports_of(tree: ast.Module) -> dict[str, str]:
    """Return {name here: what it is, with its module} of what a module takes out of others."""
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom | ast.Import)]
    found = {}
    for node in nodes:
        origin = f"{node.module}." if isinstance(node, ast.ImportFrom) and node.module else ""
        found |= {each.asname or each.name: f"{origin}{each.name}" for each in node.names}
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the names of all modules that a module imports, also within functions, and of what it takes out of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            yield from (each.name for each in node.names)
            yield from [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what an import of a module runs, also within `if`, `try` and `with`."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "'__main__'" in ast.dump(node.test):
            yield from statements(node.orelse)
            continue
        for field in ("body", "orelse", "handlers", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from statements([each for each in getattr(node, field, []) if isinstance(each, ast.stmt)])


def found(file: str, tree: ast.Module, kinds: Kinds) -> list[App]:
    """Return what a file holds that could be served."""
    runs, imported, own = any(map(runs_server, tree.body)), imports_of(tree), constants_of(tree)
    known: dict[str, str] = {}
    apps: list[App] = []

    def add(name: str, kind: str, framework: str, node: ast.AST, demands: int = 0) -> None:
        known[name] = framework
        apps.append(App(file, name, kind, demands, runs, framework, getattr(node, "lineno", 1)))

    for node in statements(tree.body):
        if isinstance(node, ast.FunctionDef):
            if (framework := kinds.of_factory(node, imported)) and not makes_celery(node.name):
                add(node.name, "factory", framework, node, demands_of(node))
        elif isinstance(node, ast.ImportFrom) and node.module != "flask":  # current_app as app
            for each in node.names:
                name = each.asname or each.name
                if name in KNOWN or (each.name == "server" and kinds.dash):
                    add(name, "imported", FLASK, node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for name, framework in _named(node, known, imported, kinds):
                called = dotted(node.value.func) if isinstance(node.value, ast.Call) else ""
                kept = node in tree.body or name in NAMED or called.rpartition(".")[2] in kinds.made
                if kept and name not in own and name not in {app.name for app in apps if app.kind == "instance"}:
                    add(name, "instance", framework, node)
    return apps


def _named(
    node: ast.Assign | ast.AnnAssign, known: Mapping[str, str], imported: Mapping[str, str], kinds: Kinds
) -> Iterator[tuple[str, str]]:
    made = dotted(node.value.func).rpartition(".")[2] if isinstance(node.value, ast.Call) else ""
    if makes_celery(made):
        return
    seen = list(kinds.assigned(node, known, imported))
    alias = isinstance(node.value, ast.Name)
    yield from (pair for pair in seen if not (alias and pair[0] in known))
    if seen or not FACTORY.fullmatch(made) or made in kinds.others:
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        wanted = [each.id for each in names if isinstance(each, ast.Name)]
        yield from ((name, FLASK) for name in wanted if len(names) == 1 or name in KNOWN)


def resolved(apps: list[App], modules: Mapping[str, ast.Module]) -> None:
    """Let apps that a file imports be what the file that they come from makes."""
    for app in apps:
        if app.kind != "imported":
            continue
        origin = imports_of(modules[app.file]).get(app.name, "").split(".")
        for other in apps:
            place = (module(other.file) or "").rpartition(".")[2]
            if other.kind == "instance" and other.name == origin[-1] and place == (origin[-2:-1] or [place])[0]:
                app.framework = other.framework
                break


def reached(file: str, modules: Mapping[str, ast.Module]) -> set[str]:
    """Return the files that an import of a file runs, and those that its functions import; all where code decides."""
    names, seen, left = {module(name): name for name in modules}, set[str](), [file]
    while left:
        here = left.pop()
        if here in seen or here not in modules:
            continue
        seen.add(here)
        own = module(here) or ""
        package = own if here.endswith("__init__.py") else own.rpartition(".")[0]
        wanted = [own]
        for node in ast.walk(modules[here]):
            if isinstance(node, ast.Import):
                wanted += [each.name.removeprefix(SRC) for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                origin = module_of(node, package)
                wanted += [f"{origin}.{each.name}".lstrip(".") for each in node.names]
            elif isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in FINDS:
                return set(modules)
        parts = [name.split(".") for name in wanted]
        left += [names[name] for each in parts for n in range(len(each)) if (name := ".".join(each[: n + 1])) in names]
    return seen


def in_src(code: Code, served: str) -> bool:
    """Tell whether a file below src/, or what an import of it runs, takes modules out of a package src."""
    files = reached(served, code.modules) if served.startswith("src/") else set()
    return any(f"{name}.".startswith(SRC) for file in files for name in imported(code.modules[file]))


def with_pages(best: App, apps: list[App], code: Code) -> App:
    """Return the app of a module that imports the pages too, where the best one's module does not."""
    files = {place.rpartition(":")[0] for place in code.routes.values()}
    if not files or best.kind != "instance" or reached(best.file, code.modules) & files:
        return best
    reach = {app.file: reached(app.file, code.modules) for app in apps}
    more = [app for app in apps if best.file in reach[app.file] and reach[app.file] & files and not app.runs]
    return min(more, key=lambda app: (-len(reach[app.file] & files), app.file in files), default=best)


def there(code: Code, served: str | None) -> dict[str, str]:
    """Return the pages that the module which is served has, as far as its imports tell."""
    reach = reached(served, code.modules) if served else set()
    found = {path: place for path, place in code.routes.items() if place.rpartition(":")[0] in reach}
    return found or code.routes
