"""The module that locks an app: who has it is answered, and nothing is locked where a deploy could not end well."""

from __future__ import annotations

import json
import os
import threading

import pytest
from ansible.module_utils.flask_deploy.host import locks
from ansible.module_utils.flask_deploy.release import images
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.module_utils.testing import patch_module_args
from ansible.modules import app_lock as module

ANN = {"id": "a", "user": "ann", "host": "laptop", "process": 42, "started": "7", "namespace": "here"}
BOB = {**ANN, "id": "b", "user": "bob"}
LEASE = "{}/shop.lease"


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))
    monkeypatch.setenv("PATH", str(tmp_path))  # without an engine


@pytest.fixture
def lock(capsys):
    """Run the module; return what it answers with."""

    def lock(owner, **more):
        arguments = {"app": "shop", "owner": owner, **more}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return lock


def held():
    return os.path.exists(LEASE.format(locks.RUN))


def test_who_gets_it_is_told_so(lock):
    told = lock(ANN)
    assert (told["owner"], told["changed"]) == (ANN, False)
    assert held()


def test_who_does_not_get_it_is_told_who_has_it(lock):
    lock(ANN)
    told = lock(BOB)
    assert told["failed"] and told["holder"]["id"] == "a"
    assert "shop is locked: ann on laptop" in told["msg"]


@pytest.mark.parametrize("waits", [ANN, BOB], ids=["in vain", "until it is had"])
def test_the_image_of_a_run_that_waits_is_held_for_as_long_as_that_takes(lock, monkeypatch, waits):
    """A run may wait for a day, in turns: others removed the image that it had built."""
    moment = [0.0]
    monkeypatch.setattr(images, "now", lambda: moment[0])
    images.hold("shop", "b1", waits["id"])
    images.hold("shop", "b1", "of a run that is gone")
    lock(BOB)
    for _turn in range(24):
        moment[0] += images.HELD - 1
        lock(waits)
    moment[0] += images.HELD - 1
    assert [*images.held("shop")["b1"]] == [waits["id"]]


def test_it_is_waited_for(lock):
    lock(ANN)
    giving = threading.Timer(0.7, leases.Lease("shop", ANN).release)
    giving.start()
    assert lock(BOB, wait=20)["owner"] == BOB
    giving.join()


def test_the_lease_of_a_dead_owner_is_taken_over(lock):
    lock(ANN)
    assert lock(BOB, dead="a")["owner"] == BOB
    assert lock(ANN)["holder"]["id"] == "b"


def test_a_dry_run_locks_nothing(lock):
    assert lock(ANN, _ansible_check_mode=True)["owner"] == ANN
    assert not held()


def test_nothing_is_locked_where_the_site_has_no_certificate(lock, monkeypatch):
    monkeypatch.setattr(module.certificate, "judge", lambda site: (f"no certificate for {site}", ""))
    told = lock(ANN, site="server {}")
    assert told["failed"] and told["msg"].endswith("to be mended:\n  no certificate for server {}")
    assert not held()


def test_what_is_odd_about_a_certificate_is_a_warning(lock, monkeypatch):
    monkeypatch.setattr(module.certificate, "judge", lambda site: ("", "self-signed"))
    warned = []
    monkeypatch.setattr(module.QuietModule, "warn", lambda self, text: warned.append(text))
    lock(ANN)
    assert warned == ["self-signed"] and held()


@pytest.mark.parametrize("name", ["app", "owner"])
def test_what_it_needs_is_asked_for(name, capsys):
    arguments = {"app": "shop", "owner": ANN}
    del arguments[name]
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    assert json.loads(capsys.readouterr().out)["msg"] == f"missing required arguments: {name}"
