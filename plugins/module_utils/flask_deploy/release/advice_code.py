"""What errors mean of code, and of packages of Python that do not fit to it or to Python; what to do about them."""

from __future__ import annotations

# Modules that are in Python's library no more (What's New In Python 3.12 and 3.13, Removed).
GONE_12 = "imp|distutils|asynchat|asyncore|smtpd"
GONE_13 = "aifc|audioop|cgi|cgitb|crypt|imghdr|lib2to3|mailcap|nntplib|pipes|sndhdr|telnetlib|uu|xdrlib"
# Names that modules of Python's library lost (What's New, Removed): {the last version that has them: (module, names)}.
LOST = {
    "3.10": [("inspect", "getargspec|formatargspec"), ("asyncio", "coroutine"), ("binascii", "rlecode_hqx|b2a_hqx")],
    "3.11": [
        ("pkgutil", "ImpImporter|ImpLoader"),
        ("configparser", "SafeConfigParser"),
        ("ssl", "wrap_socket|match_hostname"),
    ],
    "3.12": [("typing", "io|re"), ("locale", "resetlocale"), ("unittest", "makeSuite|findTestCases")],
    "3.13": [
        ("ast", "Num|Str|Bytes|NameConstant|Ellipsis"),
        ("pkgutil", "find_loader|get_loader"),
        (r"importlib\.abc", "ResourceReader|Traversable|TraversableResources"),
        ("asyncio", r"\w*ChildWatcher|[gs]et_child_watcher"),
        (r"urllib\.request", "URLopener|FancyURLopener"),
        ("sqlite3", "version|version_info"),
    ],
}
# Names that they have got since 3.11: {the first version: (module, names)}.
NEW = {
    "3.13": [
        ("datetime", "UTC"),
        ("enum", "StrEnum|verify|EnumCheck"),
        (
            "typing",
            "Self|Never|LiteralString|assert_never|assert_type|Required|NotRequired|Unpack|override|ReadOnly|TypeIs",
        ),
        ("asyncio", "TaskGroup|timeout|Runner"),
        ("itertools", "batched"),
        ("warnings", "deprecated"),
        ("copy", "replace"),
    ]
}
OLD_ABC = (
    "Mapping|MutableMapping|MappingView|KeysView|ItemsView|ValuesView|Sequence|MutableSequence|Set|MutableSet|Iterable|"
    "Iterator|Generator|Callable|Hashable|Container|Sized|Awaitable|Coroutine"
)
# Names that packages lost: (module, names, what has them still).
FORMER = [
    (
        r"flask(?:\.\w+)*",
        "JSONEncoder|JSONDecoder|_app_ctx_stack|_request_ctx_stack|get_env",
        "flask<2.3, werkzeug<2.3",
    ),
    (r"flask(?:\.\w+)*", "safe_join|json_available|total_seconds", "flask<2.1, werkzeug<2.1"),
    (r"flask(?:\.\w+)*", "Markup|escape|locked_cached_property|helpers", "flask<3, werkzeug<3"),
    (r"jinja2(?:\.\w+)*", r"Markup|escape|\w*context(?:filter|function)|environment\w+|autoescape|with_", "jinja2<3.1"),
    ("markupsafe", "soft_unicode", "markupsafe<2.1"),
    (r"werkzeug\.urls", r"\w+", "werkzeug<3"),
    (r"werkzeug\.(?:wrappers|security|wsgi|http)\S*", r"Base\w+|safe_str_cmp|pbkdf2_\w+|\w+Mixin", "werkzeug<2.1"),
    ("flask", "__version__", "flask<3.2"),
    (r"werkzeug\.routing", "parse_rule", "werkzeug<2.2"),
    ("werkzeug", "__version__", "werkzeug<3.1"),
    ("itsdangerous", r"json|\w*JSONWebSignatureSerializer", "itsdangerous<2.1"),
    (r"sqlalchemy(?:\.\w+)*", "__all__|_BindParamClause|eagerload|relation|Binary", "sqlalchemy<2"),
    (r"wtforms(?:\.\w+)*", "TextField|Required|html5", "wtforms<3"),
    ("marshmallow", "__version_info__|__version__", "marshmallow<4"),
    ("numpy", "bool|int|float|object|str|complex|long", "numpy<1.24"),
    ("click", "_unicodefun|get_terminal_size|get_os_args", "click<8.1"),
]
ABSENT = "cannot import name '({0})' from '{1}'|module '{1}' has no attribute '({0})'"

