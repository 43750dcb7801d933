"""SSH that takes keys alone, and comes back as it was where the controller is cut off."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

DROP_IN = "/etc/ssh/sshd_config.d/10-flask-deploy.conf"


@pytest.fixture(scope="module")
def hardened(play, host, address):
    def keep(**more):
        return play("playbooks/host.yml", "-e", json.dumps({"host_ssh": True, "host_firewall": False, **more}))

    host.check_output("echo PasswordAuthentication yes > /etc/ssh/sshd_config.d/keys-only.conf; systemctl reload ssh")
    assert "password" in offered(address())
    keep()
    return keep


def login(address, *options, command="true", user="deploy"):
    """Log in as users do; return the finished process."""
    key = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "id_ed25519")
    plain = (
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "BatchMode=yes",
    )
    words = ["ssh", *plain, "-i", str(key), "-o", "IdentitiesOnly=yes", *options, f"{user}@{address}", command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)


def offered(address):
    """Return the ways to log in that sshd offers."""
    said = login(address, "-o", "PubkeyAuthentication=no", "-v").stderr
    return said.partition("Authentications that can continue: ")[2].split("\n")[0].strip().split(",")


def test_a_second_run_changes_nothing(hardened):
    assert hardened().changed == 0


def test_keys_are_taken_and_passwords_are_not(host, address, hardened):
    assert login(address()).returncode == 0
    assert offered(address()) == ["publickey"]
    said = host.check_output("sshd -T")
    assert "permitrootlogin without-password" in said and "maxauthtries 4" in said


@pytest.mark.parametrize(
    "old", ["KexAlgorithms=ecdh-sha2-nistp256", "MACs=hmac-sha1", "HostKeyAlgorithms=ecdsa-sha2-nistp256"]
)
def test_old_algorithms_are_refused(address, hardened, old):
    more = ("-o", "Ciphers=aes128-ctr") if old.startswith("MACs") else ()
    assert "no matching" in login(address(), "-o", old, *more).stderr


def test_the_user_who_deploys_may_forward_and_nobody_else(host, address, hardened):
    user = host.check_output("sshd -T -C user=deploy,host=a,addr=192.0.2.1")
    other = host.check_output("sshd -T -C user=other,host=a,addr=192.0.2.1")
    assert "allowtcpforwarding yes" in user and "allowtcpforwarding no" in other
    assert "x11forwarding no" in user and "allowagentforwarding no" in other


def test_settings_that_cut_the_controller_off_come_back_by_themselves(play, host, address, hardened):
    """This controller knows the host by a key that is no longer shown."""
    host.check_output(f"rm {DROP_IN}; systemctl reload ssh")
    old = "-o HostKeyAlgorithms=ecdsa-sha2-nistp256"
    wanted = {"host_ssh": True, "host_firewall": False, "ansible_ssh_extra_args": old}
    run = play("playbooks/host.yml", "-e", json.dumps(wanted), succeed=False)
    assert run.rc != 0
    assert "The host took the change back, and is as it was" in " ".join(run.output.split())
    assert not host.file(DROP_IN).exists
    assert login(address(), *old.split()).returncode == 0
    assert hardened().changed == 1
