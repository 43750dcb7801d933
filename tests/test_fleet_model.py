"""The model of deploys to many hosts: an example that was computed by hand, its limits, and that more is never less."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import fleet, fleet_measure, fleet_model
from tests.conftest import ROOT

KNOWN = json.loads(fleet_model.CONSTANTS.read_text())
STEP = {"tasks": 1, "seconds": 2.0, "busy": 0.0}
PLAIN = {
    "cores": 2,
    "forks": 2,
    "watch": 10,
    "confirm_timeout": 5,
    "steps": {name: dict(STEP) for name in KNOWN["steps"]},
    "image": {"bytes": 100, "changed": 10},
    "links": {"uplink": 10, "host": 50},
    "memory": {"main": 100, "fork": 10, "host": 1},
}


def plain(**more):
    return {**copy.deepcopy(PLAIN), **more}


def test_a_deploy_to_five_hosts_by_two_forks_is_as_counted_by_hand():
    """Five hosts, two at a time, 2 s each: three turns a task, so 6 s; a host is watched for 10 s from its switch."""
    found = fleet.deploy(5, plain(), carried=7.0)
    assert {
        name: found[name] for name in ("before", "prepare", "switch", "hear", "confirm", "retire")
    } == dict.fromkeys(("before", "prepare", "switch", "hear", "confirm", "retire"), 6.0)
    # Switches end at 21, 21, 23, 23, 25 s, and are judged at 31, 31, 33, 33, 35; two look until 31, two until 33, one
    # until 35. The word comes 6 s later than that at the earliest, at 43, 43, 45, 45, 47 s: 12 s after each judgement.
    assert (found["mixed"], found["watch"], found["silent"]) == (4.0, 10.0, 12.0)
    assert found["whole"] == 6 + 7 + 6 + 6 + 10 + 6 + 6 + 6
    assert found["allowed"] == 15.0 and fleet.least_timeout(5, plain()) == 5
    assert fleet.memory(5, plain()) == 100 + 5 + 20


def test_an_image_comes_by_each_way_in_the_seconds_that_were_counted_by_hand():
    """Ten hosts: nine others. 100 bytes by 10 a second up, and nine times down; nine loads by two forks are 5 turns."""
    found = fleet.transport(10, plain())
    assert found["uplink"] == 100 * 10 / 10 + 5 * 2
    assert found["tree"] == 3 * (2 * 100 / 50 + 2), "1, 3, 9, 27 hosts have it"
    assert found["registry"] == 100 / 50 * 10 + 2 and found["later"] == 10 / 50 * 10 + 2


@pytest.mark.parametrize(("hosts", "levels"), [(2, 1), (3, 1), (4, 2), (9, 2), (10, 3), (27, 3), (243, 5), (500, 6)])
def test_each_host_of_a_tree_serves_two(hosts, levels):
    assert fleet.transport(hosts, plain())["tree"] == levels * 6.0


def test_one_host_carries_nothing_and_waits_for_nobody():
    assert set(fleet.transport(1, plain()).values()) == {0.0}
    found = fleet.deploy(1, plain())
    assert (found["mixed"], found["confirm"]) == (0.0, 0.0)


def test_a_task_lasts_as_long_as_the_processors_work_with_it():
    known = plain(forks=100)
    known["steps"]["prepare"] = {"tasks": 1, "seconds": 2.0, "busy": 1.0}
    assert fleet.deploy(4, known, 0.0)["prepare"] == 2.0
    assert fleet.deploy(50, known, 0.0)["prepare"] == 50 * 1.0 / 2


def test_a_host_that_hears_nothing_for_too_long_is_told():
    known = plain()
    known["steps"]["hear"]["seconds"] = 30.0
    silent = fleet.deploy(5, known)["silent"]
    assert silent > known["confirm_timeout"] * 3
    assert "is NOT enough" in "\n".join(fleet.table(known, (5,)))
    least = fleet.least_timeout(5, known)
    assert (least - 1) * 3 <= silent < least * 3
    assert "is enough" in "\n".join(fleet.table({**known, "confirm_timeout": least}, (5,)))


HOSTS = st.integers(1, 120)
RISING = ("before", "prepare", "switch", "mixed", "hear", "retire", "whole")


@settings(deadline=None)
@given(HOSTS, st.integers(1, 40))
def test_more_hosts_never_take_less(hosts, forks):
    one, more = (fleet.figures(number, {**KNOWN, "forks": forks}) for number in (hosts, hosts + 1))
    for name in (*RISING, "uplink", "tree", "registry", "later", "memory"):
        assert more[name] >= one[name] - 1e-6, name


@settings(deadline=None)
@given(HOSTS, st.integers(1, 40))
def test_more_forks_never_take_longer_and_never_less_memory(hosts, forks):
    one, more = (fleet.figures(hosts, {**KNOWN, "forks": number}) for number in (forks, forks + 1))
    assert more["before"] <= one["before"] + 1e-6 and more["memory"] >= one["memory"]
    assert more["waves"] <= one["waves"]


@settings(deadline=None)
@given(HOSTS, st.integers(1, 40))
def test_no_task_is_shorter_than_its_turns_or_its_work(hosts, forks):
    known = {**KNOWN, "forks": forks}
    for step in known["steps"].values():
        found = max(fleet.turns(0.0, hosts, known, {**step, "tasks": 1}))
        turns, work = fleet.waves(hosts, forks) * step["seconds"], hosts * step["busy"] / known["cores"]
        assert found == pytest.approx(max(turns, work))


def test_the_constants_are_those_of_the_project():
    defaults = yaml.safe_load((ROOT / "roles/app/defaults/main.yml").read_text())
    assert (KNOWN["watch"], KNOWN["confirm_timeout"]) == (
        defaults["app_watch_seconds"],
        defaults["app_confirm_timeout"],
    )
    assert KNOWN["forks"] == int(re.search(r"^forks = (\d+)$", (ROOT / "ansible.cfg").read_text(), re.MULTILINE)[1])


def test_the_page_shows_the_table_as_the_command_prints_it():
    words = [sys.executable, "-m", "bench.fleet_model"]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"```\n{printed}```" in (ROOT / "docs/explanation/scale.md").read_text()


# -- measured --------------------------------------------------------------------------------


def test_steps_that_are_timed_are_tasks_of_the_roles():
    names = set()
    for path in (*ROOT.glob("roles/app/tasks/*.yml"), *ROOT.glob("roles/build/tasks/*.yml")):
        names |= set(re.findall(r"- name: (.*)", path.read_text()))
    assert fleet_measure.STEPS.keys() <= names
    assert set(fleet_measure.STEPS.values()) | {"before"} == KNOWN["steps"].keys()
    values = yaml.safe_load((ROOT / "molecule/many/inventory/group_vars/web/app.yml").read_text())
    assert values["app_watch_seconds"] == fleet_measure.WATCH


def test_marks_of_a_run_are_seconds_and_work_by_part():
    marks = [("Check", 0.0, 100.0), ("Prepare the release", 2.0, 101.0), ("Watch it serve", 5.0, 104.0)]
    marks += [("Summarise", 11.0, 104.5), (None, 12.0, 105.0)]
    assert fleet_measure.parts(marks) == {
        **{"before": 3.0, "prepare": 3.0, "watch": 6.0},
        "tasks": {"before": 2, "prepare": 1, "watch": 1},
        "busy": {"before": 1.5, "prepare": 3.0, "watch": 0.5},
    }


def test_lines_of_ansible_are_marks():
    found = [
        fleet_measure.LINE.match(line) for line in ("TASK [app : Watch it serve] ****", "PLAY RECAP *****", "ok: [a]")
    ]
    assert [each and each[1] for each in found] == ["Watch it serve", None, None]
    assert found[1] and not found[2]


def measured(hosts=3):
    """Return a run as the model has it, so that it can be recovered from it."""
    figures = fleet.deploy(hosts, plain(forks=20), carried=0.0)
    tasks = dict.fromkeys(KNOWN["steps"], 1)
    return {"hosts": hosts, **figures, "tasks": tasks, "busy": dict.fromkeys(tasks, 0.6), "load": 2.0, "memory": 400.0}


def test_constants_of_a_run_give_its_figures_again():
    few = {**measured(), "watch": 2.0 + fleet_measure.WATCH}
    known = fleet_measure.constants(KNOWN, few, 20)
    assert known["steps"]["prepare"] == {"tasks": 1, "seconds": 2.0, "busy": pytest.approx(0.2)}
    assert known["steps"]["watch"]["seconds"] == 2.0
    assert known["memory"]["fork"] == pytest.approx((400 - KNOWN["memory"]["main"]) / 3)
    lines = fleet_measure.verdict(known, [few])
    (line,) = [line for line in lines if line.startswith("prepare")]
    assert line.split() == ["prepare", "3", "2.0", "2.0", "1.00"]


def test_the_memory_of_a_process_counts_those_below_it():
    code = "import subprocess, sys; b = bytearray(60 << 20); subprocess.run([sys.executable, '-c', sys.argv[1]])"
    child = "b = bytearray(60 << 20); print('here', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code, child], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout.readline() == b"here\n"
        assert 120 < fleet_measure.resident(run.pid) < 250
        run.communicate(b"\n")


def test_the_work_of_the_machine_goes_up():
    assert 0 < fleet_measure.busy() <= fleet_measure.busy()
