"""The other targets: a host by SSH, which here is the host itself, and S3, which is moto's server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request

import pytest

WAITS = "/etc/ssh/sshd_config.d/waits.conf"
HOME = "/home/keeper"


@pytest.fixture
def elsewhere(play):
    """Return the words that name another target; the usual one is set up again at the end."""

    yield lambda **variables: ("-e", json.dumps(variables))
    play("site.yml", "--tags", "backup")


def there_and_back(play, restore, shop, write, words):
    """Claim that a backup to a target brings back what was there."""
    play("playbooks/backup.yml", *words)
    before = shop()
    write(f"later{time.monotonic_ns()}")
    restore(*words)
    assert shop() == before


def test_a_host_by_ssh(play, sh, restore, shop, write, elsewhere):
    sh(f"id keeper || useradd --create-home --home-dir {HOME} keeper; mkdir -p {HOME}/.ssh; rm -f /root/key*")
    sh("ssh-keygen -q -t ed25519 -N '' -f /root/key")
    sh(f"cp /root/key.pub {HOME}/.ssh/authorized_keys; chown -R keeper {HOME}")
    key, host = sh("cat /root/key") + "\n", sh("ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | grep -v '^#'")
    to = {"backup_to": "sftp:keeper@127.0.0.1:backups/app", "backup_ssh_key": key, "backup_host_key": host}
    there_and_back(play, restore, shop, write, elsewhere(**to))
    assert sh(f"ls {HOME}/backups/app/snapshots")
    stranger = host.split()[0] + " ssh-ed25519 " + sh("cut -d' ' -f2 /root/key.pub")
    words = elsewhere(**{**to, "backup_host_key": stranger})
    refused = play("site.yml", "--tags", "backup", *words, succeed=False)
    assert refused.rc != 0 and "another host key than backup_host_key" in refused.output
    sh(f"rm {HOME}/.ssh/authorized_keys; systemctl restart ssh")  # which forgets whom it lets wait
    refused = play("site.yml", "--tags", "backup", *elsewhere(**to), succeed=False)
    assert refused.rc != 0 and "does not take backup_ssh_key" in refused.output, refused.output
    login = "ssh -i /root/key -o BatchMode=yes -o StrictHostKeyChecking=no keeper@127.0.0.1"
    sh(f"echo 'PerSourcePenalties authfail:600' >{WAITS}; systemctl restart ssh")
    sh(f"for turn in 1 2 3 4 5 6; do {login} true; done; true")
    refused = play("site.yml", "--tags", "backup", *elsewhere(**to), succeed=False)
    assert refused.rc != 0 and "ends each connection at once" in refused.output, refused.output
    sh(f"rm {WAITS}; systemctl restart ssh")


@pytest.fixture(scope="module")
def s3(tmp_path_factory, sh):
    """Return the address of an S3 server on this machine, as the host reaches it."""
    place = tmp_path_factory.mktemp("moto")
    if not os.environ.get("MOTO_PYTHON"):
        made = subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=False)
        words = [place / "venv/bin/python", "-m", "pip", "install", "-q", "moto[server]"]
        if made.returncode or subprocess.run(words, check=False).returncode:
            pytest.skip("moto does not install here")
    python = os.environ.get("MOTO_PYTHON", place / "venv/bin/python")
    gateway = sh("ip -4 route show default").split()[2]
    server = subprocess.Popen([python, "-m", "moto.server", "-H", gateway, "-p", "5055"], stderr=subprocess.DEVNULL)
    try:
        for _turn in range(120):
            try:
                request = urllib.request.Request(f"http://{gateway}:5055/backups", method="PUT")
                urllib.request.urlopen(request, timeout=5)
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://{gateway}:5055"
    finally:
        server.terminate()
        server.wait()


def test_s3(play, restore, shop, write, elsewhere, s3):
    there_and_back(play, restore, shop, write, elsewhere(backup_to=f"s3:{s3}/backups/app"))
    refused = play(
        "site.yml", "--tags", "backup", *elsewhere(backup_to=f"s3:{s3}/backups/app", backup_env={}), succeed=False
    )
    assert refused.rc != 0 and "backup_env: AWS_ACCESS_KEY_ID is missing" in refused.output