PYTHON = [
    (
        r"consider renaming '([^']+)' if",
        "{0} is imported while it is being imported itself: use what it lacks later, within a function. Where a "
        "library "
        "of that name is meant, give the app's own file another",
    ),
    (
        r"consider renaming '([^']+)' since",
        "{0} has the name of a library, and is imported in its place: give it another",
    ),
    (
        r"cannot import name '(\w+)' from partially initialized module '([\w.]+)'",
        "{1} is imported while it is being imported itself: import {0} later, within the function that uses it. Where "
        "a library of that name is meant, give the app's own file another",
    ),
    (
        r"partially initialized module '([\w.]+)' has no attribute '(\w+)'",
        "{0} is imported while it is being imported itself: use {1} later, within a function. Where a library of that "
        "name is meant, give the app's own file another",
    ),
    (
        ABSENT.format(OLD_ABC, "collections"),
        "Python 3.10 and newer have {0} in collections.abc alone: newer versions of what imports it, "
        "build_requirements;"
        " in the app's own code, from collections.abc import {0}",
    ),
    *(
        (
            ABSENT.format(names, module),
            f"Python after {last} has no {{0}}: build_python: '{last}', or newer versions of what uses it",
        )
        for last, lost in LOST.items()
        for module, names in lost
    ),
    *(
        (ABSENT.format(names, module), f"{{0}} is newer than the Python of the image: build_python: '{first}'")
        for first, new in NEW.items()
        for module, names in new
    ),
    (r"There is no current event loop in thread", "Python 3.14 makes no event loop by itself: build_python: '3.13'"),
    (
        rf"No module named '?({GONE_12})\b",
        "Python 3.12 and newer have no {0}: build_python: '3.11', or newer versions of what imports it",
    ),
    (
        rf"No module named '?({GONE_13})\b",
        "Python 3.13 and newer have no {0}: build_python: '3.12', or newer versions of what imports it",
    ),
    (r"No module named '?tomllib", "tomllib is newer than the Python of the image: build_python: '3.13'"),
    (
        r"NameError: name '(?!_mysql')(\w+)' is not defined",
        "the code uses {0} and does not define it: import it, or correct the name",
    ),
    (
        r"jinja2\.exceptions\.UndefinedError: (.*)",
        "a template uses what the app does not give it, {0}: hand it to render_template, or correct its name",
    ),
    (
        r"(?s)File \"([^\"]+)\", line (\d+)[^\"]*(?:SyntaxError|IndentationError|TabError): ",
        "Python cannot read {0}: correct its line {1}, or build with the Python that it was written for, build_python",
    ),
]
PACKAGES = [
    (
        r"object has no attribute '(before_first_request|before_app_first_request|json_encoder|json_decoder|"
        r"propagate_exceptions|send_file_max_age_default)'",
        "Flask 2.3 and newer have no {0}: build_requirements: [flask<2.3, werkzeug<2.3], or change the code",
    ),
    (
        r"The setup method '(\w+)' can no longer be called",
        "{0} is called after the first request: call it as the app is made",
    ),
    *(
        (
            ABSENT.format(names, module),
            f"the {module.partition('(')[0].partition(chr(92))[0]} that was installed has no "
            f"{{0}}: build_requirements: [{former}], or newer versions of what imports it",
        )
        for module, names, former in FORMER
    ),
    (r"No module named '?wtforms\.fields\.html5", "newer WTForms have no html5: build_requirements: [wtforms<3]"),
    (
        r"'(?:Option)?Engine' object has no attribute '(\w+)'|Not an executable object: '|Textual SQL expression",
        "the code was written for SQLAlchemy 1: build_requirements: [sqlalchemy<2], or text() and a connection",
    ),
    (
        r"`?BaseSettings`? has been moved to the `pydantic-settings` package",
        "the code was written for pydantic 1: build_requirements: [pydantic<2], or import it from pydantic_settings "
        "and add pydantic-settings",
    ),
    (
        r"__init__\(\) got an unexpected keyword argument '(?:missing|default)'",
        "the code was written for marshmallow 3: build_requirements: [marshmallow<4], or load_default and dump_default",
    ),
    (
        r"numpy\.\w+ size changed|compiled using NumPy 1|numpy\.core\.multiarray failed to import|_ARRAY_API not found|"
        r"module compiled against A[PB]I version|was removed in the NumPy 2",
        "numpy is another than the one that a package was compiled for: build_requirements: [numpy<2], or newer "
        "versions of both",
    ),
    (
        r"([\w.]+) size changed, may indicate binary incompatibility",
        "a package was compiled for another version of {0}: build_fresh: true builds it anew, or take newer versions",
    ),
    (r"Install 'email_validator' for email", "nothing lists email-validator: build_requirements: [email-validator]"),
    (
        r"cannot import name '(\w+)' from '([\w.]+)' \(.*(?:site|dist)-packages",
        "the {1} that was installed has no {0}: pin the version that the app was written for where it lists its "
        "dependencies, or by build_requirements",
    ),
    (r"cannot import name '(\w+)' from '([\w.]+)'", "{1} has no {0}: correct the name, or add it there"),
    (
        r"No package metadata was found for ([\w.-]+)",
        "{0} is not installed as a package. Where it is the app itself: build_command: uv pip install --no-deps -e .",
    ),
    (r"No module named '?pkg_resources", "newer setuptools have no pkg_resources: build_requirements: [setuptools<81]"),
]
SERVERS = [
    (r"No module named '?gunicorn", "the image has no gunicorn: add gunicorn[gevent] to its requirements"),
    (r"No module named '?gevent|gevent worker requires", "the image has no gevent: add gunicorn[gevent]"),
    (r"class uri '?(\w+)", "the image has no worker class {0}: write app_server: auto, or add it to the requirements"),
]
CODE = [*SERVERS, *PYTHON, *PACKAGES]
