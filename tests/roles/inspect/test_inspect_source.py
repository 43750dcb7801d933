"""A repository is read and never run, and what is printed of it deploys."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import check_inventory
from ansible.template import Templar, trust_as_template
from inventory_check.inventory import load_specs
from source_inspect import places, report
from source_inspect.tree import TreeError

from tests.roles.inspect.conftest import UnsafeLoader

ROOT = Path(__file__).parents[3]
APP = "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef hello():\n    return 'hello'\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"

MIGRATES = {"requirements.txt": "flask\nflask-migrate\n"}
ALEMBIC = {"requirements.txt": "flask\nalembic\n"}


@pytest.mark.parametrize(
    ("files", "served"),
    [
        ({"app.py": APP}, "app:app"),
        ({"shop/__init__.py": FACTORY}, "shop:create_app()"),
        ({"src/shop/__init__.py": FACTORY}, "shop:create_app()"),
        ({"wsgi.py": "from shop import app as application\n", "shop/__init__.py": APP}, "wsgi:application"),
        ({"run.py": "from shop import app\napp.run()\n", "shop/__init__.py": APP}, "shop:app"),
        ({"shop.py": "import apiflask\napi = apiflask.APIFlask('x')\n"}, "shop:api"),
        (
            {"app.py": APP, "shop.py": FACTORY, "Procfile": "web: gunicorn 'shop:create_app()'"},
            "shop:create_app()",
        ),
        ({"shop.py": FACTORY, "Procfile": "web: gunicorn --factory shop:create_app"}, "shop:create_app()"),
        ({"app.py": APP, "other.py": APP, ".flaskenv": "FLASK_APP=other.py"}, "other:app"),
        ({"app.py": APP, "shop.py": FACTORY, ".flaskenv": "FLASK_APP='shop:create_app'"}, "shop:create_app()"),
        ({"app.py": APP, "other.py": APP, "gunicorn.conf.py": "wsgi_app = 'other:app'"}, "other:app"),
        ({"other.py": APP, "Dockerfile": 'FROM x\nCMD ["gunicorn", "-b", ":80", "other:app"]'}, "other:app"),
        ({"a.py": APP, "b.py": APP, "boot.sh": "exec gunicorn b:app", "Dockerfile": "FROM x\nCMD ./boot.sh"}, "b:app"),
        ({"app.py": APP, "Procfile": "web: gunicorn gone:app"}, "app:app"),
        ({"tests/app.py": APP, "setup.py": APP, "main.py": APP}, "main:app"),
        ({"shop.py": FACTORY, "tasks.py": "celery = create_celery_app()\n"}, "shop:create_app()"),
    ],
)
def test_what_is_served_is_found(decided, files, served):
    assert decided(files)["app_wsgi"] == served


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"migrations/env.py": "", **MIGRATES}, {"app_release_command": "flask db upgrade"}),
        (
            {"shop/migrations/env.py": "", **MIGRATES},
            {"app_release_command": "flask db upgrade -d shop/migrations"},
        ),
        ({"alembic.ini": "", **ALEMBIC}, {"app_release_command": "alembic upgrade head"}),
        ({"alembic.ini": "", "migrations/env.py": "", **ALEMBIC}, {"app_release_command": "alembic upgrade head"}),
        ({"migrations/env.py": "", **ALEMBIC}, {}),
        ({"Procfile": "release: ./a && ./b"}, {"app_release_command": "sh -c './a && ./b'"}),
        (
            {"Procfile": "release: python manage.py db upgrade"},
            {
                "app_release_command": "python manage.py db upgrade",
                "app_schema_command": "python manage.py db current",
            },
        ),
        ({"Procfile": "web: gunicorn app:app --timeout 120 --preload"}, {"app_timeout": 120, "app_preload": True}),
        ({"gunicorn.conf.py": "workers = 3\nworker_class = 'gthread'"}, {"app_workers": 3, "app_server": "gthread"}),
        ({"app.py": f"{APP}@app.get('/healthz')\ndef ok(): return ''"}, {"app_health_path": "/healthz"}),
        ({"x.py": "import os\nos.makedirs('uploads')\n"}, {"app_writable": ["uploads"]}),
        ({"x.py": "UPLOAD_FOLDER = './files/'\n"}, {"app_writable": ["files"]}),
        (
            {
                "shop/settings.py": "basedir = os.path.abspath(os.path.dirname(os.path.dirname(__file__)))\n"
                "SHOP_UPLOAD_PATH = os.path.join(basedir, 'uploads')\n"
                "handler = RotatingFileHandler(os.path.join(basedir, 'logs/shop.log'))\n"
            },
            {"app_writable": ["logs", "uploads"]},
        ),
        (
            {
                "shop/x.py": "HERE = Path(__file__).resolve().parent\n(HERE / 'a' / 'b').mkdir()\n"
                "os.makedirs(os.path.join(os.path.dirname(__file__), '../cache'))\n"
            },
            {"app_writable": ["shop/a/b", "cache"]},
        ),
        (
            {
                "x.py": "os.makedirs(os.path.join(DATA, 'a'))\n"
                "os.makedirs(os.path.join(os.path.dirname(__file__), '../a'))\n"
            },
            {},
        ),
        ({"x.py": "MAX_CONTENT_LENGTH = 50 * 1024 * 1024"}, {"app_writable": ["/tmp:100m"], "site_max_body": "50m"}),
        ({"shop/static/a.css": ""}, {"site_static": "shop/static"}),
        ({"requirements.txt": "psycopg>=3\nGitPython"}, {"build_image_packages": ["git", "libpq5"]}),
        ({"requirements.txt": "psycopg[binary]>=3\n"}, {}),
        (
            {"requirements.txt": "-r requirements-base.txt", "requirements-base.txt": "python-ldap\n"},
            {"build_packages": ["libldap-dev", "libsasl2-dev"]},
        ),
        (
            {"pyproject.toml": "[project]\nname='x'\ndependencies=['pydub']", "uv.lock": ""},
            {"build_image_packages": ["ffmpeg"]},
        ),
        (
            {"Pipfile": "[packages]\npython-magic = '*'\n", "requirements.txt": ""},
            {"build_image_packages": ["libmagic1"]},
        ),
        ({"Aptfile": "tesseract-ocr\n# no\n-x\n"}, {"build_image_packages": ["tesseract-ocr"]}),
        ({"requirements.txt": "flask-socketio"}, {"app_workers": 1}),
        ({"Dockerfile": "FROM python\nEXPOSE 8080\nCMD python app.py"}, {"app_server": "port:8080"}),
        ({"Dockerfile": "FROM python\nCMD flask run --port 5050"}, {"app_server": "port:5050"}),
        ({"Dockerfile": "FROM python\nRUN pip install gunicorn\nCMD python app.py"}, {}),
    ],
)
def test_what_it_needs_is_decided(decided, files, expected):
    found = decided({"app.py": APP, **files})
    assert found.pop("app_wsgi") == "app:app"
    assert found == expected


@pytest.mark.parametrize(
    ("code", "more", "expected"),
    [
        ("import os\nos.environ['CURRENCY']", {}, {"app_env": {"CURRENCY": ""}}),
        ("import os\nos.environ['CURRENCY']", {".env.example": "CURRENCY='EUR' # x"}, {"app_env": {"CURRENCY": "EUR"}}),
        ("import os\nos.environ['MAIL_PASSWORD']", {}, {"app_secrets": {"MAIL_PASSWORD": "vault_app_mail_password"}}),
        (
            "import os\nos.environ.get('SECRET_KEY') or 'dev'",
            {},
            {"app_secrets": {"SECRET_KEY": "vault_app_secret_key"}},
        ),
        ("import os\nos.environ.get('COLOUR', 'red')", {}, {}),
        ("import os\nos.environ.get('TEST_SECRET_KEY', 'x'), os.environ.get('DEV_SECRET_KEY')", {}, {}),
        (
            "import os\nos.environ.get('DEV_DATABASE_URL')",
            {"docker-compose.yml": "services: {web: {build: ., environment: {DEV_DATABASE_URL: 'x://y'}}}"},
            {},
        ),
        ("import os\nos.environ['DKIM_PRIVATE_KEY_PATH']", {}, {"app_env": {"DKIM_PRIVATE_KEY_PATH": ""}}),
        (
            "import os\nos.environ['SEARCH']",
            {"docker-compose.yml": "services: {web: {build: ., environment: {SEARCH: 'http://search:9200'}}}"},
            {"app_env": {"SEARCH": ""}},
        ),
        ("", {"bin/publish.py": "import os\nos.environ['GITHUB_TOKEN']"}, {}),
        ("import os\nos.environ['DEVICE_TOKEN']", {}, {"app_secrets": {"DEVICE_TOKEN": "vault_app_device_token"}}),
        ("import os\ntry:\n    os.environ['X']\nexcept KeyError:\n    pass", {}, {}),
        ("import os\nos.environ['PORT'], os.environ['FLASK_APP']", {}, {}),
        ("def f(environ):\n    return environ['PATH_INFO']", {}, {}),
        ("from os import environ\nenviron['CURRENCY']", {}, {"app_env": {"CURRENCY": ""}}),
        ("from decouple import config\nconfig('CURRENCY')", {}, {"app_env": {"CURRENCY": ""}}),
        ("from environs import Env\nenv = Env()\nenv.str('CURRENCY', default='EUR')", {}, {}),
        (
            "",
            {"app.json": '{"env": {"KEY": {"generator": "secret"}}}'},
            {"app_secrets": {"KEY": "vault_app_key"}},
        ),
        (
            "import os\nos.getenv('DATABASE_URL') or 'sqlite:///' + os.getcwd()",
            {},
            {"app_env": {"DATABASE_URL": "sqlite:////data/app.db"}},
        ),
        (
            "import os\nos.environ['CITY']",
            {"docker-compose.yml": "services: {web: {build: ., environment: [CITY=Ulm]}}"},
            {"app_env": {"CITY": "Ulm"}},
        ),
    ],
)
def test_the_environment_is_what_the_code_demands(decided, code, more, expected):
    found = decided({"app.py": APP, "config.py": code, **more})
    shown = {name: value for name, value in found.items() if name in ("app_env", "app_secrets")}
    stubs = {name: f"{{{{ {value} }}}}" for name, value in expected.get("app_secrets", {}).items()}
    assert shown == expected | ({"app_secrets": stubs} if stubs else {})


@pytest.mark.parametrize(
    ("code", "algorithm"),
    [("os.environ['JWT_KEY_DIR']", "RS256"), ("os.environ.get('JWT_KEY_DIR')", "RS256"), ("os.environ['CITY']", None)],
)
def test_an_app_that_reads_where_its_keys_lie_asks_for_them(decided, code, algorithm):
    assert decided({"app.py": APP, "config.py": f"import os\n{code}"}).get("tokens_algorithm") == algorithm


def test_processes_beside_the_web_are_printed(printed):
    files = {
        "app.py": APP,
        "Procfile": "web: gunicorn app:app\nworker: celery -A app worker\nticker: python tick.py $N\n",
        "app.json": '{"formation": {"worker": {"quantity": 2}}}',
        "docker-compose.yml": "services: {db: {image: 'postgres:16'}, beat: {build: ., command: celery -A app beat}}",
    }
    text = printed(files)
    assert yaml.safe_load(text)["app_processes"] == {
        "worker": {"command": "celery -A app worker", "count": 2},
        "ticker": {"command": "sh -c 'python tick.py $N'", "count": 1},
        "beat": {"command": "celery -A app beat", "hosts": "one"},
    }
    assert "#   app_needs: [postgres] would set one up beside the app, its address in DATABASE_URL; " in text
    assert "DATABASE_URL; docker-compose.yml has postgres" in text


MAIN = f"{APP}if __name__ == '__main__':\n    app.run()\n"
SCRIPTS = {"app.py": APP, "server.py": MAIN, "shop/__main__.py": "from app import app\napp.run(debug=True)\n"}
DEVELOPS = [
    "flask run --host 0.0.0.0",
    "flask --app app --debug run",
    "python -m flask run",
    "python manage.py runserver",
    "python server.py",
    "python -u ./server.py --port $PORT",
    "FLASK_DEBUG=1 python3 server.py",
    "python -m shop",
    "honcho start",
    "exec foreman start -f Procfile.dev",
    "supervisord -n -c supervisord.conf",
    "docker-compose up",
    "docker compose up --build",
    "redis-server --port 6379",
    "sleep infinity",
]


@pytest.mark.parametrize("command", DEVELOPS)
@pytest.mark.parametrize("name", ["backend", "app", "all"])
def test_a_server_for_development_and_a_manager_are_no_process(decided, command, name):
    compose = f"services: {{{name}: {{build: ., command: {command!r}}}}}"
    for files in ({"Procfile": f"{name}: {command}\n"}, {"compose.yml": compose}):
        assert "app_processes" not in decided({**SCRIPTS, **files})


@pytest.mark.parametrize(
    ("command", "served"),
    [
        ("python server.py", "server:app"),
        ("FLASK_APP=server.py flask run", "server:app"),
        ("flask --app server run", "server:app"),
        ("flask --app=server:app run --port $PORT", "server:app"),
        ("python -m shop", "app:app"),
        ("python manage.py runserver", "app:app"),
        ("honcho start", "app:app"),
    ],
)
def test_the_app_behind_a_server_for_development_is_served(decided, command, served):
    for files in ({"Procfile": f"web: {command}\n"}, {"Dockerfile": f"FROM python\nCMD {command}\n"}):
        assert decided({**SCRIPTS, **files})["app_wsgi"] == served
    made = {"wsgi.py": "from server import app as application\n"}
    if "server.py" in command and "FLASK" not in command:
        assert decided({**SCRIPTS, **made, "Procfile": f"web: {command}\n"})["app_wsgi"] == "wsgi:application"


def test_flask_app_of_a_dockerfile_is_served(decided):
    image = "FROM python\nENV FLASK_APP=server.py FLASK_DEBUG=0\nCMD flask run\n"
    assert decided({**SCRIPTS, "Dockerfile": image})["app_wsgi"] == "server:app"


def test_a_dockerfile_that_serves_for_development_is_told(printed):
    text = printed({**SCRIPTS, "Dockerfile": "FROM python\nCMD python server.py\n"})
    assert "#   app_server: python server.py serves for development; build_dockerfile: none has gunicorn" in text
    assert "for development" not in printed({**SCRIPTS, "Dockerfile": "FROM python\nCMD waitress-serve app:app\n"})


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("watchmedo auto-restart -d . -p '*.py' -- celery -A app worker", "celery -A app worker"),
        ("watchfiles --filter python 'celery -A app worker'", "celery -A app worker"),
        ("python manage.py run_worker", "python manage.py run_worker"),
        ("python tick.py", "python tick.py"),
    ],
)
def test_a_worker_is_run_without_what_reloads_it(decided, command, runs):
    tick = "import asyncio\nasyncio.run(main())\n"
    files = {**SCRIPTS, "Procfile": f"worker: {command}\n", "tick.py": tick, "manage.py": "manager.run()\n"}
    assert decided(files)["app_processes"]["worker"]["command"] == runs


def test_what_a_manager_runs_are_the_processes(decided):
    files = {
        "Procfile": "web: honcho start -f Procfile.all\n",
        "Procfile.all": "web: gunicorn server:app\nq: rq worker\n",
    }
    found = decided({**SCRIPTS, **files})
    assert (found["app_wsgi"], found["app_processes"]) == ("server:app", {"q": {"command": "rq worker", "count": 1}})


def test_what_supervisord_runs_are_the_processes(decided):
    programs = (
        "[supervisord]\nnodaemon=true\n[program:nginx]\ncommand=/usr/sbin/nginx\n"
        "[program:web]\ncommand=/venv/bin/gunicorn -t 50 server:app ; serves\n"
        "[program:celery]\ncommand=celery -A app worker\n"
    )
    found = decided({**SCRIPTS, "deploy/supervisord.conf": programs})
    assert (found["app_wsgi"], found["app_timeout"]) == ("server:app", 50)
    assert found["app_processes"] == {"celery": {"command": "celery -A app worker", "count": 1}}


CELERY = "from celery import Celery\ncelery = Celery()\n"


@pytest.mark.parametrize(
    ("files", "named", "place"),
    [
        ({"tasks.py": "from celery import Celery\nx = Celery()\n"}, "tasks.x", "tasks.py:2"),
        ({"app.py": f"{APP}{CELERY}"}, "app.celery", "app.py:7"),  # `-A app` would be the Flask app
        ({"shop/tasks.py": "def make():\n    from celery import Celery\n    return Celery()\n"}, "shop.tasks", "3"),
        ({"tasks.py": "celery = create_celery_app()\n"}, "tasks.celery", "tasks.py:1"),
        (
            {"shop/more.py": CELERY, "celery_worker.py": "from shop.more import celery\nfrom shop import app\n"},
            "celery_worker.celery",
            "celery_worker.py:1",
        ),
        (
            {"shop/__init__.py": FACTORY, "make_celery.py": "celery_app = create_app().extensions['celery']\n"},
            "make_celery.celery_app",
            "make_celery.py:1",
        ),
    ],
)
def test_a_worker_follows_from_the_dependencies(printed, files, named, place):
    text = printed({"app.py": APP, **files, "requirements.txt": "celery"})
    assert yaml.safe_load(text)["app_processes"] == {"worker": {"command": f"celery -A {named} worker", "count": 1}}
    assert re.search(rf"  # Celery in \S*{place}$", text, re.MULTILINE)


def test_what_heroku_runs_once_is_no_release_command(printed):
    text = printed({"app.py": APP, "app.json": '{"scripts": {"postdeploy": "python manage.py recreate_db"}}'})
    assert "app_release_command" not in yaml.safe_load(text)
    assert (
        "#   app_release_command: none; Heroku runs once, after the first deploy: python manage.py recreate_db" in text
    )


BLUEPRINT = "from flask import Blueprint\nbp = Blueprint('{0}', __name__{1})\n@bp.route('/')\ndef page(): return ''\n"
IN_A_FILE = {
    "shop/admin/__init__.py": "from flask import Blueprint\nbp = Blueprint('admin', __name__)\nfrom . import routes\n",
    "shop/admin/routes.py": "from shop.admin import bp\n@bp.get('/')\ndef page(): return ''\n",
}


@pytest.mark.parametrize(
    ("files", "page"),
    [
        ({"shop/__init__.py": FACTORY, "shop/admin.py": BLUEPRINT.format("admin", ", url_prefix='/admin'")}, None),
        (
            {
                "shop/__init__.py": f"{FACTORY}from .admin import bp as admin_bp\n"
                "app.register_blueprint(admin_bp, url_prefix='/admin')\n",
                **IN_A_FILE,
            },
            None,
        ),
        (
            {
                "shop/__init__.py": f"{FACTORY}from . import admin\n"
                "app.register_blueprint(admin.bp, url_prefix=PREFIX)\n",
                "shop/admin.py": BLUEPRINT.format("admin", ""),
            },
            None,
        ),
        (
            {
                "shop/__init__.py": f"{FACTORY}from .admin import bp as one\nfrom .main import bp as two\n"
                "app.register_blueprint(one, url_prefix='/admin')\napp.register_blueprint(two)\n",
                "shop/main.py": BLUEPRINT.format("main", ""),
                **IN_A_FILE,
            },
            "shop/main.py:3",
        ),
        (
            {
                "shop/__init__.py": f"{FACTORY}from .api import api\napp.register_blueprint(api, url_prefix='/api')\n",
                "shop/api.py": f"{BLUEPRINT.format('api', '')}from .inner import inner\n"
                "api = Blueprint('api', __name__)\napi.register_blueprint(inner)\napi.register_blueprint(bp)\n",
                "shop/inner.py": BLUEPRINT.format("inner", "").replace("bp", "inner"),
            },
            None,
        ),
        (
            {"shop/__init__.py": FACTORY, "shop/teams.py": "api = Namespace('teams')\n@api.route('/')\nclass A: pass"},
            None,
        ),
        ({"shop/__init__.py": FACTORY, "shop/views.py": "import requests\nrequests.get('/')\n"}, None),
    ],
)
def test_the_first_page_is_one_that_no_prefix_moves(printed, files, page):
    text = printed(files)
    if page:
        assert f"#   app_health_path: / is a route of {page}; it must answer" in text
    else:
        assert "app_health_path: / is a route" not in text


WRITES = "import os\nfrom pathlib import Path\nUP = 'up'\nHERE = Path(__file__).parent\n"


@pytest.mark.parametrize(
    ("code", "folder"),
    [
        ("open('out/x.txt', 'w')", "out"),
        ("open(f'out/{name}', mode='ab')", "out"),
        ("open('out/' + name, 'wb')", "out"),
        ("open(os.path.join(UP, name), 'wb')", "up"),
        ("open(Path('out') / 'x', 'w')", "out"),
        ("(HERE / 'out' / name).write_text('x')", "out"),
        ("(HERE / 'out' / name).open('w')", "out"),
        ("request.files['x'].save(os.path.join(app.root_path, 'static/up', name))", "static/up"),
        ("request.files['x'].save(os.path.join(UP, name))", "up"),
        ("np.save('out/x.npy', x)", "out"),
        ("frame.to_csv(path_or_buf, index=False); frame.to_csv('out/x.csv')", "out"),
        ("logging.FileHandler('out/x.log')", "out"),
        ("logging.basicConfig(filename='out/x.log')", "out"),
        ("joblib.dump(model, 'out/x.pkl')", "out"),
        ("open('out/x.txt')", None),
        ("open('/tmp/x.txt', 'w')", None),
        ("open('data/x.txt', 'w')", "data"),
        ("open('/data/x.txt', 'w')", None),
        ("open('.store/x.txt', 'w')", ".store"),
        ("open('/var/spool/shop/x.txt', 'w')", "/var/spool/shop"),
        ("open('instance/x.txt', 'w')", None),
        ("open('out/a/x.txt', 'w'); open('out/x.txt', 'w')", "out"),
        ("open(path, 'w')", None),
        ("form.save('x')", None),
    ],
)
def test_files_that_a_page_writes_lie_where_it_may_write(decided, code, folder):
    page = f"{APP}{WRITES}def page():\n    {code}\n"
    assert decided({"app.py": page}).get("app_writable") == ([folder] if folder else None)


def test_what_only_a_script_writes_is_no_place_of_the_app(decided):
    script = "joblib.dump(model, 'models/a.pkl')\n"
    main = "if __name__ == '__main__':\n    open('out/x', 'w')\n"
    assert "app_writable" not in decided({"app.py": APP + main, "train.py": script})
    assert decided({"app.py": f"import train\n{APP}", "train.py": script})["app_writable"] == ["models"]


def test_a_file_written_beside_the_code_is_said(printed):
    text = printed({"app.py": f"{APP}import logging\nlogging.FileHandler('shop.log')\n"})
    assert "#   app_writable: app.py:7 writes shop.log beside the code, where nothing can be written; let it " in text


def test_a_directory_that_git_has_files_in_is_not_kept_unasked(printed):
    files = {"app.py": f"{APP}def page():\n    open('models/new', 'w')\n", "models/old": ""}
    text = printed(files)
    assert "#   app_writable: app.py:7 writes to models, where models/old lies: [models] keeps what is there" in text
    assert "app_writable" not in yaml.safe_load(text)


def test_each_line_has_its_reason(printed):
    lines = printed({"app.py": APP, "config.py": "import os\nos.environ['CITY']"}).splitlines()
    assert "app_wsgi: app:app  # the app that app.py makes" in lines
    assert "  CITY: ''  # config.py:2 demands it" in lines
    assert "#   app_env: CITY has no value yet" in lines
    assert "#   dependencies of requirements.txt" in lines
    plain = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in plain if "  # " not in line] == ["app_env:"]


def test_a_command_to_type_is_whole(printed):
    name = "initialise_the_tables_of_the_shop_and_fill_them_with_what_the_first_customers_need_to_see"
    sql = "db.execute('CREATE TABLE a (b)')"
    text = printed({"app.py": APP, "shop/database/initialise_all.py": f"def {name}():\n    {sql}\n"})
    assert f"import {name}; {name}()\"'" in text


def test_a_pyproject_that_is_no_toml_is_named(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "pyproject.toml").write_text("[project\n")
    assert "pyproject.toml cannot be read: " in report.read({"build_source": str(tmp_path)})


def test_what_is_not_found_is_said(printed):
    text = printed({"shop/__init__.py": FACTORY.replace("config=None", "name"), "README": ""})
    assert "#   app_wsgi: shop:create_app needs 1 arguments; write them, as shop:create_app('production')" in text
    assert "#   site_domain: the public name, which you have to write" in text
    assert "#   app_health_path: no route / was seen" in text
    assert "site_domain: shop.example.com  # as you gave it" in printed({}, site_domain="shop.example.com")


def test_the_only_directory_with_dependencies_is_the_app_s(tmp_path):
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "requirements.txt").write_text("flask")
    (tmp_path / "backend" / "app.py").write_text(APP)
    found = yaml.safe_load(report.read({"build_source": str(tmp_path)}))
    assert (found["build_subdir"], found["app_wsgi"]) == ("backend", "app:app")


@pytest.fixture
def check(variables, monkeypatch):
    """Return what the check says of an inventory that is a text."""
    monkeypatch.setattr(check_inventory, "check_outside", lambda *values: [])

    def lines(text, **vault):
        known = {name: value for name, value in variables("", **vault).items() if name not in load_specs()}
        known |= {"groups": {"web": ["web1"]}} | DataLoader().load(trust_as_template(text))
        plugin = object.__new__(check_inventory.ActionModule)
        plugin._templar = Templar(DataLoader(), variables=known)
        return plugin._check_inventory(known)[1]

    return lines


RICH = {
    "app.py": APP,
    "config.py": "import os\nUPLOAD_FOLDER = 'up'\nos.environ['CITY'], os.environ['SECRET_KEY']\n"
    "MAX_CONTENT_LENGTH = 200 * 1024 * 1024\nURI = os.getenv('DATABASE_URL', 'sqlite:///x.db')\n",
    ".env.example": "CITY=Köln: 'a' \"b\" # c\n",
    "Procfile": "web: gunicorn app:app --timeout 90 -k gthread\nrelease: flask db upgrade && flask seed",
    "requirements.txt": "flask\ncelery\npsycopg\nxmlsec\n",
    "static/a.css": "",
}


def test_what_is_printed_passes_the_check(check, printed):
    text = printed(RICH, app_name="shop", site_domain="shop.example.com")
    assert check(text, vault_app_secret_key="5f0c" * 16) == []
    assert [line.partition(":")[0] for line in check(text, vault_app_secret_key="")] == ["app_secrets"]


def test_what_the_check_would_refuse_is_left_out(printed):
    text = printed({"app.py": APP, "Procfile": "web: gunicorn app:app --timeout 100000"})
    assert "\napp_timeout" not in text
    assert "#   app_timeout: 100000 is not between 1 and 3600 (left out)" in text


HOSTILE = "{{ lookup('pipe', 'touch /tmp/x') }}"


def test_a_hostile_name_or_value_is_a_value(check, printed):
    evil = "x\napp_env: {A: b}\n#"
    files = {
        "app.py": APP,
        f"{evil}/requirements.txt": "",
        f"{evil}/static/a": "",
        "config.py": f"import os\nos.makedirs({evil!r})\nos.environ[{evil!r}], os.environ['CITY']\n",
        ".env.example": f"CITY={HOSTILE}\n",
        "Procfile": f"release: echo {HOSTILE}\nworker: celery -A app worker {HOSTILE}",
        "docker-compose.yml": yaml.safe_dump({"services": {evil: {"build": ".", "command": f"celery {evil}"}}}),
    }
    text = printed(files, site_domain="shop.example.com")
    assert set(yaml.load(text, UnsafeLoader)) == {
        *("app_name", "site_domain", "build_source", "app_wsgi", "app_release_command", "app_env", "app_processes")
    }
    assert yaml.load(text, UnsafeLoader)["app_env"] == {"CITY": HOSTILE}
    known = DataLoader().load(trust_as_template(text))
    templar = Templar(DataLoader(), variables=known)
    assert templar.template(known["app_env"]) == {"CITY": HOSTILE}
    assert templar.template(known["app_processes"])["worker"]["command"] == f"celery -A app worker {HOSTILE}"
    assert all(line.isprintable() for line in text.splitlines())
    assert check(text) == []


def test_nothing_of_a_repository_is_run(source, tmp_path):
    mark = tmp_path / "ran"
    runs = f"open({str(mark)!r}, 'w')\n"
    place = source({"app.py": runs + APP, "setup.py": runs, "conftest.py": runs, "gunicorn.conf.py": runs})
    subprocess.run(["git", "init", "-q", place], check=True)
    monitor = place / ".git" / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {mark}\n")
    monitor.chmod(0o755)
    subprocess.run(["git", "-C", place, "config", "core.fsmonitor", monitor], check=True)
    assert "app_wsgi: app:app" in report.read({"build_source": str(place)})
    assert not mark.exists()


def test_a_git_repository_is_read_at_a_ref(source, tmp_path):
    place = source({"app.py": APP})
    git = ["git", "-C", place]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    (place / "app.py").rename(place / "main.py")
    os.symlink("/etc/passwd", place / "app.py")
    for command in (["add", "-A"], ["commit", "-qm", "two"]):
        subprocess.run([*git, *command], check=True)
    address = f"file://{place}"
    assert yaml.safe_load(report.read({"build_source": address}))["app_wsgi"] == "main:app"
    older = yaml.safe_load(report.read({"build_source": address, "build_ref": "v1"}))
    assert (older["app_wsgi"], older["build_ref"], older["build_source"]) == ("app:app", "v1", address)
    with pytest.raises(TreeError, match=r"build_source: gone cannot be fetched: .*; write another"):
        report.read({"build_source": address, "build_ref": "gone"})


def test_reading_is_bounded(source, monkeypatch):
    place = source({"app.py": APP, "big.py": "x = 1\n" * 100_000, "deep.py": "(" * 5_000, "bad.py": "def"})
    os.symlink("/etc", place / "etc")
    os.mkfifo(place / "pipe.py")
    os.symlink("/dev/zero", place / "Procfile")
    (place / "docker-compose.yml").write_text("a: &a {<<: [*b]}\nservices: [\n")
    for number in range(400):
        (place / f"m{number}.py").write_text("")
    text = report.read({"build_source": str(place)})
    for line in (
        "deep.py",
        "bad.py",
        "docker-compose.yml, which is no YAML",
        "of 40",
        "Python files, the deepest ones",
    ):
        assert line in text
    monkeypatch.setattr("source_inspect.tree.NAMES", 100)
    with pytest.raises(TreeError, match=r"more than 100 files; name the app's directory, by build_subdir$"):
        report.read({"build_source": str(place)})


@pytest.mark.parametrize("repository", [False, True])
def test_of_too_many_files_those_of_one_directory_are_read(source, monkeypatch, repository):
    ui = {f"ui/{number}.js": "" for number in range(20)}
    place = source({"api/app.py": APP, "api/requirements.txt": "flask\n", "job/a.py": "", **ui})
    if repository:
        for command in (
            ["init", "-q"],
            ["add", "."],
            ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x"],
        ):
            subprocess.run(["git", *command], cwd=place, check=True)
    monkeypatch.setattr("source_inspect.tree.NAMES", 10)
    given = {"build_source": f"file://{place}" if repository else str(place)}
    with pytest.raises(TreeError, match=r"files; name the app's directory, one of api, job: -e build_subdir=api$"):
        report.read(given)
    assert "\napp_wsgi: app:app " in report.read({**given, "build_subdir": "api"})


def test_merges_of_yaml_do_not_fill_the_memory(printed):
    rows = ["a0: &a0 {x: 1}"]
    rows += [f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert "app_wsgi: app:app" in printed({"app.py": APP, "docker-compose.yml": "\n".join(rows)})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"build_source": "/nowhere"},
            "build_source: /nowhere is not a directory on the controller; name a directory of this machine, or a "
            "repository's address, example: ansible-playbook playbooks/inspect.yml -e build_source=https://",
        ),
        ({"build_source": "https://me:word@git.example.com/x"}, "build_source: an address with a password"),
        ({"build_source": "/", "build_ref": "-x"}, "build_ref: '-x' is not a branch"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(given, said):
    with pytest.raises(TreeError) as error:
        report.read(given)
    assert str(error.value).startswith(said)


def test_all_variables_that_it_prints_are_those_of_roles():
    code = "".join(path.read_text() for path in (Path(places.__file__).parent).glob("*.py"))
    named = set(re.findall(r'(?:set|put)\(\s*f?"(\w+)"', code))
    assert named > {"app_wsgi", "app_env", "site_static"}
    assert named <= load_specs().keys()


def test_the_playbook_needs_no_inventory(source):
    command = ["ansible-playbook", "playbooks/inspect.yml", "-e", f"build_source={source({'app.py': APP})}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "\napp_wsgi: app:app  # the app that app.py makes\n" in done.stdout
    done = subprocess.run(command[:2], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "build_source: what is to be read? example: -e build_source=https://git.example.com/shop.git" in done.stdout


def test_a_driver_says_which_service_could_lie_beside_the_app(printed):
    text = printed({"requirements.txt": "flask\nflask-sqlalchemy\npsycopg[binary]\ncelery[redis]\n"})
    wanted = "#   app_needs: [postgres], and postgres_driver: postgresql+psycopg would set one up beside the app"
    assert wanted in text and "#   app_needs: [valkey] would set one up beside the app" in text
    assert "app_needs" not in printed({"requirements.txt": "flask\n"})


INITDB = "@app.cli.command()\ndef initdb_command():\n    {}\n    db.create_all()\n"
BY_HAND = "only {}, which also drops tables, makes the tables (x.py:{}), so no deploy may run it; let the app make them"
COULD = "{} could be it, if it leaves alone what is there: it makes the tables (x.py:{}), a start does not"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (INITDB.format("pass"), COULD.format("flask initdb", 4)),
        (INITDB.format("if drop: db.drop_all()"), COULD.format("flask initdb", 4)),
        (INITDB.format("db.drop_all()"), BY_HAND.format("flask initdb", 4)),
        ("@shop.cli.command('make')\ndef f():\n    db.create_all()\n", COULD.format("flask … make", 3)),
        ("@cli.command('make_db')\ndef f():\n    db.create_all()\n", COULD.format("python x.py make_db", 3)),
        ("@manager.command\ndef make_db():\n    db.create_all()\n", COULD.format("python x.py make_db", 3)),
        (
            "def init_db():\n    db.create_all()\nif __name__ == '__main__':\n    init_db()\n",
            "x.py:4 makes tables only where that file is run itself, which gunicorn does not; let the app make them",
        ),
    ],
)
def test_tables_that_no_start_makes_are_named_with_what_does(printed, code, said):
    assert f"#   app_release_command: {said}\n" in printed({"app.py": APP, "x.py": code})


RUNS = "connection.executescript(open('schema.sql').read())\n"
OLD = "def init_db():\n    with app.open_resource('schema.sql') as f:\n        db().executescript(f.read())\n"
COMMAND = f"{OLD}@app.cli.command('init-db')\ndef f():\n    init_db()\n"
PLAIN, TWICE, DROPS = (
    "CREATE TABLE IF NOT EXISTS a (b)",
    "create table a (b)",
    "DROP TABLE IF EXISTS a; CREATE TABLE a (b)",
)
ONCE = "for the first tables alone, after the first deploy: playbooks/run.yml -e 'run_command={}'"


@pytest.mark.parametrize(
    ("files", "sql", "said"),
    [
        ({"init_db.py": RUNS}, PLAIN, "python init_db.py could be it, if it leaves alone what is there: it makes the"),
        (
            {"init_db.py": RUNS},
            TWICE,
            "only python init_db.py, which fails where they are, makes the tables (init_db.py:1",
        ),
        ({"init_db.py": RUNS}, TWICE, ONCE.format("python init_db.py")),
        (
            {"init_db.py": RUNS},
            DROPS,
            "only python init_db.py, which also drops tables, makes the tables (init_db.py:1)",
        ),
        ({"db/init_db.py": f"if __name__ == '__main__':\n    {RUNS}"}, DROPS, ONCE.format("python -m db.init_db")),
        ({"init_db.py": "cursor.execute('CREATE TABLE a (b)')"}, "", "only python init_db.py, which fails where they"),
        ({"shop.py": COMMAND}, DROPS, "only flask init-db, which also drops tables, makes the tables (shop.py:6)"),
        ({"shop.py": COMMAND}, PLAIN, "flask init-db could be it, if it leaves alone what is there"),
        ({"shop.py": OLD}, DROPS, 'only python -c "from shop import init_db; init_db()", which also drops tables'),
        ({"shop.py": OLD}, DROPS, ONCE.format('python -c "from shop import init_db; init_db()"')),
        ({"shop.py": INITDB.format("db.drop_all()")}, "", ONCE.format("flask initdb")),
    ],
)
def test_tables_that_sql_makes_are_named_with_what_runs_it(printed, files, sql, said):
    assert f"#   app_release_command: {said}" in printed({"app.py": APP, "schema.sql": sql, **files})


@pytest.mark.parametrize(
    "files",
    [
        {"x.py": "db.create_all()\n"},
        {"x.py": f"{OLD}init_db()\n", "schema.sql": PLAIN},
        {"x.py": "db.executescript('INSERT INTO a VALUES (1)')\n"},
        {"x.py": "def make(app):\n    with app.app_context():\n        db.create_all()\n"},
        {"x.py": INITDB.format("pass"), "migrations/env.py": ""},
        {"x.py": INITDB.format("pass"), "app.json": '{"scripts": {"postdeploy": "flask initdb"}}'},
        {"tests/x.py": INITDB.format("pass")},
    ],
)
def test_of_tables_that_a_start_or_a_migration_makes_nothing_is_said(printed, files):
    assert "makes the tables" not in printed({"app.py": APP, **files})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379"),
        ("postgresql+psycopg://shop:hidden@db/shop", "postgresql://db"),
        ("amqp://guest:hidden@127.0.0.1:5672//", "amqp://127.0.0.1:5672"),
    ],
)
def test_an_address_in_the_code_that_no_container_reaches_is_named_without_its_password(printed, text, named):
    printed = printed({"app.py": f"{APP}BROKER = '{text}'\n"})
    assert f"#   app_env: {named} stands in app.py:6, and no container reaches it; let a variable give the " in printed
    assert "hidden" not in printed


@pytest.mark.parametrize(
    "code",
    [
        "x = 'redis://cache.example.com:6379'",
        "import os\nx = os.environ.get('REDIS_URL', 'redis://localhost')",
        "import os\nx = os.environ.get('REDIS_URL') or 'redis://localhost'",
        "x = f'redis://{host}'",
    ],
)
def test_an_address_that_is_elsewhere_or_only_a_default_is_not_named(printed, code):
    assert "let a variable give the address" not in printed({"app.py": f"{APP}{code}\n"})


def test_an_address_of_a_service_of_compose_is_no_value(printed):
    compose = """services:
  web:
    build: .
    environment: {RESULTS: 'redis://:hidden@redis:6379/0'}
  worker:
    build: .
    command: celery -A app.celery worker --broker=redis://redis
  dashboard:
    build: .
    command: celery -A app.celery flower
