"""What modules tell of a change becomes a note of what it is about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import drift_notes
import pytest
import yaml

ROOT = Path(__file__).parents[3]

FILE = {"changed": True, "dest": "/etc/x", "diff": {"before_header": "/etc/x", "after_header": "/root/.ansible/tmp/y"}}
STATE = {"before": {"path": "/srv/x", "mode": "0700"}, "after": {"path": "/srv/x", "mode": "0755"}}
UNIT = {"ActiveState": "inactive", "UnitFileState": "disabled", "Names": "nginx.service"}


@pytest.fixture(autouse=True)
def begun(monkeypatch):
    monkeypatch.setattr(drift_notes, "NOTES", None)
    drift_notes.begin()


def noted(result, **options):
    drift_notes.note("web1", "nginx", "Configure", {"changed": True, **result}, options)
    return [{k: v for k, v in each.items() if k not in ("host", "role", "task")} for each in drift_notes.of("web1")]


@pytest.mark.parametrize(
    ("result", "notes"),
    [
        (FILE, [{"paths": ["/etc/x"]}]),
        ({"dest": "/etc/x"}, [{"paths": ["/etc/x"]}]),
        ({"path": "/srv/x", "diff": STATE}, [{"paths": ["/srv/x"]}]),
        (
            {"dest": "/etc/systemd", "diff": [{"before_header": "/etc/a"}, {"before_header": "/etc/b"}]},
            [{"paths": ["/etc/a", "/etc/b"]}],
        ),
        ({"dest": "/etc/a", "diff": [{"before_header": "site.conf", "before": "1"}]}, [{"paths": ["/etc/a"]}]),
        ({"results": [{"changed": False, "dest": "/a"}, {"changed": True, "dest": "/b"}]}, [{"paths": ["/b"]}]),
        (
            {"name": "nginx.service", "status": UNIT},
            [{"unit": {"name": "nginx.service", "active": "inactive", "enabled": "disabled"}}],
        ),
        ({"stdout": "Reading…\nInst brotli (1.1 Debian:13 [amd64])\nConf brotli (1.1)"}, [{"packages": ["brotli"]}]),
        ({"msg": "SSH would change"}, [{"paths": []}]),
        (
            {"actions": ["/srv/shop/x", "container shop-1"]},
            [{"paths": ["/srv/shop/x"], "actions": ["/srv/shop/x", "container shop-1"]}],
        ),
        (
            {"actions": ["/srv/x", "release 3f9a0c41d2b7"], "plan": ["release: a -> b", "app_env: +A"]},
            [{"undeployed": "app_env: +A"}],
        ),
        (
            {"actions": ["release 3f9a0c41d2b7"], "plan": ["release: a -> b", "image: is another", "stops: a"]},
            [{"paths": [], "actions": ["release 3f9a0c41d2b7"]}],
        ),
        ({"changed": False, "dest": "/etc/x"}, []),
    ],
    ids=str,
)
def test_a_change_is_noted_by_what_it_is_about(result, notes):
    assert noted(result) == notes


@pytest.mark.parametrize(
    ("diff", "options", "path"),
    [
        ({"after_header": "/home/me/daemon.json.j2"}, {"dest": "/etc/docker/daemon.json"}, "/etc/docker/daemon.json"),
        ({"after_header": "/home/me/files/units/a.service"}, {"src": "units/", "dest": "/etc/x/"}, "/etc/x/a.service"),
        ({"before_header": "/etc/x/a", "after_header": "/home/a"}, {"src": "units/", "dest": "/etc/x/"}, "/etc/x/a"),
    ],
)
def test_a_file_that_is_missing_is_named_as_the_host_names_it(diff, options, path):
    assert noted({"diff": [{"before": "", "after": "text", **diff}]}, **options) == [{"paths": [path]}]


def test_of_a_directory_that_is_copied_each_file_is_noted_with_its_digest(tmp_path):
    (tmp_path / "x.service.d").mkdir()
    (tmp_path / "x.service.d/a.conf").write_text("")
    drift_notes.note("web1", "nginx", "Copy", {"changed": True, "src": f"{tmp_path}/", "dest": "/etc/units/"}, {})
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert drift_notes.of("web1")[0]["kept"] == {"/etc/units/x.service.d/a.conf": empty}
    assert drift_notes.paths("web1") == ["/etc/units/x.service.d/a.conf"]


def test_a_task_that_names_its_file_by_a_variable_is_told_by_its_name():
    assert noted({"diff": {"after": "text"}}, dest="/etc/systemd/system/{{ item }}") == [{"paths": []}]


def test_each_host_has_its_own_notes():
    drift_notes.note("web1", "nginx", "a", FILE, {})
    drift_notes.note_failure("web2", "docker", "b", "no engine")
    assert drift_notes.paths("web1") == ["/etc/x"] and drift_notes.paths("web2") == []
    assert drift_notes.of("web2") == [{"host": "web2", "role": "docker", "task": "b", "failed": "no engine"}]


def test_nothing_is_noted_in_a_run_that_does_not_look_for_it(monkeypatch):
    monkeypatch.setattr(drift_notes, "NOTES", None)
    drift_notes.note("web1", "nginx", "a", FILE, {})
    drift_notes.note_failure("web1", "nginx", "a", "x")
    assert drift_notes.NOTES is None and drift_notes.of("web1") == []


TASKS = [
    {"name": "Write", "ansible.builtin.copy": {"content": "new", "dest": "{{ place }}/file", "mode": "0644"}},
    {"name": "Make", "ansible.builtin.file": {"path": "{{ place }}/made", "state": "directory", "mode": "0755"}},
    {"block": [{"name": "Stop", "ansible.builtin.fail": {"msg": "apt would remove x"}}], "rescue": [{"meta": "noop"}]},
    {"name": "Tell", "told": {}},
]
ACTION = """
import json
import drift_notes
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        with open(self._task.args.get("to") or task_vars["place"] + "/notes.json", "w") as file:
            json.dump(drift_notes.NOTES, file)
        return {"changed": False}
