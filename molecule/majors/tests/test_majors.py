"""PostgreSQL moves to the version of its Debian with all rows, and back; a run that is killed is ended by the next."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
PSQL = "cd /; sudo -u postgres psql -At -h /run/postgresql"
UPGRADE = ("playbooks/upgrade_postgres.yml", "-e", "postgres_upgrade=")
DRILL = "systemctl start flask-deploy-archive-drill@shop"


@pytest.fixture(scope="module")
def move(play):
    """Run the playbook with an action; return what it said, in one line."""

    def run(action, *arguments, succeed=True):
        playbook, option, variable = UPGRADE
        done = play(playbook, option, f"{variable}{action}", *arguments, succeed=succeed)
        assert succeed or done.rc != 0, done.output
        return " ".join(done.output.replace("\\n", " ").split())

    return run


@pytest.fixture(scope="module")
def version(sh):
    return lambda: sh(f"{PSQL} shop -c 'SHOW server_version'")[1].partition(".")[0]


def notes(get):
    answer = get("https://app.test/")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)["notes"]


def word(said):
    return ("-e", re.search(r"-e (postgres_upgrade_over=[\w.:-]+)", said)[1])


def test_it_begins_with_the_version_of_before(version, get):
    assert version() == "15"
    assert get("https://app.test/notes/first", "--data", "x").status == 204


def test_without_a_drill_it_is_refused_and_nothing_changes(move, snapshot):
    before = snapshot()
    said = move("upgrade", succeed=False)
    assert "no drill has proved yet" in said and "postgres_upgrade_over=without-backup" in said
    assert snapshot() == before


def test_a_newer_cluster_of_somebody_else_s_is_refused(move, sh):
    sh("mkdir -p /etc/postgresql/17/main && touch /etc/postgresql/17/main/postgresql.conf")
    try:
        said = move("upgrade", "-e", "postgres_upgrade_over=without-backup", succeed=False)
    finally:
        sh("rm -r /etc/postgresql/17")
    assert "PostgreSQL 17/main is on this host already" in said


def test_it_moves_with_all_rows_and_the_apps_answer(move, play, sh, version, get):
    play("playbooks/backup.yml")
    assert sh(DRILL) == (0, "")
    said = move("upgrade")
    assert version() == "17" and notes(get) == ["first"], said
    assert "behind a maintenance page: shop" in said and "a full backup of PostgreSQL 17 is made" in said
    assert get("https://app.test/notes/second", "--data", "x").status == 204
    assert sh("systemctl is-active postgresql@15-main")[1] == "inactive"
    assert "pg_trgm" in sh(f"{PSQL} shop -c 'SELECT extname FROM pg_extension'")[1]


def test_all_is_as_a_setup_makes_it(play, sh):
    assert play("site.yml").changed == 0
    assert play("playbooks/status.yml").rc == 0
    assert sh(DRILL) == (0, "")


def test_the_app_gets_in_and_others_do_not(sh):
    assert "peer" in sh("grep -v '#' /etc/postgresql/17/main/pg_hba.conf")[1]
    code, said = sh(f"{PSQL.replace('postgres psql', 'nobody psql')} shop -c 'SELECT 1'")
    assert code != 0 and "pg_hba.conf rejects connection" in said


def test_a_second_one_moves_nothing(move):
    assert "there is nothing to move" in move("upgrade")


def test_the_database_can_go_behind_the_upgrade(play, get, sh):
    points = sh("grep -h -o 'upgrade-[0-9TZ]*-17' /var/log/postgresql/postgresql-15-main.log | tail -1")[1]
    words = ("playbooks/restore.yml", "-e", "restore_app=shop", "-e", f"restore_point={points}")
    refused = play(*words, succeed=False).output
    over = re.search(r"-e restore_over=([\w:-]+)", refused)
    assert over, refused
    play(*words, "-e", f"restore_over={over[1]}")
    assert notes(get) == ["first"]


def test_the_way_back_says_what_it_loses_and_serves_what_was_there(move, get, version):
    assert get("https://app.test/notes/late", "--data", "x").status == 204
    said = move("back", succeed=False)
    assert "shop: " in said and "rows added" in said
    said = move("back", *word(said))
    assert version() == "15" and notes(get) == ["first"], said
    assert get("https://app.test/notes/again", "--data", "x").status == 204


def test_after_a_way_back_the_newer_one_goes_by_a_word(move, sh):
    assert "is still kept here" in move("upgrade", succeed=False)
    assert "removed 17/main" in move("drop")
    assert sh("test -e /var/lib/postgresql/17/main")[0] == 1
    assert sh(DRILL) == (0, "")


def test_one_that_is_killed_is_ended_by_the_same_command(move, sh, until, version, get):
    words = ["ansible-playbook", UPGRADE[0], "-i", os.environ["MOLECULE_INVENTORY_FILE"]]
    run = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: sh("pgrep -x pg_upgrade")[0] == 0, 300)
        assert sh("kill -9 $(ps -o ppid= -p $(pgrep -o -f '[p]g_upgradecluster'))") == (0, "")
    finally:
        run.wait(300)
    assert get("https://app.test/").status == 503, "the maintenance page"
    said = move("upgrade")
    assert "put back a move that was cut off" in said
    assert version() == "17" and notes(get) == ["first", "again"]
    servers = sh("pgrep -a -f '[b]in/postgres -D'")[1]
    assert "/17/main" in servers and len(servers.splitlines()) == 1, servers


def test_the_old_one_goes_when_all_is_well(move, sh, play):
    assert "removed 15/main" in move("drop")
    assert sh("test -e /etc/postgresql/15/main")[0] == 1
    assert play("site.yml").changed == 0
