"""Apps that cannot serve, each run by a real gunicorn: its cause is shown, and what to do about it stands last."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from ansible.module_utils.flask_deploy.release import inside
from ansible.module_utils.flask_deploy.release.advice import About
from ansible.module_utils.flask_deploy.release.diagnosis import diagnose

FLASK = "import os, sqlite3, subprocess\nfrom flask import Flask, session\n"
APP = f"{FLASK}app = Flask(__name__)\n"
PAGE = f"{APP}@app.get('/')\ndef page():\n    "
HARMLESS = "try:\n    import uwsgi\nexcept ImportError:\n    import traceback; traceback.print_exc()\n"
PATIENCE = 20  # seconds

# What a user got wrong: (the code of shop.py, app_wsgi, what is said of the cause, what to do).
WRONG = {
    "missing callable": (
        f"{FLASK}application = Flask(__name__)\n",
        "shop:app",
        "Failed to find attribute 'app' in 'shop'.",
        "app_wsgi: shop:application; in shop there are application",
    ),
    "blueprint that is registered twice": (
        f"{APP}from flask import Blueprint\nbp = Blueprint('api', 'api')\napp.register_blueprint(bp)\n"
        "app.register_blueprint(bp, url_prefix='/v1')\n",
        "shop:app",
        "The name 'api' is already registered for this blueprint",
        "a blueprint api is registered twice, or two have that name: take one register_blueprint() out",
    ),
    "callable of another name among several": (
        f"{FLASK}def create_app():\n    return Flask(__name__)\nshop_app = create_app()\n",
        "shop:create_ap()",
        "Failed to find attribute 'create_ap' in 'shop'.",
        "app_wsgi: shop:create_app(); in shop there are create_app(), shop_app",
    ),
    "factory without its brackets": (
        f"{FLASK}def create_app(test_config=None):\n    return Flask(__name__)\n",
        "shop:create_app",
        "TypeError: create_app() takes from 0 to 1 positional arguments but 2 were given",
        "app_wsgi: shop:create_app()",
    ),
    "factory that needs a word": (
        f"{FLASK}def create_app(config_name):\n    return Flask(__name__)\n",
        "shop:create_app()",
        "TypeError: create_app() missing 1 required positional argument: 'config_name'",
        "app_wsgi: shop:create_app('production')",
    ),
    "factory that needs a word, without its brackets": (
        f"{FLASK}def create_app(config_name):\n    return Flask(__name__)\n",
        "shop:create_app",
        "TypeError: create_app() takes 1 positional argument but 2 were given",
        "app_wsgi: shop:create_app('production')",
    ),
    "factory that takes no word": (
        f"{FLASK}def create_app():\n    return Flask(__name__)\n",
        "shop:create_app('production')",
        "TypeError: create_app() takes 0 positional arguments but 1 was given",
        "app_wsgi: shop:create_app()",
    ),
    "module that imports itself whole": (
        "import shop\nshop.app\n",
        "shop:app",
        "module 'shop' has no attribute 'app'",
        "is imported while it is being imported itself",
    ),
    "factory that takes two words, without its brackets": (
        f"{FLASK}def create_app(config=None, debug=False):\n    return Flask(__name__)\n",
        "shop:create_app",
        "TypeError: 'Flask' object is not iterable",
        "app_wsgi: shop:create_app()",
    ),
    "module of another name": (APP, "shopp:app", "No module named 'shopp'", "there are shop: app_wsgi: shop:app"),
    "module in a package that is none": (APP, "shop.web:app", "'shop' is not a package", "app_wsgi: shop:app"),
    "syntax error": (
        "app = Flask(__name__\n",
        "shop:app",
        "SyntaxError: '(' was never closed",
        "shop.py: correct its line 1",
    ),
    "indentation": (f"{APP}def page():\nreturn 1\n", "shop:app", "IndentationError: ", "shop.py: correct its line 5"),
    "requirement that nothing lists": (
        "import no_such_library\n",
        "shop:app",
        "import no_such_library\n    ModuleNotFoundError: No module named 'no_such_library'",
        "nothing that was installed has no_such_library: add it where the app lists its dependencies",
    ),
    "program that is missing, after a harmless import error": (
        f"{HARMLESS}import subprocess\nsubprocess.run(['gitt', 'init'])\n",
        "shop:app",
        "FileNotFoundError: [Errno 2] No such file or directory: 'gitt'",
        "build_image_packages: [gitt]",
    ),
    "name that a library no longer has": (
        "from flask import Markup\n",
        "shop:app",
        "ImportError: cannot import name 'Markup' from 'flask'",
        "the flask that was installed has no Markup: build_requirements: [flask<3, werkzeug<3]",
    ),
    "import in a circle": (
        "from shop import app\n",
        "shop:app",
        "from partially initialized module 'shop'",
        "shop is imported while it is being imported itself",
    ),
    "name that its own module does not have": (
        "from json.tool import nothing\n",
        "shop:app",
        "cannot import name 'nothing' from 'json.tool'",
        "json.tool has no nothing: correct the name",
    ),
    "variable that is not set": (
        "import os\nos.environ['DATABASE_URL']\n",
        "shop:app",
        "os.environ['DATABASE_URL']\n    KeyError: 'DATABASE_URL'",
        "the app misses the variable DATABASE_URL: set it in app_env, or in app_secrets",
    ),
    "variable in other letters": (
        "import os\nos.environ['Secret_Key']\n",
        "shop:app",
        "KeyError: 'Secret_Key'",
        "the app asks for the variable Secret_Key, and SECRET_KEY is set",
    ),
    "variable that the app itself asks for": (
        "raise RuntimeError('MAIL_SERVER is not set')\n",
        "shop:app",
        "RuntimeError: MAIL_SERVER is not set",
        "the app misses the variable MAIL_SERVER",
    ),
    "variable that a library asks for": (
        "class UndefinedValueError(Exception): pass\n"
        "raise UndefinedValueError('API_TOKEN not found. Declare it as envvar or define a default value.')\n",
        "shop:app",
        "UndefinedValueError: API_TOKEN not found",
        "the app misses the variable API_TOKEN",
    ),
    "no secret key": (
        f"{PAGE}session['a'] = 1; return 'x'\n",
        "shop:app",
        "RuntimeError: The session is unavailable because no secret key was set",
        "the app has no SECRET_KEY: set it in app_secrets",
    ),
    "schema that each worker makes": (
        "import sqlite3\nbase = sqlite3.connect(':memory:')\n"
        "for _worker in range(2):\n    base.execute('create table users (id)')\n",
        "shop:app",
        "sqlite3.OperationalError: table users already exists",
        "users is made a second time. Where each worker makes it as it starts: app_preload: true",
    ),
    "migrations that each worker runs": (
        "import sqlite3\nbase = sqlite3.connect(':memory:')\nbase.execute('create table alembic_version"
        " (version_num text primary key)')\n"
        "for _worker in range(2):\n    base.execute(\"insert into alembic_version values ('8275865e5992')\")\n",
        "shop:app",
        "sqlite3.IntegrityError: UNIQUE constraint failed: alembic_version.version_num",
        "alembic_version is made a second time. Where each worker makes it as it starts: app_preload: true",
    ),
    "column that each worker adds": (
        "import sqlite3\nbase = sqlite3.connect(':memory:')\nbase.execute('create table users (id)')\n"
        "for _worker in range(2):\n    base.execute('alter table users add column mail')\n",
        "shop:app",
        "sqlite3.OperationalError: duplicate column name: mail",
        "mail is made a second time. Where each worker makes it as it starts: app_preload: true",
    ),
    "database without its tables": (
        f"{PAGE}return sqlite3.connect(':memory:').execute('select * from users').fetchall()\n",
        "shop:app",
        "sqlite3.OperationalError: no such table: users",
        "the database has no table users: make the tables before the app starts, example: app_release_command",
    ),
    "database where nothing may be written": (
        "import sqlite3\nsqlite3.connect('/no/such/place/shop.db')\n",
        "shop:app",
        "sqlite3.OperationalError: unable to open database file",
        "put it into /data by the app's own setting",
    ),
    "directory that is read-only": (
        "raise OSError(30, 'Read-only file system', '/app/static/uploads/first.txt')\n",
        "shop:app",
        "OSError: [Errno 30] Read-only file system",
        "app_writable: [static/uploads]",
    ),
    "file that git does not list": (
        "open('settings.ini')\n",
        "shop:app",
        "No such file or directory: 'settings.ini'",
        "the app reads settings.ini, which its container does not have",
    ),
    "library of Debian's": (
        "import ctypes\nctypes.CDLL('libnothing.so.1')\n",
        "shop:app",
        "OSError: libnothing.so.1: cannot open shared object file",
        "the image lacks the library libnothing.so.1: build_image_packages names Debian's package",
    ),
    "server of its own": (f"{APP}app.run(port=0)\n", "shop:app", "", "keep app.run() below if __name__ == '__main__':"),
    "port that is in use": (
        "import socket\none, two = socket.socket(), socket.socket()\n"
        "one.bind(('127.0.0.1', 0))\ntwo.bind(one.getsockname())\n",
        "shop:app",
        "Address already in use",
        "two processes want one port",
    ),
    "service that is not there": (
        "import socket\nsocket.create_connection(('127.0.0.1', 1))\n",
        "shop:app",
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "In a container localhost is the container itself",
    ),
    "service under an unknown name": (
        "import socket\nsocket.create_connection(('database.invalid', 5432))\n",
        "shop:app",
        "socket.gaierror: ",
        "under a name that its container does not know",
    ),
    "app that is not loaded in time": (
        "import time\ntime.sleep(60)\n",
        "shop:app",
        "",
        "or the app is still being loaded: app_start_timeout: 120",
    ),
    "health path that is no page": (APP, "shop:app", "", "the app has no such page: set app_health_path"),
    "health path that wants a login": (
        f"{PAGE}from flask import redirect; return redirect('/login')\n",
        "shop:app",
        "",
        "set app_health_path to a page that needs no login",
    ),
    "page that fails": (f"{PAGE}return str(1 / 0)\n", "shop:app", "ZeroDivisionError: ", "the app itself fails"),
    "name that the app refuses": (
        f"{APP}app.config['TRUSTED_HOSTS'] = ['other.test']\n",
        "shop:app",
        "",
        "the app refuses the name shop.example.com",
    ),
}


def hints(folder, wsgi):
    """Return what a look into the image tells of the code."""
    command = [sys.executable, "-I", "-c", inside.PROGRAM, wsgi.partition(":")[0]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return {name: told for name, told in json.loads(done.stdout).items() if name in inside.HINTS}


def status(path):
    """Return the status that an app answers with at its socket, or None."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(1)
    try:
        connection.sock.connect(path)
        connection.request("GET", "/", headers={"Host": "shop.example.com"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@pytest.fixture
def start(tmp_path):
    """Start an app as a release is; return why it is not ready, and what it said."""

    def started(code, wsgi):
        (tmp_path / "shop.py").write_text(code)
        path = str(tmp_path / "s.sock")
        words = ("-k", "gthread", "-w", "1", "-b", f"unix:{path}", "--timeout", "2", "--no-control-socket")
        with open(tmp_path / "log", "wb") as log:
            command = [sys.executable, "-m", "gunicorn", *words, wsgi]
            known = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
            served = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env=known, start_new_session=True)
        try:
            end, answer = time.monotonic() + (2 if "sleep" in code else PATIENCE), None
            while served.poll() is None and not answer and time.monotonic() < end:
                hangs = any(sign in log_of(tmp_path) for sign in ("WORKER TIMEOUT", "Serving Flask"))
                answer = "no answer" if hangs else status(path)
                time.sleep(0.05)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(served.pid, signal.SIGKILL)  # its workers too
            ended = served.wait()
        asked = f"/ did not answer below 400 in 60 s ({f'status {answer}' if answer else 'timed out'})"
        return asked if ended == -signal.SIGKILL else f"its container ended with code {ended}", log_of(
            tmp_path
        ).splitlines()

    return started


def log_of(folder):
    return (folder / "log").read_text()


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_with_its_cause_and_what_to_do(tmp_path, start, wrong):
    code, wsgi, cause, advice = WRONG[wrong]
    reason, said = start(code, wsgi)
    about = About(wsgi, "shop.example.com", **hints(tmp_path, wsgi), variables=["SECRET_KEY"])
    told = diagnose("3f9a0c41d2b7", reason, said, about)
    assert cause in told.partition("its last lines:")[0], told
    assert advice in told.splitlines()[-1] and told.splitlines()[-1].startswith("  what to do: "), told
    assert "HaltServer" not in told and "gunicorn/arbiter.py" not in told
    shown = told.partition("\n  its last lines:")[0].splitlines()
    assert len(shown) + 1 <= 9, "cause and advice fit into what is last on the screen"


def test_a_command_that_listens_on_another_port_is_told_which():
    said = ["[2026-11-27 17:55:52 +0000] [7] [INFO] Listening at: http://0.0.0.0:8000 (7)"]
    reason = "/ did not answer below 400 in 60 s (status 502)"
    about = About("shop:app", port="5000")
    assert diagnose("abc", reason, said, about).endswith(
        "what to do: it listens on another port: app_server: port:8000"
    )
    assert "another port" not in diagnose("abc", reason, said, replace(about, port="8000"))


ADDRESS = "postgresql://shop:pass@w0rd/more@10.0.0.5/shop"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ('Error: could not translate host name "w0rd@10.0.0.5" to address: not known', 'host name "***@10.0.0.5" to'),
        ("Error: failed to resolve host 'wo@rd@db.example.com': not known", "host '***@db.example.com'"),
        ("Error: (2003, \"Can't connect to MySQL server on 'x#y@db' (-2)\")", "server on '***@db'"),
        ("ValueError: invalid literal for int() with base 10: 'wo#rd@db'", "base 10: '***@db'"),
        (f"sqlalchemy.exc.ArgumentError: Could not parse {ADDRESS!r}", "postgresql://***@10.0.0.5/shop"),
        ("KeyError: 'mysql+pymysql://root:secret@db/x'", "mysql+pymysql://***@db/x"),
        (
            "ValueError: write to me@example.com, see https://example.com/a@b",
            "me@example.com, see https://example.com/a@b",
        ),
    ],
)
def test_a_password_in_an_address_is_not_shown(said, shown):
    printed = diagnose("abc", "exited 1", ["Traceback (most recent call last):", said], About())
    assert shown in printed
    assert not any(part in printed for part in ("w0rd", "wo#rd", "wo@rd", "x#y", "secret"))
