"""What one host of several runs is run by whoever has the claim, by nobody else, and by another host once it ends."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import claims, processes
from ansible.module_utils.flask_deploy.switch import concluding, holder, pausing, progress, switch, unit, workers

from tests.deploys import begin, deploy, options, prepare

BOTH = {"worker": {"command": "rq worker"}, "beat": {"command": "celery beat", "hosts": "one"}}
MORE = {"processes": BOTH, "shares": True, "first": False}


@pytest.fixture(autouse=True)
def short_looks(monkeypatch):
    monkeypatch.setattr(switch, "POLL", 0.01)
    monkeypatch.setattr(workers, "STAYS_UP", 0)
    monkeypatch.setattr(unit, "wait_for_end", lambda app, limit: None)


@pytest.fixture(autouse=True)
def fresh(database):
    database.ask("DROP SCHEMA IF EXISTS flask_deploy CASCADE")


def known(app, database):
    """Let the release that serves know the database, as role postgres tells apps of it."""
    release = app.serving()
    environment = json.loads(Path(app.path(release, "env.json")).read_text())
    parts = {**database.variables, "PGPORT": str(database.port)}
    password = parts.pop("PGPASSWORD")
    files.write(app.path(release, "env.json"), files.canonical({**environment, **parts}))
    files.write(f"{app.etc}/secrets/env.json", files.canonical({"PGPASSWORD": password}))


@pytest.fixture
def shared(app, engine, database):
    """Return an app whose hosts share a database, and whose scheduler nobody runs yet."""
    deploy(app, **MORE)
    known(app, database)
    return app


@pytest.fixture
def other(database):
    """Return the claim as another host may hold it."""
    return claims.Claim("processes", {**database.variables, "PGPORT": str(database.port)}, "web2", "other")


def up(engine):
    return [name.partition("-")[2].partition("-")[2] for name in engine.running() if name.endswith("-1")]


def test_no_host_runs_it_before_it_has_the_claim(shared, engine):
    assert up(engine) == ["worker-1"] and not shared.has_alone()


def test_one_host_takes_it_and_runs_it_and_the_engine_alone_never_starts_it_again(shared, engine, other):
    hold = holder.Holder(shared)
    hold.turn()
    beat = f"shop-{shared.serving()}-beat-1"
    assert up(engine) == ["beat-1", "worker-1"] and engine.restart(beat) == "no"
    assert other.take() == (False, claims.socket.gethostname())
    hold.turn()
    assert up(engine) == ["beat-1", "worker-1"]
    engine.reboot()
    assert up(engine) == ["worker-1"], "another host may have it by then"


def test_a_host_that_does_not_have_it_runs_nothing_until_the_other_is_dead(shared, engine, other, database):
    other.take()
    hold = holder.Holder(shared)
    hold.turn()
    assert up(engine) == ["worker-1"]
    database.later(claims.HELD)
    hold.turn()
    assert up(engine) == ["beat-1", "worker-1"]


def test_it_ends_at_once_where_another_host_has_the_claim(shared, engine, other, database):
    hold = holder.Holder(shared)
    hold.turn()
    database.later(claims.HELD)
    assert other.take()[0]
    hold.turn()
    assert up(engine) == ["worker-1"] and not shared.has_alone()
    assert not (engine.place / "containers" / f"shop-{shared.serving()}-beat-1").exists()


def test_it_outlives_a_short_absence_of_the_database_and_ends_before_another_host_may_begin(
    shared, engine, monkeypatch
):
    clock, away = [1000.0], []
    monkeypatch.setattr(holder.time, "monotonic", lambda: clock[0])
    real = claims.Claim.take

    def take(claim, *arguments, **more):
        if away:
            raise claims.Unknown("away")
        return real(claim, *arguments, **more)

    monkeypatch.setattr(claims.Claim, "take", take)
    hold = holder.Holder(shared)
    hold.turn()
    away.append(1)
    for seconds in (5, 15, claims.LOST - 21):
        clock[0] += seconds
        hold.turn()
        assert up(engine) == ["beat-1", "worker-1"], clock
    clock[0] += 1
    hold.turn()
    assert up(engine) == ["worker-1"]
    late = claims.LOST + claims.RENEW + claims.PATIENCE  # the last question began just before its time was up
    assert late + 5 < claims.HELD, "and there is time to end it"


def test_a_database_that_does_not_answer_is_told_once_also_by_who_holds_nothing(shared, monkeypatch, capsys):
    def take(_claim):
        raise claims.Unknown("no pg_hba.conf entry")

    hold = holder.Holder(shared)
    with monkeypatch.context() as away:
        away.setattr(claims.Claim, "take", take)
        hold.turn()
        hold.turn()
        assert capsys.readouterr().err.count("no pg_hba.conf entry") == 1
    hold.turn()
    monkeypatch.setattr(claims.Claim, "take", take)
    hold.turn()
    assert capsys.readouterr().err.count("no pg_hba.conf entry") == 1


def test_where_the_engine_is_stopped_too_its_process_is_killed(shared, engine, other, database, monkeypatch):
    hold, process = holder.Holder(shared), subprocess.Popen(["sleep", "60"])
    hold.turn()
    hold.ids = {"beat": (process.pid, holder.process.started(process.pid)), "gone": (process.pid, 1)}
    database.later(claims.HELD)
    other.take()

    def away(_app):
        raise engines.EngineError("Cannot connect to the Docker daemon")

    monkeypatch.setattr(processes, "here", away)
    hold.turn()
    assert process.wait(10) == -9 and not shared.has_alone()


def test_a_process_id_that_is_another_s_by_now_is_left_alone(shared, engine, other, database, monkeypatch):
    hold, process = holder.Holder(shared), subprocess.Popen(["sleep", "60"])
    hold.turn()
    hold.ids = {"beat": (process.pid, 1)}
    database.later(claims.HELD)
    other.take()
    monkeypatch.setattr(processes, "here", lambda _app: (_ for _ in ()).throw(engines.EngineError("away")))
    hold.turn()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.kill()
    process.wait()


def test_the_program_that_is_started_again_goes_on(shared, engine):
    holder.Holder(shared).turn()
    engine.forget()
    holder.Holder(shared).turn()
    assert up(engine) == ["beat-1", "worker-1"] and not engine.calls("docker create")


def test_what_ended_is_started_again(shared, engine):
    hold = holder.Holder(shared)
    hold.turn()
    (engine.place / "containers" / f"shop-{shared.serving()}-beat-1" / "running").unlink()
    hold.turn()
    assert up(engine) == ["beat-1", "worker-1"]


def test_while_a_release_is_tried_it_starts_nothing(shared, engine):
    files.write(shared.pending, b"{}")
    hold = holder.Holder(shared)
    hold.turn()
    assert up(engine) == ["worker-1"] and shared.has_alone(), "the trial starts it on this host"
    files.remove(shared.pending)
    hold.turn()
    assert up(engine) == ["beat-1", "worker-1"]


def test_a_deploy_changes_it_over_where_it_runs(shared, engine, database):
    hold = holder.Holder(shared)
    hold.turn()
    old = shared.serving()
    new = prepare(shared, build="b2", **MORE)
    begun = begin(shared, new, confirm=50, shares=True, first=False)
    for step in (switch.move, switch.look):
        step(shared, progress.pending(shared))
    concluding.tried(shared, options(switch=begun, outcomes={"here": {"well": True}}))
    switch.wait(shared, progress.pending(shared))
    switch.try_out(shared, progress.pending(shared))
    assert f"shop-{new}-beat-1" in engine.running() and f"shop-{old}-beat-1" not in engine.running()
    progress.decide(shared, begun, True, "", False)
    switch.carry_out(shared)
    concluding.retired(shared, options(release=new, switch=begun, outcomes={"here": {"well": True}}, **MORE), dry=False)
    assert engine.running() == sorted([f"shop-{new}", f"shop-{new}-beat-1", f"shop-{new}-worker-1"])
    assert engine.restart(f"shop-{new}-beat-1") == "no"


def test_hosts_that_begin_to_share_a_database_end_what_the_first_one_ran(app, engine):
    deploy(app, processes=BOTH)
    assert up(engine) == ["beat-1", "worker-1"]
    assert workers.be_first(app, True, True) and up(engine) == ["worker-1"]


def test_hosts_that_share_none_any_more_leave_it_to_the_first(shared, engine):
    holder.Holder(shared).turn()
    assert workers.be_first(shared, False, False) and up(engine) == ["worker-1"]
    workers.be_first(shared, True, False)
    workers.settle(shared)
    assert up(engine) == ["beat-1", "worker-1"]


def test_the_unit_is_there_where_hosts_share_a_database_alone(shared, engine):
    hold = Path(shared.systemd, "flask-deploy-hold@shop.service")
    assert hold.exists() and "flask-deploy-hold@shop.service" in unit.lasting(shared)
    shared.mark_shared(False)
    engine.forget()
    assert str(hold) in unit.ensure(shared) and not hold.exists()
    assert engine.calls("systemctl stop flask-deploy-hold@shop.service")
    assert unit.ensure(shared) == [] and unit.lasting(shared) == ["flask-deploy-keep@shop.service"]


def test_after_a_pause_it_is_started_by_whoever_has_the_claim(shared, engine):
    hold = holder.Holder(shared)
    hold.turn()
    running = pausing.look(shared)
    pausing.stop(shared, running)
    assert any("flask-deploy-hold@shop.service" in call for call in engine.calls("systemctl stop"))
    engine.forget()
    pausing.resume(shared, running)
    assert not any("-beat-1" in call for call in engine.calls("docker start"))
    assert any("-worker-1" in call for call in engine.calls("docker start"))
    hold.turn()
    assert "beat-1" in up(engine)


def test_it_asks_again_after_its_seconds(shared, monkeypatch):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(holder.Holder, "turn", lambda _self: None)
    monkeypatch.setattr(holder.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        holder.hold(shared)
    assert all(claims.RENEW - 1 < seconds <= claims.RENEW for seconds in slept)


def test_an_app_without_such_processes_claims_nothing(app, engine, database):
    deploy(app, processes={"worker": BOTH["worker"]}, shares=True, first=False)
    known(app, database)
    holder.Holder(app).turn()
    assert not app.has_alone() and database.ask("SELECT to_regclass('flask_deploy.claims')") == ""
