"""Three hosts of one app: all switch or none, whatever happens to one of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from bench import stand_in
from bench.judge import Judge

DEPLOY = "playbooks/app.yml"
KINDS = {"page": 3, "new-page": 1, "http2-page": 2}
NAMES = ("web1", "web2", "web3")
RUN = os.getpid()


class Host(stand_in.Host):
    """One of the hosts, with its address, and what is to happen there in a switch."""

    @property
    def address(self):
        template = "{{.NetworkSettings.IPAddress}}"
        command = ["docker", "container", "inspect", "--format", template, self.container]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def when(self, phase, command):
        """Do something on the host as soon as a switch there is in a phase."""
        waiting = (
            f'until grep -q \'"phase": "{phase}"\' /srv/app/switch.json 2>/dev/null; do sleep 0.03; done; {command}'
        )
        return subprocess.Popen(["docker", "exec", self.container, "timeout", "600", "bash", "-c", waiting])


CUT = "iptables -I INPUT -i eth0 -j DROP; iptables -I OUTPUT -o eth0 -j DROP"
MEND = "iptables -D INPUT -i eth0 -j DROP; iptables -D OUTPUT -o eth0 -j DROP"


@pytest.fixture(scope="session")
def hosts():
    rows = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    found = {row["instance"]: Host(row["instance"], row["container"]) for row in rows}
    assert tuple(sorted(found)) == NAMES
    return found


@pytest.fixture
def serving(hosts):
    """Return the releases that serve on the hosts, by name of the host."""
    return lambda: {name: host.release for name, host in hosts.items()}


@pytest.fixture
def one(serving):
    """Return the release that all hosts serve; fail where they differ."""

    def release():
        ids = set(serving().values())
        assert len(ids) == 1, serving()
        return ids.pop()

    return release


@contextmanager
def judged(hosts, *names):
    """Let traffic run on some hosts; nothing of it may fail."""
    loads = [Judge(hosts[name].address, "app.test", kinds=KINDS) for name in names]
    for load in loads:
        load.__enter__()
    try:
        yield
    finally:
        for load in loads:
            load.__exit__(None, None, None)
    for name, load in zip(names, loads, strict=True):
        verdict = load.verdict()
        assert verdict.failed == 0, f"{name}: {verdict}"


def changed(number):
    """Return what makes a new release, in each run of the tests another one."""
    return ["-e", f'{{"app_env": {{"NUMBER": "{number} {RUN}"}}}}']


def settled(host):
    """Return what is left of a switch or of a candidate on a host."""
    left = host.sh("ls /srv/app/switch.json /srv/app/switch.decision 2>/dev/null; true").split()
    names = host.sh("docker ps --format '{{.Names}}'").split()
    return left + [name for name in names if name != f"app-{host.release}"]


def test_all_hosts_serve_one_release_of_one_image(hosts, play, one):
    release = one()
    images = {host.sh(f"docker inspect -f '{{{{.Image}}}}' app-{release}") for host in hosts.values()}
    assert len(images) == 1
    built = {host.name: host.sh("docker images -q flask-deploy/python") for host in hosts.values()}
    assert built["web1"] and not built["web2"] and not built["web3"], "the base image is needed where the app is built"
    assert play("site.yml").changed == 0


def test_a_deploy_switches_all_hosts_without_a_lost_request(hosts, play, one):
    old = one()
    with judged(hosts, *NAMES):
        play(DEPLOY, *changed("lossless"))
    assert one() != old
    assert [settled(host) for host in hosts.values()] == [[], [], []]


def test_more_hosts_than_forks_switch_all(hosts, play, one, monkeypatch):
    """One host at a time, and none of them drains before all are confirmed; a strategy of the user's splits nothing."""
    old = one()
    monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
    run = play(DEPLOY, *changed("forks"), "-f", "1", "-e", "app_confirm_timeout=6")
    assert one() != old
    assert [settled(host) for host in hosts.values()] == [[], [], []]
    assert "goes back by itself unless this run confirms it" in run.output
    assert play(DEPLOY, *changed("forks"), "-f", "1").changed == 0


