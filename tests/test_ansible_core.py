"""ansible-core alone is enough: the oldest one that is supported and the one of the lock, each without a collection."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests import cores

ROOT = Path(__file__).parents[1]
PLAYBOOKS = ["site.yml", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "playbooks").glob("*.yml")))]
# What runs on the controller, as plugins.
PLUGINS = sorted(path for kind in ("action", "filter") for path in ROOT.glob(f"roles/*/{kind}_plugins/*.py"))
PLUGINS += [*ROOT.glob("plugins/action/*.py"), *ROOT.glob("plugins/callback/*.py"), *ROOT.glob("plugins/vars/*.py")]
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
    - tokens_vault: {state: gathered, file: "{{ playbook_dir }}/vault_jwt.yml", keys: [], hosts: [{exported: []}],
        algorithm: RS256}
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=cores.CORES, ids=lambda core: f"ansible-core {core}")
def core(request, tmp_path_factory):
    """Make an environment with ansible-core and nothing else; gives what runs a command of it."""
    return cores.make(request.param, tmp_path_factory.mktemp("core") / "venv")


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
    assert done == 4 and "\nweb1: unreachable=1\n" in said, said


def test_a_wrong_inventory_is_told_of_in_one_line(core, inventory):
    done, said = core("ansible-playbook", "site.yml", "-i", inventory(app_workers="many"))
    assert done == 2 and re.search(r"app_workers: .*example: ", said), said
    assert "\nweb1: failed=1\n" in said and "WARNING" not in said
    assert said.count("ERROR on web1 in ") == 1 and "fatal: " not in said


def test_a_signing_key_is_made_and_kept_in_the_vault(core, tmp_path):
    (tmp_path / "play.yml").write_text(KEYS)
    (tmp_path / "password").write_text("geheim\n")
    vault = ("--vault-password-file", tmp_path / "password")
    run = ("ansible-playbook", "-vvv", "-i", "web1,", "-c", "local", *vault, tmp_path / "play.yml")
    done, said = core(*run, ANSIBLE_ACTION_PLUGINS=str(ROOT / "roles/tokens/action_plugins"))
    assert done == 0 and "changed=1" in said and "censored" in said, said
    assert "PRIVATE" not in said and "BEGIN" not in said
    done, kept = core("ansible-vault", "view", *vault, tmp_path / "vault_jwt.yml")
    assert done == 0 and kept.count("BEGIN PRIVATE KEY") == 1
