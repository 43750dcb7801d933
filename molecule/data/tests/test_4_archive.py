"""PostgreSQL is in the backups: set up by nothing more, encrypted, told where it fails, and caught up by itself."""

from __future__ import annotations

import json
import os

import pytest

PLACE = "/usr/local/lib/flask-deploy"
REPO = "/mnt/backup/shop"
SWITCH = 'cd /; sudo -u postgres psql -Atc "SELECT pg_current_xact_id()" -c "SELECT pg_switch_wal()"'


@pytest.fixture(scope="module")
def keep(sh):
    """Run the program of the archive; return (exit code, what it said)."""
    return lambda words: sh(f"cd {PLACE} && python3 -B -m keep_archive {words}")


@pytest.fixture(scope="module")
def told(sh):
    """Return how the backups are: {"lines", "problems"}."""
    return lambda: json.loads(sh(f"cd {PLACE} && python3 -B -m keep_backups status shop")[1])


def test_its_timer_waits_and_postgres_alone_reads_its_secrets(sh):
    assert sh("systemctl is-active flask-deploy-archive@shop.timer") == (0, "active")
    modes = sh("find /etc/flask-deploy/archive -type f -printf '%m %u %f\\n'")[1].splitlines()
    assert sorted(modes) == ["400 postgres pgbackrest.conf", "400 postgres settings.json"]


def test_a_second_setup_changes_nothing(play):
    assert play("site.yml", "--tags", "backup").changed == 0


def test_a_backup_now_saves_postgresql_too_and_the_next_one_is_small(play, keep, told):
    assert "PostgreSQL: good of" in " ".join(play("playbooks/backup.yml").output.split())
    assert keep("save")[0] == 0
    kinds = [line.split()[1] for line in keep("list")[1].splitlines()]
    assert kinds[0] == "full" and kinds[-1] == "diff"
    assert told()["problems"] == []


def test_nothing_of_the_app_can_be_read_at_the_target(sh):
    assert sh(f"grep -rl 'PG_VERSION\\|CREATE TABLE' {REPO}/postgres | head")[1] == ""


def test_no_secret_is_in_the_journal_or_on_a_command_line(sh):
    assert "sentinel-of" not in sh("journalctl -b --no-pager; cat /etc/systemd/system/flask-deploy-*; ps ax")[1]


def test_a_target_that_is_gone_is_told_and_the_log_is_caught_up(sh, keep, told, get, until):
    sh(f"mv {REPO} /mnt/away")
    try:
        sh(SWITCH)
        status = "/var/lib/postgresql/*/main/pg_wal/archive_status"
        until(lambda: sh(f"ls {status}/*.ready")[0] == 0, 20)
        sh(f"sleep 5; touch -d '3 days ago' {status}/*.ready")
        assert get("https://app.test/").status == 200
        (late,) = [line for line in told()["problems"] if "is late" in line]
        assert "waits for 4320 minutes" in late and "see that its disk is mounted" in late
        code, said = keep("save")
        assert code == 1 and "had backups and is not there any more" in said
        assert sh("ls /mnt/backup")[1] == "", "and nothing is made in its place"
    finally:
        sh(f"mv /mnt/away {REPO}")
    until(lambda: sh(f"ls {status}/*.ready")[0] != 0, 90)
    assert keep("save")[0] == 0 and told()["problems"] == []


def test_a_wrong_password_is_told_and_the_next_run_is_well(sh, keep):
    conf = "/etc/flask-deploy/archive/pgbackrest.conf"
    sh(f"cp -a {conf} /root/conf; sed -i 's/cipher-pass=./cipher-pass=z/' {conf}; chown postgres {conf}")
    try:
        code, said = keep("save")
    finally:
        sh(f"cp -a /root/conf {conf}")
    assert code == 1 and said.splitlines()[-1].startswith("backup_password does not open the archive at"), said
    assert keep("save")[0] == 0


def test_a_full_target_is_told_and_earlier_backups_stay(sh, keep, play):
    sh("mkdir -p /mnt/small && mount -t tmpfs -o size=2m small /mnt/small && chmod 755 /mnt/small")
    try:
        full = play("site.yml", "--tags", "backup", "-e", "archive_to=/mnt/small", succeed=False)
        code, said = keep("full") if full.rc == 0 else (1, full.output)
        assert code == 1 and "is full" in " ".join(said.split()), said
    finally:
        play("site.yml", "--tags", "backup")
        sh("umount /mnt/small")
    assert keep("save")[0] == 0


def test_another_host_by_ssh(sh, keep, play):
    """Which here is the host itself, by a path that begins at the home of its user."""
    if os.environ.get("MOLECULE_SUITE") == "bookworm":
        pytest.skip("its pgbackrest knows no sftp, and the setup says so: tests/roles/archive")
    sh("id keeper || useradd --create-home keeper; mkdir -p ~keeper/.ssh; rm -f /root/key*")
    sh(
        "ssh-keygen -q -t ed25519 -N '' -f /root/key; cp /root/key.pub ~keeper/.ssh/authorized_keys; "
        "chown -R keeper ~keeper"
    )
    key, host = sh("cat /root/key")[1] + "\n", sh("ssh-keyscan 127.0.0.1 2>/dev/null | grep -v '^#'")[1]
    there = {"archive_to": "sftp:keeper@127.0.0.1:backups/shop", "backup_ssh_key": key, "backup_host_key": host}
    try:
        play("site.yml", "--tags", "backup", "-e", json.dumps(there))
        assert keep("save")[0] == 0 and "full" in keep("list")[1]
        assert sh("ls ~keeper/backups/shop/postgres/host/backup")[0] == 0
    finally:
        play("site.yml", "--tags", "backup")
    assert keep("save")[0] == 0
