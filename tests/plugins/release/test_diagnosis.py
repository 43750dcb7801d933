"""A release that does not get ready is told with its cause first, and what to do about it."""

from __future__ import annotations

import re

import pytest
from ansible.module_utils.flask_deploy.release.advice import ADVICE, ANSWERED, OTHERWISE, About
from ansible.module_utils.flask_deploy.release.diagnosis import advise, diagnose
from ansible.module_utils.flask_deploy.release.tracebacks import causes

from tests.plugins.release import starts, starts_flask, starts_imports, starts_places
from tests.plugins.release.starts import HARMLESS, SITE

ABOUT = About("shop:app")
STARTS = {**starts.STARTS, **starts_imports.OF_IMPORTS, **starts_flask.OF_FLASK, **starts_places.OF_PLACES}
HALTED = """\
Traceback (most recent call last):
  File "/venv/lib/python3.13/site-packages/gunicorn/arbiter.py", line 270, in run
    handler()
gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/venv/bin/gunicorn", line 10, in <module>
    sys.exit(run())
gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>
""".splitlines()
FAILED = """\
Traceback (most recent call last):
  File "/venv/lib/python3.13/site-packages/gunicorn/util.py", line 420, in import_app
    mod = importlib.import_module(module)
  File "<frozen importlib._bootstrap>", line 1387, in _gcd_import
  File "/release/gunicorn.conf.py", line 9, in minding
    return app(environ, start)
  File "/app/shop/__init__.py", line 3, in <module>
    from shop.prices import load
  File "/app/shop/prices.py", line 7, in <module>
    load()
    ~~~~^^
  File "/app/shop/prices.py", line 5, in load
    return yaml.load(None)
  File "/venv/lib/python3.13/site-packages/yaml/__init__.py", line 81, in load
    loader = Loader(stream)
AttributeError: 'NoneType' object has no attribute 'read'
""".splitlines()


def test_the_cause_comes_before_the_last_lines_and_the_advice_last():
    said = ["booting", "ModuleNotFoundError: No module named 'redis'", "bye"]
    assert diagnose("abc", "its container ended with code 3", said, ABOUT).splitlines() == [
        "release abc is not ready: its container ended with code 3",
        "  what it says of the cause:",
        "    ModuleNotFoundError: No module named 'redis'",
        "  its last lines:",
        *(f"    {line}" for line in said),
        "  what to do: nothing that was installed has redis: add it where the app lists its dependencies (the line "
        "'build:' above names that file), or by build_requirements",
    ]


def test_a_worker_that_was_killed_for_memory_is_the_cause_where_there_is_no_other():
    said = ["[1] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?", "[8] [INFO] Booting worker"]
    lines = diagnose("abc", "/ did not answer", said, ABOUT).splitlines()
    assert lines[1:3] == ["  what it says of the cause:", f"    {said[0]}"] and "app_memory: 1g" in lines[-1]


def test_who_says_nothing_has_no_lines():
    assert diagnose("abc", "it is odd", [], ABOUT) == "release abc is not ready: it is odd"


def test_the_app_s_own_traceback_is_shown_and_never_its_server_s_end():
    lines = diagnose("abc", "x", [*FAILED, *HALTED], ABOUT).splitlines()
    assert lines[1:7] == [
        "  what it says of the cause:",
        '    File "/app/shop/prices.py", line 7, in <module>',
        "      load()",
        '    File "/app/shop/prices.py", line 5, in load',
        "      return yaml.load(None)",
        "    AttributeError: 'NoneType' object has no attribute 'read'",
    ]
    shown = "\n".join(lines)
    assert (
        "gunicorn" not in shown and "minding" not in shown and "importlib" not in shown and "yaml/__init__.py" in shown
    )
    assert lines[-1] == "    AttributeError: 'NoneType' object has no attribute 'read'"


def test_frames_of_compiled_libraries_are_not_the_app_s():
    frames = [("/app/shop.py", "connect()"), ("src/gevent/event.py", "x"), ("redis/_parsers.pyx", "x")]
    said = [line for path, code in frames for line in (f'  File "{path}", line 3, in x', f"    {code}")]
    lines = diagnose("abc", "x", ["Traceback (most recent call last):", *said, "OSError: [Errno -2] no"], ABOUT)
    assert lines.splitlines()[2:5] == [
        '    File "/app/shop.py", line 3, in x',
        "      connect()",
        "    OSError: [Errno -2] no",
    ]


def test_the_last_cause_decides_and_what_an_app_got_over_does_not():
    said = ["KeyError: 'FIRST_OF_ALL'", *FAILED]
    assert advise("x", said, ABOUT) is None
    assert "FIRST_OF_ALL" in advise("x", [*FAILED, *said[:1]], ABOUT)
    shown = diagnose("abc", "x", said, ABOUT).partition("its last lines")[0]
    assert "AttributeError" in shown and "FIRST_OF_ALL" not in shown


