"""Variables that libraries of settings and functions of the app read are found."""

from __future__ import annotations

import re

import pytest
import yaml
from source_inspect import report

APP = "from flask import Flask\napp = Flask('x')\n"
PYDANTIC = "from pydantic_settings import BaseSettings, SettingsConfigDict\n"


@pytest.mark.parametrize(
    ("code", "demanded"),
    [
        ("import decouple\ndecouple.config('CITY')\n", ["CITY"]),
        (
            "from decouple import AutoConfig\nread = AutoConfig()\nread('CITY', cast=str), read('TOWN', default='x')\n",
            ["CITY"],
        ),
        ("from environs import Env\ne = Env()\ne.timedelta('CITY'), e.str('TOWN', 'x')\n", ["CITY"]),
        ("from environs import env\nwith env.prefixed('SHOP_'):\n    env.int('CITY')\n", ["SHOP_CITY"]),
        ("import environ\nenv = environ.Env(TOWN=(bool, False))\nenv('TOWN'), env('CITY')\n", ["CITY"]),
        ("import environ\nenv = environ.Env()\nenv.db()\n", ["DATABASE_URL"]),
        (
            "from starlette.config import Config\nc = Config('.env')\nc('CITY', cast=str), c('TOWN', default=1)\n",
            ["CITY"],
        ),
        (f"{PYDANTIC}class S(BaseSettings):\n    city: str\n    town: str = 'x'\n    _own: int\n", ["CITY"]),
        (
            f"{PYDANTIC}class S(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='SHOP_')\n"
            "    city: str = Field(...)\n    town: list = Field(default_factory=list)\n",
            ["SHOP_CITY"],
        ),
        (f"{PYDANTIC}class S(BaseSettings):\n    town: str = Field(validation_alias='CITY')\n", ["CITY"]),
        (f"{PYDANTIC}class B(BaseSettings): pass\nclass S(B):\n    city: str\n", ["CITY"]),
        ("from os import environ as e, getenv as g\ne['CITY'], g('TOWN')\n", ["CITY"]),
        ("import os as o\no.environ['CITY']\n", ["CITY"]),
        ("import os\nENV = os.environ\nENV['CITY'], ENV.get('TOWN')\n", ["CITY"]),
        ("import os\ndef need(name):\n    return os.environ[name]\nneed('CITY')\n", ["CITY"]),
        ("import os\ndef can(name, default=''):\n    return os.getenv(name, default)\ncan('CITY')\n", []),
        (
            "import os\ndef need(name):\n    it = os.getenv(name)\n    if not it:\n        raise KeyError(name)\n"
            "    return it\nneed('CITY')\n",
            ["CITY"],
        ),
        ("import os\ncity = os.getenv('CITY')\nif not city or town is None:\n    raise OSError\n", ["CITY"]),
        ("import os, sys\nif os.environ.get('CITY') is None:\n    sys.exit('none')\n", ["CITY"]),
        ("import os\nassert os.getenv('CITY')\n", ["CITY"]),
        ("import os\ndef pay():\n    if not os.getenv('CITY'):\n        raise OSError\n", []),
        ("import os\ndef can(key):\n    return os.environ[key] if key in os.environ else ''\ncan('CITY')\n", []),
        ("import os\nif os.getenv('CITY'):\n    raise OSError\n", []),
        ("import os\nSQLALCHEMY_DATABASE_URI = os.environ.get('CITY')\n", ["CITY"]),
        ("import os\nSQLALCHEMY_DATABASE_URI = os.environ.get('CITY') or 'sqlite://'\n", []),
        ("import os\nclass ProductionConfig:\n    SQLALCHEMY_DATABASE_URI = os.getenv('CITY')\n", ["CITY"]),
        ("import os\napp.config['MONGO_URI'] = os.getenv('CITY')\n", ["CITY"]),
        ("import os\napp.config.update(MONGO_URI=os.getenv('CITY'))\n", ["CITY"]),
        ("import os\napp.config.from_mapping({'SECRET_KEY': os.getenv('CITY')})\n", ["CITY"]),
        ("import os\ncelery = Celery('x', broker=os.getenv('CITY'))\n", ["CITY"]),
        *(
            (f"import os\nuri = os.getenv('CITY')\n{between}app.config['MONGO_URI'] = uri\n", demanded)
            for between, demanded in (
                ("", ["CITY"]),
                ("if uri and uri.startswith('a'):\n    uri = uri.replace('a', 'b', 1)\n", ["CITY"]),
                ("uri = uri.replace('a', 'b') if uri else None\n", ["CITY"]),
                ("if not uri:\n    uri = 'mongodb://db.example.com'\n", []),
                ("uri = uri or 'mongodb://db.example.com'\n", []),
                ("uri = uri if uri else 'mongodb://db.example.com'\n", []),
                ("def later(uri):\n    pass\n", []),
            )
        ),
        ("import os\nclass A:\n    uri = os.getenv('CITY')\n    MONGO_URI = uri.replace('a', 'b')\n", ["CITY"]),
        ("import os\nMONGO_URI = os.getenv('CITY', '').replace('a', 'b')\n", ["CITY"]),
        ("import os\nMONGO_URI = os.getenv('CITY', 'x://y.z').replace('a', 'b')\n", []),
        ("import os\nuri = os.getenv('CITY')\nTOWN = uri\n", []),
        ("app.config.from_envvar('CITY')\n", ["CITY"]),
        ("app.config.from_envvar('CITY', silent=True)\n", []),
        ("import os\nx = os.getenv('CITY')\nif x is None or x == '':\n    raise OSError\n", ["CITY"]),
        (
            "import os\ndef create_app():\n    app.config['TOWN'] = os.getenv('CITY')\n"
            "    if not app.config['TOWN']:\n        raise OSError\n",
            ["CITY"],
        ),
        (
            "import os\ndef create_app():\n    app.config['TOWN'] = os.getenv('CITY')\n"
            "    if not app.config.get('TOWN'):\n        raise OSError\n",
            ["CITY"],
        ),
        (
            "import os\nfrom dotenv import dotenv_values\nc = {**dotenv_values('.env'), **os.environ}\nc['CITY']\n",
            ["CITY"],
        ),
        ("import os\nc = dict(os.environ)\nc['CITY'], c.get('TOWN')\n", ["CITY"]),
        ("import os\nc = dotenv_values('.env') | os.environ\nc['CITY']\n", ["CITY"]),
        ("import os\nc = {'CITY': 'x'}\nc['CITY']\n", []),
        ("import os\nif 'CITY' in os.environ:\n    city = os.environ['CITY']\n", []),
        ("import os\nif os.environ.get('CITY'):\n    city = os.environ['CITY']\n", []),
        ("import os\ncity = os.environ['CITY'] if 'CITY' in os.environ else ''\n", []),
        ("import os\nif 'TOWN' in os.environ:\n    city = os.environ['CITY']\n", ["CITY"]),
    ],
)
def test_a_variable_without_a_default_is_demanded(decided, code, demanded):
    found = decided({"app.py": APP, "config.py": code})
    assert [*found.get("app_env", {}), *found.get("app_secrets", {})] == demanded


