"""An app that has several configurations is served with the one for production, and gets what that one reads."""

from __future__ import annotations

import pytest
import yaml

CLASSES = """import os
class Config:
    UPLOAD_FOLDER = 'all'
class DevelopmentConfig(Config):
    DEBUG = True
    UPLOAD_FOLDER = 'dev'
    URI = os.environ.get('DEV_DATABASE_URL') or 'sqlite:///dev.db'
class TestingConfig(Config):
    URI = os.environ.get('CI_SECRET_KEY', 'sqlite://')
class ProductionConfig(Config):
    URI = os.environ.get('PAY_SECRET_KEY')
"""
MAP = """config = {'development': DevelopmentConfig, 'testing': TestingConfig, 'production': ProductionConfig,
    'default': DevelopmentConfig}
"""
FACTORY = """from flask import Flask
from config import config
def create_app(config_name):
    app = Flask('x')
    app.config.from_object(config[config_name])
    return app
"""
OF_FACTORY = {"config.py": CLASSES + MAP, "shop.py": FACTORY}
APP = "import os\nfrom flask import Flask\napp = Flask('x')\n"
MADE = "import os\nfrom shop import create_app\n"


def shop(code, classes=CLASSES):
    return {"config.py": classes, "shop.py": APP + code}


def wsgi(code):
    return {**OF_FACTORY, "wsgi.py": MADE + code}


@pytest.mark.parametrize(
    ("files", "name", "value"),
    [
        (wsgi("app = create_app(os.getenv('FLASK_CONFIG') or 'default')\n"), "FLASK_CONFIG", "production"),
        (wsgi("app = create_app(os.environ.get('CONFIG_NAME', 'testing'))\n"), "CONFIG_NAME", "production"),
        (wsgi("app = create_app(config_name=os.environ['SHOP'])\n"), "SHOP", None),
        (wsgi("app = create_app(os.environ['SHOP_CONFIG'])\n"), "SHOP_CONFIG", "production"),
        (wsgi("which = os.getenv('WHICH', 'development')\napp = create_app(which)\n"), "WHICH", "production"),
        (
            {
                **OF_FACTORY,
                "shop.py": "import os\n"
                + FACTORY.replace("config_name)", "config_name=None)", 1).replace(
                    "    app =", "    env = os.getenv('FLASK_CONFIG')\n    config_name = env or 'local'\n    app ="
                ),
            },
            "FLASK_CONFIG",
            "production",
        ),
        (wsgi("app = create_app(os.getenv('FLASK_CONFIG', 'production'))\n"), "FLASK_CONFIG", None),
        (
            {
                **OF_FACTORY,
                "shop.py": f"import os\n{FACTORY}".replace(
                    "config_name)", "config_name=os.getenv('APP_ENV', 'testing'))", 1
                ),
            },
            "APP_ENV",
            "production",
        ),
        (
            {
                "config.py": CLASSES + "by_name = dict(dev=DevelopmentConfig, prod=ProductionConfig)\n",
                "shop.py": f"{APP}from config import by_name\n"
                "app.config.from_object(by_name[os.getenv('FLASK_ENV', 'dev')])\n",
            },
            "FLASK_ENV",
            "prod",
        ),
        (
            shop("app.config.from_object(os.getenv('APP_SETTINGS', 'config.DevelopmentConfig'))\n"),
            "APP_SETTINGS",
            "config.ProductionConfig",
        ),
        (shop("app.config.from_object(os.environ['APP_SETTINGS'])\n"), "APP_SETTINGS", "config.ProductionConfig"),
        (
            {
                **shop("app.config.from_object(os.environ['APP_SETTINGS'])\n"),
                ".env.example": "APP_SETTINGS=config.DevelopmentConfig\n",
            },
            "APP_SETTINGS",
            "config.ProductionConfig",
        ),
        (
            shop("env = os.getenv('ENV', 'development')\napp.config.from_object(f'config.{env.title()}Config')\n"),
            "ENV",
            "production",
        ),
        (
            shop("app.config.from_object('config.' + os.getenv('APP_CONFIG', 'DevelopmentConfig'))\n"),
            "APP_CONFIG",
            "ProductionConfig",
        ),
        (
            shop("name = 'Production' if os.getenv('MODE') == 'live' else 'Development'\n"),
            "MODE",
            "live",
        ),
        (
            {
                "shop.py": f"{APP}app.config.from_object(os.getenv('SETTINGS', 'settings.dev'))\n",
                "settings/dev.py": "",
                "settings/prod.py": "",
            },
            "SETTINGS",
            "settings.prod",
        ),
        ({"shop.py": f"{APP}if os.getenv('APP_ENV', 'local') == 'production': pass\n"}, "APP_ENV", "production"),
        ({"shop.py": f"{APP}os.getenv('LOG_MODE', 'debug')\n"}, "LOG_MODE", None),
        ({"shop.py": f"{APP}if os.getenv('MODE', 'dark') == 'dark': pass\n"}, "MODE", None),
        (shop("app.config.from_object(os.environ['DATABASE_URL'])\n"), "DATABASE_URL", None),
    ],
)
def test_the_variable_that_chooses_says_production(decided, files, name, value):
    assert decided(files).get("app_env", {}).get(name) in ([value] if value else [None, ""])


