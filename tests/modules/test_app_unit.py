"""What outlives the controller on a host is one file, and whole."""

from __future__ import annotations

import re
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


def test_ansible_carries_all_its_parts_to_the_host():
    """Which are those that the module imports, by whatever way; the sources are read there."""
    roles, seen, left = Path(unit.__file__).parents[1], set(), {"library/app_release.py"}
    while left:
        text = (roles / left.pop()).read_text()
        found = set(re.findall(r"^from ansible\.module_utils(?: import |\.)(app_\w+)", text, re.MULTILINE)) - seen
        seen |= found
        left |= {f"module_utils/{name}.py" for name in found}
    assert {f"app_{part}" for part in unit.PARTS.split()} <= seen


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


def test_the_unit_never_gives_up(host, engine):
    """Each unit that systemd starts again is started again however often: an engine may be away for a minute."""
    app = host()
    Path(app.root).mkdir(parents=True)
    unit.start(app)
    (call,) = engine.calls("systemd-run")
    assert "--property=StartLimitIntervalSec=0" in call
    for text in unit.paths(app)[0].values():
        assert "\nStartLimitIntervalSec=0\n" in text.partition("[Service]")[0]


def test_what_a_power_loss_cuts_off_is_settled_at_the_next_boot(host, engine):
    app = host()
    Path(app.root).mkdir(parents=True)
    unit.start(app)
    for kind in ("decide", "settle", "keep"):
        link = Path(f"{app.systemd}/multi-user.target.wants/flask-deploy-{kind}@shop.service")
        text = link.read_text()
        assert f"ExecStart=/usr/bin/python3 -I {app.program} shop 10001 {kind}\n" in text
        assert (f"ConditionPathExists={app.pending}\n" in text) == (kind != "keep")


def test_a_boot_decides_before_nginx_and_the_engine_and_never_keeps_them_down(host):
    texts = {Path(path).name: text for path, text in unit.paths(host())[0].items()}
    decide, settle = (texts[f"flask-deploy-{kind}@shop.service"] for kind in ("decide", "settle"))
    assert "\nBefore=docker.service nginx.service\n" in decide and "\nTimeoutStartSec=20\n" in decide
    assert not re.search("^(Requires|BindsTo|RequiredBy|OnFailure|After)=", decide, re.MULTILINE)
    assert "\nAfter=docker.service nginx.service\n" in settle


def test_new_code_reaches_the_keeper_that_runs(host, engine):
    app = host()
    Path(app.root).mkdir(parents=True)
    assert app.program in unit.ensure(app)
    assert "systemctl restart flask-deploy-keep@shop.service" in engine.calls("systemctl")
    engine.forget()
    assert unit.ensure(app) == [] and engine.calls() == []
    Path(app.program).write_bytes(b"of yesterday")
    assert unit.ensure(app) == [app.program]
    assert engine.calls("systemctl restart") == ["systemctl restart flask-deploy-keep@shop.service"]


def test_a_unit_that_systemd_refuses_says_why(host, engine):
    app = host()
    Path(app.root).mkdir(parents=True)
    (engine.place / "systemd-refuses").touch()
    with pytest.raises(unit.UnitError, match="the switch does not start: Failed to start transient service unit"):
        unit.start(app)


def test_a_unit_at_what_was_promised_is_not_stopped(host, engine):
    """It may drain for as long as app_drain_timeout says."""
    (engine.place / "bin" / "systemctl").write_text('#!/bin/sh\necho "systemctl $*" >> "$ENGINE/calls"\necho active\n')
    with pytest.raises(unit.UnitError, match=r"did not end within 0 s; look at: journalctl -u flask-deploy-shop\.serv"):
        unit.wait_for_end(host(), limit=0)
    assert not engine.calls("systemctl stop")
