"""From day to day: services restart, migrations run and fail, settings change, the host reboots."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

SHOP = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/schema"
APP = "playbooks/app.yml"
STARTED = "docker inspect --format '{{.Name}} {{.State.StartedAt}}' $(docker ps -q) | sort"


@pytest.fixture(scope="module")
def deploy(play, tmp_path_factory):
    """Release the shop with an edited line, and with more revisions."""
    place = Path(shutil.copytree(SHOP / "app", tmp_path_factory.mktemp("source") / "app"))

    def run(name, *revisions, succeed=True):
        (place / "shop.py").write_text((SHOP / "app/shop.py").read_text() + f"# {name}\n")
        for revision in revisions:
            shutil.copy(SHOP / f"later/{revision}.py", place / "migrations/versions")
        done = play(APP, "-e", f"build_source={place}", succeed=succeed)
        for revision in revisions:
            (place / f"migrations/versions/{revision}.py").unlink()
        return done

    return run


@pytest.fixture
def load(get):
    """Ask the shop all the while, a write among each five; the answers are a list."""
    answers, stop = [], threading.Event()

    def ask():
        number = 0
        while not stop.wait(0.05):
            number += 1
            url = ("https://app.test/items", "-X", "POST") if number % 5 == 0 else ("https://app.test/",)
            answers.append(get(*url).status)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    yield answers
    stop.set()
    for client in clients:
        client.join()


@pytest.fixture
def serving(sh):
    return lambda: os.path.basename(sh("readlink /srv/shop/current")[1])


def test_apps_recover_from_a_restart_of_both_without_one_of_their_own(sh, get, ask, until):
    before = sh(STARTED)
    sh("systemctl restart postgresql@17-main valkey-server@mail-queue")
    until(lambda: get("https://app.test/").status == 200, 30)
    until(lambda: str(ask("/waiting")).isdigit(), 30)
    sent = int(ask("/sent"))
    ask("/letters/3", "POST")
    until(lambda: int(ask("/sent")) == sent + 3, 60)
    assert sh(STARTED) == before


def test_a_queue_outlives_a_kill_of_its_service(sh, ask, until):
    worker = sh("docker ps -q --filter label=flask-deploy.app=mail --filter label=flask-deploy.process=worker")[1]
    sh(f"docker pause {worker}")
    sent, waits = int(ask("/sent")), int(ask("/waiting"))
    ask("/letters/50", "POST")
    time.sleep(1.5)  # it is on disk within a second
    sh("systemctl kill -s KILL valkey-server@mail-queue")
    until(lambda: str(ask("/waiting")).isdigit(), 30)
    assert int(ask("/waiting")) >= waits + 49  # one may be in the worker's hand
    sh(f"docker unpause {worker}")
    until(lambda: int(ask("/sent")) == sent + 50, 120)


def test_a_failing_migration_leaves_the_old_release_and_nothing_half_done(deploy, serving, get, sh):
    before = serving()
    run = deploy("bad", "0002_half", succeed=False)
    assert run.rc != 0 and "no_such_table" in run.output
    assert "the schema is 0001, as before" in " ".join(run.output.split())
    assert serving() == before and get("https://app.test/").status == 200
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'item'"
    assert "half" not in sh(f'cd /; sudo -u postgres psql -Atc "{columns}" shop')[1]


def test_an_expand_migration_under_load_loses_no_request(deploy, load, serving):
    before = serving()
    run = deploy("expanded", "0002_prices")
    assert serving() != before and "schema: 0001 -> 0002" in " ".join(run.output.split())
    assert len(load) > 100 and set(load) == {200}, {status: load.count(status) for status in set(load)}


def test_a_setting_that_postgresql_does_not_take_changes_nothing(play, sh):
    at = "systemctl show -p ActiveEnterTimestampMonotonic postgresql@17-main"
    before, held = sh(at), sh("sha256sum /etc/postgresql/17/main/conf.d/flask-deploy.conf")
    wrong = json.dumps({"postgres_settings": {"work_mem": "lots"}})
    run = play("site.yml", "--tags", "postgres", "-e", wrong, succeed=False)
    assert 'invalid value for parameter "work_mem": "lots"' in run.output
    assert (sh(at), sh("sha256sum /etc/postgresql/17/main/conf.d/flask-deploy.conf")) == (before, held)


def test_one_that_it_does_not_start_with_is_put_back(play, sh, get, until):
    huge = json.dumps({"postgres_settings": {"shared_buffers": "7TB"}})
    run = play("site.yml", "--tags", "postgres", "-e", huge, succeed=False)
    assert run.rc != 0
    until(lambda: get("https://app.test/").status == 200, 60)
    assert "7TB" not in sh("cat /etc/postgresql/17/main/conf.d/flask-deploy.conf")[1]


def test_it_restarts_only_for_a_setting_that_takes_that(play, sh):
    at = "systemctl show -p MainPID postgresql@17-main"
    before = sh(at)
    play("site.yml", "--tags", "postgres", "-e", json.dumps({"postgres_settings": {"work_mem": "9MB"}}))
    assert sh("cd /; sudo -u postgres psql -Atc 'SHOW work_mem'")[1] == "9MB" and sh(at) == before
    play("site.yml", "--tags", "postgres", "-e", json.dumps({"postgres_settings": {"max_connections": 90}}))
    assert sh("cd /; sudo -u postgres psql -Atc 'SHOW max_connections'")[1] == "90" and sh(at) != before
    play("site.yml", "--tags", "postgres")


def test_what_is_somebody_else_s_is_left_alone(mail, sh):
    sh("cd /; sudo -u postgres createuser guest; sudo -u postgres createdb -O postgres wiki")
    for name, said in (("guest", "a role guest that flask-deploy did not make"), ("wiki", "a database wiki that")):
        values = {"app_name": name, "site_domain": f"{name}.test", "app_uid": 10007, "app_needs": ["postgres"]}
        run = mail("site.yml", "--tags", "postgres", succeed=False, **values)
        assert said in " ".join(run.output.split()), run.output
        sh("userdel flask-10007; groupdel flask-10007; sed -i '/flask-10007/d' /etc/postgresql/17/main/pg_ident.conf")
    assert (
        sh("cd /; sudo -u postgres psql -Atc \"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname='wiki'\"")[
            1
        ]
        == "postgres"
    )


def test_a_reboot_brings_all_of_it_back(container, sh, get, ask, until, play, address, serving):
    release = serving()
    subprocess.run(["docker", "restart", "-t", "60", container], check=True, capture_output=True)
    until(lambda: get("https://app.test/").status == 200, 90)
    until(lambda: str(ask("/waiting")).isdigit() and str(ask("/sent")).isdigit(), 60)
    sent = int(ask("/sent"))
    ask("/letters/2", "POST")
    until(lambda: int(ask("/sent")) == sent + 2, 60)
    assert serving() == release
    assert play("site.yml", "--tags", "postgres", "-e", f"ansible_host={address()}").changed == 0


def test_needs_are_in_the_second_app_s_plan(mail, needs, address):
    run = mail(APP, "--check", "-e", f"ansible_host={address()}", app_uid=10002, **{**needs, "app_needs": ["postgres"]})
    assert "app_needs: /run/postgresql /run/valkey-mail-queue -> /run/postgresql" in " ".join(run.output.split())


def test_a_removed_app_leaves_its_data_and_drops_it_when_told(mail, needs, address, sh, get):
    at = ("-e", "remove_app=mail", "-e", f"ansible_host={address()}")
    said = " ".join(mail("playbooks/remove.yml", *at, app_uid=10002, **needs).output.split())
    assert "database mail of PostgreSQL, queue mail-queue of Valkey" in said
    databases = "cd /; sudo -u postgres psql -Atc 'SELECT datname FROM pg_database'"
    assert "mail" in sh(databases)[1].split()
    mail("playbooks/remove.yml", *at, "-e", "remove_data=true", app_uid=10002, **needs)
    assert "mail" not in sh(databases)[1].split() and "shop" in sh(databases)[1].split()
    left = "ls -d /etc/valkey/*mail* /var/lib/valkey/mail* /run/valkey-mail* /etc/tmpfiles.d/*mail*; id flask-10002"
    assert sh(f"({left}) 2> /dev/null")[1] == ""
    assert sh("systemctl is-active valkey-server@mail-queue")[1] != "active"
    assert get("https://app.test/").status == 200