@pytest.mark.parametrize(
    ("code", "demanded", "read"),
    [
        ("for key in ['CITY', 'TOWN']:\n    config[key] = os.environ[key]\n", ["CITY", "TOWN"], []),
        ("for key in ('CITY', 'TOWN'):\n    if val := env.get(key):\n        data[key] = val\n", [], ["CITY", "TOWN"]),
        ("KEYS = {'CITY'}\nfor key in sorted(KEYS):\n    os.environ[key]\n", ["CITY"], []),
        ("KEYS = {'city': 'CITY'}\nfor name, key in KEYS.items():\n    os.environ[key]\n", ["CITY"], []),
        ("for key in {'CITY': 1}:\n    os.environ[key]\n", ["CITY"], []),
        ("for key, default in [('CITY', True), (TOWN, False)]:\n    env.get(key)\n", [], ["CITY", "VILLAGE"]),
        ("config = {key: os.environ[key] for key in 'CITY TOWN'.split()}\n", ["CITY", "TOWN"], []),
        ("config = {key: os.environ[key] for key in ['CITY'] if key in os.environ}\n", [], ["CITY"]),
        ("for key in ['CITY']:\n    if key in os.environ:\n        os.environ[key]\n", [], ["CITY"]),
        ("for key in ['CITY']:\n    if not os.getenv(key):\n        raise KeyError(key)\n", ["CITY"], []),
        ("for key in ['CITY']:\n    if key not in os.environ:\n        raise KeyError(key)\n", ["CITY"], []),
        ("if 'CITY' not in os.environ:\n    raise KeyError\n", ["CITY"], []),
        ("lacks = [key for key in ['CITY'] if not env.get(key)]\nif lacks:\n    raise KeyError\n", ["CITY"], []),
        ("lacks = [key for key in ['CITY'] if key not in env]\nif len(lacks) > 0:\n    exit(1)\n", ["CITY"], []),
        ("lacks = [key for key in ['CITY'] if not env.get(key)]\nif lacks:\n    print(lacks)\n", [], ["CITY"]),
        ("if not all(os.getenv(key) for key in ('CITY', 'TOWN')):\n    raise KeyError\n", ["CITY", "TOWN"], []),
        ("if any(key not in env for key in ['CITY']):\n    raise KeyError\n", ["CITY"], []),
        ("for key in ['CITY', 'TOWN']:\n    os.environ[f'SHOP_{key}']\n", ["SHOP_CITY", "SHOP_TOWN"], []),
        ("for key in ['city']:\n    os.environ['SHOP_' + key.upper()]\n", ["SHOP_CITY"], []),
        ("os.environ[TOWN]\n", ["VILLAGE"], []),
        ("from shop import names\nos.environ[names.PLACE], env.get(names.TOWN)\n", ["HAMLET"], ["VILLAGE"]),
        ("from shop.names import PLACES\nfor key in PLACES + ['CITY']:\n    env[key]\n", ["HAMLET", "CITY"], []),
        ("class A:\n    MUST = ['CITY']\n    def f(self):\n        [env[k] for k in self.MUST]\n", ["CITY"], []),
        ("if TOWN in env and True:\n    data = env[TOWN]\n", [], ["VILLAGE"]),
        ("for key in ['CITY']:\n    if key in known:\n        env[key]\n", ["CITY"], []),
        ("from decouple import config\nfor key in ['CITY']:\n    config(key)\n", ["CITY"], []),
        ("def need(name):\n    return os.environ[name]\nfor key in ['CITY']:\n    need(key)\n", ["CITY"], []),
        ("for key in keys():\n    os.environ[key]\n", [], []),
        ("def need(name):\n    name = 'CITY'\n    return os.environ[name]\n", [], []),
        ("for key, value in env.items():\n    os.environ[key]\n", [], []),
        ("names = sorted(names)\nfor key in names:\n    os.environ[key]\nos.environ['CITY']\n", ["CITY"], []),
        ("names = [*names, *names, 'CITY']\nfor key in names:\n    os.environ[key]\n", ["CITY"], []),
        ("NAME = NAME.upper()\nos.environ[NAME], os.environ['CITY']\n", ["CITY"], []),
    ],
)
def test_variables_that_a_loop_or_a_constant_names_are_read(printed, code, demanded, read):
    names = "PLACE = 'HAMLET'\nTOWN = 'VILLAGE'\nPLACES = [PLACE]\n"
    begin = "import os\nenv = os.environ\nTOWN = 'VILLAGE'\n"
    text = printed({"app.py": APP, "config.py": f"{begin}{code}", "shop/names.py": names})
    assert list(yaml.safe_load(text).get("app_env", {})) == demanded
    assert re.findall("the code also reads, if it is there: (.*)", text) == ([", ".join(read)] if read else [])


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from openai import OpenAI\nclient = OpenAI()\n", ["OPENAI_API_KEY"]),
        ("import openai\nclient = openai.AsyncOpenAI(timeout=3)\n", ["OPENAI_API_KEY"]),
        ("from openai import OpenAI\nclient = OpenAI(api_key=key)\n", []),
        ("from openai import OpenAI\nclient = OpenAI(**options)\n", []),
        ("from shop import OpenAI\nclient = OpenAI()\n", []),
        ("from langchain_openai import ChatOpenAI as Chat\ndef f():\n    Chat(model='x')\n", ["OPENAI_API_KEY"]),
        ("import anthropic\nanthropic.Anthropic()\n", ["ANTHROPIC_API_KEY"]),
        ("import boto3\nboto3.client('s3', region_name='x')\n", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]),
        ("import boto3\ndef store():\n    boto3.client('s3')\n", []),
        ("import boto3\nboto3.client('s3', aws_access_key_id=x, aws_secret_access_key=y)\n", []),
        ("from twilio.rest import Client\nClient()\n", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"]),
        ("from twilio.rest import Client\nClient(a, b)\n", []),
        ("from sendgrid import SendGridAPIClient\nSendGridAPIClient()\n", ["SENDGRID_API_KEY"]),
        ("import os, stripe\nstripe.api_key = os.environ['STRIPE_KEY']\n", ["STRIPE_KEY"]),
        ("import sentry_sdk\nsentry_sdk.init()\n", []),
    ],
)
def test_a_client_without_arguments_reads_variables(decided, code, names):
    found = decided({"app.py": f"{APP}{code}"})
    assert sorted([*found.get("app_secrets", {}), *found.get("app_env", {})]) == names


