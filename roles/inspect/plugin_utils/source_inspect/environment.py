"""Which variables the app reads, which of them are secrets, and where their values could come from."""

from __future__ import annotations

import ast
import re
from collections.abc import Set

from . import places
from .apps import in_src, reached
from .beside import NOT_FOR_USE
from .block import Answer, Template
from .configurations import for_work
from .declared import NAME
from .facts import file_of, root, unreachable
from .serving import Found
from .settings import lacking
from .syntax import SRC, constant, last_of

# Set by the role, by the platform that the repository was written for, or for development alone.
PLACE = re.compile(
    r"\w*_(PATH|FILE|DIR|NAME|LOCATION|EXPIRES?|EXPIRES_IN|TTL|LIFETIME|LENGTH|SIZE|LIMIT|COUNT|AGE|ROUNDS|ALGORITHM)"
)  # of a secret, and none itself
OURS = re.compile(
    r"PORT|HOST|HOSTNAME|HOME|PATH|PWD|USER|TZ|LANG|DYNO|WEB_CONCURRENCY|GUNICORN_CMD_ARGS|PYTHON\w+|WERKZEUG_\w+|"
    r"FLASK_(APP|ENV|DEBUG|SKIP_DOTENV|RUN_\w+)|APP_(RELEASE|DATA_DIR|SECRETS_DIR)|JWT_KEY_DIR|PIP_\w+"
)
SECRET = re.compile(
    r"\w*(SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE|CREDENTIAL|SALT|DSN|CONNECTION_?STRING|CONN_STR|WEBHOOK_URL)\w*|"
    r"\w*(_KEY|PASS|_PASSPHRASE|PWD|_PW|_SK|_URI)|KEY|"
    r"(\w+_)?(DATABASE|DB|REDIS|BROKER|RABBITMQ|MONGO|MONGODB|POSTGRES|MYSQL|AMQP|CLOUDAMQP|SQLALCHEMY\w*)_UR[LI]"
)
SESSIONS = re.compile(r"(\w+_)?SECRET_KEY")
SERVICE = re.compile(r"https?://(?!localhost\b)[\w-]+(:\d+)?(?![\w.-])", re.ASCII)  # a host without a dot
DOMAIN = re.compile(r"(FLASK_)?SERVER_NAME")  # Flask before 3.1 answers 404 where it is asked by another name
ITSELF = ("localhost", "127.0.0.1")  # of a container: it alone
SERVER = re.compile(
    r"(\w+_)?(DB|DATABASE|\w*SQL|POSTGRES\w*|PG|MARIADB|MONGO\w*|REDIS|VALKEY|RABBIT\w*|AMQP|MEMCACHED?|ELASTIC\w*|SMTP"
    r"|MAIL)_?(HOST|HOSTNAME|SERVER|ADDR|ADDRESS)"
)
DEBUG = re.compile(r"(\w+_)?(DEBUG|TESTING)")
EXAMPLE = re.compile(
    r"X{4,}|\bx{4,}|^<.*>$|\byour[-_ ]|change[-_ ]?me|\.\.\.$", re.IGNORECASE
)  # of what people fill in
ON = re.compile(r"1|true|yes|on|t|y", re.IGNORECASE)
SHOWN = 30
FIXED = 5  # addresses that the code holds; more say nothing new


def decide(found: Found, answer: Answer, settled: Set[str] = frozenset()) -> None:
    """Decide what the app gets as environment, and what as secrets.

    :param settled: variables of which nothing more is to be said.
    """
    _search_path(found, answer)
    places.database(found, answer)
    told = found.declared.variables
    for name, place in found.code.demanded.items():
        if name in settled:
            continue
        _take(answer, name, told.get(name, ("", "")), f"{place} demands it")
    for name, file in found.declared.secrets.items():
        _take(answer, name, ("", ""), f"{file} makes a secret for it")
    for name, (place, default) in found.code.optional.items():
        if NOT_FOR_USE.match(name) or name in settled:
            continue
        if DEBUG.fullmatch(name) and ON.fullmatch(told.get(name, ("",))[0]):
            value, file = told[name]
            answer.unsure.append(f"app_env: {name} is {value} in {file}; left out, as it is for development")
            continue
        server = places.DATABASE.fullmatch(name) and places.elsewhere(default)
        if DOMAIN.fullmatch(name):
            _take(answer, name, ("", ""), f"{place} reads it")
        elif name in told or server or ("SECRET" in name and (default or name.endswith("SECRET_KEY"))):
            known = ", with a default that everybody can read" if default and _is_secret(name) else ""
            lost = name in told and SERVER.fullmatch(name)  # a service of Compose
            if told.get(name, ("",))[0] or _is_secret(name) or lost:
                _take(answer, name, told.get(name, ("", "")), f"{place} reads it{known}")
    _prefixed(found, answer)
    place = found.code.demanded.get("JWT_KEY_DIR") or found.code.optional.get("JWT_KEY_DIR", ("",))[0]
    if place:
        answer.set("tokens_algorithm", "RS256", f"{place} reads JWT_KEY_DIR, where the keys lie that sign tokens")
    _say(found, answer, settled | {name for row in answer.maps.values() for name in row})


