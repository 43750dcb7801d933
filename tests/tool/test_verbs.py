"""Each verb is one call of ansible-playbook, printed before it runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.plugins.action.check_inventory import load_specs
from flask_deploy_tool import command, project, wrong
from flask_deploy_tool.verbs import VERBS

from tests.conftest import ROOT

ALWAYS = ["-i", "inventories/production"]
CALLS = {
    "check": ["playbooks/check.yml", *ALWAYS],
    "plan": ["playbooks/app.yml", *ALWAYS, "--check", "--diff"],
    "plan --ref v1.4": ["playbooks/app.yml", *ALWAYS, "--check", "--diff", "-e", "build_ref=v1.4"],
    "setup": ["site.yml", *ALWAYS],
    "deploy": ["playbooks/app.yml", *ALWAYS],
    "deploy --ref v1.4": ["playbooks/app.yml", *ALWAYS, "-e", "build_ref=v1.4"],
    "deploy -- --limit 'all:!web3' -vv": ["playbooks/app.yml", *ALWAYS, "--limit", "all:!web3", "-vv"],
    "rollback": ["playbooks/rollback.yml", *ALWAYS],
    "rollback 3f9a0c41d2b7": ["playbooks/rollback.yml", *ALWAYS, "-e", "app_rollback_to=3f9a0c41d2b7"],
    "status": ["playbooks/status.yml", *ALWAYS],
    "status --html report.html": ["playbooks/report.yml", *ALWAYS, "-e", "report_file=report.html"],
    "doctor": ["playbooks/doctor.yml", *ALWAYS],
    "doctor --format json": ["playbooks/doctor.yml", *ALWAYS, "-e", "doctor_format=json"],
    "releases": ["playbooks/releases.yml", *ALWAYS],
    "logs": ["playbooks/logs.yml", *ALWAYS],
    "logs --since '2 hours ago' --grep 'a=\"b\"' --process web --release 3f --lines 9": [
        *("playbooks/logs.yml", *ALWAYS),
        *("-e", '{"logs_since": "2 hours ago"}', "-e", '{"logs_grep": "a=\\"b\\""}', "-e", "logs_process=web"),
        *("-e", "logs_release=3f", "-e", "logs_lines=9"),
    ],
    "run env": ["playbooks/run.yml", *ALWAYS, "-e", "run_command=env"],
    "run flask add -e x --name 'Ada L'": [
        *("playbooks/run.yml", *ALWAYS),
        *("-e", '{"run_command": "flask add -e x --name \'Ada L\'"}'),
    ],
    "run 'flask db current' -- -e run_on=all": [
        *("playbooks/run.yml", *ALWAYS, "-e", '{"run_command": "flask db current"}', "-e", "run_on=all"),
    ],
    "shell": ["playbooks/shell.yml", *ALWAYS],
    "restart": ["playbooks/restart.yml", *ALWAYS],
    "maintenance on": ["playbooks/maintenance.yml", *ALWAYS, "-e", "site_maintenance=on"],
    "maintenance off --message 'Back at 9.'": [
        *("playbooks/maintenance.yml", *ALWAYS, "-e", "site_maintenance=off"),
        *("-e", '{"site_maintenance_message": "Back at 9."}'),
    ],
    "keys rotate": ["playbooks/rotate_keys.yml", *ALWAYS],
    "keys vault": ["playbooks/vault_keys.yml", *ALWAYS],
    "backup": ["playbooks/backup.yml", *ALWAYS],
    "restore shop": ["playbooks/restore.yml", *ALWAYS, "-e", "restore_app=shop"],
    "restore shop --snapshot 3f9a0c41 --over shop-since-2026-11-28T03:00": [
        *("playbooks/restore.yml", *ALWAYS, "-e", "restore_app=shop", "-e", "restore_snapshot=3f9a0c41"),
        *("-e", "restore_over=shop-since-2026-11-28T03:00"),
    ],
    "restore shop --server": ["playbooks/restore_server.yml", *ALWAYS, "-e", "restore_app=shop"],
    "restore shop --time 2026-11-28T03:00:00Z": [
        *("playbooks/restore.yml", *ALWAYS, "-e", "restore_app=shop", "-e", "restore_time=2026-11-28T03:00:00Z"),
    ],
    "postgres upgrade --over without-backup": [
        *("playbooks/upgrade_postgres.yml", *ALWAYS, "-e", "postgres_upgrade=upgrade"),
        *("-e", "postgres_upgrade_over=without-backup"),
    ],
    "inspect https://git.example.com/shop.git --ref v1": [
        *("playbooks/inspect.yml", "-e", "build_source=https://git.example.com/shop.git", "-e", "build_ref=v1"),
    ],
    "inspect shop --dockerfile none": [
        *("playbooks/inspect.yml", "-e", "build_source=shop", "-e", "build_dockerfile=none"),
    ],
    "kubernetes": ["playbooks/kubernetes.yml", *ALWAYS],
    "kubernetes --image registry.example.com/shop:1 --directory out": [
        *("playbooks/kubernetes.yml", *ALWAYS, "-e", "kubernetes_image=registry.example.com/shop:1"),
        *("-e", "kubernetes_directory=out"),
    ],
    "remove shop": ["playbooks/remove.yml", *ALWAYS, "-e", "remove_app=shop"],
    "remove shop --data": ["playbooks/remove.yml", *ALWAYS, "-e", "remove_app=shop", "-e", "remove_data=true"],
}
WRONG = {
    "depoly": "No such command 'depoly'.",
    "deploy now": "Got unexpected extra argument (now) (see flask-deploy deploy --help)",
    "deploy production": "(production); an environment goes behind -e: -e production (see flask-deploy deploy --help)",
    "-e production deploy": "No such option '-e'; the verb comes first: flask-deploy deploy -e production",
    "deploy --reff v1": "No such option '--reff'. Did you mean '--ref'?",
    "deploy --limit web1": "No such option '--limit'; options of ansible-playbook go behind two dashes: -- --limit",
    "deploy --check": "No such option '--check'; options of ansible-playbook go behind two dashes: -- --check",
    "setup -K": "No such option '-K'; options of ansible-playbook go behind two dashes: -- -K",
    "deploy -vvv": "No such option '-v'; options of ansible-playbook go behind two dashes: -- -v",
    "new infra --limit x": "No such option '--limit'. (see flask-deploy new --help)",
    "deploy --ref": "Option '--ref' requires an argument.",
    "deploy --ref ''": "--ref is empty",
    "status --html ''": "--html is empty",
    "status --html": "Option '--html' requires an argument.",
    "run ''": "COMMAND is empty",
    "remove ''": "APP is empty",
    "deploy -e testing": "no environment inventories/testing; there is production",
    "deploy -e ../inventories": "no environment inventories/../inventories; there is production",
    "deploy -e ''": "no environment inventories/; there is production",
    "deploy -e .": "no environment inventories/.; there is production",
    "deploy -e ..": "no environment inventories/..; there is production",
    "deploy -e build_ref=v1": "-e names an environment; a variable goes behind two dashes: -- -e build_ref=v1",
    "run": "Missing argument 'COMMAND...'. (see flask-deploy run --help)",
    "logs --lines abc": "Invalid value for '--lines': 'abc' is not a valid integer range.",
    "logs --lines -5": "-5 is not in the range 1<=x<=10000.",
    "run -- flask db upgrade": "words behind -- go to ansible-playbook: leave -- out",
    "maintenance": "Missing argument '{on|off}'.",
    "maintenance auf": "'auf' is not one of 'on', 'off'.",
    "keys": "Missing argument '{rotate|vault}'.",
    "postgres": "Missing argument '{upgrade|back|drop}'.",
    "remove": "Missing argument 'APP'.",
    "restore": "Missing argument 'APP'.",
    "new infra -- -v": "nothing goes behind -- here",
    "env -- -v": "nothing goes behind -- here",
    "demo -- -v": "nothing goes behind -- here",
}


@pytest.mark.parametrize("typed", CALLS)
def test_a_verb_is_one_call(tool, typed):
    tool.inventory("production")
    ran = tool(*shlex.split(typed))
    name, *rest = CALLS[typed]
    assert (ran.code, ran.out) == (0, "the answer of Ansible\n"), ran.err
    assert ran.arguments == [str(ROOT / name), *rest]


def test_every_verb_is_called_above():
    assert {typed.split()[0] for typed in CALLS} == {verb.name for verb in VERBS}


def test_every_word_sets_a_variable_that_exists():
    words = [word for verb in VERBS for word in verb.words if word.variable]
    assert words
    assert {word.variable for word in words} - load_specs().keys() == set()


@pytest.mark.parametrize("typed", ["deploy", "run flask add --name 'Ada L' '$HOME' '\"'"])
def test_what_is_printed_can_be_pasted(tool, typed):
    tool.inventory("production")
    first = tool(*shlex.split(typed))
    line = first.err.removesuffix("\n")
    assert "\n" not in line
    pasted = tool(shell=line)
    assert (pasted.arguments, pasted.environment) == (first.arguments, first.environment)


def test_with_a_configuration_of_one_s_own_what_is_printed_is_short_and_can_be_pasted(tool):
    """Five paths of Ansible's stood before it: some 700 characters."""
    tool.inventory("production")
    (tool.place / "ansible.cfg").write_text("[defaults]\n")
    program = tool.path / "flask-deploy"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(tool.command())} "$@"\n')
    program.chmod(0o755)
    first = tool("deploy")
    call = f"ansible-playbook {ROOT}/playbooks/app.yml -i inventories/production"
    assert first.err == f'eval "$(flask-deploy env)"; {call}\n'
    pasted = tool(shell=first.err)
    assert (pasted.arguments, pasted.environment) == (first.arguments, first.environment)
    again = tool(shell=f'eval "$(flask-deploy env)"; {first.err}')
    assert again.environment == first.environment, "our places are named once"


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("--limt x", "ansible-playbook has no option --limt; type: -- --limit x"),
        ("--limt=a:b -v", "ansible-playbook has no option --limt; type: -- --limit=a:b -v"),
        ("--what x", "ansible-playbook has no option --what (see ansible-playbook --help)"),
        ("-e", "ansible-playbook: argument -e/--extra-vars: expected one argument (see ansible-playbook --help)"),
        ("--limit x -e 'a=b c' -vv", ""),
        ("--version", ""),
    ],
)
def test_a_wrong_option_of_ansible_s_is_told_in_one_line(extra, said):
    typed = tuple(shlex.split(extra))
    assert wrong.refused(["ansible-playbook", "playbooks/app.yml", *ALWAYS, *typed], typed, {}) == said


