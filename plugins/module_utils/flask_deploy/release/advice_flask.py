"""What errors mean of how an app uses Flask, its configuration and what is asked of it; what to do about them."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.release.advice_settings import VARIABLE

BELOW = r"[^\n]*\n(?:[ ~^]*\n)?"  # the rest of a frame's line of code, and what Python marks in it
LIBRARY = r"(?:  File \"[^\n]*(?:site-packages|lib/python3)[^\n]*\n(?:    [^\n]*\n)*)*"  # frames
ASKED = r"(?:environ(?:\.get)?|getenv|\benv(?:\.\w+)?)\s*[(\[]\s*['\"](\w+)['\"]"  # for a variable
TEXT = "(?:r?split|splitlines|[lr]?strip|startswith|endswith|lower|upper|replace|encode|partition)"  # methods of str
CONFIGURATION = r"(?<![\w.])\w*(?i:config)\w*(?:\[|\.get\()"  # a table of configurations

FLASK = [
    (
        r"The name '([^']+)' is already registered for (?:this|a different) blueprint",
        "a blueprint {0} is registered twice, or two have that name: take one register_blueprint() out, or give one "
        "another name, register_blueprint(..., name='other')",
    ),
    (
        r"host name \"[^\"\s]*@[^\"\s]*\"|resolve host '[^'\s]*@|server on '[^'\s]*@|int\(\) with base 10: '[^'\s]*@",
        "the password in an address has an @, which ends it: write @ as %40, / as %2F, : as %3A and # as %23 there, as "
        "urllib.parse.quote(password, safe='') does",
    ),
    (
        r"No config file '?([\w./-]+)'? found, or file has no '\[alembic\]'",
        "Alembic finds no {0} where it is started: git has to list it, or app_release_command names its place: alembic "
        "-c backend/alembic.ini upgrade head",
    ),
    (
        r"No 'script_location' key found",
        "Alembic's settings name no directory of migrations: script_location = migrations in alembic.ini, which git "
        "has to list, or app_release_command: alembic -c with the file that has it",
    ),
    (
        rf"{CONFIGURATION}[^\n]*?{ASKED}{BELOW}KeyError: (None|'\w*')",
        "the variable {0} chooses one of the app's configurations, and none has the name {1}: set it in app_env",
    ),
    (
        rf"{CONFIGURATION}\s*[A-Za-z_]\w*\s*[\])]{BELOW}KeyError: (None|'[a-z]\w*')",
        "the app has no configuration of the name {0}: correct the word that app_wsgi gives to its factory, or the "
        "variable from which the app takes it",
    ),
    (
        rf"{ASKED}{BELOW}{LIBRARY}(?:TypeError: (?:int|float)\(\) argument must be|AttributeError: 'NoneType' "
        rf"object has no attribute '{TEXT}')",
        VARIABLE,
    ),
    (
        rf"{ASKED}{BELOW}ValueError: (?:invalid literal for int|could not convert string to float)",
        "the variable {0} is empty, or no number: set it in app_env",
    ),
    (
        r"Environment variable \"(\w+)\" invalid: \[?([^\n\]]*)",
        "the app does not take the variable {0}: {1}",
    ),
    (
        r"error parsing value for field \"(\w+)\" from source \"EnvSettingsSource\"",
        'the app does not take the variable of its field {0}: pydantic reads it as JSON, example: \'["a", "b"]\'',
    ),
    (
        r"import_string\(\) failed for '([^']+)'",
        "the app finds no {0}: correct the name in the variable that it is taken from, or let git list its file",
    ),
    (
        r"module 'jwt' has no attribute '(encode|decode)'",
        "another package than pyjwt brings the module jwt: list pyjwt in place of jwt",
    ),
    (
        r"TemplateNotFound: (\S+)",
        "Flask finds no template {0}: git has to list it, in the same upper and lower case, in a directory templates "
        "beside the module that makes the app",
    ),
    (
        r"Working outside of application context",
        "the code asks for the app where none is in force: with app.app_context(): around it, or within a function "
        "that a request or a command calls",
    ),
    (
        r"Install Flask with the 'async' extra",
        "views that are async need more of Flask: build_requirements: ['flask[async]']",
    ),
    (
        r"Unable to load configuration file \([^)]*\): '([^']+)'",
        "the app reads its configuration from {0}, which its container does not have: give values by app_env and "
        "app_secrets, or a file by app_secret_files, in /run/secrets, whose path the app takes",
    ),
    (
        r"(?s)(?:httpx|Client).*__init__\(\) got an unexpected keyword argument 'proxies'",
        "httpx 0.28 and newer take no proxies: build_requirements: [httpx<0.28], or a newer version of what calls it",
    ),
    (
        r"(?s)passlib.*password cannot be longer than 72 bytes",
        "passlib does not fit to newer bcrypts: build_requirements: [bcrypt<5]",
    ),
    (
        r"directly inherits TypingOnly but has additional attributes",
        "SQLAlchemy is older than the Python of the image: build_requirements: [sqlalchemy>=2.0.31], or build_python: "
        "'3.12'",
    ),
]
