"""Keys are exchanged, revoked and rolled back over while people log in and use what they hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from bench.holders import Client, Holders

KEYS = "/etc/app/jwt"
SHORT = {
    **{"FLASK_JWT_EXPIRATION_DELTA": "12", "FLASK_JWT_MAX_LIFETIME": "12"},
    **{"FLASK_JWT_LEEWAY": "1", "FLASK_JWT_JWKS_MAX_AGE": "4"},
}
LONG = {**SHORT, "FLASK_JWT_EXPIRATION_DELTA": "900", "FLASK_JWT_LEEWAY": "10"}


@pytest.fixture
def password():
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "password").read_text()


@pytest.fixture
def holders(address, password):
    return lambda: Holders(address(), "app.test", "demo", password)


@pytest.fixture
def client(address):
    """One connection a request: each may meet another worker."""

    def ask(*arguments, **more):
        client = Client(address(), "app.test")
        try:
            return client.ask(*arguments, **more)
        finally:
            client.close()

    return ask


@pytest.fixture
def login(client, password):
    def token():
        status, _, body = client("POST", "/auth", {"username": "demo", "password": password})
        assert status == 200, body
        return json.loads(body)["access_token"]

    return token


@pytest.fixture
def signing(host):
    return lambda: host.check_output(f"cat {KEYS}/signing").strip()


def test_a_rotation_refuses_no_token(play, holders, signing, host, until):
    """The waits are those that the settings say: 4 s and 4 + 12 + 1 s, each and the time that workers take to look."""
    old = signing()
    with holders() as load:
        until(lambda: len(load.minted) > 5, 60)
        run = play("playbooks/rotate_keys.yml", "-e", "tokens_wait=true")
        count = len(load.minted)
        until(lambda: len(load.minted) > count + 5, 60)
    assert load.refused == [], load
    assert len({kid for _, kid, _ in load.minted}) == 2, load
    assert load.calls > 50, load
    waits = [int(seconds) for seconds in re.findall(r"in (\d+) s at the\s+earliest", run.output)]
    assert (min(waits), max(waits)) in [(6, 19), (6, 20), (7, 19), (7, 20)], run.output
    assert signing() != old
    assert not host.file(f"{KEYS}/{old}").exists
    assert host.file(f"{KEYS}/{signing()}").mode == 0o400
    assert play("playbooks/app.yml").changed == 0


def begin(*arguments, **options):
    """Begin a rotation and do not wait for it."""
    command = ["ansible-playbook", "playbooks/rotate_keys.yml", "-i", os.environ["MOLECULE_INVENTORY_FILE"]]
    return subprocess.Popen([*command, *arguments], cwd=os.environ["MOLECULE_PROJECT_DIRECTORY"], **options)


def test_a_rotation_that_was_cut_off_goes_on(play, signing, until):
    old = signing()
    assert play("playbooks/rotate_keys.yml").changed == 1
    with begin("-e", "tokens_wait=true", stdout=subprocess.PIPE, text=True) as cut:
        until(lambda: "Pausing for" in cut.stdout.readline(), 120)
        cut.kill()
    play("playbooks/rotate_keys.yml", "-e", "tokens_wait=true")
    assert signing() != old
    assert play("playbooks/rotate_keys.yml", "-e", "tokens_rotate_after=1").changed == 0


def test_two_rotations_at_once_are_one(play, host):
    both = [begin(stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [run.wait(timeout=300) for run in both] == [0, 0]
    assert host.check_output(f"ls {KEYS}/*.pem | wc -l") == "2"
    play("playbooks/rotate_keys.yml", "-e", "tokens_wait=true")
    assert host.check_output(f"ls {KEYS}/*.pem | wc -l") == "1"


def test_tokens_outlive_deploys_and_rollbacks(play, login, client, release, host):
    old = release()
    play("playbooks/app.yml", "-e", json.dumps({"app_env": LONG}))
    assert release() != old
    blue = login()
    play("playbooks/app.yml", "-e", json.dumps({"app_env": {**LONG, "FLAG": "green"}}))
    assert client("GET", "/protected", token=blue)[0] == 200
    green = login()
    files = host.check_output(f"ls {KEYS}")
    play("playbooks/rollback.yml")
    assert [client("GET", "/protected", token=token)[0] for token in (blue, green)] == [200, 200]
    assert host.check_output(f"ls {KEYS}") == files
    assert host.check_output("find /srv/app/releases -name '*.pem'") == ""


def test_a_revoked_key_is_refused_at_once_by_all_workers(play, login, client, holders, signing, host):
    token, gone = login(), signing()
    assert client("GET", "/protected", token=token)[0] == 200
    assert len(host.check_output("pgrep -f 'gunicor[n] -c'").split()) > 2
    run = play("playbooks/rotate_keys.yml", "-e", "tokens_revoke=current")
    assert {client("GET", "/protected", token=token)[0] for _ in range(60)} == {401}
    assert client("GET", "/protected", token=login())[0] == 200
    assert gone not in host.check_output(f"ls {KEYS}")
    assert "signs" in run.output


def test_a_revoked_key_does_not_come_back_with_a_release_or_a_file(play, client, signing, host):
    gone = signing()
    host.check_output(f"cp -p {KEYS}/{gone} /root/backup.pem")
    play("playbooks/rotate_keys.yml", "-e", "tokens_revoke=current")
    host.check_output(f"cp -p /root/backup.pem {KEYS}/{gone}; rm /root/backup.pem")
    play("playbooks/app.yml", "-e", json.dumps({"app_env": LONG}), "-e", "app_accept_rejected=true")
    assert gone not in host.check_output(f"ls {KEYS}")
    play("playbooks/rollback.yml")
    assert gone not in host.check_output(f"ls {KEYS}")


def test_another_algorithm_logs_nobody_out(play, login, client, host):
    play("playbooks/app.yml", "-e", json.dumps({"app_env": LONG}), "-e", "app_accept_rejected=true")
    token = login()
    run = play("playbooks/app.yml", "-e", json.dumps({"app_env": LONG, "tokens_algorithm": "ES256"}))
    assert "(ES256) is published" in run.output
    assert client("GET", "/protected", token=token)[0] == 200
    play("playbooks/rotate_keys.yml", "-e", "tokens_revoke=current", "-e", "tokens_algorithm=ES256")
    assert host.check_output(f"ls {KEYS}/*.pem").split("/")[-1].startswith("es256-")


def test_a_stray_file_is_named_before_a_release_starts(play, host, release):
    serving = release()
    host.check_output(f"sh -c 'echo half > {KEYS}/half.pem; chmod 644 {KEYS}/half.pem'")
    run = play("playbooks/app.yml", succeed=False)
    assert f"{KEYS}/half.pem: is not a key in PEM; remove it" in run.output
    assert release() == serving
    host.check_output(f"rm {KEYS}/half.pem")
