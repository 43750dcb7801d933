"""What a run says, and how long it lets hosts wait, where it has many of them or loses one."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import app_release
from ansible.template import Templar

from tests.conftest import ROOT

TASK = {"app": "shop", "confirm": 30, "watch": {"seconds": 10}}


class Action(app_release.ActionModule):
    """One that a host answers, or does not."""

    def __init__(self, state, answers=True):
        self.state, self.answers, self.asked = state, answers, None
        self.told = {"changed": False}

    def execute(self, _name, arguments, task_vars):
        self.asked = arguments
        if not self.answers:
            raise AnsibleConnectionFailure("Failed to connect to the host via ssh: timed out")
        return self.told


@pytest.fixture
def run(monkeypatch):
    """Run a state on a host of several; return (the action, what was displayed)."""
    shown = []
    monkeypatch.setattr(app_release.Display, "display", lambda self, words, *more: shown.append(words))
    monkeypatch.setattr(app_release.ActionBase, "run", lambda self, *arguments: {})

    def act(state, host="web1", hosts=3, forks=20, answers=True, check=False, sources=("/etc/shop",), **told):
        action = Action(state, answers)
        action.told |= told
        monkeypatch.setattr(action, "_execute_module", action.execute, raising=False)
        action._task = type("Task", (), {"args": {**TASK, "state": state}})
        names = [f"web{number}" for number in range(1, hosts + 1)]
        known = {"ansible_play_hosts_all": names, "ansible_play_hosts": names, "ansible_forks": forks}
        known |= {"inventory_hostname": host, "ansible_check_mode": check, "ansible_inventory_sources": sources}
        action.result = app_release.ActionModule.run(action, task_vars=known)
        return action, shown

    return act


@pytest.mark.parametrize(("hosts", "forks", "turns"), [(1, 1, 1), (3, 20, 1), (3, 1, 3), (25, 5, 5), (6, 5, 2)])
def test_a_switch_waits_for_its_word_until_all_hosts_had_their_turn(run, hosts, forks, turns):
    assert run("switched", hosts=hosts, forks=forks)[0].asked["confirm"] == 30 * turns


def test_a_run_says_before_the_switch_what_comes_of_it_when_it_is_interrupted(run):
    shown = run("switched", hosts=25, forks=5)[1]
    first, second = shown[0].splitlines()
    assert "goes back by itself unless this run confirms it" in first and "within 160 s" in first
    assert "ansible-playbook playbooks/status.yml" in second and max(map(len, (first, second))) <= 110
    run("switched", host="web2"), run("prepared"), run("watched"), run("switched", check=True)
    assert len(shown) == 1, "once, and where something switches"


@pytest.mark.parametrize(
    ("sources", "typed"),
    [
        ([str(ROOT / "inventories/production")], "-i inventories/production"),
        (["/etc/shop", "web1,"], "-i ../" + "{0}etc/shop -i web1,"),
        ([], "-i inventories/..."),
    ],
)
def test_commands_in_messages_name_the_inventory_of_the_run(run, monkeypatch, sources, typed):
    monkeypatch.chdir(ROOT)
    command = "type: ansible-playbook playbooks/status.yml -i inventories/..."
    told = run("retired", sources=sources, msg=command, summary=[command], reason=None)[0].result
    wanted = f"type: ansible-playbook playbooks/status.yml {typed.format('../' * (len(ROOT.parts) - 2))}"
    assert (told["msg"], told["summary"], told["reason"]) == (wanted, [wanted], None)


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        ("prepared", "no host has switched: where a release served before, it serves on"),
        ("restored", "no host has switched"),
        ("switched", "if it has begun to switch, it goes back by itself within 40 s, and so do the others"),
        ("watched", "it goes back by itself within 40 s, and the others are taken back now"),
        ("tried", "it goes back by itself within 40 s, and the others are taken back now"),
        ("confirmed", "it serves the new release if the word reached it; if not, it goes back by itself within 40 s"),
        ("retired", "what served before runs on there until the next deploy"),
    ],
)
def test_a_host_that_is_lost_is_named_with_what_becomes_of_it(run, state, becomes):
    with pytest.raises(AnsibleConnectionFailure) as lost:
        run(state, host="web2", answers=False)
    said = str(lost.value)
    assert said.startswith("web2 was lost: ") and becomes in said
    assert "what serves on each host: ansible-playbook playbooks/status.yml" in said and "timed out" in said


@pytest.mark.parametrize("path", sorted(ROOT.glob("playbooks/*.yml")), ids=lambda path: path.stem)
def test_all_hosts_take_each_step_together_whatever_the_user_s_settings_say(path):
    """A play's own strategy wins over ANSIBLE_STRATEGY and ansible.cfg; serial would split its hosts."""
    for play in yaml.safe_load(path.read_text()):
        if "hosts" in play:
            assert play["strategy"] == "linear" and "serial" not in play


