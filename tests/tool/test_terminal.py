"""On a real terminal: questions, the vault's password, colours and completion."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.terminal import Terminal


def test_what_is_not_given_is_asked(tool):
    terminal = Terminal(tool.command("new", "infra", "--source", "https://git.example.com/shop.git"), tool.place)
    terminal.expect("Domain of the app")
    terminal.type("https://shop.example.com\n")
    terminal.expect("write the name alone")
    terminal.type("shop.example.com\n")
    terminal.expect("[shop.example.com]")
    terminal.type("\n")
    terminal.expect("What to serve")
    terminal.type("shop:app\n")
    assert terminal.end() == 0
    web = tool.place / "infra/inventories/production/group_vars/web"
    assert (web / "app.yml").read_text().startswith("---\napp_wsgi: shop:app\n")
    assert "shop.example.com:" in (web.parents[1] / "hosts.yml").read_text()


def test_ctrl_c_at_a_question_makes_nothing(tool):
    terminal = Terminal(tool.command("new", "infra"), tool.place)
    terminal.expect("Domain of the app")
    assert terminal.interrupt() == 130
    assert "stopped" in terminal.seen and list(tool.place.iterdir()) == []


def test_the_vault_s_password_is_asked_by_ansible(tool):
    tool.inventory("production")
    (tool.place / "inventories/production/vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n3130\n")
    path = f"{tool.path}:{os.environ['PATH']}"
    assert Terminal(tool.command("deploy"), tool.place, PATH=path).end() == 0
    assert "--ask-vault-pass" in tool.kept.read_text()
    assert "--ask-vault-pass" not in tool("deploy").arguments


def test_ctrl_c_is_ansible_s_own(tool):
    """The tool is not there any more: what gets the signal, and ends as it likes, is ansible-playbook."""
    tool.inventory("production")
    stand_in = tool.path / "ansible-playbook"
    stand_in.write_text("#!/bin/sh\ntrap 'exit 99' INT\necho \"pid $$\"\nfor each in $(seq 3000); do sleep 0.1; done\n")
    terminal = Terminal(tool.command("deploy"), tool.place, PATH=f"{tool.path}:{os.environ['PATH']}")
    terminal.expect(f"pid {terminal.pid}")
    os.kill(terminal.pid, signal.SIGINT)
    assert terminal.end() == 99


def test_colours_are_those_that_ansible_has_on_a_terminal(tool):
    tool.inventory("production")
    (tool.path / "ansible-playbook").write_text(
        "#!/bin/sh\ntest -t 0 && test -t 1 && test -t 2 && echo three terminals\n"
    )
    terminal = Terminal(tool.command("deploy"), tool.place, PATH=f"{tool.path}:{os.environ['PATH']}")
    assert terminal.end() == 0 and "three terminals" in terminal.seen


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("flask-deploy ro", {"rollback"}),
        ("flask-deploy deploy -e st", {"staging"}),
        ("flask-deploy maintenance o", {"on", "off"}),
    ],
)
def test_the_shell_completes_verbs_environments_and_choices(tool, typed, offered):
    tool.inventory("production", "staging")
    words = typed.split()
    environment = {"_FLASK_DEPLOY_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    ran = tool(**environment)
    assert {line.partition(",")[2] for line in ran.out.splitlines()} == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell):
    ran = subprocess.run(
        [sys.executable, "-m", "flask_deploy_tool"],
        env={**os.environ, "_FLASK_DEPLOY_COMPLETE": f"{shell}_source", "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0 and f"_FLASK_DEPLOY_COMPLETE={shell}_complete" in ran.stdout
