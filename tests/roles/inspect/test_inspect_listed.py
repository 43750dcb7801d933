"""Where an app's dependencies are listed, by which file, and which extras and groups are for production."""

from __future__ import annotations

import pytest
import yaml
from source_inspect import report
from source_inspect.tree import TreeError

APP = "from flask import Flask\napp = Flask('x')\n"
POETRY = "[tool.poetry]\nname = 'x'\n[tool.poetry.dependencies]\nflask = '*'\n"
PROJECT = "[project]\nname = 'x'\ndependencies = ['flask']\n"


@pytest.fixture
def text(tmp_path):
    """Return what is printed of files, which may be bytes."""

    def printed(files, **given):
        for path, content in files.items():
            place = tmp_path / "shop" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return report.read({"build_source": str(tmp_path / "shop"), **given})

    return printed


def part(folder, code=APP, listing="requirements.txt"):
    return {f"{folder}/{listing}": "flask\n", f"{folder}/app.py": code}


@pytest.mark.parametrize(
    ("files", "subdir", "said"),
    [
        ({**part("backend"), "frontend/package.json": "{}"}, "backend", "what lists dependencies lies there alone"),
        (
            {**part("services/api"), **part("services/mail", "import smtplib\n")},
            "services/api",
            "services/api/app.py makes the app; services/mail lists dependencies too, and holds no Flask app",
        ),
        (
            {**part("worker", "import rq\n"), **part("deep/er/shop")},
            "deep/er/shop",
            "deep/er/shop/app.py makes the app",
        ),
        (
            {**part("admin"), **part("backend")},
            "backend",
            "#   build_subdir: admin (admin/app.py) holds an app too; inspect it by itself: -e build_subdir=admin",
        ),
        (
            {**part("one"), **part("two")},
            None,
            "each of these holds an app: one (one/app.py), two (two/app.py); inspect",
        ),
        ({**part("one", ""), **part("two", "")}, None, "#   build_subdir: which of these is the app's? one, two"),
        (part("backend", listing="Pipfile"), "backend", "what lists dependencies lies there alone"),
        (part("backend", listing="requirements/prod.txt"), "backend", "what lists dependencies lies there alone"),
        (part("backend", listing="environment.yml"), "backend", "environment.yml is conda's, and is not read"),
        ({**part("tools", ""), "app.py": APP}, None, "build_dependencies: tools/requirements.txt"),
        ({"run.py": "from shop import app\n", **part("shop")}, None, "build_dependencies: shop/requirements.txt"),
    ],
)
def test_the_directory_is_the_one_that_makes_the_app(text, files, subdir, said):
    printed = text(files)
    assert (yaml.safe_load(printed).get("build_subdir"), said in printed) == (subdir, True), printed