def test_a_client_whose_variable_may_lack_is_said(printed):
    text = printed({"app.py": f"{APP}import sentry_sdk\nsentry_sdk.init()\n"})
    assert "#   app_env: the code also reads, if it is there: SENTRY_DSN\n" in text


@pytest.mark.parametrize(
    ("code", "secrets"),
    [
        ("app.config.from_prefixed_env()\n", ["FLASK_SECRET_KEY", "FLASK_SQLALCHEMY_DATABASE_URI"]),
        ("app.config.from_prefixed_env('SHOP')\n", ["SHOP_SECRET_KEY", "SHOP_SQLALCHEMY_DATABASE_URI"]),
        ("app.config.from_prefixed_env(prefix='SHOP')\n", ["SHOP_SECRET_KEY", "SHOP_SQLALCHEMY_DATABASE_URI"]),
        (
            "import os\napp.config.from_prefixed_env()\nA = os.environ['SECRET_KEY']\n"
            "app.config['SQLALCHEMY_DATABASE_URI'] = 'x://y'\n",
            ["SECRET_KEY"],
        ),
        ("import os\napp.config.update(os.environ)\n", ["SECRET_KEY", "SQLALCHEMY_DATABASE_URI"]),
        ("import os\napp.config.from_mapping(**os.environ)\n", ["SECRET_KEY", "SQLALCHEMY_DATABASE_URI"]),
        ("import os\napp.config.from_mapping(CITY='x')\n", []),
        ("FlaskDynaconf(app, envvar_prefix='SHOP')\n", ["SHOP_SECRET_KEY", "SHOP_SQLALCHEMY_DATABASE_URI"]),
    ],
)
def test_settings_of_flask_that_begin_with_a_prefix_are_secrets(decided, code, secrets):
    found = decided({"app.py": APP + code, "requirements.txt": "flask\nflask-sqlalchemy\n"})
    assert sorted(found.get("app_secrets", {})) == secrets


def test_values_of_an_example_with_the_prefix_are_taken(printed):
    files = {"app.py": f"{APP}app.config.from_prefixed_env()\n", ".env.example": "FLASK_CITY=Ulm\nTOWN=x\n"}
    text = printed(files)
    assert yaml.safe_load(text)["app_env"] == {"FLASK_CITY": "Ulm"}
    assert "no code that was seen reads: TOWN" in text


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("settings = Dynaconf(environments=True)\n", {"ENV_FOR_DYNACONF": "production"}),
        ("FlaskDynaconf(app)\n", {"FLASK_ENV": "production"}),
    ],
)
def test_dynaconf_takes_its_part_for_production(decided, code, found):
    files = {"requirements.txt": "flask\ndynaconf\n", "settings.toml": "[default]\nA = 1\n[production]\nA = 2\n"}
    assert decided({"app.py": f"{APP}{code}", **files})["app_env"] == found