def _search_path(found: Found, answer: Answer) -> None:
    """Let Python find what a file that lies below the top imports from beside it, as `from models import db`."""
    served, why = answer.values.get("app_wsgi", ("", ""))
    name, _, rest = served.partition(":")
    file = file_of(found.tree, name) or ""
    folder, _, last = file.rpartition("/")
    tree = found.code.modules.get(file)
    if not name.startswith(SRC) and in_src(found.code, file):
        answer.values["app_wsgi"] = (f"{SRC}{served}", f"{why}; it imports modules of src by that name")
    if tree and (place := root(file).rstrip("/")):
        why = f"{file} lies in {place}, which no import can name"
        answer.put("app_env", "PYTHONPATH", f"{found.declared.workdir}/{place}", why)
        return
    if not tree or folder in ("", "src") or last == "__init__.py":
        return
    beside = next(
        (each for each in _imported(tree) if not file_of(found.tree, each) and _lies(found, folder, each)), ""
    )
    if not beside:
        return
    answer.put(
        "app_env", "PYTHONPATH", f"{found.declared.workdir}/{folder}", f"{file} imports {beside}, which lies beside it"
    )
    package = f"{folder}/__init__.py" in found.tree.names
    if not package and not any(isinstance(each, ast.ImportFrom) and each.level for each in ast.walk(tree)):
        answer.values["app_wsgi"] = (f"{name.rpartition('.')[2]}:{rest}", why)


def _imported(tree: ast.Module) -> list[str]:
    """Return the first names of the modules that a file imports, but for relative imports."""
    nodes = list(ast.walk(tree))
    named = [each.module for each in nodes if isinstance(each, ast.ImportFrom) and not each.level and each.module]
    named += [alias.name for each in nodes if isinstance(each, ast.Import) for alias in each.names]
    return [name.partition(".")[0] for name in named]


def _lies(found: Found, folder: str, name: str) -> bool:
    begin = f"{folder}/{name}"
    return f"{begin}.py" in found.tree.names or any(each.startswith(f"{begin}/") for each in found.tree.names)


def _is_secret(name: str, told: str = "") -> bool:
    return bool(SECRET.fullmatch(name)) and not PLACE.fullmatch(name) and not told.startswith("memory://")


def _take(answer: Answer, name: str, told: tuple[str, str], why: str) -> None:
    """Give the app a variable; where nobody knows its value, an empty one that people fill in."""
    value, file = told
    if not NAME.fullmatch(name) or OURS.fullmatch(name) or name in answer.maps.get("app_env", {}):
        return
    if _is_secret(name, value):
        answer.put("app_secrets", name, Template(f"{{{{ vault_app_{name.lower()} }}}}"), why)
        return
    if DOMAIN.fullmatch(name):
        answer.put("app_env", name, Template("{{ site_domain }}"), f"{why}; pages answer by that name alone")
        return
    service = SERVICE.match(value)
    nobody = unreachable(value) or (service[0] if service else "")
    value = "" if nobody or EXAMPLE.search(value) else value
    answer.put("app_env", name, value, f"{why}; the value is that of {file}" if value else why)
    if nobody:
        answer.unsure.append(f"app_env: {name} has no value yet; no container reaches {nobody} of {file}")
    elif not value:
        answer.unsure.append(f"app_env: {name} has no value yet")
    elif re.search(r"localhost|127\.0\.0\.1", value):
        answer.unsure.append(f"app_env: {name} names localhost, which is the container itself")


def _prefixed(found: Found, answer: Answer) -> None:
    """Give the app the settings that it takes out of variables with a prefix."""
    told = found.declared.variables
    for prefix, place in found.code.prefixes.items():
        begin = f"{prefix}_" if prefix else ""
        for name in told if begin else ():
            if name.startswith(begin):
                _take(answer, name, told[name], f"{place} reads all that begins with {begin}")
        for name, where in found.code.validated.items():
            _take(answer, f"{begin}{name}", told.get(f"{begin}{name}", ("", "")), f"{where} demands it")
        wanted = {"SECRET_KEY": "sessions"}
        wanted |= {"SQLALCHEMY_DATABASE_URI": "Flask-SQLAlchemy"} if "flask-sqlalchemy" in found.needs else {}
        for name, what in wanted.items():
            read = [*found.code.demanded, *found.code.optional]
            other = places.DATABASE if name.endswith("_URI") else SESSIONS
            fixed = name in found.code.settings and name != "SECRET_KEY"
            if not fixed and not any(map(other.fullmatch, read)):
                _take(answer, f"{begin}{name}", ("", ""), f"{place} reads it, for {what}")


