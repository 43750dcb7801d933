"""A host that installs security updates by itself, and starts again in its window if one needs it."""

from __future__ import annotations

import json
import re

import pytest

WANTED = {"host_updates": True, "host_reboot": "Sun 04:00"}


@pytest.fixture(scope="module")
def updated(play):
    def keep(**more):
        return play("playbooks/host.yml", "-e", json.dumps({**WANTED, **more}))

    keep()
    return keep


def test_the_security_archive_is_the_only_source(host, updated):
    said = host.run("unattended-upgrade --dry-run --debug").stdout
    (origins,) = re.findall(r"Allowed origins are: (.*)", said)
    assert re.fullmatch(r"origin=Debian,codename=\w+-security,label=Debian-Security", origins.strip())
    assert host.check_output("systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer").split() == ["enabled"] * 2


def test_needrestart_reads_our_settings(host, updated):
    assert host.run("needrestart -b -r l").rc == 0


def test_the_host_starts_again_in_its_window_and_only_if_it_is_needed(host, updated):
    assert "Sun 2" in host.check_output("systemctl list-timers flask-deploy-reboot.timer")
    host.check_output("rm -f /run/reboot-required; systemctl start flask-deploy-reboot.service")
    assert not host.file("/run/systemd/shutdown/scheduled").exists
    # In one command: a host that is about to start again lets nobody but root in.
    said = host.check_output(
        "touch /run/reboot-required; systemctl start flask-deploy-reboot.service; "
        "cat /run/systemd/shutdown/scheduled; shutdown -c; rm /run/reboot-required"
    )
    assert "MODE=reboot" in said


def test_another_window_is_taken_and_none_ends_it(host, updated):
    assert updated().changed == 0
    updated(host_reboot="Wed 03:00")
    assert "Wed 2" in host.check_output("systemctl list-timers flask-deploy-reboot.timer")
    updated(host_reboot="")
    assert host.run("systemctl is-enabled flask-deploy-reboot.timer").stdout.strip() == "disabled"
    assert host.run("systemctl is-active flask-deploy-reboot.timer").stdout.strip() == "inactive"
