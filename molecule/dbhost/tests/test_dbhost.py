"""An app's database is on another host: the app alone comes in, from its host alone, and checks whom it talks to."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

PSQL = "psql -XAtc 'SELECT 1'"
CA = "/etc/flask-deploy/postgres-ca/ca.crt"


@pytest.fixture(scope="module")
def hosts():
    """Return {name: (container, address)}."""
    rows = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    return {row["instance"]: (row["container"], row["address"]) for row in rows}


@pytest.fixture(scope="module")
def sh(hosts):
    """Run a command on a host as root; return (exit code, all that it printed)."""

    def run(name, command):
        words = ["docker", "exec", hosts[name][0], "sh", "-c", command]
        done = subprocess.run(words, capture_output=True, check=False)
        return done.returncode, (done.stdout + done.stderr).decode().strip()

    return run


@pytest.fixture(scope="module")
def password(sh):
    return sh("db1", "cat /etc/flask-deploy/postgres/shop.password")[1]


@pytest.fixture(scope="module")
def client(sh, hosts, password):
    """Ask the database from a host; return (exit code, what psql said)."""
    assert sh("web1", "apt-get install -qq --no-install-recommends postgresql-client")[0] == 0

    def ask(name="web1", user="shop", database="shop", host="", mode="verify-full", secret=""):
        address = hosts["db1"][1]
        where = f"host={host or address} hostaddr={address} user={user} dbname={database} sslmode={mode}"
        trust = f"sslrootcert={CA}" if mode == "verify-full" else ""
        return sh(name, f"PGPASSWORD={secret or password} {PSQL} '{where} {trust}'")

    return ask


def notes(get):
    answer = get("https://app.test/")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)["notes"]


def test_the_app_reads_and_writes_over_tls(get, sh):
    assert get("https://app.test/notes/first", "--data", "x").status == 204
    assert notes(get) == ["first"]
    assert "first" in sh("db1", "cd /; sudo -u postgres psql -At shop -c 'SELECT text FROM note'")[1]
    assert sh("web1", "ls /etc/postgresql")[0] != 0, "no PostgreSQL beside the app"


def test_what_the_app_is_given_gets_in(client):
    assert client() == (0, "1")


def test_nothing_gets_in_without_tls(client):
    code, said = client(mode="disable")
    assert code != 0 and "no encryption" in said


def test_another_role_and_another_database_are_refused(client):
    for code, said in (client(user="postgres"), client(database="postgres"), client(user="other", database="other")):
        assert code != 0 and "no pg_hba.conf entry" in said


def test_another_password_is_refused(client):
    code, said = client(secret="x" * 43)
    assert code != 0 and "password authentication failed" in said


def test_another_host_s_address_is_refused(client):
    code, said = client(name="db1", mode="require")
    assert code != 0 and "no pg_hba.conf entry" in said


def test_a_server_of_another_name_is_not_trusted(client):
    code, said = client(host="other.test")
    assert code != 0 and "does not match host name" in said


def test_a_server_with_a_certificate_of_another_ca_is_not_trusted(client, sh):
    assert (
        sh(
            "web1",
            f"cp {CA} /root/ca && openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=x -out {CA}",
        )[0]
        == 0
    )
    try:
        code, said = client()
    finally:
        sh("web1", f"cp /root/ca {CA}")
    assert code != 0 and "certificate verify failed" in said


def test_a_restart_of_postgresql_is_recovered_from(get, sh, until):
    assert sh("db1", "systemctl restart 'postgresql@*-main'")[0] == 0
    until(lambda: get("https://app.test/").status == 200, 30)


def test_the_password_is_in_no_output_and_not_in_docker_inspect(play, sh, password):
    said = play("site.yml", "-vvv", "--diff").output
    assert password not in said
    assert password not in sh("web1", "docker inspect $(docker ps -aq); ps ax; journalctl -b --no-pager")[1]
    assert password not in sh("db1", "ps ax; journalctl -b --no-pager; cat /var/log/postgresql/*.log")[1]
    held = sh("web1", f"grep -rl '{password}' /etc /srv /var/lib/flask-deploy 2>/dev/null")[1].split()
    assert held == ["/etc/shop/secrets/env.json"]
    assert sh("web1", f"stat -c %a {held[0]}")[1] == "400"


def test_a_second_setup_and_a_deploy_change_nothing(play, release):
    assert play("site.yml").changed == 0
    assert play("playbooks/app.yml").changed == 0


def test_backups_that_would_not_be_made_are_refused(play, snapshot):
    before = snapshot()
    words = {"backup_to": "/mnt/backup/shop", "backup_password": "sentinel-of-backups-5f0c"}
    said = " ".join(play("site.yml", "-e", json.dumps(words), succeed=False).output.split())
    assert "backups and restore points of PostgreSQL are made beside the app alone, and here it is on db1" in said
    assert snapshot() == before


def test_a_removed_app_drops_its_database_when_told(play, sh):
    play("playbooks/remove.yml", "-e", "remove_app=shop", "-e", "remove_data=true")
    assert sh("db1", "cd /; sudo -u postgres psql -At -c \"SELECT 1 FROM pg_database WHERE datname = 'shop'\"")[1] == ""
    assert sh("db1", "grep -c hostssl /etc/postgresql/*/main/pg_hba.conf")[1] == "0"
    assert sh("db1", "test -e /etc/flask-deploy/postgres/shop.password")[0] == 1
