"""What make bench-words counts: tasks that ran, of which word, and a word that is off and runs one all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from ansible.plugins.action import check_inventory

from bench import demo, words
from tests.conftest import ROOT
from tests.test_audit import mistakes

PLAYS = """
- {name: First, hosts: localhost, gather_facts: false, tasks: [
    {name: One, command: "true", loop: [1, 2]}, {name: Skipped, command: "true", when: false},
    {name: Part, include_tasks: part.yml}, {name: Off, include_tasks: part.yml, when: false}]}
- {name: Second, hosts: localhost, gather_facts: false, roles: [small]}
"""


def test_steps_are_the_tasks_that_ansible_ran(tmp_path):
    (tmp_path / "roles/small/tasks").mkdir(parents=True)
    (tmp_path / "site.yml").write_text(PLAYS)
    (tmp_path / "part.yml").write_text("- {name: Same, command: 'true', changed_when: false}\n" * 2)
    (tmp_path / "roles/small/tasks/main.yml").write_text("- {name: 'Set [this]', command: 'true'}\n")
    (tmp_path / "ansible.cfg").write_text((ROOT / "ansible.cfg").read_text())
    command = [ROOT / ".venv/bin/ansible-playbook", "-i", "localhost,", "-c", "local", "site.yml"]
    environment = {**demo.COUNTS, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    environment["ANSIBLE_PYTHON_INTERPRETER"] = sys.executable
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert demo.steps(done.stdout) == (
        *(("First", "One"), ("First", "Same"), ("First", "Same")),
        ("Second", "small : Set [this]"),
    )


@pytest.mark.parametrize("word", words.WORDS)
def test_each_word_has_its_play_in_the_playbook_of_site_yml(word):
    books = [ROOT / book["ansible.builtin.import_playbook"] for book in yaml.safe_load((ROOT / "site.yml").read_text())]
    plays = {play["name"]: play for book in books for play in yaml.safe_load(book.read_text()) if "hosts" in play}
    play, role = words.WORDS[word]
    roles = {
        (task.get("ansible.builtin.include_role") or task["ansible.builtin.import_role"])["name"]
        for task in plays[play]["tasks"]
    }
    assert role.removesuffix(" : ") in roles or (not role and word in roles)


def test_settings_are_variables_and_each_word_has_something_to_do():
    assert words.settings([]).keys() <= check_inventory.load_specs().keys()
    for word in words.WORDS:
        assert words.settings([word]) != words.settings([])


@pytest.mark.parametrize("off", [[], *([word] for word in words.WORDS), list(words.WORDS)])
def test_the_check_has_nothing_against_any_case(monkeypatch, off):
    assert mistakes(monkeypatch, **words.settings(off)) == []


def row(off, **own):
    return {"seconds": 1.0, "tasks": 9, "own": own, "off": off}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"all words": row([], host=3), "no word": row(["host"], host=0)}, []),
        ({"no word": row(["host"], host=2)}, ["wrong: no word: host runs 2 tasks"]),
        ({"all words": row([], host=0)}, ["wrong: all words: host runs 0 tasks"]),
    ],
)
def test_a_word_that_is_off_and_runs_a_task_ends_with_an_error(capsys, rows, said):
    assert words.table(rows) == bool(said)
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("wrong")] == said


def test_the_median_of_runs_that_changed_nothing_counts():
    found = iter(demo.Play(0, seconds, 9, 0, (("Watch the hosts", "monitor : x"),)) for seconds in (99, 3, 1, 2))
    seen = words.measure(lambda book, **values: next(found), [], 3)
    assert (seen["seconds"], seen["tasks"], seen["own"]["monitor"], seen["own"]["host"]) == (2, 9, 1, 0)


def test_a_run_that_changed_something_is_none_of_the_kind():
    found = iter(demo.Play(0, 1, 9, changed) for changed in (9, 1))
    with pytest.raises(demo.RunError, match="changed 1 tasks"):
        words.measure(lambda book, **values: next(found), [], 1)