"""


@pytest.fixture
def look(tmp_path):
    """Run tasks as a playbook of a name, in check mode; return (what it printed, what it said aside, notes)."""

    def run(name="doctor.yml", *arguments, code=0):
        (tmp_path / "actions").mkdir(exist_ok=True)
        (tmp_path / "actions/told.py").write_text(ACTION)
        (tmp_path / "file").write_text("old")
        play = {"name": "Look", "hosts": "all", "gather_facts": False, "check_mode": True, "diff": True, "tasks": TASKS}
        (tmp_path / name).write_text(yaml.safe_dump([play], sort_keys=False))
        done = subprocess.run(
            [
                *(Path(sys.executable).with_name("ansible-playbook"), tmp_path / name, "-i", "web1,", "-c", "local"),
                *("-e", f"place={tmp_path}", *arguments),
            ],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_ACTION_PLUGINS": str(tmp_path / "actions"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        notes = tmp_path / "notes.json"
        return done.stdout, done.stderr, json.loads(notes.read_text()) if notes.exists() else None

    return run


def test_a_dry_play_notes_what_it_would_change_and_why_it_stops(look, tmp_path):
    said, _aside, notes = look()
    assert [(note["task"], note.get("paths"), note.get("failed")) for note in notes] == [
        ("Write", [f"{tmp_path}/file"], None),
        ("Make", [f"{tmp_path}/made"], None),
        ("Stop", None, "apt would remove x"),
    ]
    assert (tmp_path / "file").read_text() == "old" and not (tmp_path / "made").exists()
    told = [line for line in said.splitlines() if line.strip() not in ("", "Look") and " s  " not in line]
    assert told == [], "the findings are what is told of it"
    assert "FAILED" not in said and "changed" not in said and "ignored" not in said


def test_a_diff_that_is_asked_for_is_shown(look):
    assert "+new" in look("doctor.yml", "--diff")[0]


def test_another_playbook_notes_nothing(look):
    assert look("status.yml")[2] is None


def test_json_is_alone_on_the_standard_output(look):
    assert look("doctor.yml", "-e", "doctor_format=json")[0] == ""


def test_json_says_which_host_did_not_answer(look):
    """Also where none did, so that nobody came as far as judging."""
    away = '{"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}'
    answer = json.loads(look("doctor.yml", "-e", "doctor_format=json", "-e", away, code=4)[0])
    assert answer["hosts"] == ["web1"]
    (found,) = answer["findings"]
    assert (found["severity"], found["host"], found["place"]) == ("broken", "web1", "controller")
    assert found["what"].startswith("nobody could look: ") and "127.0.0.1" in found["what"]
    assert found["type"] == "ansible-playbook playbooks/check.yml -i web1,"