def test_of_a_chain_an_earlier_exception_may_say_what_to_do():
    link = ["", "The above exception was the direct cause of the following exception:", ""]
    first = ["Traceback (most recent call last):", '  File "/app/a.py", line 1, in b', "    c()", "KeyError: 'TOKEN'"]
    assert "TOKEN" in advise("x", [*first, *link, *FAILED], ABOUT)
    assert advise("x", [*first, "", *FAILED], ABOUT) is None


def flask(*said):
    """Return what the command flask says where it cannot load the app, and knows none of its commands therefore."""
    usage = ["", "Usage: flask [OPTIONS] COMMAND [ARGS]...", "Try 'flask --help' for help.", ""]
    return [*said, *usage, "Error: No such command 'db'."]


def test_a_command_of_an_app_that_cannot_be_imported_is_told_with_the_import():
    """As Flask 3.1 says it."""
    raised = [
        "Traceback (most recent call last):",
        f'  File "{SITE}/flask/cli.py", line 245, in locate_app',
        "    __import__(module_name)",
        '  File "/app/shop/__init__.py", line 3, in <module>',
        "    import redis",
        "ModuleNotFoundError: No module named 'redis'",
    ]
    said = flask("Error: While importing 'shop', an ImportError was raised:", "", *raised)
    lines = diagnose("abc", "it ended with code 2", said, ABOUT).splitlines()
    assert lines[2:5] == [
        '    File "/app/shop/__init__.py", line 3, in <module>',
        "      import redis",
        "    ModuleNotFoundError: No module named 'redis'",
    ]
    assert "nothing that was installed has redis" in lines[-1]
    named = flask(
        "Error: Failed to find Flask application or factory in module 'shop'. Use 'shop:name' to specify one."
    )
    assert "app_wsgi has to name it" in advise("x", named, ABOUT)
    assert "no command db" in advise("x", flask(*raised), ABOUT), "what an app got over before is not the cause"


def test_a_library_is_the_cause_of_a_name_that_mysqlclient_does_not_get():
    said = [
        "Traceback (most recent call last):",
        f'  File "{SITE}/MySQLdb/__init__.py", line 17, in <module>',
        "    from . import _mysql",
        "ImportError: libmariadb.so.3: cannot open shared object file: No such file or directory",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "/app/app.py", line 2, in <module>',
        "    import MySQLdb",
        f'  File "{SITE}/MySQLdb/__init__.py", line 24, in <module>',
        "    version_info, _mysql.version_info, _mysql.__file__",
        "NameError: name '_mysql' is not defined",
    ]
    assert "build_image_packages: [libmariadb3]" in advise("x", said, ABOUT)


OF_ITS_OWN = [
    (
        "models",
        (),
        "app.py",
        "models may be the app's own module: git has to list it, in the same upper and lower case",
    ),
    ("config", (), "shop/__init__.py", "where it lies in /app/shop, app_env: {PYTHONPATH: /app/shop}"),
    ("Models", ("models",), "app.py", "the app's own module is written models: import it in the same letters"),
    ("prices", ("prices",), "shop/web.py", "app_env: {PYTHONPATH: '/app:/app/src'}"),
    ("redis", ("prices",), "shop/web.py", "nothing that was installed has redis"),
]


@pytest.mark.parametrize(("name", "modules", "file", "advice"), OF_ITS_OWN)
def test_a_module_that_may_be_the_app_s_own_is_told_as_that(name, modules, file, advice):
    said = ["Traceback (most recent call last):", f'  File "/app/{file}", line 3, in <module>', f"    import {name}"]
    told = advise("x", [*said, f"ModuleNotFoundError: No module named '{name}'"], About("shop:app", modules=modules))
    assert advice in told and told.count("PYTHONPATH") == advice.count("PYTHONPATH")


def test_the_last_twenty_lines_are_shown():
    said = [f"line {number}" for number in range(30)]
    assert diagnose("abc", "x", said, ABOUT).splitlines()[2:] == [f"    {line}" for line in said[-20:]]


