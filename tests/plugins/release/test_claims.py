"""What only one host may do is claimed in PostgreSQL: by one at a time, and each time of a calendar once."""

from __future__ import annotations

import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import aside, claims, job_run, jobs
from ansible.module_utils.flask_deploy.release.places import ReleaseError

from tests.deploys import deploy
from tests.plugins.release.test_jobs import PURGE, with_jobs

NAME = "job purge"
HOUR = 3600


@pytest.fixture(autouse=True)
def fresh(database):
    database.ask("DROP SCHEMA IF EXISTS flask_deploy CASCADE")


def holder(database, host="web1", token=""):
    variables = {**database.variables, "PGPORT": str(database.port)}
    return claims.Claim(NAME, variables, host, token or f"token of {host}")


def test_one_host_has_it_and_another_does_not(database):
    one, other = holder(database), holder(database, "web2")
    assert one.take() == (True, "web1")
    assert other.take() == (False, "web1") and not other.renew()
    assert one.renew()


def test_the_other_has_it_once_it_was_given_or_has_ended(database):
    one, other = holder(database), holder(database, "web2")
    one.take()
    one.give()
    assert other.take() == (True, "web2") and not one.renew()
    database.later(claims.HELD - 2)
    assert one.take() == (False, "web2")
    database.later(2)
    assert one.take() == (True, "web1") and not other.renew()


def test_one_that_nobody_else_took_can_be_renewed_late(database):
    one = holder(database)
    one.take()
    database.later(claims.HELD + 60)
    assert one.renew() and holder(database, "web2").take() == (False, "web1")


def test_a_holder_that_starts_again_goes_on(database):
    holder(database).take()
    assert holder(database).take() == (True, "web1")


def test_each_time_is_had_once(database):
    one, other = holder(database), holder(database, "web2")
    assert one.take(1000, once=True) == (True, "web1")
    assert other.take(1000, once=True) == (False, "")
    assert other.take(1060, once=True) == (False, "web1"), "it runs still"
    one.give()
    assert other.take(1000, once=True) == (False, ""), "a host whose clock is late"
    assert other.take(1060, once=True) == (True, "web2")
    other.give()
    assert one.take(1000, once=True) == (False, "")


def test_what_is_started_by_hand_takes_no_time_away(database):
    one, other = holder(database), holder(database, "web2")
    one.take(1000, once=True)
    assert other.take() == (False, "web1")
    one.give()
    assert other.take() == (True, "web2")
    other.give()
    assert one.take(1000, once=True) == (False, "") and one.take(1060, once=True) == (True, "web1")


def test_of_many_that_ask_at_once_one_has_it(database):
    """Also the first time, when the table is made."""
    for turn in range(10):
        every = [holder(database, f"web{number}", f"{turn}-{number}") for number in range(8)]
        with ThreadPoolExecutor(8) as hosts:
            had = list(hosts.map(lambda each, due=turn + 1: each.take(due, once=True)[0], every))
        assert sorted(had) == [False] * 7 + [True]
        database.later(claims.HELD)


def test_a_database_that_is_away_says_nothing(database, tmp_path):
    away = holder(database)
    away.variables["PGPORT"] = "1"
    with pytest.raises(claims.Unknown, match=r"the database at 127\.0\.0\.1 does not say which host may run it"):
        away.take()


def test_a_role_that_may_make_no_table_is_named(database):
    """The app's role owns its database, unless somebody changed that."""
    database.ask("CREATE ROLE narrow LOGIN PASSWORD 'narrow'")
    narrow = holder(database)
    narrow.variables |= {"PGUSER": "narrow", "PGPASSWORD": "narrow"}
    with pytest.raises(claims.Unknown, match="permission denied for database shop"):
        narrow.take()


def test_names_of_any_kind_are_names(database):
    odd = holder(database, "web'1 \"; --", "to'ken\\")
    assert odd.take() == (True, "web'1 \"; --") and odd.renew()


