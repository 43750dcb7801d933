"""What else an app needs: places to write, also for a database of SQLite, and public files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from ansible.module_utils import build_kinds, build_sources
from ansible.module_utils.build_python import setup_options, table

from .apps import imported
from .beside import NOT_FOR_USE
from .block import Answer
from .configurations import CLASS, stage
from .facts import module
from .serving import Found

FOLDERS = re.compile(
    r"((\w+_)?UPLOAD\w*_(FOLDER|PATH|DIR|DEST)|SESSION_FILE_DIR|CACHE_DIR|MEDIA_(FOLDER|ROOT)|WHOOSH_BASE)"
)
LEFT_OUT = re.compile(r"(.*/)?(node_modules|tests?|docs?|\.?venv|examples?)(/.*)?")
REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]\n]*\])?", re.MULTILINE)
KEEPS = re.compile(r"\.git(keep|ignore)|\.(keep|placeholder)|README(\.\w+)?", re.IGNORECASE)
SERVED = re.compile(r"^\s*[\"']?(flask|apiflask|dash|connexion|eve|quart)\b", re.IGNORECASE | re.MULTILINE)
DATABASE = re.compile(r"(\w+_)?(DATABASE|DB|SQLALCHEMY\w*)_UR[LI]")
KEPT = "sqlite:////data/app.db"
SQLITE = re.compile(r"^sqlite(\+\w+)?:(//code/|///)?")
INSTANCE = "app_writable: instance/ ({}) is kept"
OURS = re.compile(r"(instance|/tmp|/data|/dev|/proc|/sys|/etc|\.git)(/.*)?|\.?")  # there, or not for an app to write to
MIB = 1 << 20


def dependencies(files: Mapping[str, str], file: str) -> dict[str, str]:
    """Return {name: its extras} of what an app's files list themselves."""
    wanted: list[str] = []
    for name in build_kinds.included(file, files) if file and build_kinds.of(file) not in build_kinds.KINDS else ():
        wanted += [match[0] for match in REQUIREMENT.finditer(files.get(name, ""))]
    project = table(files, "pyproject.toml", "project").get("dependencies")
    wanted += [each for each in project if isinstance(each, str)] if isinstance(project, list) else []
    poetry = table(files, "pyproject.toml", "tool", "poetry", "dependencies")
    for name, about in [*poetry.items(), *table(files, "Pipfile", "packages").items()]:
        wanted.append(_with_extras(name, about))
    wanted += setup_options(files).get("install_requires", "").splitlines()
    matches = [match for match in map(REQUIREMENT.match, wanted) if match]
    return {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] or "" for match in matches}


def lacks_flask(files: Mapping[str, str], file: str) -> bool:
    """Tell whether a list of dependencies, with all that it includes, has no Flask, and the project beside it has."""
    names = build_kinds.included(file, files)
    text = "\n".join(files.get(name, "") for name in names)
    project = table(files, "pyproject.toml", "project")
    extras = table(files, "pyproject.toml", "project", "optional-dependencies")
    rows = [row for row in (project.get("dependencies"), *extras.values()) if isinstance(row, list)]
    own = SERVED.search(text) or re.search(r"^\s*(-e|--editable|\.)", text, re.MULTILINE)
    unread = len(build_sources.INCLUDED.findall(text)) >= len(names)
    return not (own or unread) and any(SERVED.match(str(each)) for row in rows for each in row)


def _with_extras(name: str, about: object) -> str:
    extras = about.get("extras") if isinstance(about, dict) else None
    return f"{name}[{','.join(map(str, extras))}]" if isinstance(extras, list) else name


