"""Security updates by themselves: apt, needrestart and systemd read what the role writes as it is meant."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
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


@pytest.fixture
def reboots(render):
    """Return the unit of a host among three."""
    groups, known = {"web": ["a", "b", "c"]}, {"a": {"ansible_host": "2001:db8::1"}, "b": {}, "c": {}}

    def unit(name):
        said = {"groups": groups, "hostvars": known, "inventory_hostname": name}
        return render("host", "flask-deploy-reboot.service.j2", **said)

    return unit


def test_hosts_start_again_one_after_the_other_and_where_it_is_needed(reboots):
    texts = [reboots(name) for name in "abc"]
    assert [re.findall(r"^ExecStart=/usr/bin/sleep (\d+)m$", text, re.MULTILINE) for text in texts] == [
        [],
        ["15"],
        ["30"],
    ]
    assert all(text.count("/usr/sbin/shutdown -r +1 ") == 1 for text in texts)
    assert all("ConditionPathExists=/run/reboot-required\n" in text for text in texts)


def test_no_host_starts_again_while_one_before_it_is_away(reboots):
    asked = [re.findall(r"/dev/tcp/(\S+)/443'$", reboots(name), re.MULTILINE) for name in "abc"]
    assert asked == [[], ["2001:db8::1"], ["2001:db8::1", "b"]]
    commands = re.findall(r"^ExecStart=(\S+)", reboots("c"), re.MULTILINE)
    assert [command.rpartition("/")[2] for command in commands] == ["sleep", "timeout", "timeout", "shutdown"]


@pytest.mark.parametrize("answers", [True, False])
def test_a_host_that_does_not_answer_is_seen(reboots, answers):
    """As systemd runs the line: a failure ends the unit before the next line."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not answers:
            server.close()
        (line,) = re.findall(r"^ExecStart=(.*/dev/tcp/.*)$", reboots("b"), re.MULTILINE)
        command = shlex.split(line.replace("2001:db8::1/443", f"127.0.0.1/{port}"))
        assert (subprocess.run(command, capture_output=True, check=False).returncode == 0) is answers


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
@pytest.mark.parametrize(("said", "at"), [("Sun 04:00", "OnCalendar=Sun 04:00"), ("", "OnCalendar=weekly")])
def test_systemd_reads_the_window(render, said, at):
    text = render("host", "flask-deploy-reboot.timer.j2", host_reboot=said)
    assert at in text
    subprocess.run(["systemd-analyze", "calendar", "--", at.partition("=")[2]], check=True, capture_output=True)


def test_the_hosts_own_systemd_is_asked_for_the_window():
    assert calendars({"app_jobs": {}, "host_reboot": "Sun 04:00"}) == {"host_reboot": "Sun 04:00"}
    assert calendars({"app_jobs": {}, "host_reboot": ""}) == {}
