"""Variables that a library or a function takes out of the environment, and files of settings that an import reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from .facts import Code, module
from .paths import Paths, Texts
from .syntax import constant, dotted, last_of, module_of, named_of
from .tree import Tree

PLAIN = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
OWN = re.compile(
    r"(local_?|my_?|app_?|secret_?|flask_?)?(config|conf|configuration|settings|credentials)(_local)?(\.\w+)?"
)
READERS = {"Env", "FileAwareEnv", "AutoConfig", "Config", "EnvReader"}  # whose instances are called with a name
KINDS = re.compile(
    r"(str|int|bool|float|decimal|list|tuple|dict|url|json|path|bytes|date|datetime|time|timedelta|log_level|uuid|enum"
    r"|(dj_)?(db|db_url|cache|cache_url|email|email_url|search_url))"
)
LIBRARIES = {"decouple", "environs", "environ", "starlette"}
PREFIXED = {"from_prefixed_env": "FLASK", "FlaskDynaconf": "FLASK", "Dynaconf": "DYNACONF", "LazySettings": "DYNACONF"}
SWITCHES = {"FlaskDynaconf": "FLASK_ENV", "Dynaconf": "ENV_FOR_DYNACONF"}

# Package of Python, what of it is called, arguments that give it the values, and the variables it takes without them:
# https://github.com/openai/openai-python#usage, https://docs.anthropic.com/en/api/client-sdks,
# https://boto3.amazonaws.com/v1/documentation/api/latest/guide/configuration.html#using-environment-variables,
# https://www.twilio.com/docs/libraries/reference/twilio-python/, https://github.com/sendgrid/sendgrid-python
CLIENTS = [
    ("openai", "(Async)?OpenAI", r"api_key", "OPENAI_API_KEY"),
    ("openai", "(Async)?AzureOpenAI", r"api_key|azure_ad_token\w*", "AZURE_OPENAI_API_KEY"),
    (r"langchain(_\w+)?", "(Chat)?OpenAI|OpenAIEmbeddings", r"(openai_)?api_key", "OPENAI_API_KEY"),
    ("anthropic", "(Async)?Anthropic", r"api_key|auth_token", "ANTHROPIC_API_KEY"),
    ("langchain_anthropic", "ChatAnthropic", r"(anthropic_)?api_key", "ANTHROPIC_API_KEY"),
    ("groq", "(Async)?Groq", r"api_key", "GROQ_API_KEY"),
    ("cohere", "(Async)?Client(V2)?", r"api_key", "CO_API_KEY"),
    ("tavily", r"(Async)?TavilyClient", r"api_key", "TAVILY_API_KEY"),
    ("pinecone", "Pinecone", r"api_key", "PINECONE_API_KEY"),
    ("boto3", "client|resource|Session", r"aws_\w+|profile_name", "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY"),
    ("boto3", "client|resource|Session", r"region_name", "?AWS_DEFAULT_REGION"),
    ("twilio", "Client", r"username|password", "TWILIO_ACCOUNT_SID TWILIO_AUTH_TOKEN"),
    ("sendgrid", "SendGridAPIClient", r"api_key", "SENDGRID_API_KEY"),
    ("sentry_sdk", "init", r"dsn", "?SENTRY_DSN"),  # nothing is reported without it
    ("slack_bolt", "App", r"token|authorize|client", "SLACK_BOT_TOKEN SLACK_SIGNING_SECRET"),
]

Row = tuple[str, ast.AST, bool, object]  # a variable, where it is read, whether it is demanded, and its default


class Readers:
    """What of one file is called with the name of a variable.

    :ivar known: {name of an object: the prefix that it puts before all names}.
    """

    def __init__(self, nodes: Iterable[ast.AST], imported: set[str]) -> None:
        self.known: dict[str, str] = {}
        self.within: dict[int, str] = {}  # {node below `with env.prefixed()`: that prefix}
        self.optional: set[str] = set()  # names that have a default where the reader is made
        if not imported & LIBRARIES:
            return
        self.known = dict.fromkeys(("config", "env", "decouple.config", "environs.env"), "")
        for node in nodes:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                if dotted(node.value.func).rpartition(".")[2] in READERS:
                    given = named_of(node.value)
                    prefix = str(constant(given.get("env_prefix")) or "")
                    self.known |= {dotted(target): prefix for target in node.targets}
                    self.optional |= {name for name, value in given.items() if isinstance(value, ast.Tuple)}
            elif isinstance(node, ast.With):
                for each in (item.context_expr for item in node.items):
                    if isinstance(each, ast.Call) and dotted(each.func).endswith(".prefixed") and each.args:
                        for inner in ast.walk(node):
                            self.within[id(inner)] = self.within.get(id(inner), "") + str(constant(each.args[0]) or "")

    def read(self, call: ast.Call, texts: Texts) -> list[Row]:
        """Return what a call reads."""
        name = dotted(call.func)
        owner, _, kind = name.rpartition(".")
        plain = name if name in self.known else owner if owner in self.known and KINDS.fullmatch(kind) else ""
        if not plain:
            return []
        names = texts.of(call.args[0]) if call.args else ["DATABASE_URL"] if kind in ("db", "dj_db") else []
        default = named_of(call).get("default", call.args[1] if len(call.args) > 1 else None)
        begin = f"{self.known[plain]}{self.within.get(id(call), '')}"
        free = {name for name in names if name in self.optional or default is not None}
        return [(f"{begin}{name}", call, name not in free, constant(default)) for name in names]


def by_libraries(nodes: Iterable[ast.AST]) -> Iterator[Row]:
    """Yield the variables that libraries read where the app makes their clients without arguments."""
    nodes, origins = list(nodes), dict[str, str]()
    later = {id(inner) for node in nodes if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)}
    for node in nodes:
        begin = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        if isinstance(node, ast.Import | ast.ImportFrom):
            origins |= {each.asname or each.name.partition(".")[0]: f"{begin}{each.name}" for each in node.names}
    for call in (node for node in nodes if isinstance(node, ast.Call)):
        first, dot, rest = dotted(call.func).partition(".")
        origin = origins.get(first, "")
        package, last = origin.partition(".")[0], f"{origin}{dot}{rest}".rpartition(".")[2]
        for known, called, arguments, variables in CLIENTS:
            if not (re.fullmatch(known, package) and re.fullmatch(called, last)):
                continue
            given = any(each.arg is None or re.fullmatch(arguments, each.arg) for each in call.keywords)
            if not given and (not call.args or package == "boto3"):
                may = package == "boto3" and id(call) in later  # often for one way of many to keep files
                yield from ((name.lstrip("?"), call, name[0] != "?" and not may, None) for name in variables.split())


def is_environment(node: ast.AST, called: Callable[[ast.AST], str]) -> bool:
    """Tell whether an expression is the environment, or a copy of it with something beside."""
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return any(key is None and is_environment(value, called) for key, value in pairs)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return is_environment(node.left, called) or is_environment(node.right, called)
    if isinstance(node, ast.Call):
        copies = called(node.func) == "os.environ.copy"
        return copies or (dotted(node.func) == "dict" and any(is_environment(each, called) for each in node.args))
    return called(node) == "os.environ"


def wrappers(modules: Mapping[str, ast.Module]) -> dict[str, bool]:
    """Return {function that reads the variable that it is called with: whether it demands it}."""
    found = {}
    for tree in modules.values():
        for node in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.args.args):
            names = [each.arg for each in node.args.args if each.arg not in ("self", "cls")]
            inner = list(ast.walk(node))
            gets = [each for each in inner if names and _reads(each, names[0])]
            if gets:
                raises = any(isinstance(each, ast.Raise) for each in inner)
                asks = any(isinstance(each, ast.Try | ast.If | ast.IfExp | ast.Compare) for each in inner)
                found[node.name] = raises or (isinstance(gets[0], ast.Subscript) and not asks)
    return found


def _reads(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Subscript):
        return dotted(node.value).endswith("environ") and dotted(node.slice) == name
    called = dotted(node.func) if isinstance(node, ast.Call) and node.args else ""
    return bool(called) and called.endswith(("getenv", "environ.get")) and dotted(node.args[0]) == name  # type: ignore[attr-defined]


def of_class(node: ast.ClassDef, known: set[str]) -> Iterator[Row]:
    """Yield what the fields of a class of pydantic's settings read.

    :param known: names of such classes.
    """
    if not any(dotted(base).rpartition(".")[2] in known for base in node.bases):
        return
    prefix = ""
    for each in ast.walk(node):
        named = each.arg if isinstance(each, ast.keyword) else ""
        named = dotted(each.targets[0]) if isinstance(each, ast.Assign) else named
        if named == "env_prefix" and isinstance(each, ast.keyword | ast.Assign):
            prefix = str(constant(each.value) or "")
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        if "ClassVar" in ast.dump(each.annotation) or each.target.id.startswith(("_", "model_config")):
            continue
        name, default = f"{prefix}{each.target.id}".upper(), each.value
        if isinstance(default, ast.Call) and dotted(default.func).endswith("Field"):
            given = named_of(default)
            alias = next((given[key] for key in ("validation_alias", "alias", "env") if key in given), None)
            alias = alias.args[0] if isinstance(alias, ast.Call) and alias.args else alias
            name = str(constant(alias) or name)
            default = given.get("default", given.get("default_factory", default.args[0] if default.args else None))
        yield name, each, default is None or constant(default) is ..., constant(default)


def prefix_of(call: ast.Call) -> tuple[str, str] | None:
    """Return (prefix, what reads) of a call that takes all variables with a prefix; "" takes the whole environment."""
    last = dotted(call.func).rpartition(".")[2] or getattr(call.func, "attr", "")
    if last in PREFIXED:
        given = named_of(call)
        said = given.get("prefix", given.get("envvar_prefix", call.args[0] if call.args and last[0] == "f" else None))
        return (PREFIXED[last] if said is None else str(constant(said) or "")), last
    if last in ("from_mapping", "update") and dotted(call.func).endswith((".config.update", "from_mapping")):
        values = [*call.args, *(each.value for each in call.keywords if each.arg is None)]
        if any(dotted(each) == "os.environ" for each in values):
            return "", last
    return None


def lacking(code: Code, files: Iterable[str], tree: Tree, needs: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (place, path) of modules of the source's own that files import, or take as settings, and that it lacks."""
    there = {name.rpartition(".")[0] for name in tree.names}
    there |= {name[: match.start()] for name in tree.names for match in re.finditer("/", name)}
    tops = {re.split(r"[/.]", name.removeprefix("src/"))[0] for name in tree.names if name.endswith(".py")} - {*needs}
    for file in files:
        folder = f"{file.rpartition('/')[0]}/".lstrip("/")
        for node, name, own in _imports(file, code.modules[file]):
            path, first = name.replace(".", "/"), name.partition(".")[0]
            paths = [path, path.rpartition("/")[0]] if isinstance(node, ast.Call) else [path]  # or what a module holds
            known = any(f"{begin}{each}" in there for each in paths for begin in (*tree.roots, "", "src/", folder))
            mine = own or first in tops or (OWN.fullmatch(name) and first.replace("_", "-") not in needs)
            if mine and not known:
                yield f"{file}:{getattr(node, 'lineno', 1)}", path if path.islower() else paths[-1]


