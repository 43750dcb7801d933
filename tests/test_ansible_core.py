"""ansible-core alone is enough: the oldest one that is supported and the one of the lock, each without a collection."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PLAYBOOKS = ["site.yml", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "playbooks").glob("*.yml")))]
# What runs on the controller, as plugins.
PLUGINS = sorted(path for kind in ("action", "filter") for path in ROOT.glob(f"roles/*/{kind}_plugins/*.py"))
# Each core, and the Pythons that it supports on a controller.
CORES = {"2.19.*": ("3.11", "3.12", "3.13"), version("ansible-core"): ("3.14", "3.13", "3.12")}
LOAD = """
import importlib.util, sys
for path in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("plugin", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""
KEYS = """
- hosts: all
  gather_facts: false
  tasks:
    - tokens_signing_key: {algorithm: RS256}
      register: made
      no_log: true
    - tokens_vault: {state: gathered, file: "{{ playbook_dir }}/vault_jwt.yml", keys: [], hosts: [{exported: []}],
        fresh: "{{ made.privatekey }}"}
"""
pytestmark = pytest.mark.slow


def python(versions):
    """Return the first of these Pythons that works here; a version manager's shim may exist and still fail."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for wanted in versions:
        for found in (shutil.which(f"python{wanted}"), *sorted(pyenv.glob(f"{wanted}.*/bin/python{wanted}"))):
            if (
                found
                and subprocess.run([found, "-c", "import ssl, venv"], capture_output=True, check=False).returncode == 0
            ):
                return found
    pytest.fail(f"none of these works here: python{', python'.join(versions)}")


@pytest.fixture(scope="module", params=CORES, ids=lambda core: f"ansible-core {core}")
def core(request, tmp_path_factory):
    """Make an environment with ansible-core and nothing else; gives what runs a command of it, and its folder."""
    venv = tmp_path_factory.mktemp("core") / "venv"
    tools = {**os.environ, "UV_NATIVE_TLS": "1"}
    if "PIP_INDEX_URL" in tools:
        tools.setdefault("UV_INDEX_URL", tools["PIP_INDEX_URL"])
    uv = Path(sys.executable).with_name("uv")
    for command in (
        [uv, "venv", "--quiet", "--python", python(CORES[request.param]), venv],
        [uv, "pip", "install", "--quiet", "--python", venv / "bin/python", f"ansible-core=={request.param}"],
    ):
        subprocess.run(command, env=tools, check=True, timeout=300)

    def run(name, *arguments, **environment):
        alone = {"ANSIBLE_COLLECTIONS_PATH": str(venv), "ANSIBLE_NOCOLOR": "1", **environment}
        command = [venv / "bin" / name, *arguments]
        ran = subprocess.run(
            command, env={**os.environ, **alone}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
        )
        return ran.returncode, ran.stdout + ran.stderr

    return run


@pytest.fixture
def inventory(tmp_path):
    """Return what writes an inventory of a host that nobody answers for."""

    def write(**variables):
        variables = {
            "site_domain": "shop.example.com",
            "build_source": str(ROOT / "app"),
            "app_wsgi": "flask_app:create_app()",
            "nginx_certificate": "selfsigned",
            "ansible_host": "127.0.0.1",
            "ansible_port": 1,
            **variables,
        }
        path = tmp_path / "hosts.yml"
        path.write_text(yaml.safe_dump({"web": {"hosts": {"web1": None}, "vars": variables}}))
        return path

    return write


def test_no_collection_is_there(core):
    assert "usage: ansible-galaxy" in core("ansible-galaxy", "--help")[1]
    done, said = core("ansible-doc", "--type", "module", "--list")
    assert done == 0 and "ansible.builtin.copy" in said
    assert not re.search(r"^(?!ansible\.builtin\.)\w+\.\w+\.\w+ ", said, re.MULTILINE)


def test_every_playbook_is_understood(core):
    done, said = core("ansible-playbook", "--syntax-check", "-i", "inventories/example", *PLAYBOOKS)
    assert (done, re.findall(r"^playbook: (.*)", said, re.MULTILINE)) == (0, PLAYBOOKS), said
    assert "WARNING" not in said


def test_every_plugin_of_the_controller_is_loaded(core):
    assert PLUGINS
    done, said = core("python", "-c", LOAD, *PLUGINS)
    assert done == 0, said


def test_a_right_inventory_is_checked_up_to_the_host(core, inventory):
    done, said = core("ansible-playbook", "playbooks/check.yml", "-i", inventory())
    assert done == 4 and "unreachable=1" in said and "failed=0" in said, said


def test_a_wrong_inventory_is_told_of_in_one_line(core, inventory):
    done, said = core("ansible-playbook", "site.yml", "-i", inventory(app_workers="many"))
    assert done == 2 and re.search(r"app_workers: .*example: ", said), said
    assert "unreachable=0" in said and "WARNING" not in said


def test_a_signing_key_is_made_and_kept_in_the_vault(core, tmp_path):
    (tmp_path / "play.yml").write_text(KEYS)
    (tmp_path / "password").write_text("geheim\n")
    vault = ("--vault-password-file", tmp_path / "password")
    run = ("ansible-playbook", "-vvv", "-i", "web1,", "-c", "local", *vault, tmp_path / "play.yml")
    done, said = core(*run, ANSIBLE_ACTION_PLUGINS=str(ROOT / "roles/tokens/action_plugins"))
    assert done == 0 and "changed=2" in said, said
    assert "PRIVATE" not in said
    done, kept = core("ansible-vault", "view", *vault, tmp_path / "vault_jwt.yml")
    assert done == 0 and kept.count("BEGIN PRIVATE KEY") == 1
