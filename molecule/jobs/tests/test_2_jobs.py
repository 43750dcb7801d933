"""Jobs run once an interval over deploys and a reboot, are seen when they fail, and go with the inventory's."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

INTERVAL = 20  # seconds
UNIT = "flask-deploy-job-app-{}"


@pytest.fixture
def sh(container):
    """Run a command on the host, whatever its address."""

    def run(command: str) -> str:
        done = subprocess.run(["docker", "exec", container, "sh", "-c", command], capture_output=True, check=True)
        return done.stdout.decode().strip()

    return run


@pytest.fixture
def ticks(sh):
    """Return (interval, release) of each run of the job so far."""
    return lambda: [
        (int(float(at) // INTERVAL), release)
        for at, release in (line.split() for line in sh("cat /srv/app/data/ticks").splitlines())
    ]


def without_jobs_but(*names):
    jobs = {
        "tick": {"command": "python3 jobs.py tick", "at": "*:*:0/20", "memory": "64m"},
        "broken": {"command": "python3 jobs.py fail", "at": "yearly"},
    }
    return ["-e", json.dumps({"app_jobs": {name: jobs[name] for name in names}})]


def test_it_runs_once_an_interval_over_deploys_and_always_what_serves(play, sh, ticks, release, until):
    until(lambda: len(ticks()) > 1, 60)
    began, old = len(ticks()), release()
    for number in (1, 2):
        play("playbooks/app.yml", "-e", json.dumps({"app_env": {"NUMBER": str(number)}}))
        sh("systemctl daemon-reload")
    until(lambda: ticks()[-1][1] == release() != old, 60)
    found = [interval for interval, _ in ticks()[began - 1 :]]
    assert found == list(range(found[0], found[-1] + 1))


def test_nothing_of_a_run_stays(sh):
    assert len(sh("docker ps -aq --filter label=flask-deploy.aside=job-tick").splitlines()) <= 1


def test_one_that_fails_is_seen_in_the_status_and_its_log_is_in_the_journal(play, sh, until):
    sh(f"systemctl start {UNIT.format('broken')} {UNIT.format('stuck')}")
    for job in ("broken", "stuck"):
        until(lambda job=job: sh(f"systemctl show -P ActiveState {UNIT.format(job)}") == "failed", 90)
    told = " ".join(play("playbooks/status.yml").output.split())
    assert f"job broken failed (code 1); its log: sudo journalctl -n 50 -u {UNIT.format('broken')}" in told
    assert "job stuck failed (too long)" in told and "job tick failed" not in told
    assert "the archive is full" in sh("journalctl -o cat FLASK_DEPLOY_APP=app FLASK_DEPLOY_PROCESS=job-broken")
    assert sh("docker ps -aq --filter label=flask-deploy.aside=job-stuck") == ""


def test_a_job_never_runs_twice_at_once(sh, until):
    """While it runs, to start it is nothing."""
    start, running = (
        f"systemctl start {UNIT.format('stuck')}",
        "docker ps -q --filter label=flask-deploy.aside=job-stuck",
    )
    sh(start)
    (first,) = until(lambda: sh(running).splitlines(), 15)
    sh(start)
    assert sh(f"sleep 2; {running}") == first


def test_times_that_the_host_does_not_know_stop_a_deploy_before_it_changes_anything(play, release):
    before = release()
    wrong = {"app_jobs": {"tick": {"command": "true", "at": "*-*-* 25:00"}}}
    done = play("playbooks/app.yml", "-e", json.dumps(wrong), succeed=False)
    assert "app_jobs: tick: at '*-*-* 25:00' is no time" in done.output and release() == before


def test_a_rollback_restores_the_jobs_that_a_deploy_took_away(play, sh):
    play("playbooks/app.yml", *without_jobs_but("broken"))
    assert "tick" not in sh("ls /etc/systemd/system") and "tick" not in sh("systemctl list-timers --all")
    play("playbooks/rollback.yml")
    assert f"{UNIT.format('tick')}.timer" in sh("systemctl list-timers --all")


def test_a_reboot_makes_up_for_what_was_missed_once(sh, ticks, container, until):
    until(lambda: ticks()[-1][0] >= time.time() // INTERVAL - 1, 60)
    subprocess.run(["docker", "restart", "-t", "30", container], check=True, capture_output=True)
    before = len(ticks())
    until(lambda: len(ticks()) > before + 2, 120)
    found = [interval for interval, _ in ticks()]
    assert len(found) == len(set(found)), "no interval had two"
    after = found[before:]
    assert after == list(range(after[0], after[-1] + 1))


def test_all_goes_with_the_app(play, sh, address):
    play("playbooks/remove.yml", "-e", "remove_app=app", "-e", f"ansible_host={address()}")
    assert "flask-deploy-job" not in sh("ls -R /etc/systemd/system; systemctl list-timers --all")