def decide(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    """Decide it all."""
    _writable(found, needs, answer)
    _static(found, answer)


def _writable(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    wanted = dict(found.code.made) | {
        path: place for path, place in _written(found, answer) if path not in found.code.made
    }
    for name, (value, place) in found.code.settings.items():
        if FOLDERS.fullmatch(name) and isinstance(value, str):
            wanted.setdefault(value, place)
    if found.code.settings.get("SESSION_TYPE", ("",))[0] == "filesystem":
        wanted.setdefault("flask_session", "SESSION_TYPE, " + found.code.settings["SESSION_TYPE"][1])
    paths, why = [], []
    for path, place in wanted.items():
        plain = path.removeprefix("./").rstrip("/")
        if OURS.fullmatch(plain):
            continue
        if re.fullmatch(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", plain) and not plain.startswith(".."):
            if held := _held(found, plain):
                answer.unsure.append(
                    f"app_writable: {place} writes to {plain}, where {held} lies: [{plain}] keeps what is there at the "
                    "first deploy, and no deploy changes it; let the code write to another directory, or to /data"
                )
                continue
            paths.append(plain)
            why.append(place)
    body = found.code.settings.get("MAX_CONTENT_LENGTH", (0, ""))
    if isinstance(body[0], int) and 10 * MIB < body[0] < 1 << 40:
        size = -(-body[0] // MIB)
        answer.set("site_max_body", f"{size}m", f"MAX_CONTENT_LENGTH in {body[1]}")
        if 2 * size > 64:
            paths.append(f"/tmp:{2 * size}m")  # noqa: S108 - of a container
            why.append("room for two bodies")
    within = [path for path in paths if any(path.startswith(f"{other}/") for other in paths)]
    paths = [path for path in dict.fromkeys(paths) if path not in within]
    if paths:
        answer.set("app_writable", paths, ", ".join(dict.fromkeys(why)))
    if "instance_path" in found.code.words:
        answer.itself.append(INSTANCE.format(found.code.words["instance_path"]))
    if "flask-assets" in needs:
        answer.unsure.append("app_writable: Flask-Assets writes .webassets-cache below the static directory")


def _written(found: Found, answer: Answer) -> Iterator[tuple[str, str]]:
    """Yield (directory, place) of what the code writes; say which files would lie beside the code itself."""
    used = {name for tree in found.code.modules.values() for name in imported(tree)}
    used |= {module(app.file) or "" for app in found.code.apps}
    used |= {answer.values.get("app_wsgi", ("",))[0].partition(":")[0]}
    used = {name.rpartition(".")[2] for name in used}
    for path, place in found.code.wrote.items():
        file = place.rpartition(":")[0]
        stem = (module(file) or "").rpartition(".")[2]
        folder, _, name = path.rpartition("/")
        if not file.endswith("__init__.py") and stem not in used and not CLASS.fullmatch(stem):
            continue  # a script that people run
        if folder:
            yield folder, place
        elif "." in name.strip("."):
            answer.unsure.append(
                f"app_writable: {place} writes {name} beside the code, where nothing can be written; let it lie in "
                "instance/, in /data, or in a directory of app_writable"
            )


def _held(found: Found, folder: str) -> str:
    """Return a file of the source that lies in a directory, but for one that only keeps the directory in git."""
    inside = (name for name in sorted(found.tree.names) if name.startswith(f"{folder}/"))
    return next((name for name in inside if not KEEPS.fullmatch(name.rpartition("/")[2])), "")


def _static(found: Found, answer: Answer) -> None:
    inner = [re.match(r"((?:.+/)?static)/", name) for name in found.tree.names if not LEFT_OUT.fullmatch(name)]
    folders = sorted({match[1] for match in inner if match}, key=lambda path: (path.count("/"), path))
    served, _why = answer.values.get("app_wsgi", ("", ""))
    package = served.partition(":")[0].replace(".", "/")
    near = [path for path in folders if package and path.removeprefix("src/") == f"{package}/static"]
    if "static" in folders:
        answer.itself.append("site_static: nginx serves static/")
    elif near or len(folders) == 1:
        path = (near or folders)[0]
        answer.set("site_static", path, f"public files lie in {path}/")
    elif folders:
        answer.unsure.append(f"site_static: which of these are public? {', '.join(folders[:5])}")


def database(found: Found, answer: Answer) -> None:
    """Keep a database of SQLite where it may be written."""
    found_at = {text: place for text, place in found.code.texts.items() if _is_file(text, place)}
    if not found_at:
        return
    text, place = next(iter(found_at.items()))
    chosen = [name for name in found.code.optional if DATABASE.fullmatch(name) and not NOT_FOR_USE.match(name)]
    chosen = [name for name in chosen if not elsewhere(found.code.optional[name][1])]
    if chosen and "//" in text and not found.code.demanded.keys() & set(chosen):
        why = f"SQLite in {place}, which would lie beside the code and could not be written; /data is kept"
        answer.put("app_env", chosen[0], KEPT, why)
        answer.unsure.append(f"app_env: {chosen[0]} may name another database; one with a password is a secret")
        return
    for text, place in found_at.items():
        folder, _, name = file_of_sqlite(text, found).rpartition("/")
        if folder == "instance":
            by = f"{text} in {place} lies in instance/ by Flask-SQLAlchemy 3; that" if "///" in text else ""
            answer.itself.append(f"app_writable: {by} is kept" if by else INSTANCE.format(place))
        elif folder.startswith("instance/"):
            answer.unsure.append(
                f"app_writable: {text} in {place} lies in {folder}/ by Flask-SQLAlchemy 3, which is kept, if the code "
                "makes that directory"
            )
        elif folder:
            found.code.made.setdefault(folder, f"SQLite in {place}")
        else:
            where = f"beside the code, as {name}," if name else "beside the code,"
            answer.unsure.append(
                f"app_writable: SQLite in {place} may lie {where} which cannot be written; "
                "let it lie in instance/, in /data, or in a directory of app_writable"
            )


def _is_file(text: str, place: str) -> bool:
    """Tell whether an address is one of a file of SQLite that the app may use, and that is not kept without a line."""
    stem = place.partition(":")[0].rpartition("/")[2].removesuffix(".py")
    known = text in ("sqlite://", "sqlite:") or ":memory:" in text or SQLITE.sub("", text).startswith("/data/")
    return not known and stage(stem) != "development"


def file_of_sqlite(text: str, found: Found) -> str:
    """Return where the file of an address of SQLite lies: absolute, or below the code; "" where nothing tells.

    https://flask-sqlalchemy.readthedocs.io/en/stable/config/ puts what is relative into the instance folder.
    """
    path = posixpath.normpath(SQLITE.sub("", text).partition("?")[0] or ".")
    of_flask = "flask-sqlalchemy" in found.needs or any(
        "flask_sqlalchemy" in imported(tree) for tree in found.code.modules.values()
    )
    if text.startswith("sqlite:///") and path[0] not in "/." and of_flask:
        return f"instance/{path}"
    path = path.removeprefix(f"{found.declared.workdir}/")
    return "" if path[0] in ".:" or {*"{%"} & {*path} else path


def elsewhere(default: object) -> bool:
    """Tell whether a default names a database that is a server."""
    return isinstance(default, str) and "://" in default and not default.startswith("sqlite:")
