"""Two lines give an app a database and a queue; what does not fit is told before anything changes."""

from __future__ import annotations

import json
import shlex

SITE, APP = "site.yml", "playbooks/app.yml"


def test_an_app_has_a_database_of_its_own_with_its_extensions(get, sh):
    before = json.loads(get("https://app.test/").body)["items"]
    assert json.loads(get("https://app.test/items", "-X", "POST").body)["items"] == before + 1
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'"
    assert sh(f'cd /; sudo -u postgres psql -Atc "{owner}"')[1] == "shop"
    assert "pg_trgm" in sh("cd /; sudo -u postgres psql -Atc 'SELECT extname FROM pg_extension' shop")[1]


def test_one_off_commands_have_its_address(play):
    said = play("playbooks/run.yml", "-e", "run_command=printenv DATABASE_URL").output
    assert "\npostgresql+psycopg://shop@/shop?host=/run/postgresql\n" in said
    assert "0001" in play("playbooks/run.yml", "-e", "run_command=flask db current").output


def test_an_address_without_a_host_reaches_it_too(play):
    asks = (
        "import psycopg; print(psycopg.connect('postgresql://shop:unused@/shop').execute('SELECT 41 + 1').fetchone())"
    )
    command = json.dumps({"run_command": shlex.join(["python", "-c", asks])})
    assert "(42,)" in play("playbooks/run.yml", "-e", command).output


def test_a_second_run_changes_nothing(play, sh):
    running = sh("systemctl show -p ActiveEnterTimestampMonotonic postgresql@17-main")
    assert play(SITE).changed == 0
    assert sh("systemctl show -p ActiveEnterTimestampMonotonic postgresql@17-main") == running


def test_an_app_without_needs_runs_no_task_of_services(mail, sh, ask):
    run = mail(SITE, app_uid=10002)
    assert "postgres_app" not in run.output and "Install Valkey" not in run.output
    assert json.loads(ask("/"))["services"] == []
    assert sh("ls /etc/valkey/valkey-mail-queue.conf")[0] != 0


def test_an_id_that_another_app_has_is_refused_with_the_line_to_write(mail, needs, snapshot):
    before = snapshot()
    run = mail(SITE, succeed=False, **needs)
    said = " ".join(run.output.split())
    assert "app_uid: 10001 belongs to app shop of flask-deploy on this host" in said
    assert "write app_uid: 10002" in said and "nothing was changed" in said
    assert snapshot() == before


def test_a_deploy_alone_says_that_services_are_set_up_first(mail, needs, snapshot):
    before = snapshot()
    said = " ".join(mail(APP, succeed=False, app_uid=10002, **needs).output.split())
    assert "app_needs: postgres is not set up for mail on this host yet" in said
    assert "app_needs: valkey is not set up for mail on this host yet" in said
    assert snapshot() == before


def test_the_second_app_gets_both_and_a_second_run_changes_nothing(mail, needs, ask, until):
    mail(SITE, app_uid=10002, **needs)
    assert json.loads(ask("/"))["services"] == ["CELERY_BROKER_URL", "DATABASE_URL", "REDIS_URL"]
    before = int(ask("/sent"))
    ask("/letters/5", "POST")
    until(lambda: int(ask("/sent")) == before + 5, 30)
    assert mail(SITE, app_uid=10002, **needs).changed == 0


def test_a_rollback_to_a_release_without_needs_works_and_the_way_back_too(mail, needs, ask):
    mail(APP, app_uid=10002)
    assert json.loads(ask("/"))["services"] == []
    mail(APP, app_uid=10002, **needs)
    assert ask("/sent").isdigit()
    mail("playbooks/rollback.yml", app_uid=10002, **needs)
    assert json.loads(ask("/"))["services"] == []
    mail(APP, "-e", "app_accept_rejected=true", app_uid=10002, **needs)
    assert ask("/sent").isdigit() and ask("/waiting").isdigit()