def test_the_word_is_given_to_all_hosts_before_any_of_them_drains():
    _out, switch, group, _level, _said = yaml.safe_load((ROOT / "roles/app/tasks/serve.yml").read_text())
    states = [task["app_release"]["state"] for task in (switch, *group["block"])]
    assert states == ["switched", "watched", "tried", "watched", "confirmed", "retired"]


def test_balancers_are_told_who_is_left_out_before_the_switch_and_who_is_level_after_its_confirmation():
    """And an inventory without balancers has no task of theirs."""
    out, *_between, level, _said = yaml.safe_load((ROOT / "roles/app/tasks/serve.yml").read_text())
    path = ROOT / "roles/app/tasks" / out["ansible.builtin.include_tasks"]
    (told,) = yaml.safe_load(path.read_text())
    asked = [task["ansible.builtin.include_role"] for task in (told["block"][0], level)]
    assert [(role["name"], role["tasks_from"]) for role in asked] == [("balancer", "leave_out"), ("balancer", "level")]
    assert all("groups['balancer'] | default([]) | length > 0" in task["when"] for task in (out, level))


@pytest.mark.parametrize(
    ("hosts", "processes", "switch", "tries", "counts"),
    [
        (1, False, "1a2b", False, "__app_watched"),
        (1, True, "1a2b", True, "__app_heard"),
        (1, True, None, False, "__app_watched"),
        (2, False, "1a2b", False, "__app_heard"),
        (2, True, "1a2b", True, "__app_heard"),
    ],
)
def test_workers_are_tried_where_a_release_has_some_and_begins_to_serve(
    variables, hosts, processes, switch, tries, counts
):
    """An app without workers has no task of them, and what counts is what was heard last."""
    names = [f"web{number}" for number in range(1, hosts + 1)]
    heard = {name: {"__app_watched": {"at": "__app_watched"}, "__app_heard": {"at": "__app_heard"}} for name in names}
    known = variables(
        ansible_play_hosts_all=names,
        hostvars=heard,
        __app_release={"processes": processes},
        __app_switched={"switch": switch},
    )
    templar = Templar(DataLoader(), variables=known)
    assert templar.template(known["__app_tries"]) is tries
    assert templar.template(known["__app_seen"]) == {name: {"at": "__app_watched"} for name in names}
    assert templar.template(known["__app_outcomes"]) == {name: {"at": counts} for name in names}


@pytest.mark.parametrize(
    ("processes", "seconds"),
    [("{}", 60), ("{w: {command: x}}", 100), ("{a: {command: x, stop_timeout: '600'}, b: {command: x}}", 640)],
)
def test_a_lease_outlives_the_turns_of_workers_that_end(variables, processes, seconds):
    """They end first, and the release before drains then."""
    known = variables(f"app_processes: {processes}")
    assert Templar(DataLoader(), variables=known).template(known["__app_longest_step"]) == seconds


