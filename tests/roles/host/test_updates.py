"""Security updates by themselves: apt, needrestart and systemd read what the role writes as it is meant."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from inventory_check.inventory import calendars

from tests.conftest import ROOT

FILES = ROOT / "roles/host/files/updates"
DEBIAN = """
Unattended-Upgrade::Allowed-Origins { "Debian:stable"; };
Unattended-Upgrade::Origins-Pattern { "origin=Debian,codename=${distro_codename},label=Debian"; };
Unattended-Upgrade::Automatic-Reboot "true";
"""


@pytest.mark.skipif(not shutil.which("apt-config"), reason="there is no apt here")
def test_security_updates_alone_are_taken_whatever_debian_begins_with(tmp_path):
    (tmp_path / "apt.conf").write_text(DEBIAN + (FILES / "apt/apt.conf.d/60flask-deploy").read_text())
    environment = {**os.environ, "APT_CONFIG": str(tmp_path / "apt.conf")}
    said = subprocess.run(["apt-config", "dump"], env=environment, capture_output=True, text=True, check=True).stdout
    known = dict(re.findall(r'^(Unattended-Upgrade::[\w:-]+|APT::Periodic::[\w-]+) "(.*)";$', said, re.MULTILINE))
    assert known["Unattended-Upgrade::Origins-Pattern::"].endswith("-security,label=Debian-Security")
    assert said.count("Origins-Pattern:: ") == 1 and "Allowed-Origins:: " not in said
    assert known["Unattended-Upgrade::Automatic-Reboot"] == "false"
    assert known["APT::Periodic::Unattended-Upgrade"] == known["APT::Periodic::Update-Package-Lists"] == "1"


@pytest.mark.skipif(not shutil.which("perl"), reason="there is no perl here")
@pytest.mark.parametrize(("unit", "restarts"), [("nginx.service", "yes"), ("flask-deploy-app.service", "no")])
def test_services_are_restarted_but_none_of_a_deploy(unit, restarts):
    code = (FILES / "needrestart/conf.d/flask-deploy.conf").read_text()
    judge = f"""
        our %nrconf = (override_rc => {{ qr(^dbus) => 0 }}); {code}
        my $restarts = $nrconf{{restart}} eq 'a' ? 'yes' : 'no';
        for my $re (keys %{{$nrconf{{override_rc}}}}) {{ $restarts = 'no' if '{unit}' =~ /$re/ }}
        print $restarts;
    """
    assert subprocess.run(["perl", "-we", judge], capture_output=True, text=True, check=True).stdout == restarts


def test_hosts_start_again_one_after_the_other_and_where_it_is_needed(render):
    texts = [
        render("host", "flask-deploy-reboot.service.j2", groups={"web": ["a", "b", "c"]}, inventory_hostname=name)
        for name in "abc"
    ]
    assert [re.search(r"shutdown -r \+(\d+)", text)[1] for text in texts] == ["1", "16", "31"]
    assert all("ConditionPathExists=/run/reboot-required\n" in text for text in texts)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
@pytest.mark.parametrize(("said", "at"), [("Sun 04:00", "OnCalendar=Sun 04:00"), ("", "OnCalendar=weekly")])
def test_systemd_reads_the_window(render, said, at):
    text = render("host", "flask-deploy-reboot.timer.j2", host_reboot=said)
    assert at in text
    subprocess.run(["systemd-analyze", "calendar", "--", at.partition("=")[2]], check=True, capture_output=True)


def test_the_hosts_own_systemd_is_asked_for_the_window():
    assert calendars({"app_jobs": {}, "host_reboot": "Sun 04:00"}) == {"host_reboot": "Sun 04:00"}
    assert calendars({"app_jobs": {}, "host_reboot": ""}) == {}