@pytest.mark.parametrize(
    ("at", "now", "due"),
    [
        ("*-*-* 03:00", "2026-11-30 03:00:00", "2026-11-30 03:00:00"),
        ("*-*-* 03:00", "2026-11-30 02:59:59", "2026-11-29 03:00:00"),
        ("*-*-* 03:00", "2026-11-30 23:00:00", "2026-11-30 03:00:00"),
        ("*:0/15", "2026-11-30 10:44:59", "2026-11-30 10:30:00"),
        ("Mon..Fri 08:30", "2026-11-29 12:00:00", "2026-11-27 08:30:00"),
        ("*-02-29 00:00", "2026-11-29 12:00:00", "2024-02-29 00:00:00"),
        ("*:*:0/10", "2026-11-30 10:44:59", "2026-11-30 10:44:50"),
    ],
)
def test_the_last_time_of_a_calendar_is_found(at, now, due, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    seconds = [claims.calendar.timegm(time.strptime(each, "%Y-%m-%d %H:%M:%S")) for each in (now, due)]
    assert claims.latest(at, seconds[0] + 0.3) == seconds[1]


def test_hosts_of_one_time_zone_agree_where_it_is_not_utc(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    noon = claims.calendar.timegm((2026, 11, 30, 11, 0, 0))
    assert claims.latest("*-*-* 03:00", noon) == noon - 9 * HOUR


def test_a_calendar_whose_first_time_is_to_come_counts_as_now():
    assert claims.latest("2037-01-01", 1_800_000_000.7) == 1_800_000_000


@pytest.fixture
def shared(app, engine, database, monkeypatch):
    """Return an app whose hosts share a database, with a job that a timer starts now."""
    deploy(app, **with_jobs({"purge": PURGE, "warm": {**PURGE, "hosts": "all"}}), shares=True, first=False)
    environment = {**json.loads(Path(app.path(app.serving(), "env.json")).read_text()), **database.variables}
    environment["PGPORT"] = str(database.port)
    password = environment.pop("PGPASSWORD")
    files.write(app.path(app.serving(), "env.json"), files.canonical(environment))
    files.write(f"{app.etc}/secrets/env.json", files.canonical({"PGPASSWORD": password}))
    monkeypatch.setenv("TRIGGER_UNIT", "flask-deploy-job-shop-purge.timer")
    monkeypatch.setattr(claims.socket, "gethostname", lambda: "web1")
    monkeypatch.setattr(claims, "RENEW", 0.2)
    return app


def docker_runs(engine, script):
    """Let docker's client run a script in place of a container."""
    docker = engine.place / "bin" / "docker"
    real = docker.with_name("docker-before")
    docker.rename(real)
    docker.write_text(f'#!/bin/bash\nif [[ $1 = run ]]; then {script}; exit; fi\nexec {real} "$@"\n')
    docker.chmod(0o755)


def other_host(database, **more):
    return claims.Claim("job purge", {**database.variables, "PGPORT": str(database.port)}, "web2", "other", **more)


def test_every_host_has_the_timer_where_they_share_a_database(shared):
    assert jobs.known(shared) == ["purge", "warm"]


def test_one_that_claims_nothing_has_the_timers_of_one_host_as_before(app, engine):
    deploy(app, **with_jobs({"purge": PURGE}), shares=True, first=False)
    assert jobs.known(app) == ["purge"]
    deploy(app, **with_jobs({"purge": PURGE}), first=False)
    assert jobs.known(app) == []


def test_a_job_runs_where_it_is_claimed_and_its_code_is_that_of_the_run(shared, engine, database):
    docker_runs(engine, "exit 3")
    assert job_run.begin(shared, "purge") == 3
    assert json.loads(Path(jobs.record_of(shared, "purge")).read_text())["release"] == shared.serving()
    assert other_host(database).take() == (True, "web2"), "it was given"


def test_a_time_that_another_host_had_runs_nothing_and_writes_nothing(shared, engine, database, capsys):
    docker_runs(engine, "exit 3")
    other_host(database).take(claims.latest(PURGE["at"], time.time()), once=True)
    assert job_run.begin(shared, "purge") == 0
    assert "another host has run it, or does" in capsys.readouterr().out
    assert not Path(jobs.record_of(shared, "purge")).exists()


def test_a_host_waits_for_the_end_of_an_earlier_run(shared, engine, database, monkeypatch):
    docker_runs(engine, "exit 0")
    earlier = other_host(database)
    earlier.take(1000, once=True)
    threading.Timer(1.5, earlier.give).start()
    began = time.monotonic()
    assert job_run.begin(shared, "purge") == 0 and time.monotonic() - began > 1.4
    assert Path(jobs.record_of(shared, "purge")).exists()


def test_it_does_not_wait_longer_than_a_dead_host_holds_it(shared, engine, database, monkeypatch, capsys):
    docker_runs(engine, "exit 0")
    monkeypatch.setattr(job_run, "WAIT", 2)
    other_host(database).take(1000, once=True)
    database.later(-60)
    assert job_run.begin(shared, "purge") == 0 and "web2 still runs it" in capsys.readouterr().out
    assert not Path(jobs.record_of(shared, "purge")).exists()


def test_what_another_host_runs_is_not_started_by_hand(shared, engine, database, monkeypatch):
    docker_runs(engine, "exit 0")
    monkeypatch.delenv("TRIGGER_UNIT")
    other = other_host(database)
    other.take(1000, once=True)
    with pytest.raises(ReleaseError, match="web2 runs job purge just now; start it when that has ended"):
        job_run.begin(shared, "purge")
    other.give()
    assert job_run.begin(shared, "purge") == 0


def test_a_job_is_ended_when_another_host_has_its_claim(shared, engine, database, monkeypatch):
    docker_runs(engine, f'mkdir "{engine.place}/containers/$3"; exec sleep 30')
    real, asked = claims.Claim.renew, []

    def renew(claim):
        asked.append(claim)
        if len(asked) == 2:  # it runs by then
            database.ask("UPDATE flask_deploy.claims SET token = 'other'")
        return real(claim)

    monkeypatch.setattr(claims.Claim, "renew", renew)
    began = time.monotonic()
    with pytest.raises(ReleaseError, match="the job was ended: another host has taken it over"):
        job_run.begin(shared, "purge")
    assert time.monotonic() - began < 20
    assert list((engine.place / "containers").glob("*-job-*")) == []


def test_a_job_whose_claim_went_before_it_began_is_not_begun(shared, engine, database, monkeypatch):
    docker_runs(engine, f'mkdir "{engine.place}/containers/$3"; exec sleep 30')
    steal = "UPDATE flask_deploy.claims SET token = 'other'"
    monkeypatch.setattr(aside, "sweep", lambda *_arguments: database.ask(steal))
    with pytest.raises(ReleaseError, match="the job was not begun: another host has taken it over"):
        job_run.begin(shared, "purge")
    assert list((engine.place / "containers").glob("*-job-*")) == []


def test_a_job_outlives_a_database_that_is_away_for_a_while_and_no_longer(
    shared,
    engine,
    database,
    monkeypatch,
):
    docker_runs(engine, "exec sleep 30")
    monkeypatch.setattr(claims, "LOST", 2)
    real, away, begun = claims.Claim.renew, [], []

    def renew(claim):
        if not begun:
            begun.append(claim)
            return real(claim)
        away.append(time.monotonic())
        if len(away) % 2:
            raise claims.Unknown("away")
        return real(claim) if len(away) < 6 else renew(claim)

    monkeypatch.setattr(claims.Claim, "renew", renew)
    with pytest.raises(ReleaseError, match="the job was ended: away"):
        job_run.begin(shared, "purge")
    assert away[-1] - away[4] >= 1.5, "it was renewed before"


def test_an_app_whose_release_knows_no_database_claims_nothing(app, engine, monkeypatch):
    deploy(app, **with_jobs({"purge": PURGE}), shares=True)
    became = []
    monkeypatch.setattr(aside.os, "execvp", lambda program, words: became.append(words))
    job_run.begin(app, "purge")
    assert len(became) == 1
    app.mark_first(False)
    assert job_run.begin(app, "purge") == 0 and len(became) == 1


def test_the_end_of_a_run_elsewhere_is_not_the_end_of_the_one_before(shared, engine, database, monkeypatch):
    """This host lost its power in a run; at its return another has the claim."""
    files.ensure_directory(f"{shared.root}/jobs")
    cut_off = {"release": shared.serving(), "began": 1.0, "run": "before"}
    files.write_json(jobs.record_of(shared, "purge"), cut_off)
    monkeypatch.setenv("INVOCATION_ID", "now")
    other_host(database).take(claims.latest(PURGE["at"], time.time()), once=True)
    job_run.begin(shared, "purge")
    job_run.end(shared, "purge", "success", "0")
    assert json.loads(Path(jobs.record_of(shared, "purge")).read_text()) == cut_off


def test_over_two_hundred_times_each_runs_once_whoever_dies(database):
    """Four hosts whose clocks differ; at each time some are away, and whoever runs it may die meanwhile."""
    chance, ran = random.Random(7), []
    for interval in range(1, 201):
        due = interval * 60
        hosts = chance.sample(range(4), k=chance.randint(1, 4))
        for host in hosts:
            claim = holder(database, f"web{host}", f"{interval}-{host}")
            if claim.take(due, once=True)[0]:
                ran.append(due)
                if chance.random() < 0.7:
                    claim.give()  # else its host has died, and nobody gives it back
        database.later(60)
    assert ran == [interval * 60 for interval in range(1, 201)]
