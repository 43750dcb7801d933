"""What is served of each kind of app, and what is said of one that gunicorn cannot serve."""

from __future__ import annotations

import pytest

FLASK = "from flask import Flask\n"
DASH = "import dash\napp = dash.Dash(__name__)\n"


@pytest.mark.parametrize(
    ("files", "served"),
    [
        ({"app.py": f"{DASH}server = app.server\n"}, "app:server"),
        (
            {"app.py": f"{DASH}server = app.server\n", "index.py": "from app import app, server\napp.layout = 1\n"},
            "index:server",
        ),
        (
            {"app.py": f"{FLASK}from dash import Dash\nserver = Flask('x')\napp = Dash('x', server=server)\n"},
            "app:server",
        ),
        ({"app.py": "from dash import Dash\ndef make():\n    app = Dash('x')\n    return app.server\n"}, "app:make()"),
        (
            {
                "shop/__init__.py": f"{FLASK}def create_app():\n    app = Flask('x')\n    add(app)\n    return app\n",
                "shop/page.py": "from dash import Dash\ndef add(on):\n    page = Dash(server=on)\n    return page\n",
            },
            "shop:create_app()",
        ),
        (
            {"app.py": "import connexion\napp = connexion.App('x')\n", "requirements.txt": "connexion==2.14.2"},
            "app:app",
        ),
        (
            {
                "app.py": "from connexion import FlaskApp\ncon = FlaskApp('x')\napplication = con.app\n",
                "pyproject.toml": "[project]\nname = 'x'\ndependencies = ['connexion[swagger-ui]<3']\n",
            },
            "app:application",
        ),
        (
            {
                "shop/core.py": f"{FLASK}class Shop(Flask): pass\n",
                "app.py": "from shop.core import Shop\nit = Shop('x')\n",
            },
            "app:it",
        ),
        ({"shop/__init__.py": f"{FLASK}def start():\n    it = Flask('x')\n    return it\n"}, "shop:start()"),
        ({"shop/__init__.py": f"{FLASK}def build_app(name='x'):\n    return Flask(name)\n"}, "shop:build_app()"),
        (
            {
                "shop/base.py": f"{FLASK}def base():\n    return Flask('x')\n",
                "shop/__init__.py": "from .base import base\ndef get_app():\n    it = base()\n    return it\n",
            },
            "shop:get_app()",
        ),
        (
            {
                "shop/__init__.py": f"{FLASK}def create_app():\n    return Flask('x')\n",
                "shop/jobs.py": "from . import create_app\nif True:\n    flask_app = create_app()\n",
                "shop/more.py": "path = get_app_path('x')\ndef get_app_path(name):\n    return name\n",
                "shop/tasks.py": "celery = create_celery_app()\ndef create_celery_app():\n    return create_app().x\n",
            },
            "shop:create_app()",
        ),
        ({"run.py": "from eve import Eve\nit = Eve()\n"}, "run:it"),
        ({"run.py": "from flask_openapi3 import OpenAPI\nit = OpenAPI('x')\n"}, "run:it"),
        ({"run.py": f"{FLASK}try:\n    it = Flask('x')\nexcept OSError:\n    raise\n"}, "run:it"),
        (
            {"run.py": f"{FLASK}if __name__ == '__main__':\n    it = Flask('x')\nelse:\n    app = Flask('y')\n"},
            "run:app",
        ),
        (
            {"shop.py": f"{FLASK}app = Flask('x')\n", "wsgi.py": "from shop import app\napplication = ProxyFix(app)\n"},
            "wsgi:application",
        ),
        ({"app.py": f"{FLASK}app = Flask('x')\napp.wsgi_app = ProxyFix(app.wsgi_app)\n"}, "app:app"),
        (
            {"app.py": f"{FLASK}def create_app():\n    it = Flask('x')\n    return it, 1\napp, queue = create_app()\n"},
            "app:app",
        ),
    ],
)
def test_the_app_of_each_framework_is_found(decided, files, served):
    assert decided(files)["app_wsgi"] == served


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"app.py": DASH},
            "app.py:2 makes a Dash app, and gunicorn serves its Flask app: add a line below it: server = app.server",
        ),
        ({"app.py": DASH}, "app:server, once that is there"),
        ({"app.py": DASH, "Procfile": "web: gunicorn app:app"}, "app:server, once that is there"),
        (
            {"app.py": "import connexion\napp = connexion.FlaskApp('x')\n", "requirements.txt": "connexion[flask]"},
            "app.py:2 makes an ASGI app (Connexion 3, as no version below 3 is demanded); gunicorn's workers here",
        ),
        (
            {
                "app.py": "import connexion\ncon = connexion.App('x')\napp = con.app\n",
                "requirements.txt": "connexion>=3.0",
            },
            "app.py:2 makes an ASGI app (Connexion 3",
        ),
        ({"app.py": "from quart import Quart\napp = Quart('x')\n"}, "app.py:2 makes an ASGI app (Quart); gunicorn's"),
        (
            {
                "app.py": "import fastapi\napi = fastapi.FastAPI()\n",
                "Procfile": "web: gunicorn -k uvicorn.workers.UvicornWorker app:api",
            },
            "app.py:2 makes an ASGI app (FastAPI); gunicorn's",
        ),
        (
            {"app.py": "import streamlit\n", "requirements.txt": "streamlit"},
            "no Flask app was found, but streamlit, which is a server",
        ),
    ],
)
def test_what_gunicorn_cannot_serve_is_told_with_what_to_do(printed, files, said):
    text = printed(files)
    assert "\napp_wsgi: " not in text
    assert f"#   app_wsgi: {said}" in text


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("from quart import Quart\napp = Quart('x')\n", "hypercorn -b 0.0.0.0:8000 app:app"),
        (
            "import fastapi\ndef create_app():\n    return fastapi.FastAPI()\n",
            "uvicorn --port 8000 --host 0.0.0.0 --factory app:create_app",
        ),
    ],
)
def test_an_app_of_asgi_is_served_by_a_command_of_its_own(printed, code, command):
    assert f"#   app_server: port:8000, with a Dockerfile that runs: {command}\n" in printed({"app.py": code})