def test_a_python_without_ansible_refuses_nothing(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/python")
    assert wrong.refused(["ansible-playbook", "--limt"], ("--limt",), {}) == ""


def test_the_exit_code_is_ansible_s(tool):
    tool.inventory("production")
    assert tool("deploy", STAND_IN_ENDS_WITH="4").code == 4


def test_a_source_that_is_a_directory_is_found_from_anywhere(tool):
    assert tool("inspect").arguments[1:] == ["-e", f"build_source={tool.place}"]


@pytest.mark.parametrize("typed", WRONG)
def test_wrong_use_is_one_line(tool, typed):
    tool.inventory("production")
    ran = tool(*shlex.split(typed))
    assert (ran.code, ran.out, ran.arguments) == (2, "", None)
    assert ran.err.startswith("flask-deploy: ") and WRONG[typed] in ran.err and ran.err.count("\n") == 1


@pytest.mark.parametrize("typed", ["run flask db current -e production", "run flask db current --env production"])
def test_an_environment_behind_a_command_is_told_its_place(tool, typed):
    tool.inventory("production", "staging")
    ran = tool(*shlex.split(typed))
    assert (ran.code, ran.arguments) == (2, None)
    assert "an environment goes before the command: flask-deploy run -e production flask db current" in ran.err


def test_the_list_of_verbs_is_cut_nowhere(tool):
    assert "..." not in tool("--help", COLUMNS="80").out.partition("Commands:")[2]


def test_nothing_typed_shows_the_verbs_in_the_order_of_an_app_s_life(tool):
    ran = tool()
    listed = re.findall(r"^  ([a-z]+)  ", ran.err, re.MULTILINE)
    assert (ran.code, listed) == (2, ["new", *(verb.name for verb in VERBS), "env", "demo"])


@pytest.mark.parametrize("name", command.cli.commands)
def test_help_shows_one_example_that_is_a_call(tool, name, capsys):
    with pytest.raises(SystemExit):
        sys.argv[1:] = [name, "--help"]
        command.main()
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("Example: flask-deploy ") == 1
    verb = next((verb for verb in VERBS if verb.name == name), None)
    if verb:
        words, _extra = command.split(shlex.split(verb.example)[1:])
        command.cli.commands[name].make_context(name, words)


def test_every_playbook_of_a_verb_is_understood_from_anywhere(here):
    names = {verb.playbook.format(action=action) for verb in VERBS for action in ("rotate", "vault")}
    for name in names:
        assert Path(project.playbook(name)).is_file()
    inventory = here / "hosts.yml"
    inventory.write_text("web: {hosts: {web1: }}\n")
    program = Path(sys.executable).with_name("ansible-playbook")
    checked = subprocess.run(
        [program, "--syntax-check", "-i", inventory, *map(project.playbook, sorted(names))],
        env={**os.environ, **project.settings()},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert checked.returncode == 0 and checked.stdout.count("playbook: ") == len(names), checked.stderr
    assert checked.stderr == ""


def test_the_words_of_a_call_are_json_where_a_shell_or_ansible_would_read_them_otherwise():
    word = next(verb for verb in VERBS if verb.name == "run").words[0]
    given = ["a b=c", "{ x }", "'q'", 'a "b"', "ü ö"]
    assert [json.loads(command.variable(word, (each,))[1])["run_command"] for each in given] == given


@pytest.mark.parametrize("given", ["{{ 6 * 7 }} 'a'", '{% if x %}"', "{# a #}"])
def test_what_would_be_a_template_reaches_the_app_as_it_was_typed(given):
    word = next(verb for verb in VERBS if verb.name == "run").words[0]
    ran = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible"), "localhost", "-m", "debug", "-a", "msg={{ run_command }}"),
            *command.variable(word, (given,)),
        ],
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert json.loads(ran.stdout.partition("=> ")[2])["msg"] == given, ran.stdout + ran.stderr


def test_a_verb_without_an_inventory_warns_of_none(here):
    (here / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    program = Path(sys.executable).with_name("ansible-playbook")
    ran = subprocess.run(
        [program, project.playbook("playbooks/inspect.yml"), "-e", f"build_source={here}"],
        env={**os.environ, **project.settings()},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0 and ran.stderr == "", ran.stdout + ran.stderr
    assert yaml.safe_load(ran.stdout)["app_wsgi"] == "app:app", "what it prints is a file of an inventory"
