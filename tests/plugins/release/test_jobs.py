"""A job runs the release that serves, by a timer that no deploy starts, skips or starts twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import files, systemd
from ansible.module_utils.flask_deploy.release import aside, job_run, jobs, tool
from ansible.module_utils.flask_deploy.switch import concluding
from ansible.modules import remove_app

from tests.deploys import SITE, deploy, options, roll_back, serve

PURGE = {"command": "flask purge --all", "at": "*-*-* 03:00"}
TIMER, SERVICE = "flask-deploy-job-shop-purge.timer", "flask-deploy-job-shop-purge.service"


def with_jobs(told, **more):
    """Return what lets a release have jobs."""
    contents = {"site.conf": SITE, "gunicorn.conf.py": "", "exec.py": "", "jobs.json": json.dumps(told)}
    return {"files": contents, **more}


def units(app):
    return sorted(path.name for path in Path(app.systemd).glob("flask-deploy-job-*"))


def read(app, unit):
    return Path(app.systemd, unit).read_text()


@pytest.fixture
def became(monkeypatch):
    """Return the commands that a job would have become."""
    calls = []
    monkeypatch.setattr(aside.os, "execvp", lambda program, words: calls.append(" ".join(words)))
    return calls


def test_a_deploy_lets_a_job_have_its_timer(app, engine):
    deploy(app, **with_jobs({"purge": PURGE}))
    assert units(app) == [SERVICE, TIMER]
    timer = read(app, TIMER)
    assert "\nOnCalendar=*-*-* 03:00\nAccuracySec=1us\nPersistent=true\n" in timer and "Randomized" not in timer
    assert os.readlink(f"{app.systemd}/timers.target.wants/{TIMER}") == f"{app.systemd}/{TIMER}"
    service = read(app, SERVICE)
    assert f"\nExecStart=/usr/bin/python3 -I {app.tool} --job purge\n" in service
    assert f"\nExecStopPost=/usr/bin/python3 -I {app.tool} --ended purge\n" in service
    assert "\nRuntimeMaxSec=3600\n" in service and "\nRestart=" not in service
    assert "\nLogExtraFields=FLASK_DEPLOY_APP=shop FLASK_DEPLOY_PROCESS=job-purge\n" in service
    assert Path(app.tool).read_bytes() == tool.code(app)
    assert [call for call in engine.calls("systemctl start") if "keep@" not in call] == [f"systemctl start {TIMER}"]


def test_no_deploy_touches_a_timer_that_is_as_it_should_be(app, engine):
    """To start it again would make up for times that have passed, or skip one that comes just now."""
    deploy(app, **with_jobs({"purge": PURGE}))
    engine.forget()
    changed = {**PURGE, "command": "flask purge", "timeout": 60}
    deploy(app, **with_jobs({"purge": changed}, build="b2"))
    touching = [call for call in engine.calls("systemctl") if TIMER in call and " show " not in call]
    assert touching == [] and "\nRuntimeMaxSec=60\n" in read(app, SERVICE)
    engine.forget()
    release = deploy(app, **with_jobs({"purge": changed}, build="b3"))
    assert not engine.calls("systemctl daemon-reload")
    assert concluding.retired(app, options(release=release), dry=False)[0] == []


def test_another_time_makes_up_for_nothing(app, engine):
    """What systemd knows of the time before is forgotten, before the timer starts with the new one."""
    deploy(app, **with_jobs({"purge": PURGE}))
    engine.forget()
    deploy(app, **with_jobs({"purge": {**PURGE, "at": "hourly"}}))
    calls = [call for call in engine.calls("systemctl") if " show " not in call and "keep@" not in call]
    assert calls == [
        f"systemctl stop {TIMER}",
        f"systemctl clean --what=state {TIMER}",
        "systemctl daemon-reload",
        f"systemctl start {TIMER}",
    ]


def test_a_timer_that_a_killed_deploy_stopped_is_started_by_the_next(app, engine):
    release = deploy(app, **with_jobs({"purge": PURGE}))
    systemd.ask("stop", TIMER)
    engine.forget()
    serve(app, release)
    assert engine.calls("systemctl daemon-reload") and engine.calls(f"systemctl start {TIMER}")


def test_a_job_that_vanishes_goes(app, engine):
    deploy(app, **with_jobs({"purge": PURGE, "mails": PURGE}))
    Path(app.root, "jobs").mkdir()
    Path(jobs.record_of(app, "purge")).write_text("{}")
    deploy(app, **with_jobs({"mails": PURGE}, build="b2"))
    assert units(app) == ["flask-deploy-job-shop-mails.service", "flask-deploy-job-shop-mails.timer"]
    assert not os.path.lexists(f"{app.systemd}/timers.target.wants/{TIMER}")
    assert not os.path.exists(jobs.record_of(app, "purge"))
    assert not engine.calls(f"systemctl stop {SERVICE}"), "what runs of it runs to its end"


def test_a_rollback_brings_the_jobs_of_then(app, engine):
    deploy(app, **with_jobs({"purge": PURGE}))
    deploy(app, **with_jobs({"mails": {**PURGE, "at": "daily"}}, build="b2"))
    roll_back(app)
    assert units(app) == [SERVICE, TIMER]


def test_a_release_without_jobs_has_none(app, engine):
    deploy(app, **with_jobs({"purge": PURGE}))
    deploy(app, build="b2")
    assert units(app) == []


def test_jobs_of_one_host_are_on_the_first_alone(app, engine):
    both = {"purge": PURGE, "warm": {**PURGE, "hosts": "all"}}
    release = deploy(app, **with_jobs(both))
    assert len(units(app)) == 4
    concluding.retired(app, options(release=release, first=False), dry=False)
    assert {each.partition(".")[0] for each in units(app)} == {"flask-deploy-job-shop-warm"}


def test_a_timer_that_does_not_start_is_said_and_the_release_serves(app, engine):
    release = deploy(app)
    files.write(app.path(release, "jobs.json"), json.dumps({"purge": PURGE}).encode())
    (engine.place / "systemd-refuses").touch()
    (said,) = concluding.retired(app, options(release=release), dry=False)[1]["stays"]
    assert "a job's timer does not start" in said and "Unit not found" in said


def test_units_of_another_app_are_left_alone(app, engine, host):
    """Also of one whose name begins alike: a job's name has no hyphen, an app's no underscore."""
    other = host("shop-a")
    deploy(app, **with_jobs({"a_b": PURGE}))
    Path(app.systemd, "flask-deploy-job-shop-a-b.timer").write_text("of shop-a")
    assert jobs.known(app) == ["a_b"] and jobs.known(other) == ["b"]


def test_jobs_go_with_their_app(app, engine):
    deploy(app, **with_jobs({"purge": PURGE}))
    told = remove_app.remove(app, data=False, dry=True)
    engine.forget()
    assert remove_app.remove(app, data=False, dry=False) == told
    assert units(app) == [] and f"removed {app.systemd}/{TIMER}" in told
    assert engine.calls(f"systemctl stop {TIMER}") and engine.calls(f"systemctl stop {SERVICE}")


def test_a_job_runs_the_release_that_serves(app, engine, became):
    deploy(app, **with_jobs({"purge": PURGE}))
    serving = deploy(app, **with_jobs({"purge": {**PURGE, "memory": "256m"}}, build="b2"))
    job_run.begin(app, "purge")
    (call,) = became
    assert f"--name shop-{serving}-job-purge-" in call and "--label flask-deploy.aside=job-purge" in call
    assert "--memory 256m --memory-swap 256m" in call and " -i " not in call
    assert call.endswith("/release/exec.py flask purge --all")
    assert json.loads(Path(jobs.record_of(app, "purge")).read_text())["release"] == serving


def test_without_a_memory_of_its_own_it_has_the_release_s(app, engine, became):
    deploy(app, **with_jobs({"purge": PURGE}))
    job_run.begin(app, "purge")
    assert "--memory 64m" in became[0]


def test_what_a_killed_run_of_it_left_is_ended_first(app, engine, became):
    release = deploy(app, **with_jobs({"purge": PURGE}))
    name = f"shop-{release}-job-purge-1"
    place = engine.place / "containers" / name
    place.mkdir()
    for label, text in {"aside": "job-purge", "release": release, "waits": aside._me(), "app": "shop"}.items():
        (place / label).write_text(f"{text}\n")
    job_run.begin(app, "purge")
    assert not place.exists()


def test_a_job_that_the_release_does_not_have_runs_nothing(app, engine, became, capsys):
    release = deploy(app, **with_jobs({"purge": PURGE}))
    job_run.begin(app, "mails")
    assert became == [] and capsys.readouterr().out == f"release {release} has no job mails\n"
    assert not os.path.exists(jobs.record_of(app, "mails"))


def told(app):
    (row,) = jobs.status(app)
    return row


def test_how_it_ended_is_known(app, engine, became):
    deploy(app, **with_jobs({"purge": PURGE}))
    assert (told(app)["record"], told(app)["timer"], told(app)["next"]) == ({}, True, 1795834800)
    job_run.begin(app, "purge")
    (engine.place / f"active-{SERVICE}").touch()
    assert told(app)["runs"] and "ended" not in told(app)["record"]
    (engine.place / f"active-{SERVICE}").unlink()
    job_run.end(app, "purge", "exit-code", "3")
    record = told(app)["record"]
    assert (record["result"], record["code"], told(app)["runs"]) == ("exit-code", "3", False)
    assert record["ended"] >= record["began"]


def test_an_engine_that_is_away_makes_no_failure_of_a_job_that_ended_well(app, engine, became, monkeypatch):
    deploy(app, **with_jobs({"purge": PURGE}))
    job_run.begin(app, "purge")
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\nexit 1\n")
    monkeypatch.setattr(tool.os, "geteuid", lambda: 0)
    monkeypatch.setenv("SERVICE_RESULT", "success")
    monkeypatch.setenv("EXIT_STATUS", "0")
    assert tool.main(app, ["--ended", "purge"]) == 0 and told(app)["record"]["result"] == "success"


def test_the_end_of_a_run_that_began_nothing_is_not_another_s(app, engine, became):
    deploy(app, **with_jobs({"purge": PURGE}))
    job_run.begin(app, "purge")
    job_run.end(app, "purge", "exit-code", "3")
    job_run.end(app, "purge", "success", "0")
    assert told(app)["record"]["code"] == "3"


def test_the_tool_knows_from_systemd_how_a_job_ended(app, engine, became, monkeypatch):
    deploy(app, **with_jobs({"purge": PURGE}))
    monkeypatch.setattr(tool.os, "geteuid", lambda: 0)
    monkeypatch.setenv("SERVICE_RESULT", "timeout")
    monkeypatch.setenv("EXIT_STATUS", "TERM")
    assert not tool.main(app, ["--job", "purge"]) and not tool.main(app, ["--ended", "purge"])
    assert (told(app)["record"]["result"], told(app)["record"]["code"]) == ("timeout", "TERM")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"purge": 5}', '{"purge": {"at": "daily"}}', '{"purge": {"command": 1, "at": "daily"}}']
)
def test_what_is_damaged_is_no_job(app, engine, text):
    release = deploy(app)
    files.write(app.path(release, "jobs.json"), text.encode())
    assert jobs.defined(app, release) == {}
