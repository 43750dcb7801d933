"""Workers change over in their order: each job is done once, and exactly one release's workers are left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
URL = "https://app.test/"
QUEUE = "/srv/app/data/queue"
DEPLOY = "playbooks/app.yml"
JOBS = 1000
SECRET = "5f0c5f0c5f0c5f0c"
LISTED = "docker ps {} --filter label=flask-deploy.process=worker --format '{{{{.Names}}}}'"


@pytest.fixture(scope="module")
def deploy(play):
    """Release the shop with an environment; nothing is built where only that differs."""

    def run(*arguments, succeed=True, count=2, **environment):
        settings = {"app_env": environment, "app_processes": worker(count)}
        return play(DEPLOY, "-e", json.dumps(settings), *arguments, succeed=succeed)

    return run


def worker(count):
    limits = {"memory": "64m", "pids": 32, "stop_timeout": 20}
    return {"worker": {"command": "python worker.py", "count": count, **limits}}


@pytest.fixture(scope="module")
def sh(container):
    """Run a command on the host as root, round the network: a reboot may change its address."""

    def run(command):
        done = subprocess.run(["docker", "exec", container, "sh", "-c", command], capture_output=True, check=True)
        return done.stdout.decode().strip()

    return run


@pytest.fixture(scope="module")
def serving(sh):
    return lambda: os.path.basename(sh("readlink /srv/app/current"))


@pytest.fixture(scope="module")
def up(sh):
    """Return the names of the workers that run; with "-a" of all that there are."""
    return lambda which="": sorted(sh(LISTED.format(which)).split())


def of(release, count=2):
    return [f"app-{release}-worker-{number}" for number in range(1, count + 1)]


def test_workers_are_locked_down_as_the_web_is_and_have_limits_of_their_own(host, serving, up):
    release = serving()
    assert up("-a") == of(release)
    web, one = (
        json.loads(host.check_output(f"docker inspect {name}"))[0] for name in (f"app-{release}", of(release)[0])
    )
    for field in ("ReadonlyRootfs", "CapDrop", "SecurityOpt", "NetworkMode", "RestartPolicy", "Init", "PortBindings"):
        assert one["HostConfig"][field] == web["HostConfig"][field], field
    assert one["Config"]["User"] == web["Config"]["User"]
    assert (one["HostConfig"]["Memory"], one["HostConfig"]["PidsLimit"]) == (64 << 20, 32)
    assert one["Config"]["StopTimeout"] == 20 and one["State"].get("Health") is None


def test_a_secret_is_in_the_worker_s_environment_and_nowhere_that_docker_shows(host, serving):
    name = of(serving())[0]
    environment = f"for each in $(docker top {name} -o pid | tail -n +2); do tr '\\0' '\\n' < /proc/$each/environ; done"
    assert f"SHOP_KEY={SECRET}" in host.check_output(environment).splitlines()
    shown = f"docker inspect {name}; docker logs {name} 2>&1; docker top {name}"
    assert SECRET not in host.check_output(shown)


def test_a_second_run_changes_nothing_and_status_tells_of_workers(play, serving, up):
    before = up()
    assert play(DEPLOY).changed == 0
    assert up() == before
    assert f"{serving()} worker  2/2 0" in play("playbooks/status.yml").output


def test_each_of_a_thousand_jobs_is_done_once_over_deploys_and_a_rollback(deploy, play, get, sh, serving, up, until):
    assert get(f"{URL}orders/{JOBS}", "-X", "POST").status == 200
    for number in range(5):
        deploy(NUMBER=f"of the queue {number}", count=3 - number % 2)
        assert up("-a") == of(serving(), 3 - number % 2)
    play("playbooks/rollback.yml")
    assert up("-a") == of(serving())
    waits = f"ls {QUEUE}/waiting {QUEUE}/begun | grep -c '^[0-9]'; true"
    until(lambda: sh(waits) == "0", JOBS)
    done = sh(f"cd {QUEUE}/done && grep -c . $(ls)").splitlines()
    assert sorted(int(line.partition(":")[0]) for line in done) == list(range(JOBS))
    assert {line.partition(":")[2] for line in done} == {"1"}, "no job was begun twice"
    releases = sh(f"cat {QUEUE}/done/* | cut -d' ' -f1 | sort -u").split()
    assert len(releases) > 2, "the workers of several releases did some of them"


def test_a_worker_that_does_not_stay_up_fails_the_release_and_the_old_ones_work_on(deploy, get, sh, serving, up):
    before, began = serving(), sh(f"docker inspect --format '{{{{.State.StartedAt}}}}' {' '.join(up())}")
    run = deploy(WORKERS="end", succeed=False)
    assert run.rc != 0 and "the workers of this release end at once" in run.output
    assert re.search(r"process worker-\d: its container ended with code 1", " ".join(run.output.split()))
    assert (serving(), get(URL).body) == (before, before)
    assert up("-a") == of(before)
    assert sh(f"docker inspect --format '{{{{.State.StartedAt}}}}' {' '.join(up())}") == began


def test_a_killed_worker_is_started_again(sh, serving, up, until):
    name = of(serving())[0]
    began = f"docker inspect --format '{{{{.State.StartedAt}}}}' {name}"
    for kill in (f"kill -9 $(docker inspect --format '{{{{.State.Pid}}}}' {name})", f"docker kill {name}"):
        before = sh(began)
        sh(kill)  # the engine takes the second for a wish, flask-deploy-keep does not
        until(lambda before=before: sh(began) != before and up() == of(serving()), 30)


def test_a_controller_that_is_killed_in_the_trial_leaves_the_old_workers(deploy, sh, serving, up, until):
    """They work on all the while; the next deploy ends well, with workers of its release alone."""
    before = serving()
    settings = json.dumps({"app_env": {"NUMBER": "killed"}, "app_confirm_timeout": 5})
    command = ["ansible-playbook", DEPLOY, "-i", os.environ["MOLECULE_INVENTORY_FILE"], "-e", settings]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    until(lambda: "trying" in sh("cat /srv/app/switch.json 2> /dev/null; true"), 120)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert set(of(before)) <= set(up())
    until(lambda: not sh("ls /srv/app/switch.json 2> /dev/null; true"), 90)
    assert serving() == before and up("-a") == of(before)
    deploy(NUMBER="after")
    assert serving() != before and up("-a") == of(serving())


def test_a_reboot_brings_back_exactly_the_workers_of_the_release_that_serves(
    play, container, address, get, serving, up, until
):
    release = serving()
    subprocess.run(["docker", "restart", "-t", "30", container], check=True, capture_output=True)
    until(lambda: get(URL).status == 200, 60)
    until(lambda: up() == of(release), 30)
    time.sleep(5)
    assert (serving(), up("-a")) == (release, of(release))
    settings = {"app_env": {"NUMBER": "after"}, "app_processes": worker(2), "ansible_host": address()}
    assert play(DEPLOY, "-e", json.dumps(settings)).changed == 0


def test_a_count_of_zero_stops_them_and_removal_leaves_none(deploy, play, address, up):
    at = ["-e", f"ansible_host={address()}"]
    deploy(*at, count=0)
    assert up("-a") == []
    deploy(*at)
    assert len(up()) == 2
    play("playbooks/remove.yml", "-e", "remove_app=app", *at)
    assert up("-a") == []
