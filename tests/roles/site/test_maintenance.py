"""What the run that shows the maintenance page says: the end of its playbook, which asks no host."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

AGAIN = "to show the app again: ansible-playbook playbooks/maintenance.yml -i inventories/... -e site_maintenance=off"
PAGE, APP = "visitors see the maintenance page", "visitors see the app"
OPEN = "/health still reaches the app, for monitoring and load balancers"
DRY = "dry run: nothing would change on 1 host"
CLOSED = "monitoring and load balancers get the page too, because app_health_path is /"


@pytest.mark.parametrize(
    ("given", "options", "lines"),
    [
        ({"site_maintenance": "on", "app_health_path": "/health?deep=1"}, (), [PAGE, OPEN, AGAIN]),
        ({"site_maintenance": True}, (), [PAGE, CLOSED, AGAIN]),
        ({"site_maintenance": "off", "app_health_path": "/health"}, (), [APP]),
        ({"site_maintenance": "on"}, ("--check",), ["visitors would see the maintenance page", "", DRY]),
        ({"site_maintenance": "off"}, ("--check",), ["visitors would see the app", "", DRY]),
    ],
)
def test_the_end_says_what_visitors_see_and_who_still_reaches_the_app(tmp_path, given, options, lines):
    host = {"ansible_connection": "local", "ansible_become": False, "site_domain": "shop.example.com", **given}
    (tmp_path / "hosts.yml").write_text(json.dumps({"web": {"hosts": {"web1": host}}}))
    program = Path(sys.executable).with_name("ansible-playbook")
    end = ("-i", tmp_path / "hosts.yml", "--start-at-task", "Summarise")
    done = subprocess.run(
        [program, "playbooks/maintenance.yml", *end, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip().splitlines()) == (0, lines), done.stdout + done.stderr


@pytest.mark.parametrize("word", ["on", "off"])
def test_an_app_that_was_never_deployed_is_named_before_anything_is_written(tmp_path, word):
    host = {
        "ansible_connection": "local",
        "ansible_become": False,
        "app_name": "never-deployed",
        "site_maintenance": word,
    }
    (tmp_path / "hosts.yml").write_text(json.dumps({"web": {"hosts": {"web1": host}}}))
    program = Path(sys.executable).with_name("ansible-playbook")
    begin = ("-i", tmp_path / "hosts.yml", "--start-at-task", "Look for the app")
    done = subprocess.run(
        [program, "playbooks/maintenance.yml", *begin],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = "never-deployed is not on this host yet; deploy it: ansible-playbook site.yml -i inventories/..."
    assert (done.returncode, done.stdout.strip().splitlines()[-1]) == (2, said), done.stdout + done.stderr