"""
    text = printed({"app.py": f"import os\nos.environ['RESULTS']\n{APP}", "docker-compose.yml": compose})
    assert yaml.safe_load(text)["app_env"] == {"RESULTS": ""}
    where = "no container reaches redis://redis:6379 of docker-compose.yml"
    assert f"#   app_env: RESULTS has no value yet; {where}\n" in text
    assert "#   app_processes: worker asks redis://redis, which no container reaches\n" in text
    assert list(yaml.safe_load(text)["app_processes"]) == ["worker"]  # flower is a page, which nobody would reach
    assert "hidden" not in text


def test_a_file_of_settings_that_a_variable_names_is_said(printed):
    text = printed({"app.py": f"{APP}app.config.from_envvar('SHOP_CONFIG', silent=True)\n"})
    assert "#   app_files: app.py:6 reads a file that SHOP_CONFIG names, if there is one; app_files writes it\n" in text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sqlite3\nsqlite3.connect('shop.db')\n", True),
        ("DATABASE = 'shop.db'\ndatabase = SqliteDatabase(DATABASE)\n", True),
        ("import sqlite3\nsqlite3.connect(':memory:')\n", False),
        ("import sqlite3\nsqlite3.connect('/data/shop.db')\n", False),
        ("import os, sqlite3\nsqlite3.connect('shop.db')\nos.environ.get('DATABASE_URL')\n", True),
    ],
)
def test_sqlite_without_an_address_beside_the_code_is_said(printed, code, said):
    text = printed({"app.py": APP, "x.py": code})
    assert ("may lie beside the code" in text) == said
    assert "sqlite:////data" not in text


OF_FLASK = {"requirements.txt": "flask\nflask-sqlalchemy\n"}
URI = "SQLALCHEMY_DATABASE_URI = "
BASE = "import os\nfrom pathlib import Path\nBASE = os.path.abspath(os.path.dirname(__file__))\nHERE = Path(BASE)\n"


@pytest.mark.parametrize(
    ("code", "folders", "said"),
    [
        (f"{URI}'sqlite:///shop.db'\n", None, "sqlite:///shop.db in config.py:5 lies in instance/ by Flask-SQL"),
        (f"{URI}'sqlite:///db/shop.db'\n", None, "lies in instance/db/ by Flask-SQLAlchemy 3, which is kept, if the "),
        (f"{URI}'sqlite:///' + os.path.join(BASE, 'db', 'shop.db')\n", ["db"], ""),
        (f"{URI}'sqlite:///' + os.path.join(BASE, 'shop.db')\n", None, "may lie beside the code, as shop.db, which"),
        (f"{URI}f'sqlite:///{{BASE}}/db/shop.db'\n", ["db"], ""),
        (f"{URI}f'sqlite:///{{os.path.join(BASE, \"db/shop.db\")}}'\n", ["db"], ""),
        (f"{URI}'sqlite:///{{}}'.format(os.path.join(BASE, 'db', 'shop.db'))\n", ["db"], ""),
        (f"{URI}'sqlite:///%s' % os.path.join(BASE, 'db', 'shop.db')\n", ["db"], ""),
        (f"{URI}'sqlite:///' + BASE + '/db/shop.db'\n", ["db"], ""),
        (f"{URI}'sqlite:////var/spool/shop/shop.db'\n", ["/var/spool/shop"], ""),
        (f"{URI}'sqlite:////app/db/shop.db'\n", ["db"], ""),
        (f"{URI}'sqlite:////data/shop.db'\n", None, ""),
        (f"{URI}'sqlite:///' + os.path.join(app.instance_path, 'shop.db')\n", None, "instance/ (config.py:5) is kept"),
        (f"{URI}'sqlite:///' + path()\n", None, "SQLite in config.py:5 may lie beside the code, which cannot"),
        ("sqlite3.connect(os.path.join(BASE, 'db/shop.db'))\n", ["db"], ""),
        ("DB = 'db/shop.db'\nsqlite3.connect(DB, timeout=5)\n", ["db"], ""),
        ("sqlite3.connect(str(HERE / 'db' / 'shop.db'))\n", ["db"], ""),
        ("sqlite3.connect('/var/spool/shop/shop.db')\n", ["/var/spool/shop"], ""),
    ],
)
def test_a_database_of_sqlite_lies_where_it_may_be_written(printed, code, folders, said):
    text = printed({"app.py": APP, "config.py": f"{BASE}{code}", **OF_FLASK})
    assert yaml.safe_load(text).get("app_writable") == folders
    assert [row for row in text.splitlines() if row.startswith("#   ") and ("SQL" in row or "instance" in row)] == (
        [row for row in text.splitlines() if said in row] if said else []
    )


@pytest.mark.parametrize(("needs", "folders"), [("flask\nsqlalchemy\n", ["db"]), ("flask-sqlalchemy\n", None)])
def test_only_flask_sqlalchemy_puts_what_is_relative_into_instance(decided, needs, folders):
    files = {"config.py": f"{URI}'sqlite:///db/shop.db'\n", "requirements.txt": needs}
    assert decided({"app.py": APP, **files}).get("app_writable") == folders


def test_a_database_of_tests_is_none_of_the_app(printed):
    assert "SQLite" not in printed({"app.py": APP, "configs/test.py": f"{BASE}{URI}'sqlite:///' + BASE\n"})


@pytest.mark.parametrize(
    ("code", "more", "proposed"),
    [
        ("sqlite3.connect('db/shop.db')\n", {}, False),
        (f"{URI}'sqlite:///shop.db'\n", {}, False),
        (f"{URI}os.getenv('DATABASE_URL', 'sqlite:///shop.db')\n", {}, True),
        (f"{URI}os.getenv('SHOP_DB_HOST') or 'sqlite:///shop.db'\n", {}, True),
        (f"{URI}'sqlite:///shop.db'\nLIVE = 'postgresql://db.example.com/shop'\n", {}, True),
        (f"{URI}'sqlite:///shop.db'\n", {"compose.yml": "services: {db: {image: 'postgres:16'}}"}, True),
        ("", {}, True),
    ],
)
def test_no_server_is_proposed_where_only_sqlite_is_used(printed, code, more, proposed):
    files = {"app.py": APP, "config.py": f"{BASE}{code}", "requirements.txt": "flask\npsycopg2-binary\n", **more}
    assert ("app_needs: [postgres]" in printed(files)) == proposed


def test_a_default_that_the_code_puts_together_is_one(decided):
    code = f"{BASE}{URI}os.environ.get('DATABASE_URL', 'sqlite:///' + os.path.join(BASE, 'shop.db'))\n"
    assert decided({"app.py": APP, "config.py": code})["app_env"] == {"DATABASE_URL": "sqlite:////data/app.db"}


@pytest.mark.parametrize(
    ("places", "subdir"),
    [
        (["services/web", "services/mail/tools"], "services/web"),
        (["deep/er/web"], "deep/er/web"),
        (["much/too/deep/web"], None),
        (["one", "two"], None),
        (["web", "tests", "docs"], "web"),
    ],
)
def test_the_directory_of_the_app_is_the_highest_that_lists_dependencies(tmp_path, places, subdir):
    for place in places:
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "requirements.txt").write_text("flask\n")
        (tmp_path / place / "app.py").write_text(APP)
    found = yaml.safe_load(report.read({"build_source": str(tmp_path)}))
    assert found.get("build_subdir") == subdir


@pytest.mark.parametrize(
    ("files", "path"),
    [
        ({"app.py": APP, "maintenance_app.py": f"{APP}@app.get('/health')\ndef ok(): return ''"}, None),
        (
            {"wsgi.py": "from server import app\n", "server.py": f"{APP}@app.get('/health')\ndef ok(): return ''"},
            "/health",
        ),
        (
            {
                "wsgi.py": "from shop import create_app\napp = create_app()\n",
                "shop/__init__.py": "from flask import Flask\ndef create_app():\n    app = Flask(__name__)\n"
                "    @app.get('/health')\n    def ok(): return ''\n    return app\n",
            },
            "/health",
        ),
    ],
)
def test_the_health_route_is_of_the_app_that_is_served(decided, files, path):
    assert decided(files).get("app_health_path") == path


def test_the_first_page_of_another_app_in_the_repository_is_not_the_health_path(printed):
    text = printed({"wsgi.py": FACTORY + "app = create_app()\n", "tester.py": APP})
    assert yaml.safe_load(text)["app_wsgi"] == "wsgi:app"
    assert "#   app_health_path: no route / was seen" in text


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("@app.route('/ping', methods=['POST'])\ndef ping(): return ''", None),
        ("@app.post('/ping')\ndef ping(): return ''", None),
        ("@app.route('/ping', methods=('post', 'get'))\ndef ping(): return ''", "/ping"),
        ("@app.get('/api/v1/health')\ndef ok(): return ''", "/api/v1/health"),
        ("@app.get('/api/ping')\ndef ok(): return ''", "/api/ping"),
        ("@app.get('/spa')\ndef ok(): return ''", None),
    ],
)
def test_a_health_route_answers_get(decided, code, path):
    assert decided({"app.py": f"{APP}{code}\n"}).get("app_health_path") == path


PAGES = """@app.get('/api/items/<int:item>')
def item(item): return ''
@app.get('/me')
@login_required
def me(): return ''
@app.get('/logout')
def logout(): return ''
@app.route('/api/items')
def items(): return ''
"""


def test_without_a_first_page_another_open_one_is_asked(printed):
    text = printed({"app.py": f"from flask import Flask\napp = Flask('x')\n{PAGES}"})
    wanted = "the route in app.py:10; no route / was seen, and this one must answer below 400 without a login"
    assert f"\napp_health_path: /api/items  # {wanted}\n" in text


def test_a_health_route_of_a_blueprint_that_is_registered_is_found(decided):
    health = "from flask import Blueprint\nbp = Blueprint('h', 'h')\n@bp.get('/health')\ndef ok(): return ''\n"
    app = f"{APP}from health import bp\n"
    used = {"app.py": f"{app}app.register_blueprint(bp, url_prefix='/api')\n", "health.py": health}
    assert decided(used)["app_health_path"] == "/api/health"
    assert "app_health_path" not in decided({"app.py": app, "health.py": health})


VIEW = "class Up(MethodView):\n    {}def {}(self): return ''\n"


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("app.add_url_rule('/health', 'health', health)", "/health"),
        ("app.add_url_rule('/health', view_func=login_required(health))", "/health"),
        ("app.add_url_rule(rule='/health', view_func=health)", "/health"),
        ("app.add_url_rule('/health', view_func=health, methods=['POST'])", None),
        (VIEW.format("", "get") + "app.add_url_rule('/health', view_func=Up.as_view('up'))", "/health"),
        (VIEW.format("", "post") + "app.add_url_rule('/health', view_func=Up.as_view('up'))", None),
        (VIEW.format("", "get") + "Api(app, prefix='/v1').add_resource(Up, '/x')", None),
        (VIEW.format("", "get") + "api = Api(app, prefix='/v1')\napi.add_resource(Up, '/x', '/health')", "/v1/health"),
        (
            VIEW.format("", "get") + "bp = Blueprint('x', 'x')\napi = Api(bp)\napi.add_resource(Up, '/health')\n"
            "app.register_blueprint(bp, url_prefix='/v2')",
            "/v2/health",
        ),
        (
            VIEW.format("", "get") + "api = Api(app)\napi.prefix = '/v3'\napi.add_resource(Up, '/health')",
            "/v3/health",
        ),
        (
            "a = Blueprint('a', 'a', url_prefix='/a')\na.add_url_rule('/health', view_func=health)\n"
            "b = Blueprint('b', 'b')\nfor each in (a, b):\n    app.register_blueprint(each)",
            "/a/health",
        ),
        (
            "ns = Namespace('n')\napi = Api(app)\n" + f"@ns.route('/health')\n{VIEW.format('', 'get')}"
            "api.add_namespace(ns, path='/n')",
            "/n/health",
        ),
    ],
)
def test_a_health_route_need_not_be_a_decorator(decided, code, path):
    assert decided({"app.py": f"{APP}{code}\n"}).get("app_health_path") == path


@pytest.mark.parametrize(
    "code",
    [
        "app.add_url_rule('/shop', view_func=login_required(shop))",
        "@login_required\ndef shop(): return ''\napp.add_url_rule('/shop', view_func=shop)",
        VIEW.format("@login_required\n    ", "get") + "app.add_url_rule('/shop', view_func=Up.as_view('up'))",
        VIEW.format("decorators = [login_required]\n    ", "get")
        + "app.add_url_rule('/shop', view_func=Up.as_view('up'))",
    ],
)
def test_a_page_behind_a_login_is_not_asked(decided, code):
    assert "app_health_path" not in decided({"app.py": f"from flask import Flask\napp = Flask('x')\n{code}\n"})


@pytest.mark.parametrize("taken", ["from flask import current_app as app", "from shop.main import app"])
def test_a_view_that_takes_the_app_is_no_other_app(printed, taken):
    view = f"{taken}\nfrom flask import Blueprint\n"
    view += "web = Blueprint('w', 'w', url_prefix='/')\n@web.get('/')\ndef f(): 1"
    main = "from flask import Flask\napp = Flask('x')\nfrom shop.views import web\napp.register_blueprint(web)\n"
    text = printed({"wsgi.py": "from shop.main import app\n", "shop/main.py": main, "shop/views.py": view})
    assert "#   app_health_path: / is a route of shop/views.py:4" in text


def test_a_migration_that_would_fail_is_no_line(printed):
    text = printed({"app.py": APP, "migrations/env.py": ""})
    assert "app_release_command" not in yaml.safe_load(text)
    said = "flask db upgrade, once Flask-Migrate is a dependency, which nothing lists"
    assert f"#   app_release_command: {said}" in text


@pytest.mark.parametrize(
    "code", ["f''", "'' % ()", "''.format()", "'sqlite:///%s' % ()", "'sqlite:///{}'.format(*x)", "[] + {}"]
)
def test_a_text_that_is_put_together_of_nothing_is_read(decided, code):
    assert decided({"app.py": f"{APP}{code}\n"}) == {"app_wsgi": "app:app"}
