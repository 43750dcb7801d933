"""What errors mean of an app's settings, of the commands that start it and of where it may write; what to do."""

from __future__ import annotations

# How programs say that a variable is lacking; its name is in capitals. Several may stand in a row.
ONE = r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+"
AND = r"['\"`]?(?:, (?:and |or )?| and | or |/)(?:the |flask |either )?['\"`]?"
SEVERAL = rf"\b({ONE}\b(?:{AND}{ONE}\b)*)(?!\])"  # no [SSL: CERTIFICATE_REQUIRED]
NAME = rf"(?:{SEVERAL}|(?:['\"`]|[Vv]ariable )([A-Z]{{3,}}[A-Z0-9]*)\b)"
UNSET = (
    r"(?:not set|unset|must be set|not (?:be )?(?:found|defined|configured|provided)|undefined|required|missing|empty)"
)
LACKS = rf"{NAME}[^\n]{{0,60}}?{UNSET}"
ASKS = rf"(?i:missing|set|define|provide|required?|needs?|expected)[^\n]{{0,40}}?{NAME}"
VARIABLE = "the app misses the variable {0}: set it in app_env, or in app_secrets if it is a secret"
FAILING = r"^(?:[\w.]*(?:Error|Exception|Missing\w*|Improper\w*|Undefined\w*|NotSet)|SystemExit|Error)\b[^\n]*?"
OF_SETTINGS = r"\w*(?i:env|conf|settings|secrets)\w*\["  # names of tables in which variables are looked up

VARIABLES = [
    (
        r"SQLALCHEMY_DATABASE_URI\b[^\n]*(?:must be set|is not set)",
        "the app's configuration has no SQLALCHEMY_DATABASE_URI: set the variable that the app reads it from, example: "
        "app_secrets: {{DATABASE_URL: postgresql://user:password@10.0.0.5/shop}}, or app_needs: [postgres]",
    ),
    (
        r"(?m)no secret key was set|^(?![^\n]*\b(?!SECRET_KEY\b)[A-Z]+_[A-Z_]+\b)[^\n]*"
        r"(?i:secret[ _]key (?:is )?(?:not set|required|must be set))",
        "the app has no SECRET_KEY: set it in app_secrets, where the app reads it from its environment",
    ),
    (rf"(?m){FAILING}{LACKS}", VARIABLE),
    (rf"(?m){FAILING}{ASKS}", VARIABLE),
    (rf"(?m)^[\w.]*(?:Error|Exception|SystemExit): ([A-Z][A-Z0-9]{{2,}}) (?:\w+ ){{0,3}}?{UNSET}", VARIABLE),
    (r"\b\d+: ([A-Z]\w+): (?:unbound variable|parameter (?:null or )?not set)", VARIABLE),
    (r"(?s)os(?:\.py|>)\".*KeyError: '(\w+)'", VARIABLE),
    (
        r"(?s)config\[['\"](\w+)['\"]\].*KeyError: '\1'",
        "the app's configuration has no {0}: set the variable or the file that the app reads it from",
    ),
    # A table of the app's own that lacks a key is none of these: rates['USD'].
    (
        rf"^(?!(?s:.*)\b(?!{OF_SETTINGS})\w+\[['\"](\w+)['\"]\][^\n]*\n(?:[ ~^]*\n)?KeyError: '\1'\s*\Z)"
        r"(?s:.*)KeyError: '([A-Z][A-Z0-9_]*)'",
        VARIABLE,
    ),
]
COMMANDS = [
    (r"No such command '([\w-]+)'", "flask knows no command {0}: app_wsgi has to name the app that brings it"),
    (
        r"Could not (?:locate a Flask application|import '([\w.]+)')|Failed to find Flask application",
        "flask does not find the app: app_wsgi has to name it, example: shop:app or shop:create_app()",
    ),
    (
        r"Unable to load celery application\.\s+The module ([\w.]+) was not found",
        "Celery finds no module {0}: correct it in the command, celery -A shop.tasks:celery worker",
    ),
    (
        r"Unable to load celery application\.\s+Module '([\w.]+)' has no attribute '(\w+)'",
        "{0} has no Celery app under that name: write it in the command, celery -A {0}:NAME worker",
    ),
    (r"Unable to load celery application", "Celery does not find its app: correct the name behind -A in the command"),
    (
        r"Error loading ASGI app\. (?:Could not import module|Attribute \"\S*\" not found in module) \"([\w.]+)\"|"
        r"Bad (?:module|application) '([\w.:]+)'",
        "the server finds no app in {0}: correct the name in the command that starts it, example: uvicorn shop:app",
    ),
    (r"Import string \"\S*\" must be in format", "name the app in the command, module and app: uvicorn shop:app"),
    (r"(?:^|\d\. )module '([\w.]+)' has no attribute '(\w+)'", "{0} has no {1}: correct the name in the command"),
    (
        r"(\S+): error: (?:unrecognized arguments?|no such option):? ([^\n]*)|No such option|Got unexpected extra "
        r"arg|Invalid value for '--|Missing (?:option|argument|command)\b",
        "the command has a word that its program does not know: correct it, or take a version that knows it",
    ),
    (
        r"can't open file '([^']+)'",
        "the image has no {0}: correct the command, or let git list the file; the code is in /app",
    ),
    (r": no such command in the image", "name one that the image has, or add its package to the app's requirements"),
]
PLACES = [
    (
        r"PermissionError: [^\n]*'(/release|/run/secrets)/",
        "app_uid cannot read {0}: an owner or mode was changed on the host: sudo ls -lR /srv/*/current/ /etc/*/secrets",
    ),
    (r"(?s)exec\.py\".*(?:FileNotFoundError|PermissionError)", "the image has no such program: correct the command"),
    (
        r"Read-only file system: '((?:/app/)?[^/'.][^/']*\.\w+)'",
        "the app writes {0} beside its code, where nothing may be written: let it log to stderr, or write below /data "
        "or in a directory that app_writable names",
    ),
    (
        r"Read-only file system: '([^']+)'",
        "the app writes to {0}, and its container is read-only there: app_writable: [{directory}]",
    ),
    (r"Read-only file system", "name the directory that it writes to, example: app_writable: [uploads]"),
    (
        r"\b\d+: (\S+): Permission denied",
        "the source does not say that {0} is a program: git update-index --chmod=+x {0}, and commit it",
    ),
    (r"Permission denied|PermissionError", "it runs as app_uid, and may write to /data, /tmp and app_writable alone"),
    (r"No space left on device", "give it a larger /tmp, example: app_writable: [/tmp:200m]; or the disk is full: df"),
    (
        r"(?:, in _open\n(?:    [^\n]*\n){0,3}|\bopen\([^\n]*['\"][wax][bt]?\+?['\"][^\n]*\n(?:[ ~^]*\n)?)"
        r"FileNotFoundError: [^\n]*No such file or directory: '([^']+)'",
        "the app writes to {0}, and its directory is not there: app_writable: [{directory}]",
    ),
    (
        r"No such file or directory: '([^']+)'",
        "the app reads {0}, which its container does not have: git has to list it in the source, or it is a secret "
        "file: app_secret_files, in /run/secrets",
    ),
    (r"MemoryError", "give it more: app_memory: 1g"),
    (r"WORKER TIMEOUT", "a worker was silent for longer than app_timeout seconds: start faster, or raise it"),
    (
        r"(?i)address already in use|Connection in use: .*?(\d+)",
        "two processes want one port: let one alone listen, the one that app_server names",
    ),
]
SETTINGS = [*VARIABLES, *COMMANDS, *PLACES]