def test_debugging_of_an_example_is_left_out(printed):
    code = "import os\nDEBUG = os.getenv('DEBUG', '0')\nCITY = os.getenv('CITY', 'x')\n"
    text = printed({"app.py": APP, "config.py": code, ".env.example": "DEBUG=1\nCITY=Ulm\n"})
    assert yaml.safe_load(text)["app_env"] == {"CITY": "Ulm"}
    assert "#   app_env: DEBUG is 1 in .env.example; left out, as it is for development" in text


IMAGE = "FROM python\nWORKDIR /srv\nCOPY requirements.txt .\nRUN pip install gunicorn\n"
BESIDE = f"from models import db\n{APP}"


@pytest.mark.parametrize(
    ("files", "served", "path"),
    [
        ({"app/app.py": BESIDE, "app/models.py": ""}, "app:app", "/app/app"),
        ({"web/main.py": BESIDE, "web/models/__init__.py": ""}, "main:app", "/app/web"),
        ({"app/app.py": BESIDE, "app/models.py": "", "app/__init__.py": ""}, "app.app:app", "/app/app"),
        ({"app/app.py": BESIDE, "app/models.py": "", "models.py": ""}, "app.app:app", None),
        ({"app/app.py": BESIDE}, "app.app:app", None),
        ({"app/app.py": BESIDE, "app/models.py": "", "Dockerfile": f"{IMAGE}COPY app/ /srv/\n"}, "app:app", None),
        ({"app/app.py": BESIDE, "app/models.py": "", "Dockerfile": f"{IMAGE}COPY /app .\n"}, "app:app", None),
        ({"app/app.py": BESIDE, "app/models.py": "", "Dockerfile": f"{IMAGE}COPY / .\n"}, "app:app", "/srv/app"),
        ({"app/app.py": BESIDE, "app/models.py": "", "Dockerfile": f"{IMAGE}COPY . .\n"}, "app:app", "/srv/app"),
        ({"src/main.py": BESIDE, "src/models.py": ""}, "main:app", None),
    ],
)
def test_modules_beside_the_app_s_are_found(decided, files, served, path):
    found = decided(files)
    assert found["app_wsgi"] == served
    assert found.get("app_env", {}).get("PYTHONPATH") == path


@pytest.mark.parametrize(
    ("files", "served"),
    [
        ({"src/app.py": f"{APP}from src import views\n", "src/views.py": ""}, "src.app:app"),
        (
            {
                "src/app.py": f"{APP}from src import views\n",
                "src/views.py": "from src.app import app\n@app.get('/')\ndef home():\n    return ''\n",
            },
            "src.app:app",
        ),
        ({"src/app.py": f"from src.models import db\n{APP}", "src/models.py": ""}, "src.app:app"),
        ({"src/app.py": f"import src.models\n{APP}", "src/models.py": ""}, "src.app:app"),
        ({"src/app.py": f"from models import db\n{APP}", "src/models.py": ""}, "app:app"),
        ({"src/app.py": APP, "seed.py": "from src.app import app\n"}, "app:app"),
        ({"src/app.py": f"from srcs import db\n{APP}"}, "app:app"),
        (
            {
                "src/shop/__init__.py": "def create_app():\n    from src.shop.views import a\n    return Flask('x')\n",
                "src/shop/views.py": "from src.shop import db\n",
            },
            "src.shop:create_app()",
        ),
        ({"src/app.py": f"from src import x\n{APP}", "Procfile": "web: gunicorn src.app:app\n"}, "src.app:app"),
        ({"src/app.py": f"from src import x\n{APP}", "run.py": "from src.app import app\n"}, "src.app:app"),
    ],
)
def test_a_package_src_keeps_its_name(decided, files, served):
    assert decided(files)["app_wsgi"] == served


def test_pages_of_a_package_src_are_found(decided):
    files = {
        "src/app.py": f"from src.views import pages\n{APP}app.register_blueprint(pages, url_prefix='/api')\n",
        "src/views.py": "pages = Blueprint('x', 'x')\n@pages.get('/healthz')\ndef well():\n    return ''\n",
    }
    assert decided(files)["app_health_path"] == "/api/healthz"


ODD = {
    "flask-app/shop/__init__.py": f"{APP}from shop.views import pages\nimport models\n",
    "flask-app/shop/views.py": "@pages.get('/healthz')\ndef well():\n    return ''\n",
    "flask-app/models.py": "",
}


@pytest.mark.parametrize(
    ("files", "served", "path"),
    [
        ({"flask-app/app.py": APP}, "app:app", "/app/flask-app"),
        ({"flask-app/app.py": BESIDE, "flask-app/models.py": ""}, "app:app", "/app/flask-app"),
        ({"my-shop/web/main.py": APP}, "web.main:app", "/app/my-shop"),
        ({"services/my-shop/main.py": APP, "services/x.py": ""}, "main:app", "/app/services/my-shop"),
        ({"flask-app/app.py": APP, "main.py": APP}, "main:app", None),
        ({"a-tool/x.py": "", "flask-app/app.py": APP}, "app:app", "/app/flask-app"),
        ({"docs/my-shop/app.py": APP, "flask-app/app.py": APP}, "app:app", "/app/flask-app"),
        (ODD, "shop:app", "/app/flask-app"),
        ({"setup.py": APP}, "setup:app", None),
        ({"my-shop/setup.py": APP}, "setup:app", "/app/my-shop"),
        ({"setup.py": f"from setuptools import setup\n{APP}", "run.py": APP}, "run:app", None),
    ],
)
def test_an_app_below_a_directory_that_no_import_can_name_is_found(decided, files, served, path):
    found = decided(files)
    assert found["app_wsgi"] == served
    assert found.get("app_env", {}).get("PYTHONPATH") == path
    assert found.get("app_health_path") == ("/healthz" if files is ODD else None)


