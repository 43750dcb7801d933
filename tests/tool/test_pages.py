"""What the pages say of the tool is so."""

from __future__ import annotations

import itertools
import re
import shlex
import tomllib

import pytest
from flask_deploy_tool import __version__, command
from flask_deploy_tool.verbs import VERBS

from tests.conftest import ROOT
from tests.test_docs import code

PAGE = (ROOT / "docs/reference/tool.md").read_text()


def test_the_newest_part_of_the_changelog_is_this_version():
    heading = re.search(r"^## \[(.*)\] - (Unreleased|\d{4}-\d\d-\d\d)$", (ROOT / "docs/CHANGELOG.md").read_text(), re.M)
    assert heading[1] == __version__


def test_the_version_stands_in_one_place():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["project"]["dynamic"] == ["version"] and "version" not in settings["project"]


def test_the_table_of_verbs_is_the_tool_s_own():
    rows = re.findall(r"^\| `([a-z]+)(.*)` \| (.*) \|$", PAGE.partition("## Verbs")[2], re.MULTILINE)
    assert [verb for verb, *_ in rows] == [verb.name for verb in VERBS]
    for verb, (_name, shown, playbooks) in zip(VERBS, rows, strict=True):
        options = [word.name for word in verb.words if word.name.startswith("--")]
        assert re.findall(r"--[a-z]+", shown) == options
        choices = [choice for word in verb.words for choice in word.choices]
        named = re.findall(r"`(\S+\.yml)`", playbooks)
        of_words = [word.playbook for word in verb.words if word.playbook]
        assert named == list(dict.fromkeys(verb.playbook.format(action=each) for each in choices or [""])) + of_words
        assert all(argument in playbooks for argument in verb.arguments)


PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*/*.md"))]  # the changelog names verbs only


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_tool_that_a_page_shows_can_be_typed(page):
    lines = [re.findall(r"^flask-deploy ([a-z].*)", shown, re.MULTILINE) for shown in code(page)]
    assert any(lines) or page.name not in ("tool.md", "upgrade.md")
    for typed in itertools.chain(*lines):
        words, _extra = command.split(shlex.split(typed.replace("…", ""), comments=True))
        verb = command.cli.commands[words[0]]
        assert len(words) == 1 or verb.make_context(words[0], words[1:]), typed  # alone it is only named
