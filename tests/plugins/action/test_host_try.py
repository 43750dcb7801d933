"""A change that could lock the controller out: a new connection confirms it, or it is said to be taken back."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure

from tests.conftest import ROOT


@pytest.fixture
def trying(monkeypatch):
    """Return what runs the action against a host, and what happened in which order."""
    spec = importlib.util.spec_from_file_location("host_try", ROOT / "plugins/action/host_try.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "Display", lambda: SimpleNamespace(display=lambda line: None))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    done = []

    def run(tried, confirmed=None, answers=True):
        action = module.ActionModule.__new__(module.ActionModule)
        name, options = "host_firewall", {"ports": {}}
        action._task = SimpleNamespace(args={"module": name, "options": options}, get_name=lambda: "Set it")
        action._connection = SimpleNamespace(reset=lambda: done.append("reset"))
        monkeypatch.setattr(module.ActionBase, "run", lambda *_: {})

        def execute(name, module_args, task_vars):
            done.append(module_args["step"])
            answer = tried if module_args["step"] == "try" else confirmed
            if isinstance(answer, Exception):
                raise answer
            return answer

        def command(line):
            if not answers:
                raise AnsibleConnectionFailure("timed out")
            return {"rc": 0}

        monkeypatch.setattr(action, "_execute_module", execute)
        monkeypatch.setattr(action, "_low_level_execute_command", command)
        return action.run(task_vars={})

    return SimpleNamespace(run=run, done=done, module=module)


def test_a_change_is_confirmed_by_a_new_connection(trying):
    said = trying.run({"changed": True, "trial": True}, {"changed": True, "trial": False})
    assert said == {"changed": True, "trial": False}
    assert trying.done == ["try", "reset", "confirm"]


@pytest.mark.parametrize("said", [{"changed": False, "trial": False}, {"failed": True, "msg": "nft refuses"}])
def test_where_nothing_is_tried_nothing_is_confirmed(trying, said):
    assert trying.run(said) == said
    assert trying.done == ["try"]


def test_what_was_taken_back_meanwhile_is_a_failure(trying):
    assert trying.run({"trial": True}, {"failed": True, "msg": "was taken back"})["failed"]


def test_a_controller_that_is_cut_off_waits_for_the_way_back_and_says_so(trying):
    said = trying.run({"trial": True}, AnsibleConnectionFailure("Connection timed out"))
    assert said["failed"]
    assert said["msg"].startswith("Set it: a new connection did not come through (Connection timed out). The host took")
    assert "echo $SSH_CONNECTION" in said["msg"]


def test_a_host_that_stays_away_is_not_said_to_be_as_it_was(trying, monkeypatch):
    monkeypatch.setattr(trying.module, "BACK", 0)
    said = trying.run({"trial": True}, AnsibleConnectionFailure("Connection timed out"), answers=False)
    assert "The host takes the change back within 30 s of it" in said["msg"]
