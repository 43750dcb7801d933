"""Processes die or hang: what they held is lost at most, and they come back by themselves."""

from __future__ import annotations

import json

import pytest

URL = "https://app.test/"


@pytest.fixture(scope="module", autouse=True)
def quick_timeout(deploy):
    deploy({"NAME": "processes"}, "-e", "app_timeout=5", "-e", "app_memory=256m")


def answering(get):
    """Return the gunicorn workers that answer."""
    answers = [get(URL) for _ in range(12)]
    return {json.loads(answer.body)["worker"] for answer in answers if answer.status == 200}


def test_worker_that_is_killed_costs_its_own_requests_alone(host, load, workers, until):
    """nginx never asks twice, so what the worker held fails: at most one request of each client."""
    before = workers()
    with load() as traffic:
        host.check_output(f"kill -9 {before[0]}")
        until(lambda: len(workers()) == len(before) and before[0] not in workers(), 30)
    verdict = traffic.verdict(switches=[])
    assert verdict.failed <= 12, str(verdict)


def test_worker_that_hangs_is_replaced_while_the_others_serve(host, get, workers, until, release):
    before = workers()
    assert get(f"{URL}spin", "--max-time", "2").status == 0
    assert answering(get)
    until(lambda: len(set(before) - set(workers())) == 1 and len(workers()) == len(before), 30)
    assert "WORKER TIMEOUT" in host.check_output(f"docker logs --tail 50 app-{release()} 2>&1")
    assert until(lambda: len(answering(get)) == len(before), 30)


def test_app_that_eats_its_memory_is_stopped_at_its_limit(host, get, load, pid, workers, until, release):
    """The kernel kills the worker alone; gunicorn says so and starts another."""
    process, before = pid(), workers()
    with load() as traffic:
        assert get(f"{URL}eat").status == 502
        until(lambda: len(workers()) == len(before), 30)
    verdict = traffic.verdict(switches=[])
    assert verdict.failed <= 12, str(verdict)
    assert pid() == process
    assert "out of memory" in host.check_output(f"docker logs --tail 50 app-{release()} 2>&1").lower()
    assert get(URL).status == 200


def test_nginx_worker_that_is_killed_is_replaced(host, get, until):
    """Connections that it held are cut; new ones are never refused."""
    worker = host.check_output("pgrep -f 'nginx: worker' | head -1")
    host.check_output(f"kill -9 {worker}")
    assert [get(URL).status for _ in range(20)] == [200] * 20
    assert worker not in host.check_output("pgrep -f 'nginx: worker'").split()


def test_nginx_master_that_is_killed_is_started_again(host, get, until):
    host.check_output("kill -9 $(cat /run/nginx.pid)")
    assert until(lambda: get(URL).status == 200, 30)
    assert host.service("nginx").is_running


def test_nginx_that_is_upgraded_is_back_at_once(host, load, get, release):
    """Debian's package restarts it: what was under way is cut, and connections are refused for a moment."""
    with load() as traffic:
        host.check_output("DEBIAN_FRONTEND=noninteractive apt-get -qq install --reinstall --yes nginx nginx-common")
    verdict = traffic.verdict(switches=[])
    assert get(URL).headers["x-release"] == release()
    assert verdict.failed <= verdict.requests / 10, str(verdict)


def test_app_that_dies_is_started_again(host, get, pid, release, until):
    serving, process = release(), pid()
    host.check_output(f"kill -9 {process}")
    assert until(lambda: get(URL).status == 200, 30)
    assert release() == serving
    assert pid() != process
