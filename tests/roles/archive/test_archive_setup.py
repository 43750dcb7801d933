"""What pgbackrest is told, and the program that it is run by."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ansible.module_utils import archive_repository
from ansible.modules import archive_setup as module
from ansible.modules import postgres_app

from tests.conftest import ROOT

S3 = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
SETTINGS = {
    "app": "shop",
    "host": "web1",
    "keep_days": 28,
    "queue": 4,
    "full_days": 7,
    "at": "*-*-* 03:00",
    "jitter": 30,
}


def repository(to, home="", **environment):
    return archive_repository.repository({**SETTINGS, "to": to}, {**S3, **environment}, home)


@pytest.mark.parametrize(
    ("to", "home", "wanted"),
    [
        ("/mnt/backup/shop", "", {"path": "/mnt/backup/shop/postgres/web1"}),
        (
            "sftp:keeper@backup.example.com:/backups/shop",
            "",
            {"path": "/backups/shop/postgres/web1", "sftp-host": "backup.example.com", "sftp-host-user": "keeper"},
        ),
        ("sftp:keeper@b.example.com:backups", "/home/keeper", {"path": "/home/keeper/backups/postgres/web1"}),
        (
            "sftp://keeper@[2001:db8::1]:2222/backups/shop",
            "",
            {"path": "/backups/shop/postgres/web1", "sftp-host": "2001:db8::1", "sftp-host-port": "2222"},
        ),
        (
            "s3:https://s3.example.com/my-backups/shop",
            "",
            {"path": "/shop/postgres/web1", "s3-endpoint": "s3.example.com", "s3-bucket": "my-backups"},
        ),
        ("s3:s3.example.com:9000/my-backups", "", {"path": "/postgres/web1", "storage-port": "9000"}),
    ],
)
def test_a_target_is_written_once_for_both_programs(to, home, wanted):
    told = repository(to, home)
    assert {name: told[name] for name in wanted} == wanted


def test_a_ca_and_a_region_of_one_s_own_are_used():
    told = repository("s3:s3.example.com/b", AWS_DEFAULT_REGION="eu-north-1", RESTIC_CACERT="/etc/ssl/own.pem")
    assert (told["s3-region"], told["storage-ca-file"]) == ("eu-north-1", "/etc/ssl/own.pem")


def test_the_archive_is_encrypted_by_what_follows_from_the_one_password():
    """As the README says how to make it by hand."""
    text = archive_repository.config({**SETTINGS, "to": "/mnt"}, "a long enough password", {"path": "/mnt"}, "17")
    words = ["sh", "-c", "printf 'flask-deploy archive %s' \"$1\" | sha256sum", "sh", "a long enough password"]
    by_hand = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[0]
    assert f"\nrepo1-cipher-pass={by_hand}\n" in text and "a long enough" not in text
    assert "\nprocess-max=1\n" in text and "\narchive-push-queue-max=4GiB\n" in text
    assert "pg1-path=/var/lib/postgresql/17/main\n" in text


def test_postgresql_hands_its_log_over_where_the_archive_is_set_up():
    command = {name: value for name, value, _why in postgres_app.table(1024)}["archive_command"]
    assert f"--config={archive_repository.ETC}/pgbackrest.conf" in command
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0, "and nothing happens where it is not"


def test_the_program_finds_all_its_parts_by_itself(tmp_path):
    """It lies beside the one of role backup."""
    texts = {}
    for role in ("backup", "archive"):
        name = {"backup": "keep_backups", "archive": "keep_archive"}[role]
        for path in (ROOT / f"roles/{role}/files/{name}").glob("*.py"):
            texts[f"{name}/{path.name}"] = path.read_text()
    for path, text in {**texts, **module.programs.sources(module.PARTS)}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    words = [sys.executable, "-B", "-c", "import keep_archive.__main__, sys; print(*sys.modules)"]
    done = subprocess.run([*words], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "keep_archive.telling" in done.stdout.split()


def test_its_units_come_after_what_serves():
    texts = module.timed.units("keep_archive", module.KINDS, dict.fromkeys(module.KINDS, "*-*-* 03:00"), SETTINGS)
    service = texts["/etc/systemd/system/flask-deploy-archive@shop.service"]
    assert "-m keep_archive save shop" in service and "IOSchedulingClass=idle" in service and "Nice=19" in service
    assert "RandomizedDelaySec=30min" in texts["/etc/systemd/system/flask-deploy-archive@shop.timer"]


def test_a_version_that_knows_no_sftp_is_told_before_anything_is_written(monkeypatch):
    monkeypatch.setattr(module.command, "run", lambda *_words, **_more: b"pgBackRest 2.45\n")
    with pytest.raises(module.SetupError, match=r"pgbackrest of this Debian \(2.45\) cannot reach sftp:"):
        module.see_version("sftp:keeper@backup.example.com:/backups")
    module.see_version("/mnt/backup")
