"""Each kind of dependency file is enough, and what was found is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

APPS = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/apps/app"
URL = "https://app.test/"
GUNICORN = "build: gunicorn==27.0.1 takes the place of the app's gunicorn==21.2.0"
COMPILED = {
    "build_image_packages": ["git"],
    "build_command": "echo \"made with $(python -c 'import flask, psycopg2; print(flask.__name__)')\" > made.txt",
}


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """Return the app of uv with its lock, which names the index of the machine that it was made on."""
    place = shutil.copytree(APPS / "uv", tmp_path_factory.mktemp("uv") / "app")
    subprocess.run(["uv", "lock", "--quiet", "--directory", place], check=True)
    return place


@pytest.fixture(scope="module")
def deploy(play, locked):
    """Deploy an app of these tests, or a directory, by settings alone."""

    def run(source, succeed=True, **settings):
        source = locked if source == "uv" else APPS / source
        settings = {"build_source": str(source), "app_wsgi": "shop:app", "site_static": "", **settings}
        return play("playbooks/app.yml", "-e", json.dumps(settings), succeed=succeed)

    return run


@pytest.mark.parametrize(
    ("kind", "settings", "file", "page"),
    [
        ("uv", {"app_wsgi": "shop:create_app()", "build_extras": ["color"]}, "uv.lock", "3.0.3 1.0"),
        ("poetry", {"build_groups": ["web"]}, "poetry.lock", "3.0.3 13.9.4"),
        ("pipenv", {"build_groups": ["web"]}, "Pipfile.lock", "3.0.3 13.9.4"),
        ("pdm", {"build_groups": ["web"]}, "pdm.lock", "3.0.3 13.9.4 8.5.1 without tools"),
        ("requirements", {}, "requirements/prod.txt", "3.0.3 2"),
        ("pyproject", {}, "pyproject.toml", "3.0.3"),
        ("poetry-open", {}, "pyproject.toml", "3.0.3 13.9.4"),
        ("setup", {"build_extras": ["color"]}, "setup.py", "3.0.3 13.9.4"),
    ],
)
def test_an_app_moves_in_by_what_lies_there(deploy, get, kind, settings, file, page):
    run = deploy(kind, **settings)
    assert f"build: dependencies of {file}" in run.output
    assert get(URL).body.strip() == page


def test_a_list_as_windows_writes_it_is_read(deploy, get, tmp_path):
    (tmp_path / "requirements (1).txt").write_text("flask==3.0.3\r\nrich==13.9.4\r\n", encoding="utf-16")
    shutil.copy(APPS / "pipenv/shop.py", tmp_path)
    assert "build: dependencies of requirements (1).txt\n" in deploy(tmp_path).output
    assert get(URL).body.strip() == "3.0.3 13.9.4"


def test_what_the_server_changes_of_the_app_s_pins_is_told(deploy):
    assert GUNICORN in deploy("uv", app_wsgi="shop:create_app()", build_extras=["color"], build_fresh=True).output


def test_a_project_that_is_no_package_serves_and_that_is_told(deploy):
    said = deploy("pyproject", build_fresh=True).output
    assert "the project itself is not installed, though it has entry points: error: Multiple top-level packages" in said


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return an app that needs a compiler, to be edited."""
    return Path(shutil.copytree(APPS / "compiled", tmp_path_factory.mktemp("source") / "app"))


def image(host):
    """Return the id of the image that serves."""
    return host.check_output("docker ps -q | xargs docker inspect -f '{{.Image}}'")


def layers(host):
    return json.loads(host.check_output(f"docker image inspect {image(host)}"))[0]["RootFS"]["Layers"]


def test_what_has_no_wheel_gets_a_compiler_and_its_library(deploy, get, host, compiled):
    deploy(compiled, **COMPILED)
    assert get(URL).body.startswith("True git version ")
    assert get(URL).body.endswith("; made with flask")
    container = host.check_output("docker ps -q")
    assert host.run(f"docker exec {container} dpkg -s libpq5").rc == 0
    assert host.run(f"docker exec {container} dpkg -s gcc").rc != 0


def test_a_change_of_the_code_alone_installs_nothing_again(deploy, get, host, compiled):
    before = layers(host)
    (compiled / "shop.py").write_text((compiled / "shop.py").read_text().replace("{GIT};", "changed;"))
    deploy(compiled, **COMPILED)
    assert "changed; made with flask" in get(URL).body
    after = layers(host)
    assert len(after) == len(before)
    assert sum(one != two for one, two in zip(before, after, strict=True)) == 1, "the code's own layer"


def test_secrets_of_a_build_are_in_no_layer_and_in_no_output(deploy, get, host, compiled):
    secret = "c0ffee-4711-5e4711"
    command = f'test "$TOKEN" = {secret[:4]}"{secret[4:]}" && {COMPILED["build_command"]}'
    run = deploy(compiled, **{**COMPILED, "build_command": command, "build_secrets": {"TOKEN": secret}})
    assert get(URL).status == 200 and secret not in run.output
    assert host.check_output(f"docker save {image(host)} | tar xO | grep -c {secret} || true") == "0"
    assert host.check_output(f"grep -rlsI {secret} /var/lib/docker/buildkit /var/tmp /srv/app || true") == ""


@pytest.mark.parametrize(
    ("source", "settings", "lines"),
    [
        ("nothing", {}, ["build: no dependencies but gunicorn and gevent", "No module named 'flask'"]),
        ("uv", {"build_dependencies": "requirements.txt"}, ["build_dependencies: the source has no requirements.txt"]),
        ("compiled", {"build_command": "exit 7"}, ["build_command ended with code 7"]),
        ("recipe", {"build_requirements": ["no-such-package-4711"]}, ["no-such-package-4711 was not found"]),
    ],
)
def test_what_cannot_be_built_is_named_and_the_old_release_serves(deploy, get, source, settings, lines):
    before = get(URL).body
    run = deploy(source, succeed=False, **settings)
    assert run.rc != 0
    assert [line for line in lines if line not in run.output] == [], run.output
    assert get(URL).body == before


def test_pins_that_are_too_old_say_which_python_would_do(deploy, get, tmp_path):
    (tmp_path / "requirements.txt").write_text("flask\ngreenlet==3.0.0\n")
    (tmp_path / "shop.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    run = deploy(tmp_path, succeed=False)
    assert run.rc != 0
    assert "greenlet has a wheel for Python 3.12. Write build_python: " in run.output
