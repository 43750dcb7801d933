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


FETCH = (
    "'/usr/bin/apt-get -y install nginx' failed: E: Failed to fetch http://mirror.example.com/nginx_1.26.3-3_amd64.deb "
    "404  Not Found\nE: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?\n"
)


@pytest.fixture
def run(packages, monkeypatch):
    """Return what runs the action on a host whose apt answers in turn, and gives the answer and what apt was given."""

    def run(*answers):
        left, given = list(answers), []
        action = packages.ActionModule.__new__(packages.ActionModule)
        action._task = SimpleNamespace(args={"name": ["nginx"]}, _uuid="t1")
        monkeypatch.setattr(packages.ActionBase, "run", lambda *_: {})

        def execute(name, arguments, task_vars):
            given.append((name, dict(arguments)))
            return left.pop(0)

        monkeypatch.setattr(action, "_execute_module", execute)
        return action.run(task_vars={}), given

    return run


def test_apt_never_removes_and_takes_no_more_than_is_named(run):
    _answer, [(name, arguments)] = run({"changed": True})
    assert name == "ansible.builtin.apt"
    assert arguments["name"] == ["nginx"]
    assert arguments["fail_on_autoremove"] is True
    assert arguments["install_recommends"] is False
    assert {"state", "purge", "autoremove", "autoclean"}.isdisjoint(arguments)


def test_lists_that_name_what_the_mirror_has_no_more_are_made_anew_once(run):
    answer, given = run({"failed": True, "msg": FETCH}, {"changed": True})
    assert answer == {"changed": True}
    assert [arguments["cache_valid_time"] for _name, arguments in given] == [86400, 0]
    answer, given = run({"failed": True, "msg": FETCH}, {"failed": True, "msg": FETCH})
    assert answer["failed"] and len(given) == 2


def test_another_failure_of_apt_is_told_at_once(run):
    answer, given = run({"failed": True, "msg": "No package matching 'nginx' is available"})
    assert answer["failed"] and len(given) == 1
