"""What else an app needs: places to write, public files, packages of Debian."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping

from ansible.module_utils import build_kinds, build_sources
from ansible.module_utils.build_python import setup_options, table

from .apps import imported
from .block import Answer
from .configurations import CLASS
from .facts import module
from .serving import Found

FOLDERS = re.compile(
    r"((\w+_)?UPLOAD\w*_(FOLDER|PATH|DIR|DEST)|SESSION_FILE_DIR|CACHE_DIR|MEDIA_(FOLDER|ROOT)|WHOOSH_BASE)"
)
LEFT_OUT = re.compile(r"(.*/)?(node_modules|tests?|docs?|\.?venv|examples?)(/.*)?")
REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]\n]*\])?", re.MULTILINE)
KEEPS = re.compile(r"\.git(keep|ignore)|\.(keep|placeholder)|README(\.\w+)?", re.IGNORECASE)
SERVED = re.compile(r"^\s*[\"']?(flask|apiflask|dash|connexion|eve|quart)\b", re.IGNORECASE | re.MULTILINE)
MIB = 1 << 20
# Package of Python: packages of Debian in the image, and such that its build needs beside the usual headers.
OF_DEBIAN = {
    "gitpython": (["git"], []),
    "pydub": (["ffmpeg"], []),
    "ffmpeg-python": (["ffmpeg"], []),
    "python-magic": (["libmagic1"], []),
    "pytesseract": (["tesseract-ocr"], []),
    "pdf2image": (["poppler-utils"], []),
    "weasyprint": (["libpango-1.0-0", "libpangoft2-1.0-0"], []),
    "cairosvg": (["libcairo2"], []),
    "python-ldap": ([], ["libldap-dev", "libsasl2-dev"]),
    "pyodbc": ([], ["unixodbc-dev"]),
    "xmlsec": ([], ["libxmlsec1-dev", "pkg-config"]),
    "pycairo": ([], ["libcairo2-dev", "pkg-config"]),
}


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
    _frontend(found, answer)
    _packages(found, needs, answer)


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
        if re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", plain) and not plain.startswith(
            ("instance", ".", "data")
        ):
            if held := _held(found, plain):
                answer.unsure.append(
                    f"app_writable: {place} writes to {plain}, where {held} lies: [{plain}] keeps what is there at the "
                    "first deploy, and no deploy changes it; let the code write to another directory, or to /data"
                )
                continue
            paths.append(plain)
            why.append(place)
        elif plain.startswith("/") and not re.match(r"/(tmp|data|dev|proc)(/|$)", plain):
            answer.unsure.append(f"app_writable: {place} writes to {path}")
    body = found.code.settings.get("MAX_CONTENT_LENGTH", (0, ""))
    if isinstance(body[0], int) and 10 * MIB < body[0] < 1 << 40:
        size = -(-body[0] // MIB)
        answer.set("site_max_body", f"{size}m", f"MAX_CONTENT_LENGTH in {body[1]}")
        if 2 * size > 64:
            paths.append(f"/tmp:{2 * size}m")  # noqa: S108 - of a container
            why.append("room for two bodies")
    if paths:
        answer.set("app_writable", paths, ", ".join(dict.fromkeys(why)))
    if "instance_path" in found.code.words:
        answer.itself.append(f"app_writable: instance/ ({found.code.words['instance_path']}) is kept")
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


def _frontend(found: Found, answer: Answer) -> None:
    """Say what builds the pages that a package.json makes, whose results no repository holds."""
    if found.declared.dockerfile:
        return
    names = [name for name in found.tree.names if name.rpartition("/")[2] == "package.json" and name.count("/") < 3]
    for name in sorted(each for each in names if not LEFT_OUT.fullmatch(each)):
        if not _builds(found.tree.text(name)):
            continue
        folder = name.rpartition("/")[0]
        lock = f"{folder}/package-lock.json".lstrip("/") in found.tree.names
        command = f"npm {'ci' if lock else 'install'} && npm run build"
        command = f"cd {shlex.quote(folder)} && {command}" if folder else command
        answer.unsure.append(
            f"build_packages: [npm], and build_command: {command}, if the app serves what {name} builds"
        )
    outside = found.code.settings.get("static_folder", ("",))[0]
    if isinstance(outside, str) and outside.startswith("../"):
        place, subdir = found.code.settings["static_folder"][1], answer.values.get("build_subdir", ("",))[0]
        if subdir and posixpath.normpath(posixpath.join(place.rpartition("/")[0], outside)).startswith(".."):
            answer.unsure.append(
                f"build_subdir: {place} serves {outside}, which lies outside {subdir} and so is not in the image; "
                "build it into the app's directory, or write a Dockerfile"
            )


def _builds(text: str) -> bool:
    """Tell whether a package.json has a script that builds."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    scripts = said.get("scripts") if isinstance(said, dict) else None
    return isinstance(scripts, dict) and "build" in scripts


def _packages(found: Found, needs: Mapping[str, str], answer: Answer) -> None:
    if found.declared.dockerfile:
        return
    image = dict(found.declared.packages)
    build: dict[str, str] = {}
    for name in sorted(needs.keys() & OF_DEBIAN.keys()):
        runs, builds = OF_DEBIAN[name]
        image |= dict.fromkeys(runs, name) | image
        build |= dict.fromkeys(builds, name) | build
    if "psycopg" in needs and not re.search(r"\b(binary|c)\b", needs["psycopg"]):
        image.setdefault("libpq5", "psycopg, without its extra binary")
    for variable, wanted in (("build_image_packages", image), ("build_packages", build)):
        if wanted:
            answer.set(variable, sorted(wanted), ", ".join(dict.fromkeys(wanted.values())))
