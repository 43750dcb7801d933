"""The environment reaches a command byte for byte, and neither its arguments nor a shell."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest
from ansible.module_utils.flask_deploy.release import inside, writable

from tests.conftest import ROOT

PROGRAM = ROOT / "roles" / "app" / "files" / "exec.py"
SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:]]))"


@pytest.fixture
def run(tmp_path):
    """Run a command in a release's environment; its places lie in a directory."""
    text = PROGRAM.read_text()
    for place in ("release", "run/secrets"):
        (tmp_path / place).mkdir(parents=True)
        text = text.replace(f'"/{place}/', f'"{tmp_path}/{place}/')
    (tmp_path / "exec.py").write_text(text)

    def execute(environment, secrets, *arguments, wsgi="shop:app", image=None, shows=SHOW):
        (tmp_path / "release/release.json").write_text(json.dumps({"id": "3f9a0c41d2b7", "wsgi": wsgi}))
        (tmp_path / "release/env.json").write_text(json.dumps(environment))
        (tmp_path / "run/secrets/env.json").write_text(json.dumps(secrets))
        command = [sys.executable, tmp_path / "exec.py", sys.executable, "-c", shows, *arguments]
        known = {"LC_ALL": "C.UTF-8", **(image or {})}
        done = subprocess.run(command, capture_output=True, check=True, env=known, cwd=tmp_path)
        return json.loads(done.stdout)

    return execute


def test_values_arrive_byte_for_byte(run):
    values = {"A": "{{ x }} $HOME `id` %s \\ 'it' \"q\"\n\ttwo\nlines", "U": "üß世界🌍", "E": "", "S": "  "}
    environment, _arguments = run(values, {})
    assert {name: environment[name] for name in values} == values


def test_secrets_win_and_the_release_is_named(run):
    environment, _arguments = run({"A": "1", "B": "2"}, {"B": "3"})
    assert (environment["A"], environment["B"], environment["APP_RELEASE"]) == ("1", "3", "3f9a0c41d2b7")


def test_arguments_are_not_read_by_a_shell(run):
    assert run({}, {}, "$HOME", "a b", "*")[1] == ["$HOME", "a b", "*"]


def test_a_command_that_the_image_has_not_is_named(run, tmp_path):
    run({}, {})
    command = [sys.executable, tmp_path / "exec.py", "celery", "-A", "shop"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/nowhere"}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "celery: no such command in the image; its PATH is /nowhere\n")


FLASK = "from flask.cli import main; main()"
APP = """
import flask
def create_app(name="shop"):
    app = flask.Flask(name)
    app.cli.command("create-admin")(lambda: print(f'"made {app.name}"'))
    return app
app = create_app("at hand")
"""


@pytest.mark.parametrize("package", ["shop.py", "shop/__init__.py", "src/shop/__init__.py"])
@pytest.mark.parametrize(
    ("wsgi", "name"),
    [
        ("shop:app", "at hand"),
        ("shop:create_app()", "shop"),
        ('shop:create_app("production")', "production"),
        ('shop:create_app(name="named")', "named"),
        ("shop", "at hand"),
    ],
)
def test_flask_s_commands_find_the_app_wherever_its_code_lies(run, tmp_path, package, wsgi, name):
    path = tmp_path / package
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(APP)
    said = run({"FLASK_SKIP_DOTENV": "1"}, {}, "create-admin", wsgi=wsgi, shows=FLASK)
    assert said == f"made {name}"


@pytest.mark.parametrize(
    ("environment", "image", "app"),
    [
        ({}, {}, "shop:app"),
        ({}, {"FLASK_APP": "manage.py"}, "manage.py"),
        ({"FLASK_APP": "other"}, {"FLASK_APP": "manage.py"}, "other"),
    ],
)
def test_the_app_s_name_is_what_the_image_or_its_operator_says_else_what_is_served(run, environment, image, app):
    assert run(environment, {}, image=image)[0]["FLASK_APP"] == app


def test_code_below_src_is_added_to_the_path_that_the_image_has(run, tmp_path):
    (tmp_path / "src/shop").mkdir(parents=True)
    known = run({}, {}, image={"PYTHONPATH": "/opt/lib"})[0]
    assert known["PYTHONPATH"] == f"{tmp_path}/src:/opt/lib"
    (tmp_path / "shop.py").touch()
    assert "PYTHONPATH" not in run({}, {})[0], "what gunicorn finds without it is left alone"


def test_a_release_of_which_nothing_is_known_runs_its_command(run):
    assert "FLASK_APP" not in run({}, {}, wsgi="")[0]


def test_what_runs_in_an_image_is_read_by_the_python_of_old_ones():
    """A Dockerfile of one's own may be FROM python:3.7."""
    texts = [(PROGRAM.parent / name).read_text() for name in ("exec.py", "output.py", "gunicorn.conf.py")]
    for text in (*texts, inside.PROGRAM, writable.COPY):
        assert ast.parse(text, feature_version=(3, 7))
