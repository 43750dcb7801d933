"""The repository of the recipe that this project comes from, by its Pipfile and by its own Dockerfile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

APPS = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/apps/app"
CERTIFICATES = next((os.environ[name] for name in ("PIP_CERT", "SSL_CERT_FILE") if os.environ.get(name)), None)
# As the recipe has it, without a line for the linter, and with the port, which its copies have lost.
RECIPE = APPS.parents[2] / "bench/recipe/Dockerfile"
DOCKERFILE = RECIPE.read_text().partition("\n")[2].replace("\n\n\nCMD", "\n\nEXPOSE 5000\n\nCMD")
# What stands in for the image of a registry: Debian's Python with pip, and the certificates of this machine.
BASE = """\
FROM {}
RUN python3 -m venv /usr/local/python
ENV PATH=/usr/local/python/bin:$PATH PIP_CERT=/certificates REQUESTS_CA_BUNDLE=/certificates SSL_CERT_FILE=/certificates
COPY certificates /certificates
"""


def test_the_recipe_s_repository_serves_its_page_and_its_file(get):
    serves(get)


def serves(get):
    assert get("https://app.test/").body == "Hello, World!"
    assert get("https://app.test/static/hello-world.txt").body == "Hello World!\n"


def test_a_second_run_builds_nothing(play):
    run = play("playbooks/app.yml")
    assert run.changed == 0 and "\nbuild: " not in run.output, run.output


@pytest.fixture
def base(host, container):
    """Give the host an image python:3.7.2, as a registry would."""
    of = f"flask-deploy/python:{os.environ.get('MOLECULE_SUITE') or 'trixie'}"
    certificates = Path(CERTIFICATES).read_text() if CERTIFICATES else ""
    place = host.check_output("mktemp -d")
    for name, text in {"Dockerfile": BASE.format(of), "certificates": certificates}.items():
        write = ["docker", "exec", "-i", container, "sh", "-c", f"cat > {place}/{name}"]
        subprocess.run(write, input=text, text=True, check=True)
    host.check_output(f"docker build --quiet --tag python:3.7.2 {place} && rm -r {place}")
    yield
    host.check_output("docker image rm --force python:3.7.2")


@pytest.mark.parametrize("server", ["auto", "port:5000"])
def test_its_own_dockerfile_serves_it_as_it_is(base, play, get, host, tmp_path, server):
    source = Path(shutil.copytree(APPS / "recipe", tmp_path / "recipe"))
    (source / "Dockerfile").write_text(DOCKERFILE)
    settings = {"build_source": str(source), "app_wsgi": "app:app", "app_server": server}
    play("playbooks/app.yml", "-e", json.dumps(settings))
    serves(get)
    assert host.check_output("docker exec $(docker ps -q) sh -c 'command -v pipenv'") == "/usr/local/python/bin/pipenv"