@pytest.mark.parametrize("name", ["dir", "path", "version", "name", "root"])
def test_what_belongs_to_an_app_is_none(printed, name):
    code = f"import click\nfrom other import get_app_{name}\napp_{name} = get_app_{name}('x')\n"
    text = printed(
        {"app.py": f"{FLASK}app = Flask('x')\n", "shop.py": code, "more.py": f"it = click.get_app_{name}('x')\n"}
    )
    assert "also found" not in text


def test_the_first_page_of_dash_is_known(printed):
    assert "#   app_health_path: / is the first page of dash" in printed({"app.py": DASH, "requirements.txt": "dash"})


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("uvicorn main:app --host 0.0.0.0 --port 8080", 8080),
        ("gunicorn -k uvicorn.workers.UvicornWorker -b 0.0.0.0:9000 main:app", 9000),
        ("hypercorn main:app", 5000),
    ],
)
def test_an_app_of_asgi_with_a_dockerfile_is_served_by_that(decided, command, port):
    files = {"main.py": "from quart import Quart\napp = Quart('x')\n"}
    found = decided({**files, "Dockerfile": f"FROM python\nEXPOSE 5000\nCMD {command}\n"})
    assert found == {"app_wsgi": "main:app", "app_server": f"port:{port}"}


BARE = {
    "shop/__init__.py": f"{FLASK}app = Flask(__name__)\n",
    "shop/views.py": "from . import app\n@app.get('/')\ndef home():\n    return 'x'\n",
    "shop/start.py": "from . import app\nfrom . import views\n",
    "shop/other.py": "from . import app\n@app.get('/healthz')\ndef home():\n    return 'x'\n",
    "main2.py": "from shop.start import app\n",
}


