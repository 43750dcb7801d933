"""A database goes back to a second, of which rows tell, and no other app's database does."""

from __future__ import annotations

import json

import pytest

PSQL = "cd /; sudo -u postgres psql -At"
CLOCK = f'{PSQL} -c "SELECT to_char(clock_timestamp() AT TIME ZONE \'UTC\', \'YYYY-MM-DD\\"T\\"HH24:MI:SS\\"Z\\"\')"'
OF_THE_DATABASE = (
    f"{PSQL} -c 'SELECT datacl, datconnlimit, setconfig FROM pg_database d LEFT JOIN pg_db_role_setting s "
    "ON s.setdatabase = d.oid WHERE datname = $$shop$$'"
)


@pytest.fixture
def restore(play):
    """Restore with the word that the refusal asks for; return the run."""

    def run(*arguments: str, succeed: bool = True):
        words = ("playbooks/restore.yml", "-e", "restore_app=shop", *arguments)
        refused = play(*words, succeed=False)
        assert refused.rc != 0 and "-e restore_over=" in refused.output, refused.output
        word = refused.output.partition("-e restore_over=")[2].split()[0].split('"')[0].split("\\")[0]
        return play(*words, "-e", f"restore_over={word}", succeed=succeed)

    return run


def items(get):
    return json.loads(get("https://app.test/").body)["items"]


def test_the_database_goes_back_to_a_second_and_forward_again(get, sh, play, restore):
    sh(f"{PSQL} -c 'ALTER SYSTEM SET listen_addresses = $$192.0.2.1$$'")  # where nothing of this host could listen
    sh(f"{PSQL} -c 'ALTER DATABASE shop SET search_path = app, public' -c 'ALTER DATABASE shop CONNECTION LIMIT 90'")
    told = sh(OF_THE_DATABASE)[1]
    assert "search_path" in told and "|90|" in told
    play("playbooks/backup.yml")
    get("https://app.test/items", "-X", "POST")
    before = items(get)
    then = sh(f"sleep 1.2; {CLOCK}")[1]
    sh("sleep 1.2")
    get("https://app.test/items", "-X", "POST")
    sh(f"{PSQL} shop -c 'DELETE FROM item WHERE id % 2 = 0'")
    sh(f'{PSQL} -c "CREATE DATABASE other"; {PSQL} other -c "CREATE TABLE kept (id int)"')
    damaged = items(get)
    now = sh(f"sleep 1.2; {CLOCK}; sleep 1.2")[1]
    done = restore("-e", f"restore_time={then}")
    assert items(get) == before and "restored the database of shop" in done.output
    assert sh(OF_THE_DATABASE)[1] == told, "what ALTER DATABASE said of it came along"
    assert sh(f"{PSQL} other -c 'SELECT count(*) FROM kept'")[1] == "0", "another database stays as it is"
    assert get("https://app.test/items", "-X", "POST").status == 200
    restore("-e", f"restore_time={now}")
    sh(f"{PSQL} -c 'ALTER SYSTEM RESET listen_addresses'")
    assert items(get) == damaged
    left = sh(f"{PSQL} -c 'SELECT datname FROM pg_database ORDER BY 1'; ls /var/lib/postgresql/flask-deploy")[1]
    assert "restored" not in left and "before" not in left and "restore" not in left.splitlines()


def test_a_time_that_no_backup_serves_is_refused_with_those_there_are(play, snapshot):
    before = snapshot()
    said = play(
        "playbooks/restore.yml", "-e", "restore_app=shop", "-e", "restore_time=2020-01-01T00:00:00Z", succeed=False
    )
    assert "there is no backup of PostgreSQL that ended before 2020-01-01 00:00 UTC" in " ".join(said.output.split())
    assert snapshot() == before
