"""An app that reads its settings from files beside its code moves in as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

SOURCE = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/apps/app/reads"
URL = "https://app.test/"
SECRET = "h5-Xq-and-more-h5-Xq"


@pytest.fixture(scope="module")
def deploy(play):
    def run(title, *arguments):
        files = {
            "config.py": f"TITLE = '{title}'\n",
            "instance/settings.cfg": f"SECRET_KEY = '{SECRET}'\n",
            "/etc/shop/shop.ini": "[shop]\ncurrency = EUR\n",
        }
        settings = {"build_source": str(SOURCE), "app_wsgi": "shop:app", "site_static": "", "app_files": files}
        return play("playbooks/app.yml", "-e", json.dumps(settings), *arguments)

    return run


def test_it_finds_them_where_it_looks(deploy, get, host):
    run = deploy("one", "-vvv", "--diff")
    assert get(URL).body == "one 20 EUR"
    # What a run is told on its command line, ansible shows by itself with -vvv.
    said = "\n".join(line for line in run.output.splitlines() if "ansible-playbook" not in line)
    assert SECRET not in said and "app_files: " in said
    assert host.run(f"docker inspect $(docker ps -q) | grep {SECRET}").rc == 1
    modes = host.check_output("stat -c '%a %u:%g' /srv/app/current/file-*").splitlines()
    assert modes == ["400 10001:10001"] * 3


def test_a_rollback_restores_them(deploy, get, play):
    deploy("two")
    assert get(URL).body.startswith("two ")
    play("playbooks/rollback.yml")
    assert get(URL).body == "one 20 EUR"
