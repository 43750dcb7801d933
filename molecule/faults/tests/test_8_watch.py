"""The watch takes back what hangs, and nothing that is healthy: not for another release's faults, nor for noise."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager

import pytest

from bench.judge import Judge

URL = "https://app.test/"
CLIENTS = 12
WATCH = ["-e", "app_watch_seconds=10", "-e", "app_drain_timeout=6"]
NOISE = 3  # deploys; `make judge ARM=noise` tries more

HOGS = """
import os
for _ in range(2 * os.cpu_count() - 1):
    if not os.fork():
        break
while True:
    pass
"""


@pytest.fixture
def asking(get, until):
    """Return a context in which clients ask again and again, each for so many seconds at most."""

    @contextmanager
    def ask(patience):
        ended, seen = threading.Event(), []

        def work():
            while not ended.is_set():
                seen.append(get(URL, "--max-time", str(patience)).status)
                time.sleep(0.3)

        threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        until(lambda: len(seen) > CLIENTS, 60)
        yield seen
        ended.set()
        for thread in threads:
            thread.join()

    return ask


def watched(host, release):
    return json.loads(host.check_output(f"cat /srv/app/releases/{release}/switch.json"))


def newest(host):
    return host.check_output("ls -t /srv/app/releases | head -1")


@pytest.mark.parametrize("patience", [2, 30], ids=["clients give up", "clients never give up"])
def test_release_whose_every_second_request_hangs_is_taken_back(deploy, asking, host, release, get, patience):
    deploy({"NAME": f"before-{patience}"})
    old = release()
    with asking(patience):
        run = deploy({"HANGS": "every second", "NAME": str(patience)}, *WATCH, succeed=False)
    assert run.rc != 0
    assert "requests failed or wait for more than 5 s" in run.output
    assert release() == old == get(URL).headers["x-release"]
    seen = watched(host, newest(host))
    assert seen["result"] == "reverted" and seen["watch"]["seconds"] <= 12


def test_rollback_out_of_a_release_that_hangs_stays(deploy, play, asking, release):
    old = release()
    deploy({"HANGS": "every second", "NAME": "serves"}, "-e", "app_watch_seconds=0")
    assert release() != old
    with asking(2):
        play("playbooks/rollback.yml", *WATCH)
    assert release() == old


def test_release_whose_cause_is_mended_serves_though_the_log_is_full_of_its_failures(deploy, asking, host, release):
    environment, old = {"NEEDS": "database"}, release()
    host.check_output("touch /srv/app/data/database-is-down")
    with asking(5):
        run = deploy(environment, *WATCH, succeed=False)
    assert run.rc != 0 and "requests failed" in run.output
    assert release() == old
    host.check_output("rm /srv/app/data/database-is-down")
    with asking(5):
        deploy(environment, *WATCH, "-e", "app_accept_rejected=true")
    assert release() != old
    assert watched(host, release())["watch"]["watched"]["failed"] == 0


def test_healthy_release_follows_one_that_failed(deploy, asking, host, release):
    """The log is full of failures of the release before."""
    deploy({"FAILING_PERCENT": "60", "NAME": "bad"}, "-e", "app_watch_seconds=0")
    with asking(5):
        time.sleep(5)
        deploy({"NAME": "mended"}, *WATCH)
    seen = watched(host, release())
    assert seen["result"] == "confirmed"
    assert seen["watch"]["before"]["failed"] > seen["watch"]["watched"]["failed"] == 0


def test_noise_is_no_alarm(deploy, address, host):
    """The processors are busy twice over, and 1 % of answers are 500, before and after."""
    deploy({"FAILING_PERCENT": "1", "NAME": "noise"})
    host.check_output(f"systemd-run --quiet --collect --unit=hogs --property=RuntimeMaxSec=900 python3 -c '{HOGS}'")
    try:
        with Judge(address(), "app.test", kinds={"page": 6, "new-page": 2, "http2-page": 4}):
            for number in range(NOISE):
                deploy({"FAILING_PERCENT": "1", "NAME": f"noise-{number}"}, *WATCH)
    finally:
        host.run("systemctl stop hogs")


def test_nobody_outside_is_told_what_waits(get, host, release):
    ask = f"curl -s --unix-socket /srv/app/releases/{release()}/run/gunicorn.sock http://app.test/.flask-deploy/waiting"
    assert set(json.loads(host.check_output(ask))) == {"waiting", "lost", "risks"}
    for path in (".flask-deploy/waiting", "x/../.flask-deploy/waiting", "%2eflask-deploy/waiting", ".flask-deploy/"):
        answer = get(URL + path, "--path-as-is")
        assert answer.status == 404 and "waiting" not in answer.body.replace(path, "")
    assert "flask-deploy-release" not in get(URL).headers


def test_first_deploy_counts_no_failure(play, deploy, host, release):
    """nginx knows the app's name when it is first asked for it."""
    play("playbooks/remove.yml", "-e", "remove_app=app")
    deploy({"NAME": "first"})
    seen = watched(host, release())["watch"]
    assert (seen["probes"] > 0, seen["probes_failed"]) == (True, 0)
