"""What all tests that need no machine share."""

from __future__ import annotations

import os
from pathlib import Path

import ansible.module_utils
import ansible.modules
import ansible.plugins.action
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).parents[1]
APP = ROOT / "roles" / "app"

# The role's Python is found under the names that Ansible gives it.
ansible.module_utils.__path__.append(str(APP / "module_utils"))
ansible.modules.__path__.append(str(APP / "library"))
ansible.plugins.action.__path__.append(str(APP / "action_plugins"))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Keep away what a git hook, or the user's own settings, would change."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "ANSIBLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for part in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{part}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{part}_EMAIL", "test@example.com")


@pytest.fixture
def read_yaml():
    """Read variables from a file or a text as an inventory's are: templates in them are followed."""

    def read(source):
        if isinstance(source, Path):
            return DataLoader().load_from_file(str(source), cache="none", trusted_as_template=True) or {}
        return DataLoader().load(trust_as_template(source)) or {}

    return read


@pytest.fixture
def render(read_yaml):
    """Render a role's template, as its template task would on a Debian release, with some variables set."""

    def rendered(role, template, debian=13, **variables):
        known = {"ansible_facts": {"distribution_major_version": str(debian)}}
        for name in ("docker", "nginx", "app"):
            known |= read_yaml(ROOT / "roles" / name / "defaults" / "main.yml")
            known |= read_yaml(ROOT / "roles" / name / "vars" / "main.yml")
        known |= {"app_domain": "shop.example.com", "app_source": "/src/shop", "app_wsgi": "shop:app", **variables}
        path = ROOT / "roles" / role / "templates" / template
        lookup = trust_as_template(f"{{{{ lookup('ansible.builtin.template', '{path}') }}}}")
        return str(Templar(DataLoader(), variables=known).template(lookup))

    return rendered
