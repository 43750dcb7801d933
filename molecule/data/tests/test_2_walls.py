"""Who gets into a service: the app that it was set up for, and nobody else on the host or beside it."""

from __future__ import annotations

import pytest

SELECT = "import psycopg; print(psycopg.connect('postgresql://{0}@/{1}?host=/run/postgresql').execute('SELECT 7'))"
DONE = "INTRANS"  # what a cursor shows that has run a statement
PING = "import redis; print(redis.from_url('unix:///run/valkey-mail-queue/valkey.sock').ping())"
TCP = "import psycopg; psycopg.connect('postgresql://shop@127.0.0.1/shop')"


@pytest.mark.parametrize(("app", "uid"), [("shop", 10001), ("mail", 10002)])
def test_an_app_reaches_its_own_database(as_user, app, uid):
    code, said = as_user("mail", uid, SELECT.format(app, app))
    assert code == 0 and DONE in said, said


@pytest.mark.parametrize(
    ("uid", "role", "database", "why"),
    [
        (10001, "mail", "mail", "Peer authentication failed"),
        (10002, "shop", "shop", "Peer authentication failed"),
        (10002, "mail", "shop", "rejects connection"),
        (10002, "mail", "postgres", "rejects connection"),
        (10002, "mail", "template1", "rejects connection"),
        (10002, "postgres", "mail", "eer authentication failed"),
        (10003, "shop", "shop", "could not look up local user ID 10003"),
        (33, "shop", "shop", "eer authentication failed"),
    ],
)
def test_no_other_database_and_no_other_user_is_let_in(as_user, uid, role, database, why):
    code, said = as_user("mail", uid, SELECT.format(role, database))
    assert code != 0 and (why in said or "eer authentication failed" in said), said


def test_the_host_s_own_users_are_refused(sh):
    for user in ("deploy", "root", "www-data"):
        for role in ("shop", "postgres"):
            code, said = sh(f"cd /; runuser -u {user} -- psql -h /run/postgresql -U {role} shop -c 'SELECT 1'")
            assert code != 0 and "eer authentication failed" in said, said
        if user != "root":
            code, said = sh(f"runuser -u {user} -- python3 -c '{CONNECT}'")
            assert code != 0 and "Permission denied" in said, said


CONNECT = 'import socket; socket.socket(socket.AF_UNIX).connect("/run/valkey-mail-queue/valkey.sock")'


def test_the_superuser_stays(sh):
    assert sh("cd /; sudo -u postgres psql -Atc 'SELECT 7'") == (0, "7")


def test_valkey_takes_its_app_alone(as_user):
    assert as_user("mail", 10002, PING) == (0, "True")
    for uid in (10001, 10003, 33):
        code, said = as_user("mail", uid, PING)
        assert code != 0 and "Permission denied" in said, said


def test_an_app_sees_no_socket_of_another(sh):
    name = sh("docker ps -q --filter label=flask-deploy.app=shop")[1]
    assert "valkey-mail-queue" not in sh(f"docker exec {name} ls /run")[1]


def test_neither_listens_on_a_network_nor_reaches_one(sh):
    listening = sh("ss -Hltnp")[1]
    assert "postgres" not in listening and "valkey" not in listening
    pid = sh("systemctl show -p MainPID --value valkey-server@mail-queue")[1]
    assert sh(f"nsenter -t {pid} -n ip -br link")[1].split()[0] == "lo"
    assert sh("systemctl is-enabled valkey-server.service")[1] == "disabled"


@pytest.mark.parametrize(
    "statement", ["CREATE ROLE x", "SET ROLE postgres", "SELECT pg_ls_dir(chr(46))", "CREATE EXTENSION pageinspect"]
)
def test_an_app_s_role_may_do_no_more_than_it_needs(as_user, statement):
    code, said = as_user("mail", 10002, SELECT.format("mail", "mail").replace("SELECT 7", statement))
    assert code != 0 and "permission denied" in said.lower(), said