SECRETS = (
    "DBPASS MYSQL_ROOT_PW SMTPPASS STRIPE_SK SLACK_WEBHOOK_URL MONGO_CONNECTION_STRING SENTRY_DSN MAPS_API_KEY "
    "BOT_TOKEN GOOGLE_CREDENTIALS"
)


def test_what_is_secret_by_its_name_goes_to_the_vault(decided):
    demands = "".join(f"os.environ[{name!r}]\n" for name in [*SECRETS.split(), "BYPASS_URL", "TOKEN_TTL", "DBHOST"])
    found = decided({"app.py": APP, "config.py": f"import os\n{demands}"})
    assert list(found["app_secrets"]) == SECRETS.split()
    assert list(found["app_env"]) == ["BYPASS_URL", "TOKEN_TTL", "DBHOST"]


@pytest.mark.parametrize("value", ["AC2XXXXXXXX", "<your account>", "your-account", "changeme"])
def test_a_value_that_only_shows_its_place_is_none(decided, value):
    files = {"app.py": f"import os\n{APP}os.environ['ACCOUNT']\n", ".env.example": f"ACCOUNT={value}\n"}
    assert decided(files)["app_env"] == {"ACCOUNT": ""}


def test_a_number_about_a_secret_is_none(decided):
    assert "app_secrets" not in decided({"app.py": f"import os\n{APP}os.getenv('SHOP_SECRET_MAX_LENGTH', 20)\n"})


def test_the_name_of_a_service_of_compose_is_no_value(decided):
    compose = "services:\n  web: {build: ., environment: {CACHE_HOST: redis, CITY: Ulm}}\n  redis: {image: redis}\n"
    found = decided(
        {"app.py": f"import os\n{APP}os.environ['CACHE_HOST'], os.environ['CITY']\n", "docker-compose.yml": compose}
    )
    assert found["app_env"] == {"CACHE_HOST": "", "CITY": "Ulm"}


@pytest.mark.parametrize("default", ["", ", 'localhost'", ", 'db'"])
@pytest.mark.parametrize("name", ["DB_HOST", "MYSQL_HOST", "POSTGRES_SERVER"])
def test_a_host_that_compose_alone_names_has_to_be_given(printed, name, default):
    compose = f"services:\n  web: {{build: ., environment: {{{name}: db, CITY: ''}}}}\n  db: {{image: mysql}}\n"
    code = f"import os\n{APP}os.getenv('{name}'{default}), os.getenv('CITY', 'Ulm')\n"
    text = printed({"app.py": code, "docker-compose.yml": compose})
    assert yaml.safe_load(text)["app_env"] == {name: ""}
    assert f"#   app_env: {name} has no value yet" in text


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("f'postgresql://{user}:{word}@db:5432/shop'", "postgresql://db:5432"),
        ("'mysql+pymysql://' + user + ':' + word + '@db/' + name", "mysql://db"),
        ("'mongodb://localhost/' + name", "mongodb://localhost"),
        ("f'postgresql://{user}@{host}:5432/shop'", None),
        ("f'postgresql://{user}@db.example.com/shop'", None),
        ("f'redis://{host}'", None),
    ],
)
def test_an_address_that_is_put_together_is_named(printed, code, named):
    text = printed({"app.py": f"{APP}x = {code}\n"})
    said = f"#   app_env: {named} stands in app.py:3, and no container reaches it"
    assert text.count(said) == 1 if named else "no container" not in text


@pytest.mark.parametrize("name", [".env-sample", ".env_example", "sample.env", ".env.development"])
def test_an_example_by_another_name_is_read(decided, name):
    files = {"app.py": f"import os\n{APP}os.environ['CITY']\n", name: "CITY=Ulm\n"}
    assert decided(files)["app_env"] == {"CITY": "Ulm"}


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("${CITY:-Ulm}", "Ulm"),
        ("${CITY-Ulm}", "Ulm"),
        ("a/${CITY:-Ulm}/${B:-b}", "a/Ulm/b"),
        ("${CITY}", ""),
        ("${C:?x}", ""),
    ],
)
def test_a_default_of_an_example_is_its_value(decided, value, taken):
    compose = {"docker-compose.yml": f"services: {{web: {{build: ., environment: ['CITY={value}']}}}}"}
    for more in ({".env.example": f"CITY={value}\n"}, compose):
        assert decided({"app.py": f"import os\n{APP}os.environ['CITY']\n", **more})["app_env"] == {"CITY": taken}


@pytest.mark.parametrize(
    ("code", "demanded"),
    [
        ("os.environ['CITY'] = 'Ulm'\nos.environ['CITY']\n", []),
        ("os.environ.setdefault('CITY', 'Ulm')\nos.environ['CITY']\n", []),
        ("environ['CITY'] = 'Ulm'\nprint(environ['CITY'])\n", []),
        ("for key in ['CITY']:\n    environ[key] = 'Ulm'\n    print(environ[key])\n", []),
        ("os.environ['TOWN'] = 'Ulm'\nos.environ['CITY']\n", ["CITY"]),
        ("os.environ['CITY']\nos.environ['CITY'] = 'Ulm'\n", ["CITY"]),
        ("os.environ['CITY'] = os.environ['CITY'].lower()\n", ["CITY"]),
        ("other['CITY'] = 'Ulm'\nos.environ['CITY']\n", ["CITY"]),
    ],
)
def test_a_variable_that_the_code_sets_is_not_demanded(decided, code, demanded):
    found = decided({"app.py": APP, "config.py": f"import os\nfrom os import environ\n{code}"})
    assert list(found.get("app_env", {})) == demanded


