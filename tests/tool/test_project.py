"""Which environment, which configuration of Ansible, and who knows the vault's password."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click import UsageError
from flask_deploy_tool import project

from tests.conftest import ROOT

PATHS = {
    "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
    "ANSIBLE_MODULE_UTILS": str(ROOT / "plugins/module_utils"),
    "ANSIBLE_ACTION_PLUGINS": str(ROOT / "plugins/action"),
    "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "plugins/callback"),
    "ANSIBLE_VARS_PLUGINS": str(ROOT / "plugins/vars"),
}
VAULTED = {
    "a file": "$ANSIBLE_VAULT;1.1;AES256\n3130\n",
    "a value": "key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3130\n",
}


@pytest.fixture
def terminal(monkeypatch):
    """Let somebody be there who can type."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)


@pytest.fixture
def vault(here, terminal):
    """Return an environment with a vault."""
    place = here / "inventories/production"
    (place / "group_vars/web").mkdir(parents=True)
    (place / "group_vars/web/vault.yml").write_text(VAULTED["a file"])
    return str(place)


def environments(here, *names):
    for name in names:
        (here / "inventories" / name).mkdir(parents=True)


def test_the_only_environment_needs_no_name(here):
    environments(here, "shop", ".shop.new")
    (here / "inventories/hosts.yml").write_text("")
    assert project.inventory(None) == "inventories/shop"


@pytest.mark.parametrize(
    "given", [{"LC_ALL": "C"}, {"LC_ALL": "xx_XX.UTF-8"}, {"LC_ALL": "", "LC_TIME": "xx_XX.UTF-8"}]
)
def test_a_locale_that_ansible_refuses_is_set_aside(tool, given):
    tool.inventory("production")
    ran = tool("status", **given)
    assert ran.code == 0 and ran.err.startswith("LC_ALL=C.UTF-8 "), ran.err
    real = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run([real, "--version"], env={**os.environ, **given, "LC_ALL": "C.UTF-8"}, check=False)
    assert done.returncode == 0


def test_a_locale_that_ansible_takes_is_kept(tool):
    tool.inventory("production")
    assert "LC_ALL" not in tool("status", LC_ALL="C.UTF-8").err


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["staging", "production"], "there are several environments; add -e production or -e staging"),
        ([], "no environment in this directory; make one: flask-deploy new ."),
    ],
)
def test_none_or_several_are_told_in_one_line(here, names, said):
    environments(here, *names)
    with pytest.raises(UsageError) as error:
        project.inventory(None)
    assert error.value.format_message() == said


def test_where_environments_lie_below_or_above_is_told(here, monkeypatch):
    (here / "deploy/inventories/production/group_vars").mkdir(parents=True)
    with pytest.raises(UsageError) as error:
        project.inventory("production")
    assert error.value.format_message() == "no environment in this directory; they are in deploy: cd deploy"
    monkeypatch.chdir(here / "deploy/inventories")
    with pytest.raises(UsageError, match=r"they are in \.\.: cd \.\.$"):
        project.inventory(None)


