"""What a run prints names the commands of who began it: flask-deploy's, or ansible-playbook's."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask_deploy_tool import command
from flask_deploy_tool.verbs import ENVIRONMENT

from tests.conftest import ROOT

PLUGIN = ROOT / "plugins/callback/tool_words.py"
SAID = {
    "roll back: ansible-playbook playbooks/rollback.yml -i inventories/... (asked)": (
        "roll back: flask-deploy rollback -e staging (asked)"
    ),
    "ansible-playbook playbooks/rollback.yml -i a -e app_rollback_to=3f9a0c41d2b7 -e app_accept_rejected=true": (
        "flask-deploy rollback -e staging 3f9a0c41d2b7 -- -e app_accept_rejected=true"
    ),
    "ansible-playbook playbooks/maintenance.yml -i inventories/a -i b -e site_maintenance=off": (
        "flask-deploy maintenance -e staging off"
    ),
    "ansible-playbook site.yml -i inventories/... -e build_ref=3f; or": (
        "flask-deploy setup -e staging -- -e build_ref=3f; or"
    ),
    "ansible-playbook playbooks/app.yml -i <inventory>, which brings them level": (
        "flask-deploy deploy -e staging, which brings them level"
    ),
    "ansible-playbook playbooks/app.yml -i a --limit 'a:!b'": "flask-deploy deploy -e staging -- --limit 'a:!b'",
    "ansible-playbook playbooks/vault_keys.yml -i a --ask-vault-pass": "flask-deploy keys vault -e staging",
    '{"type": "ansible-playbook site.yml -i inventories/a", "to": "-e logs_since=now"}': (
        '{"type": "flask-deploy setup -e staging", "to": "--since now"}'
    ),
    "ansible-playbook site.yml --tags nginx": "flask-deploy setup -e staging -- --tags nginx",
    "try: ansible-playbook … --ask-become-pass": "try: flask-deploy … -- --ask-become-pass",
    "To wait for it: -e app_lock_wait=300": "To wait for it: -- -e app_lock_wait=300",
    "further back: -e logs_since=yesterday": "further back: --since yesterday",
    "example: -e logs_since='2 hours ago', or yesterday": "example: --since '2 hours ago', or yesterday",
    "-e logs_since=now -e run_on=all": "-- -e logs_since=now -e run_on=all",
    "type: ansible-playbook playbooks/remove.yml -e remove_app=shop": "type: flask-deploy remove -e staging shop",
    "docker run -e A=1 x": "docker run -e A=1 x",
    "[ERROR]: Could not match supplied host pattern, ignoring: web": (
        "[ERROR]: the inventory has no server in the group web; write one into its hosts.yml"
    ),
    "ansible-playbook playbooks/certificates.yml -i a": "ansible-playbook playbooks/certificates.yml -i a",
}


@pytest.fixture(scope="module")
def words():
    spec = importlib.util.spec_from_file_location("tool_words", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", SAID)
def test_a_command_in_a_message_is_the_tool_s(words, text):
    assert words.typed(text, "staging") == SAID[text]


def test_the_only_environment_needs_no_name(words):
    assert words.typed("ansible-playbook playbooks/status.yml -i inventories/production", "") == "flask-deploy status"


def test_what_needs_no_environment_has_none(words):
    said = "example: ansible-playbook playbooks/inspect.yml -e build_source=https://git.example.com/shop.git"
    assert words.typed(said, "") == "example: flask-deploy inspect https://git.example.com/shop.git"


def test_every_command_that_a_message_can_name_is_known_to_the_tool(words):
    paths = [path for room in ("roles", "plugins/module_utils") for path in (ROOT / room).rglob("*")]
    texts = [path.read_text() for path in paths if path.suffix in (".py", ".yml") and "meta" not in path.parts]
    found = {call for text in texts for call in re.findall(r"ansible-playbook (?:site|playbooks/\w+)\.yml", text)}
    assert len(found) > 5
    assert [call for call in found if not words.typed(call, "").startswith("flask-deploy ")] == []


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({ENVIRONMENT: "staging"}, "flask-deploy keys vault -e staging\n"),
        ({}, "ansible-playbook playbooks/vault_keys.yml -i inventories/production --ask-vault-pass\n"),
    ],
    ids=["the tool", "ansible-playbook"],
)
def test_a_run_names_the_command_of_who_began_it(tmp_path, environment, said):
    """192.0.2.1 is nobody's address (RFC 5737): the inventory stops the run before it connects."""
    (tmp_path / "hosts.yml").write_text(
        "web:\n  hosts: {web1: {ansible_host: 192.0.2.1}, web2: {ansible_host: 192.0.2.2}}\n"
        "  vars: {site_domain: shop.example.com, build_source: /, app_wsgi: shop:app, tokens_algorithm: RS256}\n"
    )
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "site.yml", "-i", tmp_path / "hosts.yml"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2 and f"put them into the vault: {said}" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("typed", "known"), [(["-e", "production"], "production"), ([], "")])
def test_the_tool_says_that_it_began_a_run(here, monkeypatch, typed, known):
    (here / "inventories/production").mkdir(parents=True)
    began = []
    monkeypatch.setattr(os, "execvpe", lambda name, words, environment: began.append(environment))
    command.cli.main(["status", *typed], standalone_mode=False)
    assert [environment[ENVIRONMENT] for environment in began] == [known]


def test_the_variables_of_each_role_are_known():
    written = re.search(r"PREFIXES = (\(.*?\)|\".*?\")\n", PLUGIN.read_text(), re.DOTALL)[1]
    known = set(ast.literal_eval(written).split("|"))
    roles = {path.parts[-3] for path in ROOT.glob("roles/*/defaults/main.yml") if path.read_text().strip("-\n# ")}
    assert known == roles