def test_a_host_that_refuses_to_start_it_stops_all(hosts, play, one):
    old = one()
    before = [set(host.sh("ls /srv/app/releases").split()) for host in hosts.values()]
    hosts["web2"].sh("touch /srv/app/data/refuse")
    with judged(hosts, "web1", "web3"):
        run = play(DEPLOY, *changed("refused"), succeed=False)
    hosts["web2"].sh("rm /srv/app/data/refuse")
    assert run.rc != 0
    assert "this host refuses to start it" in run.output
    nothing = "another host refused the release, or was lost: nothing changes here"
    assert run.output.count(f"msg: '{nothing}'") == 2, run.output
    assert one() == old
    assert [settled(host) for host in hosts.values()] == [[], [], []]
    releases = [set(host.sh("ls /srv/app/releases").split()) for host in hosts.values()]
    assert releases == before, "what was ready on the others is gone"
    failed = {host.name: host.sh("cat /srv/app/failed.json") for host in hosts.values()}
    assert "another host refused it" in failed["web1"] and "another host refused it" not in failed["web2"]


def test_a_bad_watch_on_one_host_takes_all_back(hosts, play, one):
    old = one()
    breaking = hosts["web2"].when("watching", f"echo bad watch {RUN} > /srv/app/data/broken")
    with judged(hosts, "web1", "web3"):
        run = play(DEPLOY, *changed("bad watch"), succeed=False)
    breaking.wait(timeout=10)
    hosts["web2"].sh("rm /srv/app/data/broken")
    assert re.search(r"web2: /healthz failed 3 of \d+ times through .*: status 500", run.output), run.output
    assert one() == old
    assert [settled(host) for host in hosts.values()] == [[], [], []]
    assert "app_accept_rejected=true" in play(DEPLOY, *changed("bad watch"), succeed=False).output


@pytest.mark.parametrize("phase", ["moving", "watching", "waiting"])
def test_a_host_that_is_cut_off_goes_back_and_so_do_all(hosts, play, one, until, phase):
    """Cut off in the switch, in the watch, and before it is confirmed; looked at when it is back."""
    old = one()
    cutting = hosts["web3"].when(phase, CUT)
    try:
        with judged(hosts, "web1", "web2"):
            run = play(DEPLOY, *changed(f"cut off {phase}"), succeed=False)
            cutting.wait(timeout=10)
            until(lambda: {hosts[name].release for name in ("web1", "web2")} == {old}, 60)
        until(lambda: hosts["web3"].release == old and not settled(hosts["web3"]), 90)
    finally:
        hosts["web3"].sh(MEND)
    assert run.rc != 0
    assert "web3" in run.output
    assert one() == old
    play(DEPLOY, *changed(f"cut off {phase}"))
    assert one() != old
    assert play(DEPLOY, *changed(f"cut off {phase}")).changed == 0


def test_a_host_that_loses_its_power_goes_back_as_it_starts_and_so_do_all(hosts, play, one, until):
    old, web3 = one(), hosts["web3"]

    def lose_power():
        assert web3.when("watching", "true").wait(timeout=300) == 0
        subprocess.run(["docker", "restart", "-t", "0", web3.container], check=True, capture_output=True)

    losing = threading.Thread(target=lose_power)
    losing.start()
    with judged(hosts, "web1", "web2"):
        run = play(DEPLOY, *changed("power"), succeed=False)
        losing.join()
        until(lambda: {hosts[name].release for name in ("web1", "web2")} == {old}, 60)
    until(lambda: web3.release == old and not settled(web3), 90)
    assert run.rc != 0
    config = Path(os.environ["MOLECULE_INSTANCE_CONFIG"])  # its address is another now
    rows = [{**row, "address": hosts[row["instance"]].address} for row in yaml.safe_load(config.read_text())]
    config.write_text(yaml.safe_dump(rows))
    play(DEPLOY, *changed("power"))
    assert one() != old


@pytest.mark.parametrize("playbook", ["site.yml", DEPLOY])
def test_a_host_that_is_down_stops_the_deploy_before_it_begins(hosts, play, one, serving, playbook):
    old = one()
    hosts["web2"].sh(CUT)
    try:
        run = play(playbook, *changed("down"), succeed=False)
        assert run.rc != 0
        assert "web2" in run.output
        assert "Switch to the release" not in run.output
        assert one() == old
    finally:
        hosts["web2"].sh(MEND)


def test_a_host_is_left_out_by_name(hosts, play, serving):
    before = serving()
    hosts["web3"].sh(CUT)
    try:
        play(DEPLOY, *changed("left out"), "--limit", "all:!web3")
    finally:
        hosts["web3"].sh(MEND)
    after = serving()
    assert after["web3"] == before["web3"]
    assert after["web1"] == after["web2"] != before["web1"]
    said = " ".join(play("playbooks/status.yml").output.split())
    assert f"uneven: {after['web1']} on web1 web2, {after['web3']} on web3." in said
    play(DEPLOY, *changed("left out"))
    assert set(serving().values()) == {after["web1"]}


