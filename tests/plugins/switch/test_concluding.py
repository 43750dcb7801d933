"""What a play is told of a switch, and what a person reads of a deploy."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import places
from ansible.module_utils.flask_deploy.switch import (
    concluding,
    progress,
    retire,
    settling,
    steps,
    summary,
    switch,
    unit,
)

from tests.deploys import begin, deploy, move, options, prepare, settled


@pytest.fixture(autouse=True)
def short_looks(monkeypatch):
    monkeypatch.setattr(switch, "POLL", 0.01)


@pytest.fixture
def waiting(app):
    """Bring a switch to where it waits for a word; return (release, id of the switch)."""
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=50)
    for step in (switch.move, switch.look):
        step(app, progress.pending(app))
    return new, begun


def test_a_switch_that_waits_for_a_word_is_well(app, waiting):
    new, begun = waiting
    seen = progress.pending(app)["seen"]
    assert concluding.watched(app, new, begun, 0) == {"well": True, "reason": None, "reject": False, "seen": seen}


def test_a_switch_that_goes_back_says_why_and_whether_it_is_the_release_s_fault(app, waiting):
    new, begun = waiting
    progress.decide(app, begun, False, "it failed", True)
    switch.wait(app, progress.pending(app))
    told = concluding.watched(app, new, begun, 0)
    assert (told["well"], told["reason"], told["reject"]) == (False, "it failed", True)
    assert told["seen"] == progress.pending(app)["seen"] and sorted(told) == ["reason", "reject", "seen", "well"]


def test_a_switch_that_ended_is_not_well(app, waiting):
    new, begun = waiting
    progress.decide(app, begun, False, "it failed", True)
    switch.carry_out(app)
    seen = progress.outcome(app, new, begun)["watch"]
    assert concluding.watched(app, new, begun, 0) == {
        "well": False,
        "reason": "it failed",
        "reject": True,
        "seen": seen,
    }


def test_a_switch_that_an_earlier_version_ended_is_nobody_s_fault(app, waiting):
    new, begun = waiting
    progress.decide(app, begun, False, "it failed", True)
    switch.carry_out(app)
    ended = progress.outcome(app, new, begun)
    files.write_json(app.path(new, "switch.json"), {name: ended[name] for name in ended if name != "reject"})
    assert concluding.watched(app, new, begun, 0)["reject"] is False


@pytest.mark.parametrize("before", ["it went back by itself", "its unit did not start"])
def test_what_one_host_rejects_is_rejected_where_nobody_could_be_told(app, engine, before):
    """Deployed to this host alone later, it would serve although it failed."""
    deploy(app)
    new = prepare(app, build="b2")
    if before == "it went back by itself":
        begun = begin(app, new, confirm=0)
        switch.carry_out(app)
    else:
        (engine.place / "systemd-refuses").touch()
        begun = begin(app, new)
    outcomes = {"here": {"well": True}, "web2": {"well": False, "reason": "it ended", "reject": True}}
    with pytest.raises(places.ReleaseError, match="web2: it ended"):
        concluding.conclude(app, new, begun, outcomes)
    assert (app.state(new)["state"], app.state(new)["reason"]) == ("rejected", "web2: it ended")
    with pytest.raises(places.ReleaseError, match="-e app_accept_rejected=true"):
        prepare(app, build="b2")


def test_a_switch_that_gives_no_sign_is_not_well_and_says_where_to_look(app, waiting, monkeypatch):
    new, _begun = waiting
    monkeypatch.setattr(concluding, "OUTCOME_MARGIN", 0.1)
    told = concluding.watched(app, new, "another", 0)
    reason = f"the switch gave no sign; look at: sudo journalctl -u {unit.name(app)}"
    assert told == {"well": False, "reason": reason, "reject": False, "seen": None}


def test_a_switch_is_waited_for_as_long_as_it_watches_and_longer(app, waiting, monkeypatch):
    new, _begun = waiting
    clock = [1000.0]
    passing = SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda seconds: clock.append(clock.pop() + 10))
    monkeypatch.setattr(concluding, "time", passing)
    assert concluding.watched(app, new, "another", 3600)["well"] is False
    assert clock[0] > 1000 + 3600 + 10


@pytest.mark.parametrize("serves", [True, False])
def test_where_no_switch_began_what_serves_tells(app, serves):
    old, new = deploy(app), prepare(app, build="b2")
    told = concluding.watched(app, old if serves else new, None, 0)
    reason = None if serves else "whether its switch began is not known"
    assert told == {"well": serves, "reason": reason, "reject": False, "seen": None}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"web1": {"well": True}, "web2": {"well": True}}, None),
        ({"web1": {"well": True}, "web2": {"well": False, "reason": "it ended"}}, "web2: it ended"),
        (
            {"web1": {}, "web2": {"well": False, "reason": "it ended", "reject": True}},
            "web1: it was lost; if it switched, it goes back by itself; web2: it ended",
        ),
    ],
)
def test_the_word_is_that_of_all_hosts(app, waiting, monkeypatch, told, why):
    new, begun = waiting
    monkeypatch.setattr(concluding, "HEARD_IN", 0)
    assert concluding.confirmed(app, options(release=new, switch=begun, outcomes=told)) == why
    said = progress.said_of(app, progress.pending(app))
    assert (said["confirm"], said["reason"]) == (why is None, why or "")
    assert said["reject"] is any(each.get("reject", False) for each in told.values())


def test_the_word_is_given_while_the_switch_waits_and_no_longer(app, waiting, monkeypatch):
    """It is not waited for what follows, which may take as long as a drain."""
    new, begun = waiting
    phases = iter(["waiting", "waiting", "draining"])
    pending = progress.pending
    asked = []

    def next_phase(app):
        asked.append(1)
        return pending(app) if len(asked) == 1 else {**pending(app), "phase": next(phases)}

    monkeypatch.setattr(progress, "pending", next_phase)
    concluding.tell(app, new, begun, {"here": {"well": True}})
    assert next(phases, None) is None


def test_a_release_that_ends_as_it_serves_is_told_with_its_cause(app, engine, monkeypatch):
    """Such as one whose second worker fails, or whose first request does."""
    old = deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new)
    switch.move(app, progress.pending(app))
    (engine.place / "containers" / f"shop-{new}" / "running").unlink()
    (engine.place / "said").write_text("Traceback\nKeyError: 'QUEUE'\n")
    seen = {"well": False, "reason": "/ failed 3 of 3 times", "requests": 0, "failed": 0}
    monkeypatch.setattr(switch.watch, "watch", lambda *more: seen)
    switch.look(app, progress.pending(app))
    told = concluding.watched(app, new, begun, 0)
    assert (told["well"], told["reject"]) == (False, True)
    switch.carry_out(app)
    with pytest.raises(places.ReleaseError) as error:
        concluding.retired(app, options(release=new, switch=begun, outcomes={"here": told}), dry=False)
    assert "KeyError: 'QUEUE'" in str(error.value) and "the app misses the variable QUEUE" in str(error.value)
    assert str(error.value).splitlines()[-2] == f"  {old} serves here"


def test_a_record_of_the_deploy_lies_in_its_release(app, waiting):
    new, begun = waiting
    progress.decide(app, begun, True)
    switch.carry_out(app)
    told = options(release=new, switch=begun, outcomes={"here": {"well": True}})
    _actions, record, lines = concluding.retired(app, told, dry=False)
    assert steps.files.read_json(app.path(new, "deploy.json")) == record
    assert (record["release"], record["switched"], record["by"]) == (new, True, "tester")
    assert record["seconds"] == {"build": 1.5, "retire": record["retired"][0]["seconds"]}
    assert lines == summary.summarise(record)
    assert concluding.retired(app, told, dry=True) == ([], {}, [])


def test_a_watch_that_ends_between_two_looks_at_it_is_well(app, monkeypatch):
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=100)
    switch.move(app, progress.pending(app))
    pending = progress.pending

    def look_on(app):
        known = pending(app)
        if known["phase"] == "watching":
            switch.look(app, known)
        return known

    monkeypatch.setattr(progress, "pending", look_on)
    told = concluding.watched(app, new, begun, 0)
    assert told["well"] and told["seen"]["well"]


def test_one_host_that_is_not_well_takes_the_release_back_here_too(app, engine):
    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new)
    told = {
        "here": {"well": True},
        "web2": {"well": False, "reason": "its container ended", "reject": True},
        "web3": {},
    }
    progress.decide(app, begun, False, "x", True)
    switch.carry_out(app)
    with pytest.raises(places.ReleaseError, match="web2: its container ended; web3: it was lost"):
        concluding.retired(app, options(release=new, switch=begun, outcomes=told), dry=False)
    assert settled(app, engine, old) == [] and app.state(new)["state"] == "rejected"


def test_a_switch_whose_begin_was_not_heard_of_is_not_well(app, engine):
    old, new = deploy(app), prepare(app, build="b2")
    assert concluding.watched(app, old, None, 0)["well"]
    assert concluding.watched(app, new, None, 0)["reason"] == "whether its switch began is not known"
    move(app, new)
    assert not concluding.watched(app, new, None, 0)["well"]


def test_all_hosts_hear_the_word_before_any_of_them_drains(app, monkeypatch):
    """With more hosts than forks the last one hears it when the first have heard it, not when they have drained."""
    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new, confirm=30)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 1)
    unit = threading.Thread(target=lambda: switch.carry_out(app))
    unit.start()
    assert concluding.watched(app, new, begun, 5)["well"]
    began = time.monotonic()
    word = options(release=new, switch=begun, outcomes={"here": {"well": True}}, drain_timeout=60)
    assert concluding.confirmed(app, word) is None
    unit.join()
    assert time.monotonic() - began < 5
    assert progress.outcome(app, new, begun)["result"] == "confirmed"
    assert engines.containers(app.name)[app.container(old)] == "running", "it drains later"


def test_a_host_that_is_taken_back_hears_it_before_it_drains(app, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new, confirm=30, drain_timeout=2)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 1)
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 2)
    unit = threading.Thread(target=lambda: switch.carry_out(app))
    unit.start()
    assert concluding.watched(app, new, begun, 5)["well"]
    told = {"here": {"well": True}, "web2": {}}
    why = concluding.confirmed(app, options(release=new, switch=begun, outcomes=told))
    assert why == "web2: it was lost; if it switched, it goes back by itself"
    assert progress.pending(app)["phase"] in ("reverting", "draining")
    unit.join()
    assert app.serving() == old


def test_a_drain_that_was_promised_is_waited_for(app, engine):
    """However long: whoever concludes a switch, or takes one over, waits for what that one promised."""
    deploy(app)
    begin(app, prepare(app, build="b2"), drain_timeout=3600)
    assert settling.patience(progress.pending(app)) > 2 * 3600
    (engine.place / "bin" / "systemctl").write_text("#!/bin/sh\necho inactive\n")
    settling.settle(app)
    assert not engine.calls("systemctl stop")


def test_nothing_is_left_of_a_word_that_came_too_late(app):
    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new, confirm=0)
    switch.carry_out(app)
    with pytest.raises(places.ReleaseError, match="nobody confirmed it"):
        concluding.retired(app, options(release=new, switch=begun, outcomes={"here": {"well": True}}), dry=False)
    assert not os.path.exists(app.decision) and app.serving() == old
