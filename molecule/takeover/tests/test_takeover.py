"""What one of two hosts runs is run once, whoever dies or is cut off; the other takes it over within a minute."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from bench.stand_in import Host

WEB = ("web1", "web2")
INTERVAL = 20  # seconds between two times of the job
MINUTE = 60
RUN = os.getpid()
# Turns of the scheduler by different hosts that touch each other.
BOTH = """
SELECT count(*) FROM beat one JOIN beat other ON one.host < other.host
AND one.began <= coalesce(other.ended, other.began) AND other.began <= coalesce(one.ended, one.began)
"""
TWICE = "SELECT count(*) - count(DISTINCT due) FROM tick"  # times of the job that were had more than once


@pytest.fixture(scope="module")
def hosts():
    rows = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    found = {row["instance"]: Host(row["instance"], row["container"]) for row in rows}
    for name in WEB:  # in app_env it would make another release of each
        found[name].sh(f"echo {name} > /srv/shop/data/name")
    return found


@pytest.fixture(scope="module")
def ask(hosts):
    """Ask the database."""
    return lambda statement: hosts["db1"].sh(f'runuser -u postgres -- psql -XAtd shop -c "{statement}"')


@pytest.fixture(scope="module")
def beats(ask):
    """Return the hosts whose scheduler had a turn in the last seconds."""
    last = "SELECT DISTINCT host FROM beat WHERE began > clock_timestamp() - interval '3 s'"
    return lambda: ask(last).split()


@pytest.fixture(autouse=True)
def once(hosts, ask, until):
    """Nothing runs twice, whatever a test does."""
    yield
    until(lambda: power(hosts), 60)
    assert ask(BOTH) == "0"
    assert ask(TWICE) == "0", ask("SELECT * FROM tick ORDER BY id DESC LIMIT 20")


def power(hosts):
    return all(hosts[name].sh("systemctl is-active docker", check=False) == "active" for name in WEB)


def holder(beats, until):
    until(lambda: len(beats()) == 1, 90)
    return beats()[0]


def other(name):
    return next(each for each in WEB if each != name)


def taken_over(beats, until, by):
    began = time.monotonic()
    until(lambda: beats() == [by], 2 * MINUTE)
    print(f"{by} has taken over after {time.monotonic() - began:.0f} s")  # noqa: T201
    return time.monotonic() - began


def test_one_host_has_the_scheduler_and_each_time_of_the_job_is_had_once(ask, beats, until):
    holder(beats, until)
    before = int(ask("SELECT count(*) FROM tick"))
    until(lambda: int(ask("SELECT count(*) FROM tick")) >= before + 4, 150)
    last = f"SELECT due FROM tick ORDER BY id OFFSET {before}"
    whole = ask(f"SELECT max(due) - min(due) = (count(*) - 1) * {INTERVAL} FROM ({last}) AS last")
    assert whole == "t", "a time was had by nobody"


def test_a_second_run_changes_nothing(play):
    assert play("site.yml").changed_tasks == []


def test_a_deploy_moves_nothing_and_runs_nothing_twice(play, beats, until):
    has = holder(beats, until)
    play("playbooks/app.yml", "-e", f'{{"app_env": {{"FLASK_APP": "shop", "NUMBER": "{RUN}"}}}}')
    assert holder(beats, until) == has


def test_a_host_that_loses_its_power_is_taken_over_and_its_return_changes_nothing(hosts, ask, beats, until):
    has = holder(beats, until)
    subprocess.run(["docker", "kill", hosts[has].container], check=True, capture_output=True)
    try:
        assert taken_over(beats, until, other(has)) < MINUTE
        before = int(ask("SELECT count(*) FROM tick"))
        until(lambda: int(ask("SELECT count(*) FROM tick")) >= before + 2, 150)
    finally:
        subprocess.run(["docker", "start", hosts[has].container], check=True, capture_output=True)
    until(lambda: power(hosts), 60)
    time.sleep(2 * INTERVAL)
    assert beats() == [other(has)]


def test_a_host_that_is_cut_off_from_the_database_ends_before_the_other_begins(hosts, beats, until):
    has = holder(beats, until)
    name = "docker ps --format '{{.Names}}' | grep beat"
    assert hosts[has].sh(name)
    cut = "iptables -{} OUTPUT -p tcp --dport 5432 -j DROP; iptables -{} FORWARD -p tcp --dport 5432 -j DROP"
    hosts[has].sh(cut.format("I", "I"))
    try:
        assert taken_over(beats, until, other(has)) < MINUTE
        assert hosts[has].sh(name, check=False) == ""
    finally:
        hosts[has].sh(cut.format("D", "D"))
    time.sleep(2 * INTERVAL)
    assert beats() == [other(has)]


def test_a_database_that_starts_again_moves_nothing(hosts, beats, until):
    has = holder(beats, until)
    hosts["db1"].sh("systemctl restart postgresql")
    time.sleep(2 * INTERVAL)
    assert holder(beats, until) == has


def test_with_its_engine_stopped_a_host_ends_what_it_may_run_no_longer(hosts, beats, until):
    """Containers run on while the engine is stopped, so they are ended without it."""
    has = holder(beats, until)
    hosts[has].sh("systemctl stop docker.socket docker")
    cut = "iptables -{} OUTPUT -p tcp --dport 5432 -j DROP"
    hosts[has].sh(cut.format("I"))
    try:
        assert taken_over(beats, until, other(has)) < MINUTE
    finally:
        hosts[has].sh(cut.format("D"))
        hosts[has].sh("systemctl start docker")


def test_over_many_deaths_each_time_of_the_job_is_had_once_and_never_twice(hosts, ask, beats, until):
    """Hosts die in turn, in the middle of the job too; `once` counts."""
    for turn in range(4):
        name = WEB[turn % 2]
        until(lambda: ask("SELECT count(*) FROM tick WHERE ended IS NULL") != "0", 60)
        subprocess.run(["docker", "kill", hosts[name].container], check=True, capture_output=True)
        time.sleep(INTERVAL)
        subprocess.run(["docker", "start", hosts[name].container], check=True, capture_output=True)
        until(lambda: power(hosts), 60)
    holder(beats, until)