def test_of_two_apps_none_is_taken_apart_from_its_dependencies(text):
    assert "app_wsgi" not in text({**part("one"), **part("two")})


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"environment.yml": ""}, "environment.yml is conda's, and is not read; in that environment type: pip list"),
        ({"environment.yaml": "dependencies: [pip, {pip: [flask==3.0, x]}]"}, "pip's part of environment.yaml can go"),
        ({"conda.yml": "a: &a {<<: [*b]}\n["}, "conda.yml is conda's"),
        ({"environment.yml": "dependencies:\n- python=3.12\n"}, 'build_python: "3.12", as environment.yml has it'),
        ({"requirements.yml": "dependencies: []"}, "requirements.yml is conda's"),
        ({"pixi.toml": ""}, "pixi.toml is conda's"),
        ({"hatch.toml": ""}, "hatch.toml is not read"),
    ],
)
def test_what_lists_dependencies_and_is_not_read_is_told(text, files, said):
    assert f": {said}".replace(": build_python", "build_python") in text({"app.py": APP, **files})


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"pyproject.toml": PROJECT, "requirements.lock": "flask==3.0\n-e file:.\n"}, None),
        ({"requirements_shop.txt": "flask\n", "requirements_jobs.txt": "rq\n"}, "requirements_shop.txt"),
        ({"deps.txt": "Flask==3.0\n"}, "deps.txt"),
        ({"requirements": "Flask==3.0\n"}, "requirements"),
        ({"requirements-dev.txt": "Flask==3.0\n"}, None),
        ({"requirements.txt": "Flask==3.0\n", "deps.txt": "Flask"}, None),
        ({"setup.cfg": "[metadata]\nname = x\n[options]\ninstall_requires =\n  flask\n"}, None),
    ],
)
def test_a_list_with_a_name_of_its_own_is_named(text, files, named):
    assert yaml.safe_load(text({"app.py": APP, **files})).get("build_dependencies") == named


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {
                "pyproject.toml": f"{POETRY}[tool.poetry.group.prod]\noptional = true\n"
                "[tool.poetry.group.prod.dependencies]\npsycopg2 = '*'\n[tool.poetry.group.dev.dependencies]\nx = '*'\n"
            },
            {"build_groups": ["prod"]},
        ),
        (
            {"pyproject.toml": f"{PROJECT}[dependency-groups]\nproduction = ['gunicorn']\n"},
            {"build_groups": ["production"]},
        ),
        (
            {"pyproject.toml": f"{PROJECT}[project.optional-dependencies]\nserver = ['gunicorn']\n"},
            {"build_extras": ["server"]},
        ),
        ({"pyproject.toml": f"{PROJECT}[project.optional-dependencies]\nui = ['flask']\n"}, {"build_extras": ["ui"]}),
        ({"pyproject.toml": f"{PROJECT}[project.optional-dependencies]\ntest-server = ['gunicorn']\n"}, {}),
        ({"Pipfile": "[packages]\nflask = '*'\n[prod]\ngunicorn = '*'\n"}, {"build_groups": ["prod"]}),
        (
            {"requirements.txt": "flask\n", "pyproject.toml": f"{PROJECT}[dependency-groups]\nprod = ['x']\n"},
            {},
        ),
    ],
)
def test_extras_and_groups_for_production_are_chosen(text, files, found):
    decided = yaml.safe_load(text({"app.py": APP, **files}))
    assert {name: value for name, value in decided.items() if name in ("build_groups", "build_extras")} == found


def test_an_extra_with_a_driver_is_told(text):
    extra = f"{PROJECT}[project.optional-dependencies]\npostgres = ['psycopg2-binary>=2']\ndev = ['redis']\n"
    printed = text({"app.py": APP, "pyproject.toml": extra})
    assert "#   build_extras: [postgres] would install psycopg2-binary>=2 too" in printed
    assert "[dev]" not in printed


def windows(content):
    return b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode()


def test_files_of_windows_are_read(text):
    files = {
        "app.py": windows(f"{APP}import os\nos.environ['CITY']\n"),
        "requirements.txt": windows("flask-socketio\nflask\n"),
        "Procfile": windows("web: gunicorn app:app --timeout 50\nworker: celery -A x worker\n"),
        ".env.example": windows("CITY=Ulm\n"),
        "app.json": windows('{"env": {"KEY": {"generator": "secret"}}}'),
    }
    found = yaml.safe_load(text(files))
    assert (found["app_wsgi"], found["app_timeout"], found["app_workers"]) == ("app:app", 50, 1)
    assert (found["app_env"], list(found["app_secrets"])) == ({"CITY": "Ulm"}, ["KEY"])
    assert found["app_processes"] == {"worker": {"command": "celery -A x worker", "count": 1}}


@pytest.mark.parametrize("kind", ["utf-16-le", "utf-16-be"])
def test_a_list_in_utf_16_is_read(text, kind):
    printed = text({"app.py": APP, "requirements.txt": "\ufeffflask\r\nflask-socketio\r\n".encode(kind)})
    assert yaml.safe_load(printed)["app_workers"] == 1
    assert "dependencies of requirements.txt" in printed or "build_dependencies" not in printed


IMAGE = "FROM python:3.8\nWORKDIR /srv\nCOPY web /srv\nENV CITY=Ulm PIP_NO_CACHE_DIR=1\nEXPOSE 8080\nCMD {}\n"
OWN = {
    "shop/__init__.py": f"{APP}import os\nos.environ['CITY']\n",
    "shop/pages.py": APP,
    "pyproject.toml": f"{PROJECT}[project.optional-dependencies]\nserver = ['flask-login']\n",
}


