"""A drill proves the newest backup of PostgreSQL, and is red for each way in which it would not do."""

from __future__ import annotations

import json

import pytest

PLACE = "/usr/local/lib/flask-deploy"
REPO = "/mnt/backup/shop/postgres/host"
SWITCH = 'cd /; sudo -u postgres psql -Atc "SELECT pg_current_xact_id()" -c "SELECT pg_switch_wal()"'


@pytest.fixture
def drill(sh):
    """Run a drill as its timer does; return (systemd's word for how it ended, what the status finds wrong)."""

    def run() -> tuple[str, str]:
        sh("systemctl start flask-deploy-archive-drill@shop")
        told = json.loads(sh(f"cd {PLACE} && python3 -B -m keep_backups status shop")[1])
        result = sh("systemctl show -P Result flask-deploy-archive-drill@shop")[1]
        return result, " ".join(line for line in told["problems"] if "drill of PostgreSQL" in line)

    return run


@pytest.fixture(autouse=True)
def well_after(sh, drill):
    """Claim after each fault that a new full backup makes all well."""
    yield
    assert sh(f"cd {PLACE} && python3 -B -m keep_archive full")[0] == 0
    assert drill() == ("success", "")


def test_it_restores_what_was_written_since_counts_rows_and_leaves_nothing(sh, drill):
    assert sh("systemctl is-active flask-deploy-archive-drill@shop.timer")[1] == "active"
    assert drill() == ("success", "")
    rows = sh("cd /; sudo -u postgres psql -Atc 'SELECT count(*) FROM item' shop")[1]
    lines = json.loads(sh(f"cd {PLACE} && python3 -B -m keep_backups status shop")[1])["lines"]
    assert any(f"public.item {rows} rows (live {rows})" in line for line in lines), lines
    assert sh("ls /var/lib/postgresql/flask-deploy")[1] == "lock" and sh("pgrep -fc '[f]lask-deploy/drill'")[1] == "0"


def test_a_page_of_the_backup_that_is_flipped_is_an_alarm(sh, drill):
    file = sh(f"find {REPO}/backup -path '*F/bundle/*' -type f -printf '%s %p\\n' | sort -n | tail -1")[1].split()[1]
    flip = "n = p.seek(0, 2) // 2; p.seek(n); b = p.read(1); p.seek(n); p.write(bytes([b[0] ^ 1]))"
    sh(f"python3 -c \"p = open('{file}', 'r+b'); {flip}\"")
    result, said = drill()
    assert result == "exit-code" and "is damaged" in said, said


def test_a_part_of_the_log_that_is_missing_is_an_alarm(sh, drill):
    sh(SWITCH)
    sh(SWITCH)
    sh("sleep 5")
    sh(f"find {REPO}/archive -name '0000*.zst' -printf '%f %p\\n' | sort | tail -1 | cut -d' ' -f2 | xargs rm")
    result, said = drill()
    assert result == "exit-code" and "a part of it is missing" in said, said


def test_an_archive_that_stopped_is_an_alarm(sh, drill):
    """Though PostgreSQL itself believes that all is well."""
    sh("cd /; sudo -u postgres psql -c \"ALTER SYSTEM SET archive_command = 'true'\" -c 'SELECT pg_reload_conf()'")
    try:
        result, said = drill()
    finally:
        sh("cd /; sudo -u postgres psql -c 'ALTER SYSTEM RESET archive_command' -c 'SELECT pg_reload_conf()'")
    assert result == "exit-code" and "PostgreSQL does not write to the archive" in said, said