def test_a_file_that_is_no_python_is_named_with_its_line(printed):
    text = printed({"app.py": APP, "old.py": "x = 1\nprint 'x'\n"})
    assert "#   not read: old.py: Missing parentheses in call to 'print'. Did you mean print(...)? (line 2)\n" in text


def test_a_file_that_is_too_large_is_named_as_such(printed):
    text = printed({"app.py": APP, "names.py": f"NAMES = {'x' * 300_000!r}\n"})
    assert "#   not read: names.py: larger than 256 KiB\n" in text


def test_a_store_in_memory_is_no_secret(decided):
    files = {"app.py": APP, "config.py": "import os\nos.getenv('RATELIMIT_STORAGE_URI', 'memory://')\n"}
    found = decided({**files, ".env.example": "RATELIMIT_STORAGE_URI=memory://\n"})
    assert found["app_env"] == {"RATELIMIT_STORAGE_URI": "memory://"}


RQ = {"requirements.txt": "flask\nrq\nredis\n"}
QUEUES = "from rq import Queue\nimport os\nhigh, low = Queue('high', os.getenv('{0}')), Queue()\n"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"worker.py": "from rq import Worker\nWorker(['high']).work()\n"}, "python worker.py"),
        ({"shop/worker.py": "from rq import Worker\nWorker(['high']).work()\n"}, "python -m shop.worker"),
        ({"x.py": QUEUES.format("REDISTOGO_URL")}, "sh -c 'exec rq worker --url \"$REDISTOGO_URL\" high default'"),
        ({"x.py": QUEUES.format("RQ_REDIS_URL")}, "rq worker high default"),
        ({}, "sh -c 'exec rq worker --url \"$REDIS_URL\"'"),
    ],
)
def test_a_worker_of_rq_works_on_the_queues_of_the_app(decided, files, command):
    assert decided({"app.py": APP, **RQ, **files})["app_processes"]["worker"]["command"] == command


@pytest.mark.parametrize(
    ("needs", "names", "said"),
    [
        ("psycopg2", ["INV_DATABASE_URL"], "address in INV_DATABASE_URL, with postgres_variable: INV_DATABASE_URL; "),
        ("psycopg2", ["DB_URL", "DATABASE_URL"], "address in DATABASE_URL; "),
        ("psycopg2", ["DB_HOST", "DB_USER"], "PGDATABASE; the app reads DB_HOST, DB_USER, let it take those; "),
        ("redis", ["RQ_REDIS_URL"], "with valkey_variable: RQ_REDIS_URL; "),
        ("celery", ["CELERY_BROKER"], "and in CELERY_BROKER, with valkey_celery_variable: CELERY_BROKER; "),
        ("celery", ["CELERY_RESULT_BACKEND"], "leaves CELERY_RESULT_BACKEND empty; "),
    ],
)
def test_a_service_fills_the_variable_that_the_app_reads(printed, needs, names, said):
    reads = "".join(f"os.getenv({name!r})\n" for name in names)
    assert said in printed({"app.py": APP, "x.py": f"import os\n{reads}", "requirements.txt": f"flask\n{needs}\n"})


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "db = redis.Redis(host=os.getenv('REDIS_HOST', 'x'), port=6379)",
            "x.py:2 asks for a host, by REDIS_HOST; let",
        ),
        ("HOST = os.environ['CACHE_REDIS_HOST']", "x.py:2 asks for a host, by CACHE_REDIS_HOST; let the code take"),
        (
            "url = urlparse(os.getenv('REDIS_URL'))\ndb = Redis(host=url.hostname)",
            "x.py:3 asks for a host; let the code",
        ),
        ("broker = f'redis://{HOST}:{PORT}/0'", "x.py:2 asks for a host; let the code take the whole address"),
        ("db = redis.from_url(os.environ['REDIS_URL'])", None),
        ("db = Redis()", None),
        ("mail = Mail(host=os.getenv('MAIL_HOST'))", None),
    ],
)
def test_a_host_of_redis_is_told_to_be_a_socket(printed, code, said):
    text = printed({"app.py": APP, "x.py": f"import os\n{code}\n", "requirements.txt": "flask\nredis\n"})
    said = said and f"#   app_needs: [valkey] listens on a socket alone, and {said}"
    assert said in text if said else "on a socket alone" not in text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("os.makedirs(os.path.expanduser('~/.shop'))", True),
        ("Path('~/.shop').expanduser().mkdir()", True),
        ("(Path.home() / '.shop').mkdir()", True),
        ("click.get_app_dir('shop')", True),
        ("platformdirs.user_data_dir('shop')", True),
        ("AppDirs('shop').user_data_dir", True),
        ("os.environ['HOME']", True),
        ("os.path.expanduser(path)", False),
        ("os.path.expanduser('/data/shop')", False),
        ("user_cache_dir('shop')", False),
    ],
)
def test_what_lies_in_the_home_is_said_to_be_lost(printed, code, said):
    text = printed({"app.py": APP, "x.py": f"import os\n{code}\n"})
    assert ("#   app_writable: x.py:2 finds a directory by HOME, which is /tmp here" in text) is said


def test_a_scheduler_in_each_worker_is_said_with_a_way_out(printed):
    text = printed({"app.py": f"{APP}scheduler = APScheduler()\n"})
    assert "its jobs run once a worker; write app_workers: 1, or start it in a file of its own" in text