def test_a_dockerfile_that_is_set_aside_tells_what_is_served_alone(text):
    files = {**OWN, "Dockerfile": IMAGE.format("gunicorn -w 3 shop.pages:app")}
    with_it = yaml.safe_load(text(files))
    assert "build_extras" not in with_it
    printed = text(files, build_dockerfile="none")
    found = yaml.safe_load(printed)
    assert found.pop("build_source")
    assert found == {
        "app_name": "shop",
        "build_python": "3.10",
        "build_dockerfile": "none",
        "build_extras": ["server"],
        "app_wsgi": "shop.pages:app",
        "app_workers": 3,
        "app_env": {"CITY": "Ulm"},
    }
    assert "build_dockerfile: none  # as you gave it" in printed
    assert "dependencies of pyproject.toml" in printed
    assert "Dockerfile: the image is built by it" not in printed
    assert "to have it built by the role's own" not in printed


def test_a_dockerfile_s_own_command_names_no_port_where_it_is_set_aside(text):
    files = {**OWN, "Dockerfile": IMAGE.format("python -m shop")}
    assert yaml.safe_load(text(files))["app_server"] == "port:8080"
    assert "app_server" not in text(files, build_dockerfile="none")


def test_an_app_in_a_directory_is_found_where_its_dockerfile_is_set_aside(text):
    files = {**part("web"), "Dockerfile": IMAGE.format("gunicorn -t 50 app:app"), "web/Dockerfile": "FROM x\n"}
    found = yaml.safe_load(text(files, build_dockerfile="none"))
    assert (found["build_subdir"], found["app_wsgi"], found["app_timeout"]) == ("web", "app:app", 50)


def test_the_hint_on_a_dockerfile_says_how_to_learn_the_rest(text):
    printed = text({**OWN, "Dockerfile": IMAGE.format("gunicorn shop:app")})
    assert (
        "#   build_dockerfile: none, to have it built by the role's own Dockerfile instead; "
        "inspect it again to see with which dependencies and Python: -e build_dockerfile=none\n"
    ) in printed


def test_a_dockerfile_of_another_name_is_read(text):
    files = {
        "app.py": APP,
        "web.py": APP,
        "requirements.txt": "flask",
        "deploy/web.docker": IMAGE.format("gunicorn web:app"),
    }
    found = yaml.safe_load(text(files, build_dockerfile="deploy/web.docker"))
    assert (found["build_dockerfile"], found["app_wsgi"]) == ("deploy/web.docker", "web:app")
    with pytest.raises(TreeError, match="build_dockerfile: the source has no Dockerfile-prod; none takes"):
        text(files, build_dockerfile="Dockerfile-prod")


EXTRAS = "[project.optional-dependencies]\nserver = ['flask']\nwords = ['flask-babel']\n"
SERVER = f"{PROJECT.replace('flask', 'rich')}{EXTRAS}"


@pytest.mark.parametrize(
    ("listed", "project", "expected"),
    [
        ("rich\n", SERVER, ("pyproject.toml", ["server"])),
        ("rich\n", PROJECT, ("pyproject.toml", None)),
        ("flask-login\n", SERVER, (None, None)),
        ("-r more.txt\n", SERVER, (None, None)),
        (".[server]\n", SERVER, (None, None)),
        ("rich\n", PROJECT.replace("flask", "rich"), (None, None)),
    ],
)
def test_a_list_without_flask_gives_way_to_a_project_that_has_it(text, listed, project, expected):
    files = {"app.py": APP, "requirements.txt": listed, "pyproject.toml": project, "more.txt": "flask"}
    found = yaml.safe_load(text(files))
    assert (found.get("build_dependencies"), found.get("build_extras")) == expected


@pytest.mark.parametrize(
    ("image", "more", "python"),
    [
        ("FROM python:3.12-slim", {}, "3.12"),
        ("FROM python:3.9", {}, "3.10"),
        ("ARG PYTHON_VERSION=3.11\nFROM python:${PYTHON_VERSION}-slim as base", {}, "3.11"),
        ("FROM --platform=linux/amd64 docker.io/library/python:3.11.4", {}, "3.11"),
        ("FROM python:3.13", {}, None),
        ("FROM python:3", {}, None),
        ("FROM python:3.11", {".python-version": "3.12"}, None),
        ("FROM node:20", {}, None),
    ],
)
def test_the_python_of_a_dockerfile_that_is_set_aside_is_taken(decided, image, more, python):
    files = {"app.py": "from flask import Flask\napp = Flask('x')\n", "Dockerfile": f"{image}\nCMD gunicorn app:app\n"}
    assert decided({**files, **more}, build_dockerfile="none").get("build_python") == python
    assert "build_python" not in decided({**files, **more})
