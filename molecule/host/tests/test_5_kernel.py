"""A kernel that is closed to what a server does not need; the host is a container, so its network alone is set."""

from __future__ import annotations

import json

import pytest

FILE = "/etc/sysctl.d/60-flask-deploy.conf"
ALONE = {"host_firewall": False}
KEYS = "net.ipv4.conf.all.accept_redirects net.ipv4.conf.default.send_redirects net.ipv4.conf.eth0.accept_source_route"


@pytest.fixture(scope="module")
def kept(play):
    def keep(*arguments, **more):
        return play("playbooks/host.yml", "-e", json.dumps({**ALONE, **more}), *arguments)

    keep()
    return keep


def test_the_kernel_has_what_the_file_says_and_the_file_its_reasons(host, kept):
    assert host.check_output(f"sysctl -n {KEYS}").split() == ["0", "0", "0"]
    lines = host.check_output(f"cat {FILE}").splitlines()
    assert sum(line.startswith("#") for line in lines) > 3
    assert not [line for line in lines if line.startswith(("-kernel.", "-fs."))], "those are the machine's"


def test_a_second_run_changes_nothing_and_has_one_task(kept):
    run = kept()
    assert run.changed == 0 and "ok=2" in run.output, "one includes the role"


def test_systemd_sets_the_same_at_a_start(host, kept):
    host.check_output("sysctl -qw net.ipv4.conf.all.accept_redirects=1")
    host.check_output("systemctl restart systemd-sysctl")
    assert host.check_output("sysctl -n net.ipv4.conf.all.accept_redirects") == "0"
    assert kept().changed == 0


def test_networks_that_docker_makes_later_are_closed_too_and_forward(host, kept):
    host.check_output("docker network create later")
    try:
        bridge = f"br-{host.check_output('docker network inspect -f {{.Id}} later')[:12]}"
        said = host.check_output(f"sysctl -n net.ipv4.conf.{bridge}.send_redirects net.ipv4.ip_forward")
        assert said.split() == ["0", "1"]
        assert kept().changed == 0
    finally:
        host.check_output("docker network rm later")


def test_what_was_changed_by_hand_is_foretold_and_set_back(host, kept):
    host.check_output("sysctl -qw net.ipv4.conf.all.accept_redirects=1")
    assert kept("--check").changed_tasks == ["Set the kernel"]
    assert host.check_output("sysctl -n net.ipv4.conf.all.accept_redirects") == "1"
    assert kept().changed == 1
    assert host.check_output("sysctl -n net.ipv4.conf.all.accept_redirects") == "0"


def test_a_file_of_somebody_stays_in_charge(host, kept):
    host.check_output(
        "echo net.ipv4.tcp_syncookies=2 >/etc/sysctl.d/10-mine.conf; sysctl -qw net.ipv4.tcp_syncookies=2"
    )
    kept()
    assert "tcp_syncookies" not in host.check_output(f"cat {FILE}")
    assert host.check_output("sysctl -n net.ipv4.tcp_syncookies") == "2"
    host.check_output("rm /etc/sysctl.d/10-mine.conf")
    assert kept().changed == 1 and host.check_output("sysctl -n net.ipv4.tcp_syncookies") == "1"


def test_without_the_words_the_file_goes(host, kept):
    kept(kernel_settings=False)
    assert not host.file(FILE).exists
    assert kept().changed == 1