def test_a_value_for_development_stays_where_nothing_is_for_production(printed):
    code = "class DevelopmentConfig:\n    DEBUG = True\n"
    files = shop("app.config.from_object(os.environ['APP_SETTINGS'])\n", code)
    text = printed({**files, ".env.example": "APP_SETTINGS=config.DevelopmentConfig\n"})
    assert "is for production" not in text
    assert "  APP_SETTINGS: config.DevelopmentConfig  # shop.py:4 demands it; the value is that of .env.example" in text


def test_a_file_that_is_named_by_a_variable_is_still_told(printed):
    code = "import os\nname = os.getenv('SHOP_SETTINGS')\napp.config.from_object(name)\n"
    assert "the code also reads, if it is there: SHOP_SETTINGS" in printed({"shop.py": APP + code})


def test_what_other_configurations_read_is_left_out(printed):
    text = printed(wsgi("app = create_app(os.getenv('FLASK_CONFIG') or 'default')\n"))
    assert (
        "  FLASK_CONFIG: production  # wsgi.py:3 takes 'default' without it; ProductionConfig is for production" in text
    )
    found = yaml.safe_load(text)
    assert found["app_secrets"] == {"PAY_SECRET_KEY": "{{ vault_app_pay_secret_key }}"}
    assert found["app_writable"] == ["all"]
    assert not [name for name in ("DEV_DATABASE_URL", "CI_SECRET_KEY", "dev.db") if name in text]


def test_what_an_import_of_another_configuration_demands_is_kept(decided):
    files = wsgi("app = create_app(os.getenv('FLASK_CONFIG') or 'default')\n")
    files["config.py"] = files["config.py"].replace(
        "DEBUG = True", "DEBUG = os.environ['CITY']\n    def late(self):\n        os.environ['TOWN']"
    )
    assert decided(files)["app_env"] == {"FLASK_CONFIG": "production", "CITY": ""}


@pytest.mark.parametrize("call", ["create_app('development')", "create_app(config_name='default')", "create_app(NAME)"])
def test_a_configuration_that_stands_in_the_code_is_told(printed, call):
    text = printed(wsgi(f"NAME = 'testing'\napp = {call}\n"))
    assert yaml.safe_load(text)["app_wsgi"] == "wsgi:app"
    assert "#   app_wsgi: wsgi.py:4 always takes '" in text
    assert "for production write app_wsgi: \"shop:create_app('production')\", which also reads PAY_SECRET_KEY" in text
    assert "PAY_SECRET_KEY:" not in text


