"""What goes wrong with a backup is told by its cause, nothing is lost, and the next run is well."""

from __future__ import annotations

import json
import time

import pytest

REPO = "/mnt/backup/app"


@pytest.fixture
def status(play):
    """Return what the status says, and whether it is red."""

    def told() -> tuple[bool, str]:
        run = play("playbooks/status.yml", succeed=False)
        return run.rc != 0, " ".join(run.output.split())

    return told


@pytest.fixture(autouse=True)
def well_after(run_unit, status):
    """Claim after each fault that the next backup and drill are well."""
    yield
    assert run_unit("backup")[0] == "success"
    assert run_unit("drill")[0] == "success"
    red, said = status()
    assert not red, said


def test_a_byte_that_is_flipped_is_an_alarm(sh, run_unit, status):
    pack = sh(f"find {REPO}/data -type f -printf '%s %p\\n' | sort -n | tail -1").split()[1]
    flip = f"p = open('{pack}', 'r+b'); p.seek(100); b = p.read(1); p.seek(100); p.write(bytes([b[0] ^ 1]))"
    sh(f'cp -a {pack} /root/pack; chmod u+w {pack}; python3 -c "{flip}"')
    try:
        result, said = run_unit("drill")
        assert result == "exit-code" and "is damaged" in said
        red, told = status()
        assert red and "the drill of" in told and "failed" in told
    finally:
        sh(f"cp -a /root/pack {pack}")


def test_a_wrong_password_stops_the_setup_and_is_told(play, sh, run_unit):
    wrong = play("site.yml", "--tags", "backup", "-e", "backup_password=another-sentinel-5f0c", succeed=False)
    assert wrong.rc != 0 and "backup_password does not open the repository" in wrong.output
    assert run_unit("backup")[0] == "exit-code"
    assert play("site.yml", "--tags", "backup").changed > 0


def test_a_target_that_is_gone_is_told_and_nothing_is_made_in_its_place(sh, run_unit, status):
    sh(f"mv {REPO} /mnt/away")
    result, said = run_unit("backup")
    assert result == "exit-code" and "see that its disk is mounted" in said
    assert status()[0] and sh("ls /mnt/backup") == ""
    sh(f"mv /mnt/away {REPO}")


def test_a_full_target_is_told(play, sh, run_unit):
    sh("mkdir -p /mnt/small && mount -t tmpfs -o size=3m small /mnt/small")
    small = ("site.yml", "--tags", "backup", "-e", "backup_to=/mnt/small/app")
    play(*small)
    try:
        sh("head -c 8000000 /dev/urandom > /srv/app/data/much")
        result, said = run_unit("backup")
        assert result == "exit-code" and "is full" in said, said
    finally:
        sh("rm /srv/app/data/much")
        play("site.yml", "--tags", "backup")
        sh("umount /mnt/small")


def test_a_run_that_is_killed_is_told_and_its_lock_goes(sh, run_unit, status, until):
    sh("head -c 60000000 /dev/urandom > /srv/app/data/much")
    sh("systemctl start --no-block flask-deploy-backup@app.service")
    under_way = f"pgrep -f 'restic [b]ackup' && ls {REPO}/locks | grep -q ."
    kill = "systemctl kill -s KILL flask-deploy-backup@app.service"
    sh(f"for look in $(seq 2000); do {under_way} && exec {kill}; sleep 0.03; done; exit 1")
    until(lambda: sh("systemctl is-active flask-deploy-backup@app.service", check=False) == "failed", 20)
    red, said = status()
    assert red and "was cut off" in said
    assert sh(f"ls {REPO}/locks")
    assert run_unit("backup")[0] == "success"
    assert sh(f"ls {REPO}/locks") == ""
    sh("rm /srv/app/data/much")


def test_a_restore_that_is_killed_is_put_back_by_the_next_one(play, shop, sh, container, restore, until):
    before = shop()
    broken = {
        "moves": [],
        "paused": {"page": False, "web": sh("docker ps --format '{{.Names}}' | grep -E '^app-[0-9a-f]+$'")},
    }
    broken["paused"] |= {"workers": [], "timers": []}
    broken["moves"] = [{"path": "/srv/app/data", "before": "/srv/app/restore/data", "was": True}]
    broken["moves"][0]["new"] = "/srv/app/restore/tree/srv/app/data"
    sh("mkdir -p /srv/app/restore/tree/srv/app && mv /srv/app/data /srv/app/restore/data && mkdir /srv/app/data")
    sh(f"cat > /srv/app/restore/journal.json <<'END'\n{json.dumps(broken)}\nEND")
    refused = play("playbooks/restore.yml", "-e", "restore_app=app", succeed=False)
    assert refused.rc != 0
    assert until(lambda: shop() == before, 30)
    assert time.time()