NODE = '{"scripts": {"build": "vite build"}}'
FROM_OUTSIDE = "from flask import Flask\napp = Flask('x', static_folder='{0}')\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"package.json": NODE}, "build_command: npm install && npm run build, if the app serves what package.json"),
        (
            {"client/package.json": NODE, "client/package-lock.json": "{}"},
            "build_packages: [npm], and build_command: cd client && npm ci && npm run build, if",
        ),
        ({"package.json": '{"scripts": {"test": "x"}}'}, None),
        ({"node_modules/x/package.json": NODE}, None),
    ],
)
def test_a_frontend_that_has_to_be_built_is_said(printed, files, said):
    text = printed({"app.py": APP, **files})
    assert said in text if said else "npm" not in text


def test_a_frontend_outside_the_directory_of_the_app_is_said(source):
    place = source({"backend/app.py": FROM_OUTSIDE.format("../frontend/dist"), "backend/requirements.txt": "flask\n"})
    (place / "requirements.txt").unlink()
    text = report.read({"build_source": str(place)})
    assert "build_subdir: app.py:2 serves ../frontend/dist, which lies outside backend" in text


@pytest.mark.parametrize("place", ["config/testing.py", "config/development.py"])
@pytest.mark.parametrize("name", ["TestingConfig", "DevConfig"])
@pytest.mark.parametrize("setting", ["SECRET_KEY = 'x'", "SERVER_NAME = 'localhost:5000'"])
def test_a_setting_for_work_alone_is_not_said(printed, place, name, setting):
    said = f"#   app_(secrets|env): {setting.partition(' ')[0]} (stands|is) "
    assert not re.search(said, printed({"app.py": APP, place: f"{setting}\n"}))
    assert not re.search(said, printed({"app.py": APP, "config.py": f"class {name}:\n    {setting}\n"}))
    assert re.search(said, printed({"app.py": APP, "config.py": f"class Config:\n    {setting}\n"}))


@pytest.mark.parametrize("key", ["app.secret_key = os.urandom(24)", "app.config['SECRET_KEY'] = secrets.token_hex()"])
def test_a_key_that_differs_in_each_worker_is_said(printed, key):
    text = printed({"app.py": f"import os, secrets\n{APP}{key}\n"})
    assert "#   app_secrets: app.py:4 makes another key in each worker" in text


COMPOSE = {"docker-compose.yml": "services: {web: {build: ., environment: {SERVER_NAME: 'localhost:8000'}}}"}


@pytest.mark.parametrize("more", [{}, COMPOSE, {".env.example": "SERVER_NAME=shop.test\n"}])
@pytest.mark.parametrize(
    "read", ["os.environ['{}']", "os.getenv('{}')", "os.getenv('{}', 'localhost:8000')", "os.getenv('{}') or None"]
)
@pytest.mark.parametrize("name", ["SERVER_NAME", "FLASK_SERVER_NAME"])
def test_the_name_that_flask_answers_by_is_the_domain(printed, read, more, name):
    code = f"import os\n{APP}app.config['SERVER_NAME'] = {read.format(name)}\n"
    text = printed({"app.py": code, **more}, site_domain="shop.example.com")
    assert f'  {name}: "{{{{ site_domain }}}}"  # app.py:4 ' in text
    assert "has no value" not in text
    assert "vault" not in text


def test_a_name_in_the_code_that_flask_answers_by_is_said(printed):
    text = printed({"app.py": f"{APP}app.config['SERVER_NAME'] = 'localhost:5000'\n"})
    assert "#   app_env: SERVER_NAME is 'localhost:5000' in app.py:3, and pages answer by that name alone" in text


KEYS = "import os\nclass Config:\n    SECRET_KEY = 'dev'\n"


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"config.py": KEYS}, "config.py:3"),
        ({"config.py": f"{KEYS}class ProductionConfig(Config):\n    SECRET_KEY = os.getenv('SECRET_KEY')\n"}, None),
        ({"config.py": f"{KEYS}    if os.getenv('SECRET_KEY'):\n        SECRET_KEY = os.getenv('SECRET_KEY')\n"}, None),
        ({"config.py": f"{KEYS}app.config['SECRET_KEY'] = os.environ['SHOP_KEY']\n"}, None),
        ({"config.py": f"{KEYS}app.secret_key = os.environ['SHOP_KEY']\n"}, None),
        ({"config.py": f"{KEYS}app.config.from_prefixed_env('SHOP')\n"}, None),
        ({"config.py": f"{KEYS}JWT_SECRET_KEY = os.environ['JWT_SECRET_KEY']\n"}, "config.py:3"),
        ({"testlib.py": KEYS, "config.py": "SECRET_KEY = 'x'\n"}, "config.py:1"),
        ({"shop/testlib.py": KEYS}, None),
    ],
)
def test_a_key_that_no_variable_sets_is_said(printed, files, place):
    text = printed({"app.py": APP, **files})
    said = f"#   app_secrets: SECRET_KEY stands in {place}, for all who read the code"
    assert said in text if place else " stands in " not in text


def test_workers_of_eventlet_have_a_way_out(printed):
    files = {"requirements.txt": "flask\nflask-socketio\n", "Procfile": "web: gunicorn -k eventlet app:app\n"}
    text = printed({"app.py": APP, **files})
    assert "give SocketIO async_mode='gevent', and write app_server: gevent" in text


EVENTLET = "import eventlet\neventlet.monkey_patch()\n"


