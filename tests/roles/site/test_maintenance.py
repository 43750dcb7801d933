"""What the run that shows the maintenance page says: the end of its playbook, which asks no host."""

from __future__ import annotations

import json

import pytest

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
def test_the_end_says_what_visitors_see_and_who_still_reaches_the_app(tmp_path, playbook, given, options, lines):
    host = {"ansible_connection": "local", "ansible_become": False, "site_domain": "shop.example.com", **given}
    (tmp_path / "hosts.yml").write_text(json.dumps({"web": {"hosts": {"web1": host}}}))
    done = playbook("maintenance", "--start-at-task", "Summarise", *options)
    assert (done.returncode, done.stdout.strip().splitlines()) == (0, lines), done.stdout + done.stderr


@pytest.mark.parametrize("word", ["on", "off"])
def test_an_app_that_was_never_deployed_is_named_before_anything_is_written(tmp_path, playbook, word):
    host = {
        "ansible_connection": "local",
        "ansible_become": False,
        "app_name": "never-deployed",
        "site_maintenance": word,
    }
    (tmp_path / "hosts.yml").write_text(json.dumps({"web": {"hosts": {"web1": host}}}))
    done = playbook("maintenance", "--start-at-task", "Look for the app")
    said = "never-deployed is not on this host yet; deploy it: ansible-playbook site.yml -i inventories/..."
    assert (done.returncode, done.stdout.strip().splitlines()[-1]) == (2, said), done.stdout + done.stderr