@pytest.mark.parametrize(
    ("files", "served"),
    [
        (OF_FACTORY, "shop:create_app('production')"),
        (
            {**OF_FACTORY, "shop.py": FACTORY.replace("config_name)", "config_name='development')", 1)},
            "shop:create_app('production')",
        ),
        (
            {**OF_FACTORY, "shop.py": FACTORY.replace("config_name)", "config_name='production')", 1)},
            "shop:create_app()",
        ),
        (
            {
                "config.py": CLASSES,
                "shop.py": "from flask import Flask\nfrom config import DevelopmentConfig\n"
                "def create_app(config=DevelopmentConfig):\n    app = Flask('x')\n"
                "    app.config.from_object(config)\n    return app\n",
            },
            "shop:create_app('config.ProductionConfig')",
        ),
        (
            {
                "config.py": CLASSES,
                "shop.py": "from flask import Flask\ndef create_app(name):\n    app = Flask('x')\n"
                "    app.config.from_object(name)\n    return app\n",
                ".flaskenv": "FLASK_APP=\"shop:create_app('config.DevelopmentConfig')\"\n",
            },
            "shop:create_app('config.ProductionConfig')",
        ),
        (
            {**OF_FACTORY, "Procfile": "web: gunicorn \"shop:create_app('production')\""},
            "shop:create_app('production')",
        ),
    ],
)
def test_a_factory_is_called_with_the_configuration_for_production(decided, files, served):
    found = decided(files)
    assert found["app_wsgi"] == served
    assert list(found["app_secrets"]) == ["PAY_SECRET_KEY"]


def test_from_object_with_a_configuration_for_development_is_told(printed):
    text = printed(shop("app.config.from_object('config.DevelopmentConfig')\n"))
    assert (
        "#   app_env: shop.py:4 always takes config.DevelopmentConfig; let a variable choose: from_object(os." in text
    )
    assert "PAY_SECRET_KEY" not in text


def test_a_choice_by_the_flag_for_debugging_is_the_one_without_it(decided):
    code = "name = DevelopmentConfig if get_debug_flag() else ProductionConfig\napp.config.from_object(name)\n"
    found = decided(shop(code))
    assert (found["app_secrets"].keys(), found.get("app_env")) == ({"PAY_SECRET_KEY"}, None)


def test_a_configuration_that_is_the_only_one_is_not_told(printed):
    code = "import os\nclass Config:\n    KEY = os.environ['CITY']\n"
    text = printed({"config.py": code, "shop.py": FACTORY.replace("config[config_name]", "Config")})
    assert "always takes" not in text
    text = printed({"config.py": code, "shop.py": f"{FACTORY.replace('config_name)', 'config=Config)', 1)}"})
    assert "always takes" not in text


def test_a_database_that_is_a_server_by_default_is_a_secret(decided):
    code = "import os\nURL = os.getenv('DATABASE_URL', 'postgresql://localhost/shop')\nLITE = 'sqlite:///dev.db'\n"
    found = decided({"shop.py": APP, "config.py": code})
    assert (list(found["app_secrets"]), found.get("app_env")) == (["DATABASE_URL"], None)


PARTS = {
    "config_base.py": "SIZE = 3\n",
    "config_dev.py": "import os\nfrom config_base import *\nA = os.environ['DEV_URL']\n",
    "config_test.py": "import os\nA = os.environ['CI_TOKEN']\n",
    "config_prod.py": "import os\nfrom config_base import *\nA = os.environ['PAY_TOKEN']\n",
}


@pytest.mark.parametrize(
    "name", ["'config_' + name", "f'config_{name}'", "'config_{}'.format(name)", "'config_%s' % name"]
)
def test_of_modules_that_are_chosen_by_a_part_of_their_name_the_one_for_production_is_read(decided, name):
    code = f"{APP}name = os.environ.get('SHOP_MODE', 'dev')\napp.config.from_object({name})\n"
    found = decided({**PARTS, "shop.py": code})
    assert found["app_env"] == {"SHOP_MODE": "prod"}
    assert list(found["app_secrets"]) == ["PAY_TOKEN"]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("app.config.from_object('config.' + name + 'Config')", "Production"),
        ("app.config.from_object(f'config.{name.title()}Config')", "production"),
        ("app.config.from_object(getattr(config, name.capitalize() + 'Config'))", "production"),
    ],
)
def test_of_classes_that_are_chosen_by_a_part_of_their_name_the_one_for_production_is_read(decided, code, value):
    default = "Development" if value.istitle() else "development"
    found = decided(shop(f"name = os.getenv('SHOP_MODE', '{default}')\n{code}\n"))
    assert found["app_env"] == {"SHOP_MODE": value}
    assert list(found["app_secrets"]) == ["PAY_SECRET_KEY"]
