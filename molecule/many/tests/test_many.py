"""Five forks for many more hosts, with a websocket open on each: all switch, or none."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from bench.kinds import Kind
from bench.target import Target
from bench.websocket import Talk

DEPLOY = "playbooks/app.yml"
OPEN = Kind("/talk", transport="websocket", pause=3.0)
RESTART = 1012
RUN = os.getpid()


class Host:
    """One of the hosts, reached round the network."""

    def __init__(self, row):
        self.name, self.container, self.address = row["instance"], row["container"], row["address"]

    def sh(self, command):
        words = ["docker", "exec", self.container, "bash", "-c", command]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (self.name, command, done.stdout, done.stderr)
        return done.stdout.strip()

    def when(self, phase, command):
        """Do something on the host as soon as a switch there is in a phase."""
        waiting = (
            f'until grep -q \'"phase": "{phase}"\' /srv/app/switch.json 2>/dev/null; do sleep 0.1; done; {command}'
        )
        return subprocess.Popen(["docker", "exec", self.container, "timeout", "900", "bash", "-c", waiting])


@pytest.fixture(scope="session")
def hosts():
    rows = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    return [Host(row) for row in rows]


@pytest.fixture
def each(hosts):
    """Return what a command says on each host, by name of the host."""

    def run(command):
        with ThreadPoolExecutor(5) as pool:
            said = pool.map(lambda host: host.sh(command), hosts)
            return dict(zip([host.name for host in hosts], said, strict=True))

    return run


@pytest.fixture
def one(each):
    """Return the release that all hosts serve; fail where they differ."""

    def release():
        serving = each("basename $(readlink /srv/app/current)")
        assert len(set(serving.values())) == 1, serving
        return serving.popitem()[1]

    return release


@pytest.fixture
def settled(each, one):
    """Tell whether each host has nothing left of a switch and runs the serving release alone."""

    def told():
        release = one()
        left = each("ls /srv/app/switch.json /srv/app/switch.decision 2>/dev/null; docker ps --format '{{.Names}}'")
        return set(left.values()) == {f"app-{release}"}

    return told


@pytest.fixture
def timed(play, hosts, capsys):
    """Run a playbook and say how long that took."""

    def run(*arguments, **more):
        began = time.monotonic()
        inventory = os.path.dirname(os.environ["MOLECULE_INVENTORY_FILE"])  # the file alone holds no host
        done = play(*arguments, "-i", inventory, **more)
        forks = os.environ.get("ANSIBLE_FORKS", "the usual")
        with capsys.disabled():
            sys.stdout.write(f"\n{time.monotonic() - began:.0f} s: {arguments[0]}, {len(hosts)} hosts, {forks} forks\n")
        return done

    return run


class Talks:
    """A websocket on each host through nginx, opened again when it is told to come back."""

    def __init__(self, hosts):
        self.hosts, self.failures, self.ends = hosts, [], {host.name: [] for host in hosts}
        self.opened = {host.name: threading.Event() for host in hosts}

    def run(self, loop, stopping):
        loop.run_until_complete(self._all(stopping))

    async def _all(self, stopping):
        await asyncio.gather(*(self._keep(host, stopping) for host in self.hosts))

    async def _keep(self, host, stopping):
        def report(kind, _number, _started, status=0, release="", failure=""):
            if failure:
                self.failures.append((host.name, kind, failure))
            if kind == "open":
                self.opened[host.name].set()
            if kind == "close":
                self.ends[host.name].append((status, release))

        while not stopping.is_set():
            await Talk(Target(host.address, "app.test"), OPEN, host.name, "test", report).hold("open", stopping)


@contextmanager
def talking(hosts):
    """Hold a websocket open on each host; none may fail."""
    loop, talks = asyncio.new_event_loop(), Talks(hosts)
    stopping = threading.Event()
    thread = threading.Thread(target=talks.run, args=(loop, stopping))
    thread.start()
    try:
        for name, opened in talks.opened.items():
            assert opened.wait(60), f"{name}: {talks.failures}"
        yield talks
    finally:
        stopping.set()
        thread.join()
        loop.close()
    assert talks.failures == []


def changed(number):
    """Return what makes a new release, in each run of the tests another one."""
    return ["-e", f'{{"app_env": {{"NUMBER": "{number} {RUN}"}}}}']


def test_the_first_deploy_serves_on_all_hosts(each, one):
    release = one()
    asked = "curl -sSk --resolve app.test:443:127.0.0.1 -D - -o /dev/null https://app.test/"
    assert all(f"x-release: {release}" in said.lower() for said in each(asked).values())


def test_all_hosts_switch_though_each_drains_a_websocket(hosts, each, one, settled, timed):
    """The last hosts are confirmed before the first ones drain: none gives up waiting for the word and goes back."""
    old = one()
    with talking(hosts) as talks:
        timed(DEPLOY, *changed("open"))
    new = one()
    assert new != old
    assert set(each(f'grep -o \'"result": "[a-z]*"\' /srv/app/releases/{new}/switch.json').values()) == {
        '"result": "confirmed"'
    }
    assert {host: ends[:1] for host, ends in talks.ends.items()} == {host.name: [(RESTART, old)] for host in hosts}
    assert settled()


def test_a_host_that_does_not_start_it_keeps_all_from_switching(hosts, each, one, timed):
    """What the others prepared runs on until the next run; nothing switched."""
    old, last = one(), hosts[-1]
    last.sh("touch /srv/app/data/refuse")
    with talking(hosts) as talks:
        run = timed(DEPLOY, *changed("refused"), succeed=False)
    last.sh("rm /srv/app/data/refuse")
    assert run.rc != 0 and "this host refuses to start it" in run.output
    assert one() == old
    assert set(each("ls /srv/app/switch.json 2>/dev/null; true").values()) == {""}
    assert not any(talks.ends.values()), "a websocket was ended although nothing switched"


def test_a_bad_watch_on_the_last_host_takes_all_back(hosts, one, settled, timed, until):
    old, last = one(), hosts[-1]
    breaking = last.when("watching", f"echo bad {RUN} > /srv/app/data/broken")
    with talking(hosts) as talks:
        run = timed(DEPLOY, *changed("bad"), succeed=False)
    assert breaking.wait(timeout=10) == 0
    last.sh("rm /srv/app/data/broken")
    assert run.rc != 0 and f"{last.name}: /healthz failed" in run.output, run.output
    until(settled, 60)
    assert one() == old
    assert not any(talks.ends.values()), "a websocket of the old release was ended although it serves on"