KNOWN = [
    ("its container ended with code 137, killed for want of memory", "KeyError: 'A_B'", "app_memory: 1g"),
    ("its container ended with code 1", "ModuleNotFoundError: No module named 'gunicorn'", "add gunicorn[gevent]"),
    ("its container ended with code 1", "Error: class uri 'tornado' invalid or not found:", "no worker class torn"),
    ("its container ended with code 1", "Failed to find attribute 'app' in 'shop'.", "app_wsgi names nothing in"),
    ("process worker-1: its container ended with code 0", "done", "a process stays up until it is told to end"),
    ("x", "ModuleNotFoundError: No module named 'imp'", "Python 3.12 and newer have no imp: build_python: '3.11'"),
    ("x", "ModuleNotFoundError: No module named 'imports'", "nothing that was installed has imports"),
    ("x", "ModuleNotFoundError: No module named 'cgi'", "Python 3.13 and newer have no cgi: build_python: '3.12'"),
    ("x", "ModuleNotFoundError: No module named 'pkg_resources'", "build_requirements: [setuptools<81]"),
    (
        "x",
        "importlib.metadata.PackageNotFoundError: No package metadata was found for shop",
        "build_command: uv pip install --no-deps -e .",
    ),
    ("x", "OSError: [Errno 30] Read-only file system: '/app/shop/../.data'", "app_writable: [.data]"),
    (
        "x",
        'Traceback (most recent call last):\n  File "/release/exec.py", line 165, in main\n'
        "PermissionError: [Errno 13] Permission denied: '/run/secrets/env.json'",
        "app_uid cannot read /run/secrets: ",
    ),
    (
        "x",
        "ImportError: no pq wrapper available.\nAttempts made:\n"
        "- couldn't import psycopg 'binary' implementation: No module named 'psycopg_binary'",
        "the image has no libpq: build_image_packages: [libpq5]",
    ),
    ("x", "PermissionError: [Errno 13] Permission denied: '/app/x'", "it runs as app_uid"),
    ("x", "OSError: [Errno 30] Read-only file system: 'x.db'", "write below /data"),
    ("x", "Worker (pid:7) was sent SIGKILL! Perhaps out of memory?", "app_memory: 1g"),
    ("x", "[2026-11-27 17:55:52 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:7)", "a worker was silent"),
    ("x", "sqlalchemy.exc.ArgumentError: Expected string or URL object, got None", "the address of the app's data"),
    ("x", 'psycopg.errors.UndefinedTable: relation "users" does not exist', "the database has no table users"),
    ("x", "alembic.util.exc.CommandError: Can't locate revision identified by '4f2a'", "deploy code that has it"),
    ("x", "Error: No such command 'db'.", "flask knows no command db"),
    ("/ did not answer below 400 in 60 s (status 404)", "KeyError: 'A_B'", "set app_health_path"),
    ("/ did not answer below 400 in 60 s (status 405)", "", "that page does not take GET"),
    ("/ did not answer below 400 in 60 s (status 429)", "", "@limiter.exempt"),
    ("/ did not answer below 400 in 60 s (status 302)", "", "needs no login"),
    ("/ did not answer below 400 in 60 s (status 500)", "", "the app itself fails"),
    ("/ did not answer below 400 in 60 s (status 502)", "", "nothing answers on the port that app_server names"),
    ("/ did not answer below 400 in 60 s (status 500)", "KeyError: 'A_B'", "the app misses the variable A_B"),
    ("/ did not answer below 400 in 60 s (timed out)", "", "more than 5 s"),
    ("/ did not answer below 400 in 60 s ([Errno 2] No such file or directory)", "", "app_start_timeout: 120"),
    ("x", "celery: no such command in the image; its PATH is /venv/bin", "add its package to the app's"),
    ("x", "RuntimeError: gevent worker requires gevent 24.10.1 or higher", "the image has no gevent"),
    ("x", "alembic.util.exc.CommandError: Multiple head revisions are present", "flask db merge heads"),
    ("x", "ValueError: please set the environment variable MAIL_SERVER", "the app misses the variable MAIL_SERVER"),
    (
        "x",
        "Traceback (most recent call last):\n  File \"<frozen os>\", line 717, in get\nKeyError: 'api_token'",
        "the app misses the variable api_token",
    ),
    (
        "x",
        "Error: Could not locate a Flask application. Use the 'flask --app' option",
        "flask does not find the app",
    ),
    ("x", "Error: Could not import 'shop.web'.", "flask does not find the app"),
    (
        "x",
        'Traceback (most recent call last):\n  File "/release/exec.py", line 165, in main\n'
        "FileNotFoundError: [Errno 2] No such file or directory",
        "the image has no such program",
    ),
    ("x", "OSError: [Errno 30] Read-only file system", "name the directory that it writes to"),
    ("x", "OSError: [Errno 28] No space left on device", "app_writable: [/tmp:200m]"),
    ("x", "MemoryError", "app_memory: 1g"),
    (
        "x",
        'psycopg.OperationalError: FATAL:  password authentication failed for user "shop"',
        "the database refuses the password: app_secrets",
    ),
    ("something else", "", None),
]


@pytest.mark.parametrize(("reason", "said", "advice"), KNOWN)
def test_a_known_cause_has_advice(reason, said, advice):
    told = advise(reason, said.splitlines(), ABOUT)
    assert told is None if advice is None else advice in told


def test_advice_is_one_line_each():
    assert all("\n" not in advice and advice for _, advice in (*ADVICE, *ANSWERED, *OTHERWISE))


@pytest.mark.parametrize(("said", "advice"), STARTS.items())
def test_what_programs_say_as_they_do_not_start_has_advice(said, advice):
    assert advice in (advise("its container ended with code 1", said.splitlines(), ABOUT) or "nothing")


def row_of(said):
    """Return the number of the row that decides about a log."""
    for each in reversed((causes(said.splitlines()) or [[]])[-1]):
        for number, (pattern, _) in enumerate(ADVICE):
            if re.search(pattern, each.text):
                return number
    return None


def test_each_row_of_advice_decides_about_a_log_of_these_tests():
    decided = {row_of(said) for said in [*STARTS, *(said for _, said, _ in KNOWN)]}
    assert [pattern for number, (pattern, _) in enumerate(ADVICE) if number not in decided] == []


@pytest.mark.parametrize("said", HARMLESS)
def test_a_harmless_line_is_no_cause(said):
    assert causes([said]) == [], said