def test_a_second_deploy_is_told_who_is_first(hosts, play, one):
    """From the same machine: while the first lives; and at once when it is dead."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    command = ["ansible-playbook", DEPLOY, "-i", inventory, *changed("first"), "-e", "app_watch_seconds=20"]
    first = subprocess.Popen(command, cwd=os.environ["MOLECULE_PROJECT_DIRECTORY"], stdout=subprocess.DEVNULL)
    waiting = hosts["web1"].when("watching", "true")
    assert waiting.wait(timeout=300) == 0
    second = play(DEPLOY, *changed("second"), succeed=False)
    assert "app is locked" in second.output
    assert f"(process {first.pid}) deploys it since" in second.output
    first.kill()
    first.wait()
    third = play(DEPLOY, *changed("second"))
    assert f"taking over from process {first.pid}" in third.output
    one()
    assert [settled(host) for host in hosts.values()] == [[], [], []]


def test_rollback_goes_back_on_all(hosts, play, one):
    new = one()
    with judged(hosts, *NAMES):
        play("playbooks/rollback.yml")
    assert one() != new


def test_hosts_that_would_go_back_to_different_releases_all_stay(hosts, play, one):
    before = one()
    play(DEPLOY, *changed("first of two"))
    lost = one()
    play(DEPLOY, *changed("second of two"))
    serving, lacking = one(), hosts["web2"]
    lacking.sh(f"rm /srv/app/releases/{lost}/site.conf")
    run = play("playbooks/rollback.yml", succeed=False)
    assert run.rc != 0 and "the hosts would go back to different releases" in run.output, run.output
    assert lost in run.output and "app_rollback_to" in run.output
    assert one() == serving
    assert [settled(host) for host in hosts.values()] == [[], [], []]
    play("playbooks/rollback.yml", "-e", f"app_rollback_to={before}")
    assert one() == before
    assert [settled(host) for host in hosts.values()] == [[], [], []]


def test_a_job_runs_once_an_interval_on_the_first_host_or_on_each(hosts, play, one, until):
    """Whatever is deployed meanwhile: the others have no timer of it."""
    seconds, wanted = 30, {"once": "one", "each": "all"}
    jobs = {
        name: {"command": f"sh -c 'date +%s >> /data/{name}'", "at": f"*:*:0/{seconds}", "hosts": which}
        for name, which in wanted.items()
    }

    def intervals(name, host):
        told = hosts[host].sh(f"cat /srv/app/data/{name} 2>/dev/null; true")
        return [int(at) // seconds for at in told.split()]

    for number in range(2):
        play(DEPLOY, "-e", json.dumps({"app_jobs": jobs, "app_env": {"NUMBER": f"jobs {number} {RUN}"}}))
    until(lambda: len(intervals("once", "web1")) > 3, 5 * seconds)
    for name, host in [("once", "web1"), *(("each", host) for host in NAMES)]:
        found = intervals(name, host)
        assert found == list(range(found[0], found[-1] + 1)), (name, host)
    assert [intervals("once", host) for host in NAMES[1:]] == [[], []]
    play(DEPLOY, *changed("no jobs"))
    assert {host.sh("systemctl list-timers --all | grep -c job-app; true") for host in hosts.values()} == {"0"}
    one()


def test_a_scheduler_runs_once_over_all_hosts_and_deploys(hosts, play, one):
    """By the engines' own events: on the first host alone, and one has ended whenever the next one starts."""
    beat = ["-e", json.dumps({"app_processes": {"beat": {"command": "sleep infinity", "hosts": "one"}}})]
    told = "--filter label=flask-deploy.process=beat --filter event=start --filter event=die --format '{{.Action}}'"
    began = hosts["web1"].sh("date +%s")
    for number in range(2):
        play(DEPLOY, *changed(f"beat {number}"), *beat)
    assert f"web1 {one()} beat    1/1 0" in play("playbooks/status.yml").output
    play("playbooks/rollback.yml", *beat)
    asked = f"docker events --since {began} --until $(date +%s) {told}"
    events = {name: host.sh(asked).split() for name, host in hosts.items()}
    assert events == {"web1": ["start", "die", "start", "die", "start"], "web2": [], "web3": []}
    play(DEPLOY, *changed("no beat"))
    assert [settled(host) for host in hosts.values()] == [[], [], []]


def test_status_shows_all_hosts(play, one):
    output = play("playbooks/status.yml").output
    rows = [line for line in output.splitlines() if one() in line]
    assert len([row for row in rows if any(name in row for name in NAMES)]) >= len(NAMES)
