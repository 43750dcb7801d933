"""What the host is given for its backups: a whole program, secrets for root alone, and timers that systemd takes."""

from __future__ import annotations

import json
import os
import re

import pytest
from ansible.module_utils.flask_deploy.host import program
from ansible.modules import backup_setup as module
from ansible.modules import remove_app

from tests import carried
from tests.conftest import ROOT

FILES = ROOT / "roles/backup/files/keep_backups"
SETTINGS = {"app": "shop", "at": "*-*-* 03:00", "drill_at": "Sun *-*-* 05:00", "jitter": 30}


def test_the_program_finds_all_its_parts_by_itself(tmp_path):
    """And no others, though Ansible is installed where it runs."""
    parts = module.program({path.name: path.read_text() for path in FILES.glob("*.py")})
    assert carried.used(parts, "keep_backups", tmp_path) == parts.keys()
    assert program.PACKAGE.replace(".", "/") + "/host/locks.py" in parts


def test_secrets_are_root_s_alone_and_twice_is_no_change(tmp_path, owners):
    etc = f"{tmp_path}/backup/shop"
    secrets = {"password": "5f0c5f0c5f0c5f0c", "ssh_key": "key\n"}
    assert len(module.ensure_private(etc, SETTINGS, secrets, dry=False)) == 3
    assert {os.stat(f"{etc}/{name}").st_mode & 0o777 for name in os.listdir(etc)} == {0o400}
    assert [os.stat(path).st_mode & 0o777 for path in (etc, os.path.dirname(etc))] == [0o700] * 2
    assert module.ensure_private(etc, SETTINGS, secrets, dry=False) == []
    assert module.ensure_private(etc, SETTINGS, {**secrets, "ssh_key": ""}, dry=True) == [f"{etc}/ssh_key"]
    assert module.ensure_private(etc, SETTINGS, {**secrets, "ssh_key": ""}, dry=False) == [f"{etc}/ssh_key"]
    assert sorted(os.listdir(etc)) == ["password", "settings.json"]


def test_the_first_setup_is_when_a_backup_begins_to_be_due(tmp_path, owners):
    etc = f"{tmp_path}/backup/shop"
    module.ensure_private(etc, SETTINGS, {}, dry=False)
    since = json.loads((tmp_path / "backup/shop/settings.json").read_text())["since"]
    module.ensure_private(etc, {**SETTINGS, "jitter": 5}, {}, dry=False)
    assert json.loads((tmp_path / "backup/shop/settings.json").read_text()) == {**SETTINGS, "jitter": 5, "since": since}


def test_units_serve_first_and_hold_no_secret():
    texts = module.units(SETTINGS)
    assert len(texts) == 4
    for path, text in texts.items():
        if path.endswith(".service"):
            assert "IOSchedulingClass=idle" in text and "Nice=19" in text and "CPUWeight=20" in text
            assert re.search(r"^ExecStart=/usr/bin/python3 -m keep_backups (save|drill) shop$", text, re.MULTILINE)
        else:
            assert "Persistent=true" in text and "RandomizedDelaySec=30min" in text


@pytest.mark.parametrize("kind", ["backup", "drill"])
def test_all_goes_with_the_data_of_an_app(host, kind):
    """And with nothing less: data that stays is backed up on."""
    app = host()
    module_paths = {os.path.basename(path) for path in module.units(SETTINGS) if kind in path}
    gone = {os.path.basename(path) for path in remove_app.backup_paths(app)}
    assert module_paths <= gone