def _imports(file: str, tree: ast.Module) -> Iterator[tuple[ast.AST, str, bool]]:
    """Yield (where, module, whether it is one of the package itself) of imports that no `try` or `if` leaves out."""
    here, nodes = module(file) or "", list(ast.walk(tree))
    package = here if file.endswith("__init__.py") else here.rpartition(".")[0]
    may = {id(x) for node in nodes if isinstance(node, ast.Try | ast.If) for each in node.body for x in ast.walk(each)}
    for node in (each for each in nodes if id(each) not in may):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node, module_of(node, package), bool(node.level)
        elif isinstance(node, ast.Import):
            yield from ((node, each.name, False) for each in node.names)
        elif isinstance(node, ast.Call) and node.args and last_of(node.func) in ("from_object", "import_module"):
            yield node, str(constant(node.args[0]) or ""), False


def opened(tree: ast.Module, paths: Paths) -> dict[str, int]:
    """Return {path: line} of files that an import of a module reads: by open(), or as settings that may not lack."""
    calls = [each for node in tree.body for each in _at_import(node) if isinstance(each, ast.Call) and each.args]
    found: dict[str, int] = {}
    made = [each for each in ast.walk(tree) if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call)]
    parsers = [f"{dotted(each.targets[0])}.read" for each in made if last_of(each.value.func).endswith("ConfigParser")]
    for call in calls:
        mode = (
            constant(call.args[1])
            if len(call.args) > 1 and dotted(call.func) not in parsers
            else constant(named_of(call).get("mode"))
        )
        reads = dotted(call.func) in parsers or (dotted(call.func) == "open" and not set(str(mode or "r")) & {*"wax"})
        silent = bool(mode) or bool(constant(named_of(call).get("silent")))
        if reads or (dotted(call.func).endswith("config.from_pyfile") and not silent):
            path = paths.text(call.args[0])
            if path and PLAIN.fullmatch(path):
                found.setdefault(path, call.lineno)
    plain = [each.value for each in tree.body if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call)]
    for call in (each for each in plain if dotted(each.func).endswith("dotenv_values")):  # without the environment
        found.setdefault((paths.text(call.args[0]) if call.args else ".env") or ".env", call.lineno)
    return found


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what an import runs, but for what an `if` or a `try` may leave out."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.If | ast.Try):
        yield node
        for each in ast.iter_child_nodes(node):
            yield from _at_import(each)
