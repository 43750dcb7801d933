"""An app that writes beside its code moves in as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

SOURCE = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/apps/app/writes"
URL = "https://app.test/"
SETTINGS = {
    "build_source": str(SOURCE),
    "app_wsgi": "shop:create_app()",
    "site_static": "",
    "app_writable": ["uploads", "cache:memory", "/tmp:200m"],
    "site_max_body": "100m",
    "app_release_command": "flask sell",
}


@pytest.fixture(scope="module")
def deploy(play):
    def run(succeed=True, **settings):
        return play("playbooks/app.yml", "-e", json.dumps({**SETTINGS, **settings}), succeed=succeed)

    return run


def test_flask_s_instance_folder_and_its_commands_need_no_word(deploy, get):
    deploy()
    assert get(URL).body == "sold; ['first.txt']"


def test_what_it_wrote_outlives_its_release(deploy, get, host):
    host.check_output("sh -c 'echo more > /srv/app/writable/uploads/more.txt'")
    deploy(app_env={"RELEASE": "another"})
    assert get(URL).body == "sold;sold; ['first.txt', 'more.txt']"


def test_its_user_has_a_name_and_a_home(get):
    assert get(f"{URL}who").body == "app app True"


def test_a_command_by_hand_finds_the_app_too(host, get):
    container = host.check_output("docker ps -q")
    host.check_output(f"docker exec {container} python3 /release/exec.py flask sell")
    assert get(URL).body.startswith("sold;sold;sold; ")


def test_a_body_of_the_largest_size_arrives(host):
    size = 90 << 20
    host.check_output(f"head -c {size} /dev/zero > /var/tmp/large")
    sent = f"curl -skf --resolve app.test:443:127.0.0.1 -F file=@/var/tmp/large {URL}upload; rm /var/tmp/large"
    assert host.check_output(sent) == str(size)


def test_a_body_for_which_tmp_is_too_small_is_refused_before_anything_changes(deploy, get):
    before = get(URL).body
    run = deploy(succeed=False, app_writable=["uploads", "cache:memory"])
    assert "/tmp of 64m does not hold two bodies of requests, which may have 100m each" in run.output
    assert get(URL).body == before
