"""How packages are installed: what apt is told always, and what is shown of dpkg's log while it runs."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT

OLD = "2026-01-02 10:00:00 status installed libc-bin:amd64 2.41-12"


@pytest.fixture(scope="module")
def packages():
    spec = importlib.util.spec_from_file_location("packages", ROOT / "plugins/action/packages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def host(*lines):
    """Return a connection to a host whose log ends with one of these lines after the other."""
    left = [line.encode() for line in lines]
    return SimpleNamespace(exec_command=lambda _command, sudoable: (0, left.pop(0) + b"\n", b""))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2026-11-28 04:06:11 install nginx-common:all <none> 1.26.3-3", "install nginx-common"),
        ("2026-11-28 04:06:12 status half-configured docker.io:amd64 26.1.5", "half-configured docker.io"),
        ("2026-11-28 04:06:13 startup archives unpack", ""),
        (OLD, ""),
        ("", ""),
    ],
)
def test_what_dpkg_wrote_last_is_shown_and_nothing_of_before(packages, written, shown):
    log, connection = packages.Log(), host(OLD, written)
    assert log(connection) == ""
    assert log(connection) == shown


def test_apt_never_removes_and_takes_no_more_than_is_named(packages, monkeypatch):
    given = []
    action = packages.ActionModule.__new__(packages.ActionModule)
    action._task = SimpleNamespace(args={"name": ["nginx"]}, _uuid="t1")
    monkeypatch.setattr(packages.ActionBase, "run", lambda *_: {})
    monkeypatch.setattr(action, "_execute_module", lambda name, arguments, task_vars: given.append((name, arguments)))
    action.run(task_vars={})
    [(name, arguments)] = given
    assert name == "ansible.builtin.apt"
    assert arguments["name"] == ["nginx"]
    assert arguments["fail_on_autoremove"] is True
    assert arguments["install_recommends"] is False
    assert {"state", "purge", "autoremove", "autoclean"}.isdisjoint(arguments)