def test_in_a_checkout_the_demo_and_the_example_are_nobody_s_choice(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert {"example", "local"} & set(project.environments()) == set()
    assert project.inventory("local") == "inventories/local"


def test_in_a_checkout_without_an_environment_the_example_is_to_be_copied(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(project, "environments", list)
    with pytest.raises(UsageError, match=r"make one: cp -r inventories/example inventories/production$"):
        project.inventory(None)


def test_in_a_checkout_the_line_is_the_short_one(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert (project.playbook("site.yml"), project.settings()) == ("site.yml", {})


def test_elsewhere_the_project_s_own_configuration_is_used(here):
    assert project.settings() == {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}


@pytest.mark.parametrize("kind", ["file", "variable"])
def test_a_configuration_of_the_user_stays_and_is_told_the_paths(here, monkeypatch, kind):
    if kind == "file":
        (here / "ansible.cfg").write_text("")
    else:
        monkeypatch.setenv("ANSIBLE_CONFIG", "/etc/mine.cfg")
    assert project.settings() == {**PATHS, "ANSIBLE_HOST_PATTERN_MISMATCH": "error"}


@pytest.mark.parametrize("name", PATHS)
def test_a_path_that_the_user_exports_for_others_stays_behind_ours(here, monkeypatch, name):
    monkeypatch.setenv(name, "/elsewhere")
    assert project.settings()[name] == f"{PATHS[name]}:/elsewhere"
    monkeypatch.chdir(ROOT)
    assert project.settings() == {name: f"{PATHS[name]}:/elsewhere"}


@pytest.mark.parametrize("kind", VAULTED)
def test_a_vault_without_a_password_asks_for_it(here, terminal, kind):
    (here / "vars.yml").write_text(VAULTED[kind])
    assert project.asks_for_vault(str(here), (), {})


def test_no_vault_asks_for_nothing(here, terminal):
    (here / "vars.yml").write_text("key: value\n")
    (here / "certificate.der").write_bytes(b"\xff\xfe\x00")
    assert not project.asks_for_vault(str(here), (), {})


def test_without_a_terminal_nobody_is_asked(vault, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert not project.asks_for_vault(vault, (), {})


@pytest.mark.parametrize(
    "word", ["--vault-password-file=x", "--vault-pass-file", "--vault-id", "--ask-vault-pass", "-J"]
)
def test_a_password_on_the_line_is_enough(vault, word):
    assert not project.asks_for_vault(vault, ("--diff", word), {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANSIBLE_VAULT_PASSWORD_FILE", __file__),
        ("ANSIBLE_VAULT_IDENTITY_LIST", "team@prompt"),
        ("ANSIBLE_ASK_VAULT_PASS", "true"),
    ],
)
def test_a_password_in_the_environment_is_enough(vault, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not project.asks_for_vault(vault, (), {})


def test_a_password_in_the_user_s_configuration_is_enough(vault, here):
    (here / "ansible.cfg").write_text("[defaults]\nvault_password_file = .vault-password\n")
    (here / ".vault-password").touch()
    assert not project.asks_for_vault(vault, (), project.settings())


def test_a_configuration_without_a_password_is_not(vault, here):
    (here / "ansible.cfg").write_text("[defaults]\nforks = 3\n")
    before = dict(os.environ)
    assert project.asks_for_vault(vault, (), project.settings())
    assert dict(os.environ) == before


def test_a_password_file_that_is_missing_is_told_with_what_to_do(vault, here, monkeypatch):
    (here / "ansible.cfg").write_text("[defaults]\nvault_password_file = .vault-password\n")
    with pytest.raises(UsageError) as error:
        project.asks_for_vault(vault, (), project.settings())
    assert error.value.format_message() == (
        "no file .vault-password here: write the vault's password into it; "
        "who made this repository keeps a copy where the team keeps passwords"
    )
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(UsageError):
        project.asks_for_vault(vault, (), project.settings())
    assert not project.asks_for_vault(vault, ("--vault-password-file=x",), project.settings())
    (here / ".vault-password").write_text("secret")
    assert not project.asks_for_vault(vault, (), project.settings())


def test_a_configuration_that_ansible_would_not_read_is_told(here):
    (here / "ansible.cfg").write_text("")
    here.chmod(0o777)
    with pytest.raises(
        UsageError, match=r"everybody may write into this directory.*: chmod o-w \. or,.*ANSIBLE_CONFIG"
    ):
        project.settings()


def test_a_configuration_that_the_user_names_is_read_from_anywhere(here, monkeypatch):
    (here / "ansible.cfg").write_text("")
    here.chmod(0o777)
    monkeypatch.setenv("ANSIBLE_CONFIG", "ansible.cfg")
    assert project.settings()["ANSIBLE_ROLES_PATH"]


def programs(here, monkeypatch, *places):
    for place in places:
        (here / place).mkdir()
        (here / place / "ansible-playbook").write_text("#!/bin/sh\n")
        (here / place / "ansible-playbook").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(here / "beside/python"))
    monkeypatch.setenv("PATH", str(here / "path"))


def test_the_ansible_that_was_installed_with_the_tool_goes_before_another(here, monkeypatch):
    programs(here, monkeypatch, "beside", "path")
    assert project.ansible_playbook() == str(here / "beside/ansible-playbook")


def test_an_ansible_that_its_name_finds_is_called_by_it(here, monkeypatch):
    programs(here, monkeypatch, "path")
    assert project.ansible_playbook() == "ansible-playbook"
    (here / "beside").symlink_to("path")
    assert project.ansible_playbook() == "ansible-playbook"


def test_no_ansible_at_all_is_told(here, monkeypatch):
    programs(here, monkeypatch)
    with pytest.raises(project.ClickException, match="pip install ansible-core"):
        project.ansible_playbook()


def test_a_home_that_cannot_be_written_is_said_before_ansible_dies_of_it(tool):
    tool.inventory("production")
    (tool.place / "home").write_text("no directory")
    ran = tool("check", HOME=str(tool.place / "home"))
    where = f"{tool.place}/home/.ansible: Not a directory"
    said = f"Ansible keeps files in {where}; set HOME to a directory that you may write into"
    assert (ran.code, ran.arguments, ran.err) == (2, None, f"flask-deploy: {said} (see flask-deploy check --help)\n")


def test_a_home_that_is_not_there_yet_is_made(tool):
    tool.inventory("production")
    assert tool("check", HOME=str(tool.place / "new/home")).code == 0
