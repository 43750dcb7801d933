"""What errors mean of modules that are not there, and of names that moved to another one; what to do about them."""

from __future__ import annotations

import re

from ansible.module_utils.flask_deploy.host.brought import BRINGS
from ansible.module_utils.flask_deploy.release.advice_code import ABSENT

# Where newer versions have the names that Werkzeug had by itself (its changes in 1.0), and those of werkzeug.wsgi.
PLACES = {
    "utils": "secure_filename|cached_property|redirect|import_string|find_modules|append_slash_redirect",
    "security": "generate_password_hash|check_password_hash",
    "datastructures": "FileStorage|MultiDict|CombinedMultiDict|ImmutableMultiDict|Headers",
    "exceptions": "abort|Aborter",
    "wrappers": "Request|Response",
    "local": "LocalProxy|LocalStack|release_local",
    "serving": "run_simple",
    "test": "Client|EnvironBuilder",
}
MIDDLEWARE = {"dispatcher": "DispatcherMiddleware", "shared_data": "SharedDataMiddleware"}
# Modules of Windows and of its package pywin32.
WINDOWS = "_?winreg|winsound|msvcrt|_winapi|win32\\w*|pywintypes|pythoncom|comtypes"
# Names that an app's own modules often have, and packages that are worth installing hardly.
OWN = re.compile(
    r"(?i)(?:my_?)?(?:app|application|api|auth|common|configs?|configuration|constants|controllers?|core|database|db|"
    r"decorators|errors|extensions|forms?|handlers|helpers?|main|models?|modules|routes?|schemas?|server|services?|"
    r"settings|src|tasks|utils?|utilities|views?)"
)
MOVED = [
    (
        rf"(?s)flask_uploads.*{ABSENT.format('secure_filename|FileStorage', 'werkzeug')}",
        "Flask-Uploads does not fit to newer Werkzeugs: list Flask-Reuploaded in its place, which has the same module",
    ),
    (
        rf"(?s)flask_restplus.*{ABSENT.format('cached_property', 'werkzeug')}",
        "Flask-RESTPlus does not fit to newer Werkzeugs: list flask-restx in its place, and import that",
    ),
    *(
        (
            ABSENT.format(names, "werkzeug"),
            f"Werkzeug has {{0}} in {place} now: from werkzeug.{place} import {{0}}; where a package imports it, a "
            "newer version of that, build_requirements",
        )
        for place, names in PLACES.items()
    ),
    *(
        (
            ABSENT.format(name, r"werkzeug\.wsgi"),
            f"Werkzeug has it elsewhere now: from werkzeug.middleware.{place} import {{0}}; where a package imports "
            "it, a newer version of that, build_requirements",
        )
        for place, name in MIDDLEWARE.items()
    ),
    (
        ABSENT.format(r"(?!__version__)\w+", "werkzeug"),
        "newer Werkzeugs do not have {0} by itself: import it from the module of Werkzeug that has it; where a package "
        "imports it, a newer version of that, build_requirements",
    ),
    (
        r"No module named '?werkzeug\.contrib",
        "newer Werkzeugs have no contrib: werkzeug.middleware has its middlewares, cachelib its caches; where a "
        "package imports it, a newer version of that, build_requirements",
    ),
    (
        r"(?s)flask_script.*No module named '?flask\._compat",
        "Flask-Script fits to no newer Flask: take it out, and write flask db upgrade, or flask and the command, in "
        "place of python manage.py",
    ),
    (r"No module named '?flask\.(ext|_compat)", "newer Flasks have no flask.{0}: newer versions of what imports it"),
]
MODULES = [
    (
        r"Missing optional dependency '([\w.-]+)'|ImportError: [^\n]*\bpip3? install ['\"`]?([\w.-]+(?:\[[\w,-]+\])?)",
        "what the app imports needs a package that nothing lists: build_requirements: [{0}]",
    ),
    (
        rf"No module named '?({WINDOWS})\b",
        "{0} is for Windows alone: import it there alone, below if sys.platform == 'win32':",
    ),
    (
        r"No module named '?(_?tkinter)\b|Cannot load backend '(\w+)' which requires the '\w+' interactive",
        "{0} is for a desktop, which a server does not have. Where matplotlib asks for it: app_env: "
        "{{MPLBACKEND: Agg}}, and no matplotlib.use of another in the code",
    ),
    (
        r"(?m)No module named '?google(?:\.(?:cloud|api_core|auth|oauth2|generativeai))?(?:'|$)",
        "each service of Google has a package of its own, example: google-cloud-storage, google-auth: add it where the "
        "app lists its dependencies, or build_requirements",
    ),
    *(
        (
            rf"(?m)No module named '?{module}(?:'|$)",
            f"nothing that was installed has {module}, which {name} brings: add "
            f"that where the app lists its dependencies, or build_requirements: [{name}]",
        )
        for module, name in BRINGS.items()
    ),
    (
        r"No module named '?(\w+)\.([\w.]+)",
        "{0} is there, and has no {1}: a package may have had it in another version, build_requirements; what is the "
        "app's own has to be listed by git, in the same upper and lower case",
    ),
    (
        r"No module named '?([\w.]+)",
        "nothing that was installed has {0}: add it where the app lists its dependencies (the line 'build:' above "
        "names that file), or by build_requirements",
    ),
    (
        r"attempted relative import (?:with no known parent package|beyond top-level package)",
        "the file is imported without the package that it is in: app_wsgi has to name that too, example: shop.web:app, "
        "and build_subdir the directory above it",
    ),
]