@pytest.mark.parametrize(
    ("files", "served"),
    [
        ({"startup.txt": "gunicorn --bind=0.0.0.0 --workers=4 main2:app\n"}, "main2:app"),
        ({"startup.sh": "flask db upgrade\ngunicorn --workers 2 \\\n  --bind=:8000 \\\n  main2:app\n"}, "main2:app"),
        ({"uwsgi.ini": "[uwsgi]\nmodule = shop.start\ncallable = app\n"}, "shop.start:app"),
        ({"uwsgi.ini": "[uwsgi]\nmodule = shop.start:app\n"}, "shop.start:app"),
        ({"uwsgi.ini": "[uwsgi]\nwsgi-file = shop/start.py\ncallable: app\n"}, "shop.start:app"),
        ({"uwsgi.ini": "[uwsgi]\nmount = /=shop/start.py\ncallable=app ; x\n"}, "shop.start:app"),
        ({"uwsgi.ini": "[uwsgi]\nmount = /shop=shop.start:app\nmanage-script-name = true\n"}, "shop.start:app"),
        ({"conf/uwsgi.ini": "[uwsgi]\nwsgi = shop.start:app\n"}, "shop.start:app"),
        ({}, "main2:app"),
        ({"main2.py": ""}, "shop.start:app"),
        ({"shop/__init__.py": f"{FLASK}app = Flask(__name__)\nfrom . import views\n"}, "shop:app"),
        (
            {"uwsgi.ini": "[uwsgi]\nmodule = gone\nno line\n", "Procfile": "web: gunicorn shop.start:app"},
            "shop.start:app",
        ),
    ],
)
def test_the_module_that_reaches_the_pages_is_served(decided, files, served):
    found = decided({**BARE, **files})
    assert found["app_wsgi"] == served
    assert "app_health_path" not in found  # the page that tells it is in a module that nothing imports


PAGES = "from flask import Blueprint\npages = Blueprint('x', 'x')\n@pages.get('/')\ndef home():\n    return ''\n"
REGISTERS = f"from pages import pages\n{FLASK}app = Flask(__name__)\ndef add(app):\n    app.register_blueprint(pages)\n"
ROUTES = f"{FLASK}app = Flask(__name__)\ndef add():\n    @app.get('/')\n    def home():\n        return ''\n"
MAIN = "if __name__ == '__main__':\n    {}\n"


@pytest.mark.parametrize(
    ("code", "place"),
    [
        (f"{REGISTERS}{MAIN.format('add(app)')}", "app.py:5"),
        (REGISTERS, "app.py:5"),
        (f"{REGISTERS}def other():\n    add(app)\n", "app.py:5"),
        (
            f"from pages import pages\n{FLASK}app = Flask('x')\n{MAIN.format('app.register_blueprint(pages)')}",
            "app.py:5",
        ),
        (ROUTES, "app.py:4"),
        (f"{ROUTES}{MAIN.format('add()')}", "app.py:4"),
        (f"{REGISTERS}add(app)\n", None),
        (f"{REGISTERS}for each in (add,):\n    each(app)\n", None),
        (f"{REGISTERS}def other():\n    add(app)\nother()\n", None),
        (f"{REGISTERS}class A:\n    def f(self):\n        add(app)\n", None),
        (f"{REGISTERS}@app.cli.command()\ndef f():\n    add(app)\n", None),
        (f"{REGISTERS}call = import_string('app:add')\n", None),
        (f"{ROUTES}add()\n", None),
        (f"{REGISTERS}app.register_blueprint(pages)\n", None),
        (
            f"from pages import pages\n{FLASK}def create_app():\n    app = Flask('x')\n    add(app)\n    return app\n"
            "def add(app):\n    app.register_blueprint(pages)\n",
            None,
        ),
    ],
)
def test_pages_of_code_that_no_import_runs_are_said(printed, code, place):
    text = printed({"app.py": code, "pages.py": PAGES})
    assert (f"#   app_wsgi: {place} makes the pages /, in code that no import runs" in text) is bool(place)
    assert ("app_health_path: / is a route" in text) is not place


def test_a_page_of_code_that_no_import_runs_is_not_asked(decided):
    code = f"{ROUTES}    @app.get('/healthz')\n    def well():\n        return ''\n"
    assert "app_health_path" not in decided({"app.py": code})
    assert decided({"app.py": f"{code}add()\n"})["app_health_path"] == "/healthz"


def test_pages_that_only_the_running_app_imports_may_be_there(decided):
    files = {
        **BARE,
        "shop/start.py": "import importlib\nfrom . import app, views\nimportlib.import_module('shop.other')\n",
    }
    assert decided(files)["app_health_path"] == "/healthz"