@pytest.mark.parametrize(
    ("code", "needs", "said"),
    [
        (EVENTLET, "flask", "x.py:2 takes eventlet; take eventlet and its monkey_patch() out of code and list, and"),
        ("from eventlet import monkey_patch\nmonkey_patch()\n", "flask", "x.py:1 takes eventlet; take"),
        ("io = SocketIO(app, async_mode='eventlet')\n", "flask\nflask-socketio", "x.py:1 takes eventlet; take"),
        (
            "io.init_app(app, async_mode='eventlet')\n",
            "flask\nflask-socketio",
            "list, give SocketIO async_mode='gevent'",
        ),
        ("io = SocketIO(app)\n", "flask\neventlet\nflask-socketio", "Flask-SocketIO takes eventlet where it is listed"),
        ("io = SocketIO(app, async_mode='gevent')\n", "flask\neventlet\nflask-socketio", None),
        ("io = SocketIO(app, async_mode='threading')\n", "flask\nflask-socketio", None),
        ("x = 1\n", "flask\neventlet", None),
    ],
)
def test_eventlet_in_the_code_or_in_the_list_has_a_way_out(printed, code, needs, said):
    text = printed({"app.py": APP, "x.py": code, "requirements.txt": f"{needs}\n"})
    assert said in text if said else "take eventlet" not in text


def test_eventlet_is_told_once(printed):
    files = {"requirements.txt": "flask\nflask-socketio\n", "Procfile": "web: gunicorn -k eventlet app:app\n"}
    assert printed({"app.py": f"{EVENTLET}{APP}", **files}).count("monkey_patch") == 1


def test_of_two_apps_that_look_alike_none_is_chosen(printed):
    text = printed({"admin/app.py": APP, "api/app.py": APP})
    assert "app_wsgi" not in yaml.safe_load(text)
    assert "#   app_wsgi: which of these is served, admin.app:app and api.app:app?" in text


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ("os.getenv('REDIS_URL', 'redis://localhost')", "redis://localhost without REDIS_URL, and no container"),
        (
            "os.getenv('MONGO', 'mongodb://localhost:27017/')",
            "mongodb://localhost:27017 without MONGO, and no container",
        ),
        ("os.getenv('MONGO', 'mongodb://db.example.com')", None),
        ("os.getenv('DB_HOST', 'localhost')", "localhost without DB_HOST, and no container"),
        ("os.getenv('SHOP_MYSQL_HOST', '127.0.0.1')", "127.0.0.1 without SHOP_MYSQL_HOST, and no container"),
        ("os.getenv('DB_HOST', 'db.example.com')", None),
        ("os.getenv('SHOP_HOST', 'localhost')", None),
    ],
)
def test_a_default_that_no_container_reaches_is_said(printed, read, said):
    text = printed({"app.py": APP, "x.py": f"import os\nx = {read}\n"})
    assert f"#   app_env: x.py:2 takes {said} reaches it" in text if said else "no container" not in text


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("app.config.from_object('config')\n", "config"),
        ("app.config.from_object('settings.ProductionConfig')\n", "settings"),
        ("app.config.from_object('shop.settings.Config')\n", "shop/settings"),
        ("importlib.import_module('config')\n", "config"),
        ("from settings import KEY\n", "settings"),
        ("import local_settings\n", "local_settings"),
        ("from shop.keys import KEY\n", "shop/keys"),
        ("from .keys import KEY\n", "keys"),
        ("try:\n    from settings import KEY\nexcept ImportError:\n    KEY = ''\n", None),
        ("app.config.from_object('more.Config')\nimport more, more.inner, shop.models\n", None),
        ("app.config.from_object(__name__)\nimport jwt, yaml\nfrom dynaconf import settings\n", None),
        ("from shop import anything\nfrom . import more\n", None),
        ("from babel.core import Locale\nimport redis.client\n", None),
        ("if __name__ == '__main__':\n    from .test import run\n", None),
    ],
)
def test_a_module_that_the_source_lacks_is_said(printed, code, path):
    files = {
        "shop/models.py": "",
        "more/__init__.py": "Config = 1\n",
        "more/inner.pyx": "",
        "seed.py": "import config\n",
        "babel.cfg": "",
        "redis/redis.conf": "",
    }
    text = printed({"app.py": f"{APP}{code}", **files})
    said = re.findall(r"#   app_files: app.py:3 takes (\S+)\.py, and the source has none; app_files writes it", text)
    assert said[:1] == ([path] if path else [])
    assert "seed.py" not in text or "import_module" in code


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("c = configparser.ConfigParser(); c.read('config.ini')\n", "config.ini"),
        ("c = ConfigParser(); c.read('config.ini', 'utf-8')\n", "config.ini"),
        ("c = Other(); c.read('config.ini')\n", None),
        ("with open('config.json') as f:\n    x = f\n", "config.json"),
        ("app.config.from_pyfile('settings.cfg')\n", "settings.cfg"),
        ("app.config.from_pyfile('settings.cfg', silent=True)\n", None),
        ("def later():\n    open('config.json')\n", None),
        ("open('app.py')\n", None),
        ("open('out.txt', 'w')\n", None),
        ("c = dotenv_values()\n", ".env"),
        ("c = dotenv_values('shop.env')\n", "shop.env"),
        ("c = {**dotenv_values('.env'), **os.environ}\n", None),
    ],
)
def test_a_file_that_the_source_lacks_is_said(printed, code, path):
    text = printed({"app.py": f"{APP}{code}"})
    said = f"#   app_files: app.py:3 reads {path} when it is imported, and the source has none"
    assert said in text if path else "app_files" not in text
