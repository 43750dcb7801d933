"""What a play is told of a switch, and what a person reads of a deploy."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.switch import concluding, progress, retire, steps, summary, switch, unit

from tests.modules.test_app_releases import begin, deploy, options, prepare

TALLY = {"requests": 40, "failed": 2, "p99": 0.7}
SEEN = {"seconds": 10, "watched": TALLY, "before": {"requests": 7, "failed": 1, "p99": None}}
RECORD = {
    "release": "new",
    "previous": "old",
    "switched": True,
    "watch": {**SEEN, "probes": 5, "probes_failed": 3},
    "retired": [{"cut": 2}, {"cut": 1}],
    "stays": [],
    "seconds": {"build": 1.25, "retire": 0.05, "lock": 0.04},
    "schema": None,
    "back": "roll back: so",
}


@pytest.fixture
def app(host, monkeypatch):
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 0)
    monkeypatch.setattr(switch, "POLL", 0.01)
    return host()


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
        "reject": False,
        "seen": seen,
    }


def test_a_switch_that_gives_no_sign_is_not_well_and_says_where_to_look(app, waiting, monkeypatch):
    new, _begun = waiting
    monkeypatch.setattr(concluding, "OUTCOME_MARGIN", 0.1)
    told = concluding.watched(app, new, "another", 0)
    reason = f"the switch gave no sign; look at: journalctl -u {unit.name(app)}"
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


def test_a_deploy_is_told_in_lines():
    assert summary.summarise(RECORD) == [
        "release old -> new",
        "seconds: build 1.2, retire 0.1",
        "watched 40 requests, failed 2 (1 of 7 with the release before); p99 - -> 700 ms; asked 5 times, failed 3",
        "3 requests lasted longer than the drain and were cut: raise app_drain_timeout for them",
        "roll back: so",
    ]


def test_a_first_deploy_has_no_way_back_and_a_schema_has_a_line():
    first = {**RECORD, "previous": None, "watch": None, "retired": [], "schema": "schema: 5", "seconds": {}}
    assert summary.summarise(first) == ["release none -> new", "schema: 5"]


def test_a_deploy_that_changes_nothing_says_so():
    assert summary.summarise({**RECORD, "switched": False}) == [
        "release new serves, as before",
        "seconds: build 1.2, retire 0.1",
    ]


def test_a_release_that_is_not_there_is_not_switched_to(app):
    with pytest.raises(steps.ReleaseError, match="there is no release 0000; known are: none"):
        begin(app, "0000")
    old = deploy(app)
    with pytest.raises(steps.ReleaseError, match=f"there is no release 0000; known are: {old}"):
        begin(app, "0000")


@pytest.mark.parametrize("reason", [None, "10 of 20 requests failed"])
def test_a_release_that_was_left_for_a_cause_says_when_and_why(app, reason):
    state = {"state": "rejected", "since": 1e9, **({"reason": reason} if reason else {})}
    steps.files.ensure_directory(app.path("abc"))
    steps.files.write_json(app.path("abc", "state.json"), state)
    with pytest.raises(steps.ReleaseError) as refused:
        steps.refuse_rejected(app, "abc", options())
    why = f" ({reason})" if reason else ""
    assert str(refused.value).startswith(f"release abc was rolled back from at 2001-09-09 01:46:40 UTC{why}; change")
    assert str(refused.value).endswith("-e app_accept_rejected=true")
    steps.refuse_rejected(app, "abc", options(accept_rejected=True))


def test_what_a_rollback_leaves_is_written_down_as_rejected(app):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, reject=True)
    assert (progress.pending(app)["leaving"], progress.pending(app)["from"]) == ("rejected", old)
    progress.give_up(app, "x")
    begin(app, new)
    assert progress.pending(app)["leaving"] == "retired"


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
