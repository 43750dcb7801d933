"""Three hosts behind two balancers: no request is lost, whoever is deployed, drained, away or started again."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest

DEPLOY = "playbooks/app.yml"
WEB, BALANCERS = ("web1", "web2", "web3"), ("lb1", "lb2")
RUN, CLIENTS = os.getpid(), 11
CUT = "iptables -I INPUT -i eth0 -j DROP; iptables -I OUTPUT -o eth0 -j DROP"
MEND = "iptables -D INPUT -i eth0 -j DROP; iptables -D OUTPUT -o eth0 -j DROP"


def changed(number):
    return ["-e", f'{{"app_env": {{"NUMBER": "{number} {RUN}"}}}}']


def holder(hosts, at):
    """Return the balancer that has the address."""
    found = [name for name in BALANCERS if f" {at}/" in hosts[name].sh("ip -4 -o address")]
    assert len(found) == 1, found
    return found[0]


def test_visitors_are_served_by_all_hosts_through_one_address(hosts, at, ask, serving):
    assert serving() == set(WEB)
    status, _, body = ask("/")
    gateway = hosts["web1"].sh("ip -4 route show default | awk '{print $3}'")
    assert (status, body) == (200, f"hello {gateway}"), "the app sees the visitor's address"
    assert holder(hosts, at) in BALANCERS


def test_a_second_run_changes_nothing(play):
    assert play("site.yml").changed == 0


def test_deploys_and_rollbacks_lose_no_request(hosts, judged, play):
    old = hosts["web1"].release
    with judged():
        play(DEPLOY, *changed("lossless"))
        new = {hosts[name].release for name in WEB}
        play("playbooks/rollback.yml")
    assert len(new) == 1 and new != {old}
    assert {hosts[name].release for name in WEB} == {old}


def test_a_deploy_that_fails_loses_no_request(hosts, judged, play):
    old = hosts["web1"].release
    with judged():
        run = play(DEPLOY, *changed("fails"), "-e", "app_health_path=/no-such-page", succeed=False)
    assert "app_health_path" in run.output
    assert {hosts[name].release for name in WEB} == {old}


def test_a_host_is_drained_and_gets_requests_again(hosts, judged, play, serving):
    with judged():
        assert "web2 gets no new requests" in play("playbooks/drain.yml", "--limit", "web2").output
        assert serving() == {"web1", "web3"}
        hosts["web2"].sh("systemctl restart nginx")
        play("playbooks/undrain.yml", "--limit", "web2")
    assert serving() == set(WEB)


def test_the_last_host_is_not_drained(play, serving):
    run = play("playbooks/drain.yml", succeed=False)
    assert "visitors would get nothing" in run.output
    assert serving() == set(WEB)


def test_a_host_that_is_away_during_a_deploy_never_serves_the_old_release(hosts, judged, play, serving):
    """It comes back by itself, before anybody has brought it level; and its balancers start again too."""
    hosts["web3"].sh(CUT)
    time.sleep(6)  # who asks it before the balancers have seen that waits for ever
    try:
        with judged():
            play(DEPLOY, *changed("away"), "--limit", "all:!web3")
    finally:
        hosts["web3"].sh(MEND)
    new = hosts["web1"].release
    assert hosts["web3"].release != new
    for name in BALANCERS:
        hosts[name].sh("systemctl restart haproxy")
    time.sleep(5)
    assert serving() == {"web1", "web2"}
    run = play("playbooks/undrain.yml", "--limit", "web3", succeed=False)
    assert "web3 was left out of a deploy" in run.output and serving() == {"web1", "web2"}
    play(DEPLOY, *changed("away"))
    assert {hosts[name].release for name in WEB} == {new}
    assert serving() == set(WEB)


def test_a_deploy_that_would_leave_a_serving_host_behind_changes_nothing(hosts, play, serving):
    old = hosts["web1"].release
    run = play(DEPLOY, *changed("behind"), "--limit", "all:!web3", succeed=False)
    assert "web3 would go on serving the release before" in run.output and "drain" in run.output
    assert {hosts[name].release for name in WEB} == {old}
    assert hosts["web1"].sh("docker ps -q | wc -l") == "1"


def test_maintenance_is_what_visitors_see_and_hosts_stay_in(play, ask):
    play("playbooks/maintenance.yml", "-e", "site_maintenance=on site_maintenance_message='Back soon.'")
    time.sleep(4)
    status, _, body = ask("/")
    assert status == 503 and "Back soon." in body
    play("playbooks/maintenance.yml", "-e", "site_maintenance=off")
    assert ask("/")[0] == 200


def test_a_host_that_starts_again_loses_no_request(hosts, judged, serving, until):
    """As its update window, or a person, does it: systemd ends what runs."""
    with judged():
        hosts["web1"].sh("systemctl stop flask-deploy-leave")  # the first that a shutdown stops
        assert serving() == {"web2", "web3"}
        hosts["web1"].sh("systemctl restart nginx docker; systemctl start flask-deploy-leave")
        until(lambda: serving() == set(WEB), 60)


@pytest.mark.parametrize("what", ["nginx", "engine", "network", "power"])
def test_a_host_that_ends_without_a_word_loses_what_was_in_flight_there(hosts, load, serving, until, what):
    how = {
        "nginx": ("pkill -9 -x nginx; systemctl stop nginx", "systemctl start nginx"),
        "engine": ("systemctl stop docker.socket docker; pkill -9 -x gunicorn", "systemctl start docker"),
        "network": (CUT, MEND),
    }
    with load() as judge:
        time.sleep(3)
        if what == "power":
            subprocess.run(["docker", "pause", hosts["web2"].container], check=True, capture_output=True)
        else:
            hosts["web2"].sh(how[what][0])
        time.sleep(10)
        clean = serving()
        if what == "power":
            subprocess.run(["docker", "unpause", hosts["web2"].container], check=True, capture_output=True)
        else:
            hosts["web2"].sh(how[what][1])
        until(lambda: serving() == set(WEB), 60)
    verdict = judge.verdict()
    assert clean == {"web1", "web3"}
    # What was in flight; and writes to an nginx whose app is gone, until it was asked twice.
    assert verdict.failed <= CLIENTS, str(verdict)
    if what in ("nginx", "engine"):  # the host itself says that there is no answer
        assert not [each for each in verdict.failures if each.kind in ("get", "new", "http2")], str(verdict)


@pytest.mark.parametrize("what", ["haproxy", "power"])
def test_a_balancer_that_ends_gives_the_address_to_the_other(hosts, at, ask, until, what):
    first = holder(hosts, at)
    (other,) = set(BALANCERS) - {first}
    if what == "haproxy":
        hosts[first].sh("systemctl stop haproxy")
    else:
        subprocess.run(["docker", "pause", hosts[first].container], check=True, capture_output=True)
    until(lambda: f" {at}/" in hosts[other].sh("ip -4 -o address"), 10)
    assert ask("/")[0] == 200
    if what == "haproxy":
        hosts[first].sh("systemctl start haproxy")
    else:
        subprocess.run(["docker", "unpause", hosts[first].container], check=True, capture_output=True)
    until(lambda: holder(hosts, at) and ask("/")[0] == 200, 20)


def test_the_certificate_of_visitors_is_renewed_without_a_lost_request(hosts, judged, play):
    before = {name: hosts[name].sh("readlink /etc/app/tls/current") for name in BALANCERS}
    with judged():
        play("site.yml", "--tags", "balancer", "-e", "nginx_certificate_renew=true")
    after = {name: hosts[name].sh("readlink /etc/app/tls/current") for name in BALANCERS}
    assert all(before[name] != after[name] for name in BALANCERS)


def test_haproxy_of_somebody_else_stops_the_run_before_any_change(hosts, play):
    hosts["lb2"].sh("cp -a /etc/haproxy/haproxy.cfg /root/kept && sed -i '/Ansible managed/d' /etc/haproxy/haproxy.cfg")
    try:
        run = play("site.yml", *changed("never"), succeed=False)
    finally:
        hosts["lb2"].sh("mv /root/kept /etc/haproxy/haproxy.cfg")
    assert "/etc/haproxy/haproxy.cfg is somebody else's" in run.output and run.changed == 0
    assert json.dumps("never") not in hosts["web1"].sh("cat /srv/app/current/release.json")
