"""Workers change over in their order: tried after the watch, for good after the word, and the old ones end then."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.release import containers, places, processes
from ansible.module_utils.flask_deploy.switch import concluding, progress, settling, steps, switch, unit, workers

from tests.deploys import (
    begin,
    deploy,
    killed_before,
    let_not_answer,
    options,
    prepare,
    roll_back,
    settled,
)

WORKER = {"worker": {"command": "rq worker", "count": 2}}
MORE = {"processes": WORKER}


@pytest.fixture(autouse=True)
def short_looks(monkeypatch):
    monkeypatch.setattr(switch, "POLL", 0.01)
    monkeypatch.setattr(workers, "STAYS_UP", 0)
    monkeypatch.setattr(unit, "wait_for_end", lambda app, limit: None)


def of(release, count=2):
    return [f"shop-{release}-worker-{number}" for number in range(1, count + 1)]


def up(engine):
    """Return the workers that run."""
    return [name for name in engine.running() if "-worker-" in name]


def beats(engine):
    return [name for name in engine.running() if "-beat-" in name]


def wrong(app, engine):
    """Return what contradicts that exactly the workers of the release that serves run, and come back."""
    wanted = [*processes.names(app, app.serving())]
    running = sorted(up(engine) + beats(engine))
    found = [f"{running} run, {wanted} should"] if running != sorted(wanted) else []
    found += [f"{name} restarts {engine.restart(name)}" for name in wanted if engine.restart(name) != "unless-stopped"]
    return found + settled(app, engine, app.serving())


def watched(app, **more):
    """Bring a switch to where it was watched; return (release, id of the switch)."""
    new = prepare(app, **more)
    begun = begin(app, new, confirm=50)
    for step in (switch.move, switch.look):
        step(app, progress.pending(app))
    return new, begun


def tried(app, **more):
    """Bring a switch to where its workers were tried; return (release, id of the switch)."""
    new, begun = watched(app, **more)
    concluding.tried(app, options(switch=begun, outcomes={"here": {"well": True}}))
    switch.wait(app, progress.pending(app))
    assert progress.pending(app)["phase"] == "trying"
    switch.try_out(app, progress.pending(app))
    return new, begun


def conclude(app, new, begun, well=True, **more):
    told = {"well": well, "reason": None if well else "web2 was lost"}
    progress.decide(app, begun, well, "" if well else told["reason"], False)
    switch.carry_out(app)
    return concluding.retired(app, options(release=new, switch=begun, outcomes={"here": told}, **more), dry=False)


def test_workers_start_after_the_watch_and_the_old_ones_end_after_the_word(app, engine):
    old = deploy(app, **MORE)
    new, begun = watched(app, build="b2", **MORE)
    assert up(engine) == of(old), "nobody has said that all hosts are well"
    concluding.tried(app, options(switch=begun, outcomes={"here": {"well": True}}))
    assert progress.hear(app, begun) is None, "who asks waits for the trial"
    switch.wait(app, progress.pending(app))
    switch.try_out(app, progress.pending(app))
    assert progress.hear(app, begun)["tried"] and sorted(up(engine)) == sorted(of(old) + of(new))
    assert {engine.restart(name) for name in of(old)} == {"unless-stopped"}
    assert {engine.restart(name) for name in of(new)} == {"no"}, "after a power loss the old ones alone come back"
    _actions, record, _lines = conclude(app, new, begun)
    assert wrong(app, engine) == [] and up(engine) == of(new)
    assert [each["container"] for each in record["retired"]] == [*of(old), f"shop-{old}"]
    assert not (engine.place / "containers" / of(old)[0]).exists()


@pytest.mark.parametrize("told", [{"web2": {"well": False}}, {"web2": {}}], ids=["not well", "lost"])
def test_no_worker_starts_while_another_host_may_take_the_release_back(app, engine, told):
    old = deploy(app, **MORE)
    new, begun = watched(app, build="b2", **MORE)
    concluding.tried(app, options(switch=begun, outcomes={"here": {"well": True}, **told}))
    assert progress.hear(app, begun), "it waits for the word as it did"
    with pytest.raises(places.ReleaseError, match="does not serve"):
        conclude(app, new, begun, well=False)
    assert up(engine) == of(old) and not engine.calls(f"docker create --name shop-{new}-worker")
    assert wrong(app, engine) == []


def test_a_worker_that_does_not_stay_up_takes_the_release_back_and_says_why(app, engine):
    old = deploy(app, **MORE)
    (engine.place / "workers-end").touch()
    (engine.place / "said").write_text("Traceback\nKeyError: 'QUEUE'\n")
    new, begun = tried(app, build="b2", **MORE)
    told = concluding.watched(app, new, begun, 0)
    assert (told["well"], told["reject"]) == (False, True)
    assert told["reason"] == "process worker-1: its container ended with code 3"
    switch.carry_out(app)
    with pytest.raises(places.ReleaseError, match="worker-1") as error:
        concluding.retired(app, options(release=new, switch=begun, outcomes={"here": told}), dry=False)
    assert "the app misses the variable QUEUE" in str(error.value) and f"{old} serves here" in str(error.value)
    assert os.stat(app.path(new, "trial.json")).st_mode & 0o777 == 0o600
    assert progress.explained(app, new, "another") == progress.explained(app, new, None) == []
    assert app.state(new)["state"] == "rejected" and app.serving() == old
    assert wrong(app, engine) == [] and up(engine) == of(old)
    assert not engine.calls(f"docker stop {of(old)[0]}"), "they took jobs all the while"


def test_a_first_release_whose_worker_ends_leaves_nothing_serving(app, engine):
    (engine.place / "workers-end").touch()
    tried(app, **MORE)
    assert switch.carry_out(app)["result"] == "reverted"
    assert app.serving() is None and engine.running() == []


def test_a_worker_that_cannot_be_made_takes_the_release_back(app, engine):
    old = deploy(app)
    new = prepare(app, build="b2", **MORE)
    (engine.place / "containers" / of(new)[0]).mkdir()
    with pytest.raises(containers.NotReady, match="somebody else's"):
        workers.try_out(app, new)
    assert app.serving() == old


def test_an_engine_that_is_away_is_no_fault_of_the_release(app, engine, monkeypatch):
    deploy(app)
    new = prepare(app, build="b2", **MORE)

    def away(*words, **more):
        raise engines.EngineError("Cannot connect to the Docker daemon")

    monkeypatch.setattr(engines, "docker", away)
    with pytest.raises(engines.EngineError):
        workers.try_out(app, new)
    monkeypatch.setattr(app, "serving", lambda: new)
    with pytest.raises(engines.EngineError):
        workers.change_over(app)


def test_workers_are_looked_at_for_some_seconds(app, engine, monkeypatch):
    new, clock = prepare(app, **MORE), [0.0]
    monkeypatch.setattr(workers, "STAYS_UP", 5)

    def sleep(seconds):
        clock[0] += 1
        if clock[0] == 4:
            (engine.place / "containers" / of(new)[1] / "running").unlink()

    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    with pytest.raises(containers.NotReady, match="process worker-2"):
        workers.try_out(app, new)


def test_a_trial_that_nobody_confirms_goes_back(app, engine):
    old = deploy(app, **MORE)
    new, _begun = tried(app, build="b2", **MORE)
    progress.go_on(app, progress.pending(app), "waiting", deadline=0, confirm=0)
    assert "nobody confirmed" in switch.carry_out(app)["reason"]
    assert app.serving() == old and wrong(app, engine) == []
    assert not (engine.place / "containers" / of(new)[0]).exists()


def test_the_time_for_the_word_begins_anew_after_the_trial(app):
    deploy(app)
    watched(app, build="b2", **MORE)
    progress.go_on(app, progress.pending(app), "trying", deadline=1.0)
    switch.try_out(app, progress.pending(app))
    assert progress.pending(app)["deadline"] > 1.0 and progress.pending(app)["phase"] == "waiting"


def test_all_old_workers_are_told_at_once_and_each_has_its_own_time(app, engine):
    old = deploy(app, processes={**WORKER, "beat": {"command": "beat", "stop_timeout": 300}})
    limits, docker = [], engines.docker

    def watching(*words, **more):
        limits.append(more.get("timeout")) if words[0] == "stop" and "-t" not in words else None
        return docker(*words, **more)

    engines.docker = watching
    try:
        deploy(app, build="b2")
    finally:
        engines.docker = docker
    assert engine.calls("docker stop shop") == [f"docker stop shop-{old}-beat-1 {' '.join(of(old))}"]
    assert limits[0] > 300, "the engine is not given up while it waits for them"
    assert up(engine) == [] and wrong(app, engine) == []


def test_whoever_waits_for_a_switch_waits_for_the_workers_too(app):
    deploy(app, processes={"worker": {"command": "x", "stop_timeout": 3600}})
    begin(app, prepare(app, build="b2"))
    assert settling.patience(progress.pending(app)) > 3600


def test_a_worker_that_had_to_be_killed_is_told(app, engine):
    old = deploy(app, **MORE)
    (engine.place / "slow").touch()
    new, begun = tried(app, build="b2", **MORE)
    lines = conclude(app, new, begun)[2]
    assert f"warning: {workers.KILLED.format(of(old)[0])}" in lines


def test_a_worker_that_does_not_end_is_told_and_does_not_come_back(app, engine):
    old = deploy(app, **MORE)
    new, begun = tried(app, build="b2", **MORE)
    (engine.place / "stuck").touch()
    lines = conclude(app, new, begun)[2]
    assert [
        line for line in lines if f"container {of(old)[0]} stays: " in line and "the next deploy tries again" in line
    ]
    assert {engine.restart(name) for name in of(old)} == {"no"} and sorted(up(engine)) == sorted(of(old) + of(new))
    (engine.place / "stuck").unlink()
    assert settling.settle(app) == [f"stopped {name}" for name in of(old)]
    assert wrong(app, engine) == []


def test_a_worker_that_does_not_start_after_the_word_is_told_and_tried_by_the_next_deploy(app, engine):
    deploy(app)
    new, begun = watched(app, build="b2", **MORE)
    stranger = engine.place / "containers" / of(new)[0]
    stranger.mkdir()
    (line,) = [each for each in conclude(app, new, begun)[2] if "does not start" in each]
    assert "the next deploy tries again" in line and up(engine) == of(new)[1:]
    stranger.rename(stranger.with_name("other"))
    assert steps.prepare(app, options(build="b2", **MORE), dry=False)[1] == [f"container {of(new)[0]}"]
    assert wrong(app, engine) == []


def test_a_rollback_brings_back_the_workers_of_then(app, engine):
    old = deploy(app, **MORE)
    new = deploy(app, processes={"worker": {"command": "rq worker", "count": 1}})
    assert up(engine) == of(new, 1)
    assert roll_back(app) == old
    assert up(engine) == of(old) and wrong(app, engine) == []


def test_a_count_of_zero_stops_all(app, engine):
    deploy(app, **MORE)
    deploy(app, processes={"worker": {"command": "rq worker", "count": 0}})
    assert up(engine) == [] and wrong(app, engine) == []


def test_a_second_run_changes_nothing(app, engine):
    release = deploy(app, **MORE)
    engine.forget()
    assert steps.prepare(app, options(**MORE), dry=False)[:2] == (release, [])
    assert concluding.retired(app, options(release=release), dry=False)[0] == []
    assert not [call for call in engine.calls("docker") if call.split()[1] in ("create", "start", "stop", "rm")]


def test_a_boot_brings_back_exactly_the_workers_of_the_release_that_serves(app, engine):
    deploy(app, **MORE)
    new = deploy(app, build="b2", **MORE)
    engine.reboot()
    assert engine.running() == [f"shop-{new}", *of(new)]


@pytest.mark.parametrize("lost", ["a container", "a run"])
def test_a_deploy_puts_right_what_is_missing_and_ends_what_is_left(app, engine, lost):
    old = deploy(app, **MORE)
    new = deploy(app, build="b2", **MORE)
    processes.start(app, processes.names(app, old))
    engines.remove(of(new)[0]) if lost == "a container" else engines.docker("stop", of(new)[0])
    engines.docker("update", "--restart", "no", of(new)[1])
    should = [f"container {of(new)[0]}", *(f"stopped {name}" for name in of(old))]
    assert settling.settle(app, dry=True) == should and up(engine) != of(new)
    assert sorted(settling.settle(app)) == sorted([*should, f"the restart policy of {of(new)[1]}"])
    assert wrong(app, engine) == [] and settling.settle(app) == []


def test_a_release_that_is_kept_keeps_its_workers(app, engine, monkeypatch):
    old = deploy(app, **MORE)
    new, _begun = tried(app, build="b2", **MORE)
    progress.go_on(app, progress.pending(app), "reverting", reason="x")
    monkeypatch.setattr(switch, "STARTED_IN", 0)
    let_not_answer(monkeypatch, old)
    ended = switch.carry_out(app)
    assert (ended["result"], app.serving()) == ("kept", new) and f"{old} did not answer" in ended["reason"]
    assert up(engine) == of(new) and wrong(app, engine) == []


def test_an_app_without_processes_costs_no_look_at_the_engine(app, engine):
    deploy(app)
    engine.forget()
    assert workers.change_over(app) == {"started": [], "restarts": [], "stopped": [], "stays": []}
    assert engine.calls() == []


def test_old_releases_without_workers_are_kept_and_their_strays_go(app, engine):
    first = deploy(app, **MORE, keep=2)
    for build in ("b2", "b3"):
        new = deploy(app, build=build, keep=2, **MORE)
    assert first not in app.known() and wrong(app, engine) == []
    assert [name for name in os.listdir(engine.place / "containers") if first in name] == []
    assert up(engine) == of(new)


@pytest.mark.slow
@pytest.mark.parametrize("well", [True, False], ids=["confirmed", "taken back"])
@pytest.mark.parametrize("heir", ["the unit started again", "the next run", "a boot"])
def test_whatever_kills_a_switch_exactly_one_release_s_workers_are_left(app, engine, monkeypatch, heir, well):
    left_by_a_kill(app, engine, monkeypatch, heir, well, MORE)


def left_by_a_kill(app, engine, monkeypatch, heir, well, given):
    """Killed before its first effect, before its second, and so on, until nothing is left to kill."""
    deploy(app, **given)
    step, killed = 0, True
    while killed:
        new = prepare(app, build=f"of step {step}", **given)

        def whole(new=new):
            begun = begin(app, new, confirm=0)
            switch.move(app, progress.pending(app))
            switch.look(app, progress.pending(app))
            progress.let_try(app, begun)
            switch.wait(app, progress.pending(app))
            switch.try_out(app, progress.pending(app))
            progress.decide(app, begun, well, "told to", False)
            switch.carry_out(app)

        killed = killed_before(step, monkeypatch, whole)
        if heir == "the unit started again":
            switch.carry_out(app)
        if heir == "a boot":
            settling.settle_links(app)
            engine.reboot()
            settling.settle_at_boot(app)
            assert wrong(app, engine) == [], f"killed at step {step}: before any deploy"
        settling.settle(app)
        assert wrong(app, engine) == [], f"killed at step {step}"
        assert settling.settle(app) == [], f"killed at step {step}"
        step += 1
    assert step > 20


BEAT = {"beat": {"command": "celery beat", "hosts": "one"}}
ONCE = {"processes": {**WORKER, **BEAT}}


@pytest.fixture
def never_twice(app, engine, monkeypatch):
    """Fail where a process of one host begins to run while another one does; know what was done in which order."""
    real, order = engines.docker, []

    def docker(*words, **more):
        done = real(*words, **more)
        running = [name for name in engine.running() if "-beat-" in name]
        assert len(running) < 2, f"after docker {words}: {running}"
        order.extend([f"{words[0]} {name}" for name in words[1:] if "-beat-" in name and words[0] in ("start", "stop")])
        return done

    monkeypatch.setattr(engines, "docker", docker)
    return order


def test_what_runs_once_ends_before_the_next_one_starts(app, engine, never_twice):
    old = deploy(app, **ONCE)
    new, begun = watched(app, build="b2", **ONCE)
    assert beats(engine) == [f"shop-{old}-beat-1"], "it runs on until all hosts are well"
    never_twice.clear()
    concluding.tried(app, options(switch=begun, outcomes={"here": {"well": True}}))
    switch.wait(app, progress.pending(app))
    switch.try_out(app, progress.pending(app))
    assert never_twice == [f"stop shop-{old}-beat-1", f"start shop-{new}-beat-1"]
    assert up(engine) == sorted(of(old) + of(new)), "other workers run beside those before them"
    actions, record, _lines = conclude(app, new, begun)
    assert beats(engine) == [f"shop-{new}-beat-1"] and wrong(app, engine) == []
    assert f"shop-{old}-beat-1" in [each["container"] for each in record["retired"]], "the record tells of it"
    assert f"stopped shop-{old}-beat-1" in actions


def test_what_was_called_otherwise_or_had_all_hosts_ends_before_too(app):
    old = deploy(app, processes={**BEAT, "beat-tick": {"command": "tick"}, **WORKER})
    given = {"beat-new": BEAT["beat"], "beat-tick": {"command": "tick", "hosts": "one"}, **WORKER}
    new = prepare(app, build="b2", processes=given)
    before = [f"shop-{old}-beat-1", f"shop-{old}-beat-tick-1"]
    assert processes.rivals(app, [f"shop-{new}-beat-new-1"], [*before, *of(old)]) == [before[0]]
    assert processes.rivals(app, [f"shop-{new}-beat-tick-1"], [*before, *of(old)]) == before
    assert processes.rivals(app, of(new), [*before, *of(old)]) == []
    both = [f"shop-{new}-beat-new-1", f"shop-{new}-beat-tick-1"]
    assert processes.rivals(app, both, both) == [], "of one release several run beside each other"


@pytest.mark.parametrize("ends", ["it does not stay up", "nobody confirms it", "another host is lost"])
def test_where_a_trial_fails_what_ran_once_before_runs_again(app, engine, never_twice, ends):
    old = deploy(app, **ONCE)
    if ends == "it does not stay up":
        (engine.place / "workers-end").touch()
    new, begun = tried(app, build="b2", **ONCE)
    (engine.place / "workers-end").unlink(missing_ok=True)
    if ends == "nobody confirms it":
        progress.go_on(app, progress.pending(app), "waiting", deadline=0, confirm=0)
    if ends == "another host is lost":
        progress.decide(app, begun, False, "web2 was lost", False)
    assert switch.carry_out(app)["result"] == "reverted" and app.serving() == old
    assert beats(engine) == [f"shop-{old}-beat-1"] and wrong(app, engine) == []
    assert engine.restart(f"shop-{old}-beat-1") == "unless-stopped"
    if ends != "it does not stay up":
        assert never_twice[-2:] == [f"stop shop-{new}-beat-1", f"start shop-{old}-beat-1"]


def test_where_what_runs_once_does_not_end_no_other_starts(app, engine, never_twice):
    old = deploy(app, **ONCE)
    (engine.place / "stuck").touch()
    new, begun = tried(app, build="b2", **ONCE)
    told = concluding.watched(app, new, begun, 0)
    assert not told["well"] and f"shop-{old}-beat-1 does not end" in told["reason"]
    switch.carry_out(app)
    assert beats(engine) == [f"shop-{old}-beat-1"] and app.serving() == old
    assert not engine.calls(f"docker create --name shop-{new}-beat")


def test_a_switch_that_is_settled_starts_none_beside_one_that_does_not_end(app, engine, never_twice):
    deploy(app, **ONCE)
    old = deploy(app, build="b2", **ONCE)
    new = prepare(app, build="b3", **ONCE)
    engines.docker("stop", "-t", "0", f"shop-{old}-beat-1")
    processes.start(app, {name: words for name, words in processes.names(app, new).items() if "beat" in name})
    (engine.place / "stuck").touch()
    done = workers.change_over(app)
    assert done["started"] == [] and any("must not run beside it" in line for line in done["stays"])
    (engine.place / "stuck").unlink()
    assert workers.change_over(app)["started"] == [f"shop-{old}-beat-1"] and wrong(app, engine) == []


def test_what_runs_once_runs_on_the_first_host_alone(app, engine):
    new = deploy(app, first=False, **ONCE)
    assert beats(engine) == [] and up(engine) == of(new) and wrong(app, engine) == []
    assert [(row["process"], row["wanted"]) for row in processes.told(app)] == [("worker", 2)]
    assert processes.any_of(app, new), "every host takes part in the trial"
    once = deploy(app, first=False, processes=BEAT)
    assert engine.running() == [f"shop-{once}"] and processes.any_of(app, once)


def test_the_id_of_a_release_does_not_tell_who_is_first(app, host):
    release = deploy(app, first=False, **ONCE)
    app.mark_first(True)
    assert prepare(app, **ONCE) == release


@pytest.mark.parametrize("build", ["b1", "b2"], ids=["the same release", "another"])
def test_a_host_that_is_the_first_no_longer_ends_it_before_anything_switches(app, engine, never_twice, build):
    deploy(app, **ONCE)
    new = prepare(app, build=build, **ONCE)
    assert len(beats(engine)) == 1
    begun = steps.begin_switch(app, options(release=new, first=False), dry=False)[0]
    assert beats(engine) == []
    if begun:
        progress.decide(app, begun, True)
        switch.carry_out(app)
    concluding.retired(app, options(release=new, switch=begun, first=False), dry=False)
    assert beats(engine) == [] and wrong(app, engine) == []


@pytest.mark.parametrize("well", [True, False], ids=["confirmed", "taken back"])
def test_a_host_that_is_the_first_now_starts_it(app, engine, never_twice, well):
    old = deploy(app, first=False, **ONCE)
    new = prepare(app, build="b2", **ONCE)
    begun = begin(app, new, first=True)
    progress.decide(app, begun, well, "web2 was lost", False)
    switch.carry_out(app)
    assert beats(engine) == [f"shop-{new if well else old}-beat-1"] and wrong(app, engine) == []


def test_a_host_that_is_the_first_now_starts_it_of_the_same_release(app, engine):
    release = deploy(app, first=False, **ONCE)
    assert steps.begin_switch(app, options(release=release, first=True), dry=False)[0] is None
    done, _record, _lines = concluding.retired(app, options(release=release), dry=False)
    assert f"container shop-{release}-beat-1" in done and beats(engine) == [f"shop-{release}-beat-1"]


def test_a_host_on_which_it_does_not_end_lets_no_other_be_the_first(app, engine):
    deploy(app, **ONCE)
    new = prepare(app, build="b2", **ONCE)
    (engine.place / "stuck").touch()
    for _run in range(2):
        with pytest.raises(containers.NotReady, match="no other host may start it; what keeps it: sudo docker inspect"):
            steps.begin_switch(app, options(release=new, first=False), dry=False)
        assert progress.pending(app) is None


def test_check_mode_changes_nothing_of_who_is_first(app, engine):
    release = deploy(app, **ONCE)
    steps.begin_switch(app, options(release=release, first=False), dry=True)
    assert app.is_first() and beats(engine)


@pytest.mark.slow
@pytest.mark.parametrize("well", [True, False], ids=["confirmed", "taken back"])
@pytest.mark.parametrize("heir", ["the unit started again", "the next run", "a boot"])
def test_whatever_kills_a_switch_what_runs_once_never_runs_twice(app, engine, monkeypatch, never_twice, heir, well):
    left_by_a_kill(app, engine, monkeypatch, heir, well, ONCE)
