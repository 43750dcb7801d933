"""What errors mean that apps, their libraries and their servers often end with, and what to do about each."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible.module_utils.flask_deploy.host import debian
from ansible.module_utils.flask_deploy.release.advice_code import CODE
from ansible.module_utils.flask_deploy.release.advice_flask import FLASK
from ansible.module_utils.flask_deploy.release.advice_image import IMAGE
from ansible.module_utils.flask_deploy.release.advice_imports import MODULES, MOVED, OWN
from ansible.module_utils.flask_deploy.release.advice_services import SERVICES
from ansible.module_utils.flask_deploy.release.advice_settings import SETTINGS, VARIABLE
from ansible.module_utils.flask_deploy.release.tracebacks import Cause

# What the cause holds, and what it means; the first match counts, so the exact come before the vague.
ADVICE = [*FLASK, *IMAGE, *MOVED, *CODE, *MODULES, *SERVICES, *SETTINGS]
# The answer on the health path says it, whatever the log holds.
ANSWERED = [
    (r"\(status 404\)", "the app has no such page: set app_health_path to one that answers when it is ready"),
    (r"\(status (301|302|307|308|401|403)\)", "set app_health_path to a page that needs no login"),
    (r"\(status 405\)", "that page does not take GET: set app_health_path to one that does"),
    (
        r"\(status 429\)",
        "the app limits how often it is asked: take the limit off that page, as @limiter.exempt does, or set "
        "app_health_path to one without it",
    ),
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
# A class of settings that pydantic fills in from the environment, and the first of its fields that it cannot.
CLASS = re.compile(r"validation errors? for \w*(?i:settings|config|env)|pydantic_settings/|pydantic/env_settings")
FIELD = re.compile(r"\n([A-Za-z][\w.]*)\n {2}(?:((?i:field required))|([^\n[(]+))")
# A function that makes the app, and is not called with what it takes.
LACKING = re.compile(r"(\w+)\(\) missing \d+ required (?:positional|keyword-only) arguments?: ([^\n]+)")
DETECTED = re.compile(r"Detected factory '(\w+)' in module '([\w.]+)', but could not call it without")
TOO_MUCH = re.compile(r"(\w+)\(\) (?:takes 0 positional arguments but \d|got an unexpected keyword argument)")
NOT_CALLED = re.compile(r"(\w+)\(\) takes (from \d+ to )?(\d+) positional arguments? but 2 were given")


@dataclass
class About:
    """What is known of a release that did not get ready, for the advice.

    :ivar port: the port of app_server; "" where gunicorn serves.
    :ivar names: what the module in app_wsgi holds that may be an app.
    :ivar modules: modules beside it.
    :ivar variables: names of the app's environment.
    :ivar secrets: what no message may show.
    """

    wsgi: str = ""
    domain: str = ""
    port: str = ""
    names: Sequence[str] = ()
    modules: Sequence[str] = ()
    variables: Sequence[str] = field(default_factory=tuple)
    secrets: Sequence[str] = ()


def of(cause: Cause, about: About) -> str | None:
    """Return what to do about a cause, or None."""
    exact = (_of_callable, _of_module, _of_own_module, _of_call, _of_case, _of_field)
    return next(filter(None, (each(cause, about) for each in exact)), None) or known(cause.text, about)


def known(text: str, about: About, table: Sequence[tuple[str, str]] = ADVICE) -> str | None:
    """Return what a table says of a text, or None."""
    for pattern, advice in table:
        if found := re.search(pattern, text):
            groups = [re.sub("['\"`]", "", each) for each in found.groups() if each] or [""]
            named = {"library": debian.library(groups[0]), "package": debian.package(groups[0])}
            return advice.format(*groups, **named, directory=_directory(groups[0]), **vars(about))
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


def _of_own_module(cause: Cause, about: About) -> str | None:
    """Return advice on a module that may be the app's own: it is known, or has a name that such modules have."""
    found = re.search(r"No module named '?(\w+)'?$", cause.words[0])
    if not found:
        return None
    name = found[1]
    if name in about.modules:
        return f"{name} is in the source, and not where Python looks: app_env: {{PYTHONPATH: '/app:/app/src'}}"
    if written := [each for each in about.modules if each.lower() == name.lower()]:
        return f"the app's own module is written {written[0]}: import it in the same letters"
    if not OWN.fullmatch(name):
        return None
    places = re.findall(r'File "(/app/[^"]+)/[^/"]+"', "\n".join(cause.own()))
    beside = f"; where it lies in {places[-1]}, app_env: {{PYTHONPATH: {places[-1]}}}" if places else ""
    return (
        f"{name} may be the app's own module: git has to list it, in the same upper and lower case{beside}. Where a "
        "package brings it, add that where the app lists its dependencies"
    )


def _of_call(cause: Cause, about: About) -> str | None:
    """Return advice on an app_wsgi that calls what makes the app with too little, with too much or not at all."""
    said, (module, _, named) = "\n".join(cause.words), about.wsgi.partition(":")
    function = named.partition("(")[0]
    if found := DETECTED.search(said):
        return f"app_wsgi: {found[2]}:{found[1]}('production'), with what it takes"
    if (found := LACKING.search(said)) and found[1] == function:
        words = ", ".join(["'production'", *["'...'"] * (len(re.findall(r"'\w+'", found[2])) - 1)])
        return f"{function} takes {found[2]}: app_wsgi: {module}:{function}({words})"
    if (found := TOO_MUCH.search(said)) and found[1] == function and "(" in named:
        return f"{function} does not take what app_wsgi gives it: app_wsgi: {module}:{function}()"
    if "TypeError: 'Flask' object is not iterable" in said or (found := NOT_CALLED.search(said)):
        words = "" if not found or found[2] or found[3] == "0" else "'production'"
        return f"app_wsgi names a function that makes the app: call it, app_wsgi: {about.wsgi}({words})"
    return None


def _of_field(cause: Cause, about: About) -> str | None:
    """Return advice on a class of settings that the environment does not fill in."""
    found = FIELD.search("\n".join(cause.words))
    if not found or not CLASS.search(cause.text):
        return None
    name = found[1].upper().replace(".", "__")
    if found[2]:
        return f"{VARIABLE.format(name)}. If the class has an env_prefix, that stands before it"
    return f"the app does not take the variable {name}: {found[3].strip()}"


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