@pytest.mark.parametrize(
    ("processes", "seconds"),
    [
        ("{}", 30),
        ("{w: {command: x, stop_timeout: 600}, v: {command: x, hosts: all}}", 30),
        ("{w: {command: x, hosts: one}, v: {command: x, hosts: one, stop_timeout: '40'}}", 90),
    ],
)
def test_no_host_goes_back_while_another_waits_for_the_end_of_what_runs_once(variables, processes, seconds):
    known = variables(f"app_processes: {processes}")
    assert int(Templar(DataLoader(), variables=known).template(known["__app_confirm"])) == seconds


@pytest.mark.parametrize(
    ("groups", "first"), [({"web": ["web2", "web1"]}, False), ({"web": ["web1", "web2"]}, True), ({}, True)], ids=str
)
def test_the_first_host_of_the_group_has_what_one_host_has(variables, groups, first):
    known = variables(inventory_hostname="web1", groups=groups)
    assert Templar(DataLoader(), variables=known).template(known["__app_first"]) is first
    _out, switch, group, _level, _said = yaml.safe_load((ROOT / "roles/app/tasks/serve.yml").read_text())
    told = [task["app_release"]["first"] for task in (switch, group["block"][-1])]
    assert told == ["{{ __app_first }}"] * 2, "as it switches, and as the release before is retired"


@pytest.mark.parametrize(("path", "last"), [("prepare.yml", "prepared"), ("rollback.yml", "restored")])
def test_where_a_host_refuses_no_host_keeps_what_was_made_ready(path, last):
    (group,) = [task for task in yaml.safe_load((ROOT / "roles/app/tasks" / path).read_text()) if "rescue" in task]
    assert last in [task.get("app_release", {}).get("state") for task in group["block"]]
    assert not any("run_once" in task for task in group["block"]), "of its failure no other host would be rescued"
    assert group["any_errors_fatal"] is True, "in a play of the user's own too"
    discard, fail = group["rescue"]
    assert discard["ansible.builtin.include_tasks"] == "discard.yml" and "ansible.builtin.fail" in fail
    (task,) = yaml.safe_load((ROOT / "roles/app/tasks/discard.yml").read_text())
    assert task["app_release"]["state"] == "discarded" and task["any_errors_fatal"] is True
    assert task["module_defaults"] == {"app_release": {}}, "what fails to be told must not keep this from being done"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (None, "another host refused the release, or was lost: nothing changes here"),
        ("one line", "one line"),
        ("\n", "it did not say why"),
        ([1], "[1]"),
        ("cannot:\n    1a2b\n  what to do: x", "cannot:\n    1a2b\n  what to do: x"),
        ("it ended\n  its last lines:\n      a\n    b\n  what to do: x", "it ended\n  what to do: x"),
        ("it ended\n  its last lines:\n    a\n\n    b", "it ended"),
    ],
)
def test_a_run_that_is_refused_ends_with_the_reason_and_what_to_do(variables, said, shown):
    """What the app said stands above."""
    failed = {"ansible_failed_result": {"msg": said}, "ansible_failed_task": {"action": "app_release"}}
    known = variables(**(failed if said is not None else {}))
    assert Templar(DataLoader(), variables=known).template(known["__app_refusal"]) == shown


def test_what_an_earlier_play_was_rescued_from_is_no_reason(variables):
    earlier = {"ansible_failed_result": {"msg": "of /bin/false"}, "ansible_failed_task": {"action": "command"}}
    known = variables(**earlier)
    assert Templar(DataLoader(), variables=known).template(known["__app_refusal"]).startswith("another host refused")


def test_the_app_is_built_before_it_is_locked():
    """A build on one host may take longer than the locks of the others live."""
    tasks = yaml.safe_load((ROOT / "roles/app/tasks/main.yml").read_text())
    keys = ("app_lock", "ansible.builtin.import_role", "ansible.builtin.import_tasks")
    found = [(key, task[key]) for task in tasks for key in keys if key in task]
    told = [options if key.endswith("_tasks") else options.get("name", key) for key, options in found]
    assert told == ["site", "postgres", "valkey", "host", "app_lock", "build", "app_lock", "tokens", "prepare.yml"]
    looks = [task["app_lock"].get("look", False) for task in tasks if "app_lock" in task]
    assert looks == [True, False]
