"""What a host does in its window: updates and reboots. The others serve meanwhile, and visitors notice nothing."""

from __future__ import annotations

import subprocess

import pytest

# A newer build of what nginx and sshd use, in an archive that says it is Debian's security archive.
ARCHIVE = """
set -e
. /etc/os-release
library=$(dpkg -S /usr/lib/*/libssl.so.3 | cut -d: -f1)
mkdir -p /var/tmp/updates
cd /var/tmp/updates
apt-get -qq update
apt-get -qq download "$library"
dpkg-deb -R "$library"_*.deb /var/tmp/tree
rm ./*.deb
sed -i -E 's/^(Version: .*)/\\1.1/' /var/tmp/tree/DEBIAN/control
dpkg-deb --build /var/tmp/tree "./$library.deb" >/dev/null
{ cat /var/tmp/tree/DEBIAN/control; echo "Filename: ./$library.deb"; echo "Size: $(stat -c %s "$library.deb")"
  echo "SHA256: $(sha256sum "$library.deb" | cut -d' ' -f1)"; } > Packages
cat > Release <<END
Origin: Debian
Label: Debian-Security
Suite: stable-security
Codename: $VERSION_CODENAME-security
Date: $(date -Ru)
SHA256:
 $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) Packages
END
echo 'deb [trusted=yes] file:/var/tmp/updates ./' > /etc/apt/sources.list.d/updates.list
apt-get -qq update
dpkg-query -W -f '${Version}' "$library"
"""


@pytest.fixture(scope="module")
def updated(play):
    play("playbooks/host.yml", "-e", '{"host_updates": true}')


def test_an_update_day_restarts_what_uses_the_old_library_and_loses_no_request(hosts, judged, updated):
    web1 = hosts["web1"]
    before, pid = web1.sh(ARCHIVE), web1.sh("systemctl show -p MainPID nginx")
    began = web1.sh("docker inspect -f '{{.State.StartedAt}}' $(docker ps -q)")
    with judged():
        web1.sh("unattended-upgrade")
    assert web1.sh("dpkg-query -W -f '${Version}' $(dpkg -S /usr/lib/*/libssl.so.3 | cut -d: -f1)") == f"{before}.1"
    assert web1.sh("systemctl show -p MainPID nginx") != pid, "it had the old library"
    assert web1.sh("docker inspect -f '{{.State.StartedAt}}' $(docker ps -q)") == began, "containers run on"


def test_hosts_that_reboot_one_after_the_other_lose_no_request(hosts, judged, serving, until):
    with judged():
        for name in ("web1", "web2", "web3"):
            container = hosts[name].container
            subprocess.run(["docker", "exec", container, "systemctl", "reboot"], check=False, capture_output=True)
            subprocess.run(["docker", "wait", container], check=True, capture_output=True, timeout=120)
            subprocess.run(["docker", "start", container], check=True, capture_output=True)
            until(lambda: serving() == {"web1", "web2", "web3"}, 120)
