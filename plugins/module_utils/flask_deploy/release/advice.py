"""What errors mean that apps, their libraries and their servers often end with, and what to do about each."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible.module_utils.flask_deploy.release.tracebacks import Cause

# How programs say that a variable is lacking; the name itself is in capitals.
NAME = r"(?:\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b|(?:['\"`]|[Vv]ariable )([A-Z]{3,}[A-Z0-9]*)\b)"
LACKS = (
    rf"{NAME}[^\n]{{0,60}}?"
    r"(?:not set|unset|must be set|not (?:be )?(?:found|defined|configured|provided)|undefined|required|missing|empty)"
)
ASKS = rf"(?i:missing|set|define|provide|required?|needs?|expected)[^\n]{{0,40}}?{NAME}"
VARIABLE = "the app misses the variable {0}: set it in app_env, or in app_secrets if it is a secret"
FAILING = r"^(?:[\w.]*(?:Error|Exception|Missing\w*|Improper\w*|Undefined\w*|NotSet)|SystemExit|Error)\b[^\n]*"

# Modules that are in Python's library no more (What's New In Python 3.12 and 3.13, Removed).
GONE_12 = "imp|distutils|asynchat|asyncore|smtpd"
GONE_13 = "aifc|audioop|cgi|cgitb|crypt|imghdr|lib2to3|mailcap|nntplib|pipes|sndhdr|telnetlib|uu|xdrlib"
# What the cause holds, and what it means; the first match counts, so the exact come before the vague.
ADVICE = [
    (r"No module named '?gunicorn", "the image has no gunicorn: add gunicorn[gevent] to its requirements"),
    (r"No module named '?gevent|gevent worker requires", "the image has no gevent: add gunicorn[gevent]"),
    (r"class uri '?(\w+)", "the image has no worker class {0}: write app_server: auto, or add it to the requirements"),
    (
        r"cannot import name '(\w+)' from partially initialized module '([\w.]+)'",
        "{1} is imported while it is being imported itself: import {0} later, within the function that uses it",
    ),
    (
        r"cannot import name '(\w+)' from '([\w.]+)' \(.*(?:site|dist)-packages",
        "the {1} that was installed has no {0}: pin the version that the app was written for where it lists its "
        "dependencies, or by build_requirements",
    ),
    (r"cannot import name '(\w+)' from '([\w.]+)'", "{1} has no {0}: correct the name, or add it there"),
    (
        r"libpq library not found|no pq wrapper available|libpq\.so",
        "the image has no libpq: build_image_packages: [libpq5], or psycopg[binary] where the app lists psycopg",
    ),
    (
        rf"No module named '?({GONE_12})\b",
        "Python 3.12 and newer have no {0}: build_python: '3.11', or newer versions of what imports it",
    ),
    (
        rf"No module named '?({GONE_13})\b",
        "Python 3.13 and newer have no {0}: build_python: '3.12', or newer versions of what imports it",
    ),
    (
        r"No package metadata was found for ([\w.-]+)",
        "{0} is not installed as a package. Where it is the app itself: build_command: uv pip install --no-deps -e .",
    ),
    (r"No module named '?pkg_resources", "newer setuptools have no pkg_resources: build_requirements: [setuptools<81]"),
    (
        r"No module named '?([\w.]+)",
        "nothing that was installed has {0}: add it where the app lists its dependencies (the line 'build:' above "
        "names that file), or by build_requirements",
    ),
    (
        r"(?:TypeError: 'Flask' object is not iterable|(\w+)\(\) takes .* positional arguments? but 2 were given)",
        "app_wsgi names a function that makes the app: call it, app_wsgi: {wsgi}()",
    ),
    (
        r"(\S+\.so[.\d]*): cannot open shared object file|cannot load library '([^']+)'",
        "the image lacks the library {0}: name Debian's package of it, example: build_image_packages: [libpq5]",
    ),
    (
        r"(?s)subprocess\.py.*No such file or directory: '([^'/]+)'|Cmd\('(\w+)'\) not found|Bad (git) executable"
        r"|'?\"?([\w.-]+)\"?'?: (?:executable file|command) not found",
        "the image has no program {0}: name Debian's package of it, build_image_packages: [{0}]",
    ),
    (
        r"(?i)(?:table|relation|index|type) [\"'`]?([\w.]+)[\"'`]? already exists|duplicate column name: (\w+)"
        r"|UNIQUE constraint failed: (alembic_version)|constraint \"(alembic_version)_pkc\"",
        "{0} is made a second time. Where each worker makes it as it starts: app_preload: true, or make it once by "
        "app_release_command. Where a migration does: flask db stamp says which one the database has",
    ),
    (
        r"no such table: ([\w.]+)|relation \"([\w.]+)\" does not exist|Table '([\w.]+)' doesn't exist",
        "the database has no table {0}: make the tables before the app starts, example: "
        "app_release_command: flask db upgrade",
    ),
    (
        r"unable to open database file|attempt to write a readonly database",
        "the database is where the app may not write: put it into /data by the app's own setting, example: "
        "app_env: {{DATABASE_URL: sqlite:////data/app.db}}, or name its directory: app_writable: [db]",
    ),
    (
        r"Can't locate revision identified by '(\w+)'",
        "the database has the migration {0}, which this code lacks: deploy code that has it",
    ),
    (r"Multiple head revisions", "two migrations are the last one: join them, flask db merge heads"),
    (
        r"(?i)no secret key was set|secret[ _]key (?:is )?(?:not set|required|must be set)",
        "the app has no SECRET_KEY: set it in app_secrets, where the app reads it from its environment",
    ),
    (rf"(?m){FAILING}{LACKS}", VARIABLE),
    (rf"(?m){FAILING}{ASKS}", VARIABLE),
    (
        r"Expected string or URL object, got None|Could not parse (?:rfc1738|SQLAlchemy) URL",
        "the address of the app's database is missing, or is none: set the variable that the app reads it from",
    ),
    (r"KeyError: '([A-Z][A-Z0-9_]*)'", VARIABLE),
    (r"(?s)os(?:\.py|>)\".*KeyError: '(\w+)'", VARIABLE),
    (r"No such command '([\w-]+)'", "flask knows no command {0}: app_wsgi has to name the app that brings it"),
    (
        r"Could not (?:locate a Flask application|import '([\w.]+)')|Failed to find Flask application",
        "flask does not find the app: app_wsgi has to name it, example: shop:app or shop:create_app()",
    ),
    (r": no such command in the image", "name one that the image has, or add its package to the app's requirements"),
    (
        r"PermissionError: [^\n]*'(/release|/run/secrets)/",
        "app_uid cannot read {0}: an owner or mode was changed on the host: sudo ls -lR /srv/*/current/ /etc/*/secrets",
    ),
    (r"(?s)exec\.py\".*(?:FileNotFoundError|PermissionError)", "the image has no such program: correct the command"),
    (
        r"(?s)File \"([^\"]+)\", line (\d+)[^\"]*(?:SyntaxError|IndentationError|TabError): ",
        "Python cannot read {0}: correct its line {1}, or build with the Python that it was written for, build_python",
    ),
    (
        r"Read-only file system: '([^']+)'",
        "the app writes to {0}, and its container is read-only there: app_writable: [{directory}]",
    ),
    (r"Read-only file system", "name the directory that it writes to, example: app_writable: [uploads]"),
    (r"Permission denied|PermissionError", "it runs as app_uid, and may write to /data, /tmp and app_writable alone"),
    (r"No space left on device", "give it a larger /tmp, example: app_writable: [/tmp:200m]; or the disk is full: df"),
    (
        r"No such file or directory: '([^']+)'",
        "the app reads {0}, which its container does not have: git has to list it in the source, or it is a secret "
        "file: app_secret_files, in /run/secrets",
    ),
    (r"MemoryError", "give it more: app_memory: 1g"),
    (r"WORKER TIMEOUT", "a worker was silent for longer than app_timeout seconds: start faster, or raise it"),
    (
        r"(?i)could not translate host name|Name or service not known|name resolution|nodename nor servname",
        "the app looks for a service under a name that its container does not know: correct its address in app_env",
    ),
    (
        r"(?i)connection refused",
        "nothing listens at the address of a service that the app needs. In a container localhost is the container "
        "itself: name the service's own address in app_env",
    ),
    (r"(?i)password authentication failed|Access denied for user", "the database refuses the password: app_secrets"),
    (
        r"(?i)address already in use|Connection in use: .*?(\d+)",
        "two processes want one port: let one alone listen, the one that app_server names",
    ),
]
# The answer on the health path says it, whatever the log holds.
ANSWERED = [
    (r"\(status 404\)", "the app has no such page: set app_health_path to one that answers when it is ready"),
    (r"\(status (301|302|307|308|401|403)\)", "set app_health_path to a page that needs no login"),
    (r"\(status 400\)", "the app refuses the name {domain}: it has to know it as one of its own"),
]
# Where the log says nothing that is known.
OTHERWISE = [
    (
        r"^process \S+: its container ended with code 0",
        "a process stays up until it is told to end: what runs and ends is a job, app_jobs, or app_release_command",
    ),
    (r"\(status 502\)", "nothing answers on the port that app_server names; the app may listen on another, or not yet"),
    (r"\(status 5\d\d\)", "the app itself fails on that page"),
    (
        r"timed out",
        "the page takes more than 5 s to answer, or the app is still being loaded: app_start_timeout: 120 waits longer",
    ),
    (r"No such file or directory", "it did not open its socket in time: does it start slowly? app_start_timeout: 120"),
]
KILLED = re.compile(r"killed for want of memory")
MEMORY = "give it more: app_memory: 1g"
PORT = re.compile(r"(?:Running on|Listening at:|listening on|started server on) (?:all addresses \()?http://\S*?:(\d+)")
OF_ITS_OWN = "Serving Flask app"


@dataclass
class About:
    """What is known of a release that did not get ready, for the advice.

    :ivar port: the port of app_server; "" where gunicorn serves.
    :ivar names: what the module in app_wsgi holds that may be an app.
    :ivar modules: modules beside it.
    :ivar variables: names of the app's environment.
    """

    wsgi: str = ""
    domain: str = ""
    port: str = ""
    names: Sequence[str] = ()
    modules: Sequence[str] = ()
    variables: Sequence[str] = field(default_factory=tuple)


def of(cause: Cause, about: About) -> str | None:
    """Return what to do about a cause, or None."""
    return _of_callable(cause, about) or _of_module(cause, about) or _of_case(cause, about) or known(cause.text, about)


def known(text: str, about: About, table: Sequence[tuple[str, str]] = ADVICE) -> str | None:
    """Return what a table says of a text, or None."""
    for pattern, advice in table:
        if found := re.search(pattern, text):
            groups = [each for each in found.groups() if each] or [""]
            return advice.format(*groups, directory=_directory(groups[0]), **vars(about))
    return None


def _of_callable(cause: Cause, about: About) -> str | None:
    """Return advice on an app_wsgi that names nothing: what the module does have."""
    absent = r"Failed to (?:find (?:attribute|application object) '([^']+)' in '([\w.]+)'|parse ')"
    found = re.search(absent, cause.text)
    if not found:
        return None
    module = found[2] or about.wsgi.partition(":")[0]
    if not about.names:
        return "app_wsgi names nothing in that module, example: shop:app or shop:create_app()"
    near = difflib.get_close_matches((found[1] or "").rstrip("()"), about.names, 1, 0.4) or about.names[:1]
    return f"app_wsgi: {module}:{near[0]}; in {module} there are {', '.join(about.names)}"


def _of_module(cause: Cause, about: About) -> str | None:
    """Return advice on an app_wsgi that names no module of the image."""
    module, _, callable_ = about.wsgi.partition(":")
    found = re.search(r"No module named '?([\w.]+)", cause.words[0])
    if not found or not f"{module}.".startswith(f"{found[1]}.") or cause.own():
        return None
    if not about.modules:
        return f"the image has no module {found[1]}: correct app_wsgi, or build_subdir if it lies in a directory"
    near = difflib.get_close_matches(found[1], about.modules, 1, 0.4) or about.modules[:1]
    there = f"there are {', '.join(about.modules)}"
    return f"the image has no module {found[1]}, {there}: app_wsgi: {near[0]}:{callable_}, or another build_subdir"


def _of_case(cause: Cause, about: About) -> str | None:
    """Return advice on a variable whose name is set in other letters."""
    asked = r"(?s)os(?:\.py|>)\".*KeyError: '(\w+)'|\b([A-Za-z]\w+)\b (?:is )?(?:not set|missing|required)"
    for wanted in map("".join, re.findall(asked, cause.text)):
        for each in about.variables:
            if each.lower() == wanted.lower() and each != wanted:
                return f"the app asks for the variable {wanted}, and {each} is set: write it as the app does"
    return None


def _directory(path: str) -> str:
    """Return what app_writable would say of a path: relative to the app's directory."""
    inside = os.path.normpath(path).removeprefix("/app/")
    return os.path.dirname(inside) or inside if os.path.splitext(inside)[1] else inside
