"""The tutorial can be typed by a test: no block of it is left out. molecule/tutorial types it."""

from __future__ import annotations

import ast
import shlex

import pytest
import yaml
from flask_deploy_tool import command
from inventory_check.inventory import load_specs

from tests import typed
from tests.conftest import ROOT

PAGE = (ROOT / "docs/tutorial/first-app.md").read_text()
STEPS = typed.steps(PAGE)
COMMANDS = [what for kind, what, _content in STEPS if kind == "command"]
OTHERS = {"mkdir", "cd", "git", "python3", ".venv/bin/pip", ".venv/bin/flask", "pipx", "curl"}


def test_it_has_files_commands_and_answers():
    assert {kind for kind, _what, _content in STEPS} == {"file", "command", "answer"}
    assert COMMANDS[0].startswith("mkdir ") and sum(line.startswith("git push") for line in COMMANDS) == 2


@pytest.mark.parametrize("block", ["```\nok\n```\n", "```text\nok\n```\n", "```json\n{}\n```\n"])
def test_a_block_that_a_test_would_leave_out_is_refused(block):
    with pytest.raises(ValueError, match="neither a file"):
        typed.steps(block)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one_that_its_reader_has(line):
    name, *words = shlex.split(line)
    if name == "flask-deploy":
        words, _extra = command.split(words)
        assert command.cli.commands[words[0]].make_context(words[0], words[1:])
    else:
        assert name in OTHERS


def test_its_files_can_be_read_by_what_reads_them():
    for kind, what, content in STEPS:
        if kind == "file" and what.endswith(".py"):
            assert ast.parse(content)
        elif kind == "file" and what.endswith(".yml"):
            assert yaml.safe_load(content).keys() <= load_specs().keys()


def test_the_migration_of_the_second_release_can_be_made():
    """The table that is changed is the one of before and one column more, so the old order still shows."""
    first, second = (content for kind, what, content in STEPS if what == "models.py")
    added = [line for line in second.splitlines() if line not in first.splitlines()]
    assert len(added) == 2 and "db.Column" in added[0] and "nullable=False" not in added[0]
