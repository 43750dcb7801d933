"""What outlives the controller on a host is one file, and whole."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import program, systemd
from ansible.module_utils.flask_deploy.release import tool
from ansible.module_utils.flask_deploy.switch import concluding, unit

from tests.conftest import APP
from tests.deploys import deploy, options


def test_the_program_finds_all_its_parts_by_itself(tmp_path):
    """It runs there without Ansible, and finds nothing to do for an app that was never deployed."""
    program = tmp_path / "switch.pyz"
    program.write_bytes(unit.code())
    command = [sys.executable, "-I", "-S", program, "never-deployed", "10001"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("module", "parts"),
    [
        ("app/library/app_release.py", {**unit.PARTS}),
        ("app/library/app_release.py", {**tool.PARTS}),
        ("run/library/run_command.py", {**tool.PARTS}),
    ],
)
def test_ansible_carries_all_its_parts_to_the_host(module, parts):
    """Which are those that the module imports, by whatever way; the sources are read there."""
    package, seen, left = Path(unit.__file__).parents[1], set(), {APP.parent / module}
    while left:
        found = set()
        for node in ast.walk(ast.parse(left.pop().read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith(f"{program.PACKAGE}."):
                inside = node.module.removeprefix(f"{program.PACKAGE}.").replace(".", "/")
                found |= {inside} if "/" in inside else {f"{inside}/{each.name}" for each in node.names}
        left |= {package / f"{name}.py" for name in found - seen}
        seen |= found
    assert {f"{room}/{name}" for room, names in parts.items() for name in names.split()} <= seen


def without_a_part():
    whole, less = zipfile.ZipFile(io.BytesIO(unit.code())), io.BytesIO()
    with zipfile.ZipFile(less, "w") as archive:
        for name in whole.namelist():
            if not name.endswith("switch/watch.py"):
                archive.writestr(name, whole.read(name))
    return less.getvalue()


def test_a_program_that_cannot_run_is_not_started_again(host, engine, tmp_path):
    """A later run finds that the unit ended, and settles the switch itself."""
    program = tmp_path / "switch.pyz"
    program.write_bytes(without_a_part())
    code = subprocess.run([sys.executable, "-I", program, "shop", "10001"], capture_output=True, check=False).returncode
    app = host()
    Path(app.root).mkdir(parents=True)
    unit.start(app)
    (call,) = engine.calls("systemd-run")
    assert f"--property=RestartPreventExitStatus={code}" in call.split()
    restarted = [text for text in unit.paths(app)[0].values() if "Restart=" in text]
    assert restarted and all(f"RestartPreventExitStatus={code}\n" in text for text in restarted)


def test_the_same_code_is_the_same_program():
    assert unit.code() == unit.code()


def test_the_program_holds_its_parts_as_they_are():
    with zipfile.ZipFile(io.BytesIO(unit.code())) as program:
        held = {name: program.read(name).decode() for name in program.namelist()}
    package, inside = Path(unit.__file__).parents[1], "ansible/module_utils/flask_deploy"
    parts = [f"{room}/{name}.py" for room, names in unit.PARTS.items() for name in names.split()]
    packages = ["ansible", "ansible/module_utils", inside, *(f"{inside}/{room}" for room in unit.PARTS)]
    assert held.pop("__main__.py").startswith("import sys")
    sources = {f"{inside}/{part}": (package / part).read_text() for part in parts}
    assert held == {**{f"{each}/__init__.py": "" for each in packages}, **sources}


def test_the_unit_is_started_again_should_it_be_killed(host, engine):
    app = host()
    Path(app.root).mkdir(parents=True)
    unit.start(app)
    (call,) = engine.calls("systemd-run")
    assert {"--unit=flask-deploy-shop.service", "--property=Restart=on-failure"} <= set(call.split())
    assert call.endswith(f"python3 -I {app.program} shop 10001")
    assert Path(app.program).read_bytes() == unit.code()


def test_the_unit_never_gives_up(host, engine):
    """Each unit that systemd starts again is started again however often: an engine may be away for a minute."""
    app = host()
    Path(app.root).mkdir(parents=True)
    unit.start(app)
    (call,) = engine.calls("systemd-run")
    assert "--property=StartLimitIntervalSec=0" in call.split()
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
    told = engine.calls("systemctl")
    assert told == ["systemctl daemon-reload", "systemctl restart flask-deploy-keep@shop.service"]
    engine.forget()
    assert unit.ensure(app) == [] and engine.calls() == [STARTS]
    Path(app.program).write_bytes(b"of yesterday")
    assert unit.ensure(app) == [app.program]
    assert engine.calls("systemctl restart") == ["systemctl restart flask-deploy-keep@shop.service"]


STARTS = "systemctl start flask-deploy-keep@shop.service"  # which does nothing where it runs


def test_a_keeper_that_is_down_is_started_by_the_next_deploy(app, engine):
    """It ended as one that cannot run, which systemd does not start again, or somebody stopped it."""
    release = deploy(app)
    engine.forget()
    assert concluding.retired(app, options(release=release), dry=False)[0] == []
    assert engine.calls("systemctl start flask-deploy-keep") == [STARTS]
    engine.forget()
    concluding.retired(app, options(release=release), dry=True)
    assert engine.calls() == []


def test_a_unit_that_systemd_refuses_says_why(host, engine):
    app = host()
    Path(app.root).mkdir(parents=True)
    (engine.place / "systemd-refuses").touch()
    with pytest.raises(systemd.UnitError, match="the switch does not start: Failed to start transient service unit"):
        unit.start(app)


@pytest.mark.parametrize(
    ("said", "runs"),
    [("active", True), ("activating", True), ("deactivating", True), ("inactive", False), ("failed", False)],
)
def test_a_unit_that_waits_to_be_started_again_has_not_ended(host, engine, said, runs):
    (engine.place / "bin" / "systemctl").write_text(f"#!/bin/sh\necho {said}\n")
    assert unit.active(host()) is runs


def test_a_unit_at_what_was_promised_is_not_stopped(host, engine):
    """It may drain for as long as app_drain_timeout says."""
    (engine.place / "bin" / "systemctl").write_text('#!/bin/sh\necho "systemctl $*" >> "$ENGINE/calls"\necho active\n')
    with pytest.raises(
        systemd.UnitError, match=r"did not end within 0 s; look at: sudo journalctl -u flask-deploy-shop\.serv"
    ):
        unit.wait_for_end(host(), limit=0)
    assert not engine.calls("systemctl stop")


@pytest.fixture
def systemctl(engine):
    """Let systemctl do as it is told, after it noted what it was asked."""

    def does(script):
        (engine.place / "bin" / "systemctl").write_text(
            f'#!/bin/sh\necho "systemctl $*" >> "$ENGINE/calls"\n{script}\n'
        )

    return does


@pytest.mark.parametrize(
    ("said", "runs"),
    [
        ("active", True),
        ("activating", True),  # it waits to be started again
        ("deactivating", True),
        ("reloading", True),
        ("inactive", False),
        ("failed", False),
        ("", False),
    ],
)
def test_a_unit_runs_until_systemd_says_that_it_ended(host, engine, systemctl, said, runs):
    systemctl(f"echo {said}")
    assert unit.active(host()) is runs
    assert engine.calls() == ["systemctl show --property=ActiveState --value flask-deploy-shop.service"]


def test_a_unit_that_ends_in_time_is_waited_for(host, engine, systemctl):
    systemctl('[ -e "$ENGINE/ended" ] && echo inactive || echo active')
    ending = threading.Timer(0.5, (engine.place / "ended").touch)
    ending.start()
    began = time.monotonic()
    unit.wait_for_end(host(), limit=30)
    assert 0.4 < time.monotonic() - began < 20
    ending.join()


def test_a_unit_that_does_not_end_is_given_up_when_it_is_time(host, systemctl):
    systemctl("echo active")
    began = time.monotonic()
    with pytest.raises(
        systemd.UnitError, match=r"within 1 s.* to end it: sudo systemctl stop flask-deploy-shop\.service"
    ):
        unit.wait_for_end(host(), limit=1)
    assert 1 <= time.monotonic() - began < 10


@pytest.mark.parametrize("act", [unit.active, unit.ensure, unit.disable], ids=lambda act: act.__name__)
def test_a_systemd_that_does_not_answer_is_an_error_that_says_what_to_do(host, systemctl, monkeypatch, act):
    monkeypatch.setattr(systemd, "PATIENCE", 1)
    monkeypatch.setattr(unit, "STOP_PATIENCE", 1)
    systemctl("exec sleep 60")
    app, began = host(), time.monotonic()
    Path(app.root).mkdir(parents=True)
    with pytest.raises(
        systemd.UnitError, match=r"^systemctl \S+.* took longer than 1 s and was ended(?s:.*)systemctl list-jobs"
    ):
        act(app)
    assert time.monotonic() - began < 20


def test_a_keeper_has_longer_to_stop_than_systemd_has_to_answer(host, systemctl, monkeypatch):
    """systemd itself gives a unit 90 s."""
    assert unit.STOP_PATIENCE > 90
    monkeypatch.setattr(systemd, "PATIENCE", 0.1)
    systemctl("sleep 0.5")
    unit.disable(host())


def test_what_systemd_refuses_does_not_stop_a_removal(host, engine, systemctl):
    systemctl("echo no such unit >&2; exit 5")
    unit.disable(host())
    assert engine.calls() == ["systemctl stop flask-deploy-keep@shop.service"]


def test_no_boot_begins_anything_of_an_app_that_is_disabled(host, engine):
    apps = [host("shop"), host("blog")]
    for app in apps:
        Path(app.root).mkdir(parents=True)
        unit.ensure(app)
    left = [f"flask-deploy-{kind}@blog.service" for kind in ("decide", "keep", "settle")]
    engine.forget()
    for _again in range(2):
        unit.disable(apps[0])
        units = sorted(path.name for path in Path(apps[0].systemd).iterdir() if path.is_file())
        assert units == sorted(os.listdir(f"{apps[0].systemd}/multi-user.target.wants")) == left
    assert engine.calls()[0] == "systemctl stop flask-deploy-keep@shop.service"


def test_units_are_as_they_should_be_and_systemd_knows_it(host, engine):
    """A link that leads elsewhere and a text of yesterday are put right, and nothing is done where all is well."""
    app = host()
    Path(app.root).mkdir(parents=True)
    texts, links = unit.paths(app)
    first = next(iter(texts))
    assert unit.ensure(app) == [app.program, *texts, *links]
    calls = ["systemctl daemon-reload", "systemctl restart flask-deploy-keep@shop.service"]
    assert engine.calls() == calls
    link, target = list(links.items())[1]
    os.unlink(link)
    os.symlink("/nonexistent", link)
    Path(first).write_text("of yesterday")
    engine.forget()
    assert unit.ensure(app) == [first, link]
    assert os.readlink(link) == target and engine.calls() == calls
    assert Path(first).read_text() == texts[first]


def test_a_switch_is_a_unit_that_leaves_nothing_behind(host, engine):
    """It is gone when it ended, however: its name is free for the next switch."""
    app = host()
    Path(app.root).mkdir(parents=True)
    unit.start(app)
    (call,) = engine.calls("systemd-run")
    for said in ("--quiet", "--collect", "--property=Type=exec", "--property=RestartSec=1"):
        assert f" {said} " in call
    assert " --description=Switch shop to another release " in call


def test_two_words_to_a_switch_are_said_one_after_the_other(host, tmp_path):
    app, said = host(), []

    def say():
        with unit.word(app):
            said.append("second")

    with unit.word(app), unit.word(host("blog")):
        saying = threading.Thread(target=say)
        saying.start()
        saying.join(0.3)
        said.append("first")
    saying.join()
    assert said == ["first", "second"]


@pytest.mark.parametrize("killed_at", ["daemon-reload", "restart"])
def test_systemd_is_told_by_the_next_run_what_a_killed_one_wrote(host, engine, monkeypatch, killed_at):
    """All files are as they should be then, and no keeper runs: whatever is killed would stay down."""
    app, ask = host(), systemd.ask
    Path(app.root).mkdir(parents=True)

    def killed(*words, **more):
        if words[0] == killed_at:
            raise KeyboardInterrupt
        return ask(*words, **more)

    with monkeypatch.context() as patched:
        patched.setattr(systemd, "ask", killed)
        with pytest.raises(KeyboardInterrupt):
            unit.ensure(app)
    calls = ["systemctl daemon-reload", "systemctl restart flask-deploy-keep@shop.service"]
    engine.forget()
    assert unit.ensure(app) == [] and engine.calls() == calls
    engine.forget()
    assert unit.ensure(app) == [] and engine.calls() == [STARTS]
