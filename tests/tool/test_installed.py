"""The tool as pip installs it: from a wheel, a directory, a git address, and a checkout that is edited."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from flask_deploy_tool import __version__

from tests import cores
from tests.conftest import ROOT
from tests.sizes import listed

UV = str(Path(sys.executable).with_name("uv"))
DATA = (
    "ansible.cfg",
    "site.yml",
    "playbooks/",
    "roles/",
    "plugins/module_utils/",
    "plugins/plugin_utils/",
    "plugins/action/",
    "plugins/callback/",
    "plugins/vars/",
)
FLAGS = ("--domain", "shop.example.com", "--source", "shop", "--wsgi", "app:app", "--host", "127.0.0.1")
pytestmark = pytest.mark.slow


def uv(*words):
    settings = {**os.environ, "UV_SYSTEM_CERTS": "1"}
    if "PIP_INDEX_URL" in settings:
        settings.setdefault("UV_INDEX_URL", settings["PIP_INDEX_URL"])
    subprocess.run([UV, *words], env=settings, check=True, timeout=300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel by way of a source archive, as an index has both."""
    place = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--out-dir", place, ROOT)
    return next(place.glob("*.whl"))


@pytest.fixture(params=["wheel", "directory", "git", "editable"])
def installed(request, wheel, tmp_path):
    """Return what runs a command of an environment that holds the tool, in an empty directory."""
    venv = tmp_path / "venv"
    uv("venv", "--quiet", "--python", cores.python(("3.14", "3.13", "3.12")), venv)
    ways = {"wheel": [wheel], "directory": [ROOT], "git": [f"git+file://{ROOT}"], "editable": ["--editable", ROOT]}
    uv("pip", "install", "--quiet", "--python", venv / "bin/python", *ways[request.param])
    (tmp_path / "here").mkdir()

    def run(name, *words, place="here"):
        ran = subprocess.run(
            [venv / "bin" / name, *words],
            cwd=tmp_path / place,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return ran.returncode, ran.stdout + ran.stderr

    run.place = tmp_path / "here"
    return run


def test_a_wheel_carries_what_git_keeps_and_nothing_else(wheel):
    kept = {name for name in listed(ROOT) if name.startswith(DATA)}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"flask_deploy-{__version__}.dist-info/")}
    own = {name.removeprefix("plugins/") for name in listed(ROOT) if name.startswith("plugins/flask_deploy_tool/")}
    assert own and kept
    assert names == own | {f"flask_deploy_tool/project/{name}" for name in kept}


def test_it_works_in_an_empty_directory(installed):
    """One test, because an installation takes long: version, inspect, new, check."""
    assert installed("flask-deploy", "--version") == (0, f"flask-deploy, version {__version__}\n")
    (installed.place / "shop").mkdir()
    (installed.place / "shop/app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    (installed.place / "shop/requirements.txt").write_text("flask\n")
    done, said = installed("flask-deploy", "inspect", "shop")
    assert done == 0 and "app_wsgi: app:app" in said, said
    assert installed("flask-deploy", "new", "infra", *FLAGS)[0] == 0
    done, said = installed(
        "flask-deploy", "check", "-e", "production", "--", "-e", "ansible_port=1", place="here/infra"
    )
    assert done == 4 and "unreachable=1" in said and "failed=" not in said, said
    assert "WARNING" not in said
    done, said = installed("ansible-inventory", "-i", "inventories/staging", "--list", place="here/infra")
    assert done == 0 and "vault_app_secret_key" in said, said
    pin = (installed.place / "infra/requirements.txt").read_text()
    assert re.fullmatch(r"flask-deploy @ (git\+)?file://\S+\n", pin), pin


def test_the_line_that_is_printed_runs_without_the_tool_on_the_path(installed):
    (installed.place / "inventories/production").mkdir(parents=True)
    (installed.place / "inventories/production/hosts.yml").write_text("web: {hosts: {web1: }}\n")
    done, said = installed("flask-deploy", "rollback", "--", "--syntax-check")
    assert done == 0, said
    line = next(line for line in said.splitlines() if "ansible-playbook" in line)
    ran = subprocess.run(["sh", "-c", line], cwd=installed.place, capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and "playbook: " in ran.stdout, ran.stderr