def _say(found: Found, answer: Answer, taken: Set[str]) -> None:
    """Say which variables have no line, and which settings no variable."""
    rest = sorted(name for name in found.code.optional if name not in taken and not OURS.fullmatch(name))
    if rest:
        more = f" and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
        answer.unsure.append(f"app_env: the code also reads, if it is there: {', '.join(rest[:SHOWN])}{more}")
    read = found.code.demanded.keys() | found.code.optional.keys()
    unread = {name: file for name, (_value, file) in found.declared.variables.items() if name not in read}
    begins = tuple(f"{prefix}_" for prefix in found.code.prefixes if prefix)
    unread = {name: file for name, file in unread.items() if not name.startswith(begins)}
    unread = {name: file for name, file in unread.items() if not re.match(r"DOCKER_|COMPOSE_", name)}
    for file in dict.fromkeys(unread.values()):
        names = ", ".join([name for name in unread if unread[name] == file and not OURS.fullmatch(name)][:SHOWN])
        answer.unsure += [f"app_env: {file} also has, and no code that was seen reads: {names}"] if names else []
    defaults = {default for _place, default in found.code.optional.values() if isinstance(default, str)}
    fixed = [(unreachable(text), place) for text, place in found.code.addresses.items() if text not in defaults]
    for nobody, place in [row for row in fixed if row[0]][:FIXED]:
        answer.unsure.append(
            f"app_env: {nobody} stands in {place}, and no container reaches it; let a variable give the address"
        )
    for name, (place, default) in found.code.optional.items():
        nobody = unreachable(default) if isinstance(default, str) else ""
        nobody = default if default in ITSELF and SERVER.fullmatch(name) else nobody
        if nobody and name in rest:
            brings = "; app_needs: [valkey] brings one" if name in ("REDIS_URL", "CELERY_BROKER_URL") else ""
            answer.unsure.append(f"app_env: {place} takes {nobody} without {name}, and no container reaches it{brings}")
    _say_of_files(found, answer)
    for prefix, place in found.code.prefixes.items():
        what = f"all that begins with {prefix}_" if prefix else "the whole environment"
        answer.unsure.append(f"app_env: {place} reads {what}, as settings of Flask")
    _say_of_domain(found, answer, taken)
    _say_of_keys(found, answer, taken)


def _say_of_files(found: Found, answer: Answer) -> None:
    for path, place in found.code.opened.items():
        beside = f"{place.rpartition('/')[0]}/{path}".lstrip("/")
        if not {path, beside} & found.tree.names:
            answer.unsure.append(
                f"app_files: {place} reads {path} when it is imported, and the source has none; app_files "
                "writes one, below the code or elsewhere"
            )
    served = file_of(found.tree, answer.values.get("app_wsgi", ("",))[0].partition(":")[0])
    run = reached(served, found.code.modules) & found.code.modules.keys() if served else set()
    for place, path in list(lacking(found.code, sorted(run), found.tree, found.needs))[:FIXED]:
        answer.unsure.append(f"app_files: {place} takes {path}.py, and the source has none; app_files writes it")
    for name, (place, silent) in found.code.files.items():
        lacks = ", if there is one" if silent else ", and does not start without"
        answer.unsure.append(f"app_files: {place} reads a file that {name} names{lacks}; app_files writes it")


def _say_of_domain(found: Found, answer: Answer, taken: Set[str]) -> None:
    value, place = found.code.settings.get("SERVER_NAME", (None, ""))
    if isinstance(value, str) and not any(map(DOMAIN.fullmatch, taken)) and not for_work(found, place):
        answer.unsure.append(
            f"app_env: SERVER_NAME is {value!r} in {place}, and pages answer by that name alone; let a variable set it"
        )


def _say_of_keys(found: Found, answer: Answer, taken: Set[str]) -> None:
    if place := found.code.words.get("random key"):
        answer.unsure.append(
            f"app_secrets: {place} makes another key in each worker, so that logins do not last; "
            "let the code read SECRET_KEY from the environment, and write it into app_secrets"
        )
    given = {*taken, *(name.removeprefix(f"{prefix}_") for prefix in found.code.prefixes for name in taken)}
    reads = {id(read.node) for read in found.code.reads}
    for node in (each for tree in found.code.modules.values() for each in ast.walk(tree)):
        if isinstance(node, ast.Assign) and any(id(inner) in reads for inner in ast.walk(node.value)):
            given |= {str(constant(getattr(each, "slice", None)) or last_of(each)).upper() for each in node.targets}
    for name, (value, place) in found.code.settings.items():
        if name.endswith("SECRET_KEY") and isinstance(value, str) and name not in given and not for_work(found, place):
            answer.unsure.append(
                f"app_secrets: {name} stands in {place}, for all who read the code; let a variable set it"
            )
