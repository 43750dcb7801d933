"""What outlives the controller on a host is one file, and whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils import app_unit as unit


def test_the_program_finds_all_its_parts_by_itself(tmp_path):
    """It runs there without Ansible, and finds nothing to do for an app that was never deployed."""
    program = tmp_path / "switch.pyz"
    program.write_bytes(unit.code())
    command = [sys.executable, "-I", "-S", program, "never-deployed", "10001"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_same_code_is_the_same_program():
    assert unit.code() == unit.code()


def test_the_unit_is_started_again_should_it_be_killed(host, engine):
    app = host()
    Path(app.root).mkdir(parents=True)
    unit.start(app)
    (call,) = engine.calls("systemd-run")
    assert "--unit=flask-deploy-shop.service" in call and "--property=Restart=on-failure" in call
    assert call.endswith(f"python3 -I {app.program} shop 10001")
    assert Path(app.program).read_bytes() == unit.code()


def test_what_a_power_loss_cuts_off_is_settled_at_the_next_boot(host, engine):
    app = host()
    Path(app.root).mkdir(parents=True)
    unit.start(app)
    assert os.path.realpath(app.boot_link) == app.boot_unit
    text = Path(app.boot_unit).read_text()
    assert f"ConditionPathExists={app.pending}\n" in text
    assert f"ExecStart=/usr/bin/python3 -I {app.program} shop 10001 boot\n" in text


def test_a_unit_that_systemd_refuses_says_why(host, engine):
    app = host()
    Path(app.root).mkdir(parents=True)
    (engine.place / "systemd-refuses").touch()
    with pytest.raises(unit.UnitError, match="the switch does not start: Failed to start transient service unit"):
        unit.start(app)


def test_a_unit_that_does_not_end_is_stopped(host, engine):
    (engine.place / "bin" / "systemctl").write_text('#!/bin/sh\necho "systemctl $*" >> "$ENGINE/calls"\necho active\n')
    unit.wait_for_end(host(), limit=0)
    assert engine.calls("systemctl stop") == ["systemctl stop flask-deploy-shop.service"]
