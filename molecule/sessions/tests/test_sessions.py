"""Sessions of two hosts in one Valkey: who logs in here is known there, and who logs out here is refused there."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from bench.holders import Client

UNIT = "redis-server" if os.environ.get("MOLECULE_SUITE") == "bookworm" else "valkey-server"
CUT, MEND = (f"iptables -{verb} INPUT -p tcp --dport 6379 -j DROP" for verb in "ID")


class Host:
    """One of the hosts: what its app answers, and its own shell."""

    def __init__(self, row):
        self.container, self.address = row["container"], row["address"]

    def sh(self, command):
        done = subprocess.run(
            ["docker", "exec", self.container, "bash", "-c", command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def ask(self, method, path, body=None, token=None):
        """Return status, JSON and headers, on a connection of its own: each may meet another worker."""
        client = Client(self.address, "app.test")
        try:
            status, headers, data = client.ask(method, path, body, token)
            return status, json.loads(data) if data[:1] == b"{" else {}, headers
        finally:
            client.close()

    def login(self):
        password = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "password").read_text()
        status, tokens, _ = self.ask("POST", "/auth", {"username": "demo", "password": password})
        assert status == 200, tokens
        return tokens

    def refresh(self, tokens):
        status, new, _ = self.ask("POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]})
        return status, new

    def knows(self, tokens):
        """Return what it says to an access token: 200, or 401."""
        return self.ask("GET", "/protected", token=tokens["access_token"])[0]


@pytest.fixture(scope="module")
def machines():
    rows = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    return {row["instance"]: Host(row) for row in rows}


@pytest.fixture
def hosts(machines):
    return machines["web1"], machines["web2"]


@pytest.fixture
def store(machines):
    """The host of the Valkey, which is there again after the test."""
    machine = machines["store"]
    yield machine
    machine.sh(f"iptables -D INPUT -p tcp --dport 6379 -j DROP 2>/dev/null; systemctl start {UNIT}")


def out(host, tokens):
    """Log out on a host, with the access token."""
    assert host.ask("POST", "/auth/logout", token=tokens["access_token"])[0] == 204


def test_the_hosts_are_as_they_should_be(play):
    assert play("playbooks/app.yml").changed == 0


def test_log_in_here_refresh_there_log_out_here_refused_on_both_at_once(hosts):
    """At the first request after the logout: there is no second in which it counts."""
    one, two = hosts
    first = one.login()
    status, second = two.refresh(first)
    assert status == 200
    assert {host.knows(tokens) for host in hosts for tokens in (first, second)} == {200}
    out(one, first)
    assert [host.knows(tokens) for host in (two, one) for tokens in (second, first)] == [401] * 4
    assert [host.refresh(tokens)[0] for host in hosts for tokens in (first, second)] == [401] * 4


def test_no_worker_of_a_host_lags_behind(hosts):
    """More requests than workers, each on a connection of its own."""
    one, two = hosts
    tokens = two.login()
    out(one, tokens)
    assert {host.knows(tokens) for _ in range(20) for host in hosts} == {401}


def test_a_lost_answer_may_be_asked_for_on_the_other_host(hosts):
    one, two = hosts
    first = one.login()
    lost, again = one.refresh(first), two.refresh(first)
    assert lost[0] == again[0] == 200
    assert lost[1]["refresh_token"] == again[1]["refresh_token"]


def test_a_stolen_refresh_token_ends_the_session_on_both(hosts):
    one, two = hosts
    first = one.login()
    _, second = two.refresh(first)
    _, third = one.refresh(second)
    assert two.refresh(first)[0] == 401
    assert [host.knows(third) for host in hosts] == [401, 401]


def assert_all_wait(hosts, tokens):
    """Each route that needs the store says 503, within the time that a client waits, and all else goes on."""
    for host in hosts:
        began = time.monotonic()
        for method, path, body in (
            ("GET", "/protected", None),
            ("POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}),
            ("POST", "/auth/logout", None),
        ):
            status, _, headers = host.ask(method, path, body, tokens["access_token"])
            assert (status, headers["Retry-After"]) == (503, "1"), path
        assert time.monotonic() - began < 20
        assert host.ask("GET", "/")[0] == 200
        assert host.ask("GET", "/readyz")[0] == 503


def assert_all_is_back(hosts, kept, gone, until):
    until(lambda: [host.knows(kept) for host in hosts] == [200, 200], 30)
    assert [host.knows(gone) for host in hosts] == [401, 401], "it was logged out before"
    status, new = hosts[1].refresh(kept)
    assert status == 200
    assert hosts[0].knows(new) == 200
    assert hosts[0].login()


@pytest.mark.parametrize(
    ("away", "back"), [(f"systemctl stop {UNIT}", f"systemctl start {UNIT}"), (CUT, MEND)], ids=["stopped", "cut off"]
)
def test_the_store_is_gone_and_comes_back(hosts, store, until, away, back):
    kept, gone = hosts[0].login(), hosts[0].login()
    out(hosts[1], gone)
    store.sh(away)
    assert_all_wait(hosts, kept)
    store.sh(back)
    assert_all_is_back(hosts, kept, gone, until)


def test_a_killed_store_loses_no_session_and_no_logout(hosts, store, until):
    kept, gone = hosts[0].login(), hosts[1].login()
    out(hosts[0], gone)
    store.sh(f"systemctl kill --signal KILL {UNIT}; sleep 1; systemctl start {UNIT}")
    assert_all_is_back(hosts, kept, gone, until)


def test_a_release_does_not_go_live_where_its_store_is_gone(hosts, store, play, until):
    tokens, before = hosts[0].login(), [host.sh("readlink /srv/app/current") for host in hosts]
    store.sh(f"systemctl stop {UNIT}")
    refused = play("playbooks/app.yml", "-e", '{"app_env": {"NUMBER": "2"}, "app_start_timeout": 20}', succeed=False)
    assert refused.rc != 0
    assert [host.sh("readlink /srv/app/current") for host in hosts] == before
    store.sh(f"systemctl start {UNIT}")
    until(lambda: [host.knows(tokens) for host in hosts] == [200, 200], 30)


def test_the_address_is_in_no_log_and_no_release(hosts):
    password = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "store", "password").read_text().strip()
    for host in hosts:
        logs = "docker logs $(docker ps -q --filter name=app-) 2>&1; journalctl --no-pager; cat /var/log/nginx/*.log"
        assert password not in host.sh(f"({logs}); true")
        assert host.sh(f"grep -rl {password} /srv/app/releases || true") == ""
