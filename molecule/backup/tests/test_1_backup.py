"""A backup is made, proved, and brings back what was there, on the host that it is of and on an emptied one."""

from __future__ import annotations

import json
import re

SAID = r"good of \S+ \S+ UTC \(0 hours ago, took \d+ s\), \d+ files, [\d.]+ MB, .* new, snapshot [0-9a-f]{8}"


def test_its_timers_wait_and_root_alone_reads_its_secrets(sh):
    for kind in ("backup", "drill"):
        assert sh(f"systemctl is-active flask-deploy-{kind}@app.timer") == "active"
    modes = sh("find /etc/flask-deploy/backup/app -type f -printf '%m %u %f\\n'").splitlines()
    assert sorted(modes) == ["400 root env.json", "400 root password", "400 root settings.json"]
    assert sh("stat -c %a /etc/flask-deploy/backup") == "700"


def test_set_up_twice_changes_nothing(play):
    assert play("site.yml", "--tags", "backup").changed == 0


def test_before_the_first_one_the_status_says_so_and_is_not_red(play):
    assert "backup: none yet" in play("playbooks/status.yml").output


def test_a_backup_now_tells_what_it_saved(play, write):
    write("first")
    assert re.search(SAID, " ".join(play("playbooks/backup.yml").output.split()))


def test_no_secret_is_in_the_journal_or_on_a_command_line(sh):
    logged = sh("journalctl -b --no-pager; cat /etc/systemd/system/flask-deploy-*")
    assert "sentinel-of" not in logged


def test_a_drill_proves_it_and_the_status_tells(play, run_unit, sh):
    assert run_unit("drill")[0] == "success"
    told = play("playbooks/status.yml").output
    assert "note 1 rows (live 1)" in told
    assert sh("ls /var/lib/flask-deploy/backup/app") == "status.json"


def test_a_restore_refuses_without_the_word_and_brings_back_the_state_of_before(
    play, restore, shop, write, sh, release
):
    before, serves = shop(), release()
    write("second")
    assert restore().rc == 0
    assert shop() == before and release() == serves
    assert sh("stat -c %u:%g:%a /srv/app/data/shop.db").startswith("10001:10001:")
    assert "restore" not in sh("ls /srv/app; ls /etc | grep '^app'")
    write("third")
    assert restore().rc == 0, "and once more"
    assert shop() == before
    assert "worker" in sh("docker ps --format '{{.Names}}'")
    assert sh("systemctl is-active flask-deploy-keep@app.service") == "active"


def test_data_that_the_app_does_not_start_with_is_put_back(play, restore, shop, sh):
    sh("touch /srv/app/data/broken")
    play("playbooks/backup.yml")
    sh("rm /srv/app/data/broken")
    before = shop()
    failed = restore(succeed=False)
    assert failed.rc != 0 and "all is as it was before" in failed.output and "the data is broken" in failed.output
    assert shop() == before
    assert "restore" not in sh("ls /srv/app; ls /etc | grep '^app'")


def test_an_older_backup_is_restored_by_its_id(restore, shop, write, sh):
    listed = sh("cd /usr/local/lib/flask-deploy && python3 -B -m keep_backups list app")
    first = json.loads(listed)["snapshots"][0].split()[0]
    write("fourth")
    restore("-e", f"restore_snapshot={first}")
    assert shop() == {"notes": ["first"], "uploads": ["first"]}


def test_an_emptied_host_is_as_before_after_restore_and_deploy(play, shop, sh):
    play("playbooks/backup.yml")
    before = shop()
    play("playbooks/remove.yml", "-e", "remove_app=app", "-e", "remove_data=true")
    places = "/etc/systemd/system /var/lib/flask-deploy/backup /etc/flask-deploy/backup"
    assert sh(f"ls {places} | grep -cE '@app|^app'", check=False) == "0"
    play("playbooks/restore.yml", "-e", "restore_app=app")
    play("site.yml")
    assert shop() == before
