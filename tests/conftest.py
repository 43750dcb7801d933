"""What all tests that need no machine share."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import ansible.module_utils
import ansible.modules
import ansible.plugins.action
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).parents[1]
APP = ROOT / "roles" / "app"

pytest_plugins = ["tests.host", "tests.database"]
init_plugin_loader()

# Python of a host is found under the names that Ansible gives it.
ansible.module_utils.__path__.append(str(ROOT / "plugins" / "module_utils"))
for role in ("host", "build", "check", "valkey", "archive", "restore", "doctor", "report", "monitor", "balancer"):
    ansible.module_utils.__path__.append(str(ROOT / "roles" / role / "module_utils"))
for role in (
    *("host", "kernel", "check", "nginx", "postgres", "valkey", "build", "tokens", "app", "backup", "archive"),
    *("logs", "run", "restore", "status", "remove", "doctor", "report", "monitor", "metrics", "balancer"),
):
    ansible.modules.__path__.append(str(ROOT / "roles" / role / "library"))
for role in ("check", "inspect", "build", "tokens", "app", "logs", "run", "doctor", "report", "kubernetes"):
    ansible.plugins.action.__path__.append(str(ROOT / "roles" / role / "action_plugins"))
    sys.path.append(str(ROOT / "roles" / role / "plugin_utils"))
for role in ("backup", "archive", "monitor", "metrics"):
    sys.path.append(str(ROOT / "roles" / role / "files"))
sys.path.append(str(ROOT / "plugins" / "module_utils"))
sys.path.append(str(ROOT / "plugins" / "plugin_utils"))


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
def playbook(tmp_path):
    """Run a playbook as users do, with hosts.yml of the test's directory; return what it said and its exit code."""

    def run(name, *arguments):
        program = Path(sys.executable).with_name("ansible-playbook")
        return subprocess.run(
            [program, f"playbooks/{name}.yml", "-i", tmp_path / "hosts.yml", *arguments],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def load(text):
    """Read variables as an inventory's are: templates in them are followed."""
    return DataLoader().load(trust_as_template(text)) or {}


@cache
def constants():
    """Return the defaults and internals of all roles."""
    known = {}
    for role in (
        "host",
        "kernel",
        "docker",
        "nginx",
        "postgres",
        "valkey",
        "build",
        "site",
        "tokens",
        "app",
        "backup",
        "archive",
        "logs",
        "run",
        "restore",
        "remove",
        "doctor",
        "report",
        "monitor",
        "metrics",
        "balancer",
        "kubernetes",
    ):
        for part in ("defaults", "vars"):
            path = ROOT / "roles" / role / part / "main.yml"
            known |= load(path.read_text()) if path.exists() else {}
    return known


@pytest.fixture
def variables():
    """Return what a play knows on a Debian release, with the inventory's text laid over the roles' defaults."""

    def known(inventory="", debian=13, **more):
        facts = {"ansible_facts": {"distribution_major_version": str(debian)}}
        return {**constants(), **facts, **load(inventory), **more}

    return known


@pytest.fixture
def render(variables):
    """Render a role's template, or a file that a variable holds, as on a Debian release, with some variables set."""

    def rendered(role, template, debian=13, **more):
        least = {"site_domain": "shop.example.com", "build_source": "/src/shop", "app_wsgi": "shop:app"}
        place = {"groups": {"web": ["host"]}, "inventory_hostname": "host"}
        known = variables(debian=debian, **{**place, **least, **more})
        path = ROOT / "roles" / role / "templates" / template
        wanted = f"lookup('ansible.builtin.template', '{path}')" if path.suffix == ".j2" else template
        return str(Templar(DataLoader(), variables=known).template(trust_as_template(f"{{{{ {wanted} }}}}")))

    return rendered
