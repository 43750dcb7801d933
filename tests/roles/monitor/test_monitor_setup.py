"""What role monitor puts on a host: a program that is whole, and a configuration that the real monit obeys."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ansible.module_utils import doctor_host
from ansible.module_utils import monitor_conf as conf
from ansible.module_utils.flask_deploy.host import condition, locks, systemd, timed
from ansible.modules import monitor_setup as module
from keep_watch import telling

from tests import carried
from tests.conftest import ROOT

FILES = ROOT / "roles/monitor/files/keep_watch"
SETTINGS = {"app": "shop", "needs": ["postgres", "valkey"], "valkey": "/run/valkey-shop-queue/valkey.sock", "limit": 20}
with_monit = pytest.mark.skipif(not shutil.which("monit"), reason="make tools installs monit")


def test_the_program_finds_all_its_parts_by_itself(tmp_path):
    """And needs no others, though Ansible is installed where it runs."""
    parts = module.sources({path.name: path.read_text() for path in FILES.glob("*.py")})
    assert carried.used(parts, "keep_watch", tmp_path) == parts.keys()


def test_the_module_imports_what_it_is_to_carry():
    assert carried.not_imported("monitor") == ""


def test_monit_is_stopped_before_anybody_tires_of_waiting():
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", module.SERVICE, re.MULTILINE)[1]) < systemd.PATIENCE


@pytest.fixture
def place(tmp_path, monkeypatch, owners):
    """Let the host be a directory."""
    for name, path in {"ETC": "etc", "WORK": "work", "CALL": "watch"}.items():
        monkeypatch.setattr(conf, name, str(tmp_path / path))
    monkeypatch.setattr(module, "UNITS", str(tmp_path / "units"))
    monkeypatch.setattr(timed, "PLACE", str(tmp_path / "lib"))
    monkeypatch.setattr(systemd, "ask", lambda *words: "")
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))
    return tmp_path


@with_monit
def test_monit_takes_what_is_written_and_twice_is_no_change(place):
    written = module.ensure(SETTINGS, {"__main__.py": "pass"}, dry=False)
    names = {os.path.basename(path) for path in written}
    assert {"monitrc", "host.monit", "shop.monit", "shop.json", "watch", "flask-deploy-monitor.service"} <= names
    assert module.ensure(SETTINGS, {"__main__.py": "pass"}, dry=False) == []
    assert json.loads((place / "etc/shop.json").read_text()) == SETTINGS
    modes = {path.name: path.stat().st_mode & 0o777 for path in [place / "etc", *(place / "etc").iterdir()]}
    assert modes.pop("etc") == 0o700 and modes.pop("shop.json") == 0o400 and set(modes.values()) == {0o600}


@with_monit
def test_what_monit_refuses_is_not_put_in_place(place, monkeypatch):
    monkeypatch.setattr(conf, "MEMORY", "check nonsense\n")
    with pytest.raises(module.Refused, match=r"host\.monit.*syntax error"):
        module.ensure(SETTINGS, {}, dry=False)
    assert not (place / "etc/monitrc").exists()


def test_a_dry_run_writes_nothing(place):
    assert module.ensure(SETTINGS, {"__main__.py": "pass"}, dry=True)
    assert list(place.iterdir()) == []


def test_services_of_an_app_are_watched_where_it_has_them():
    alone, beside = conf.of_app({**SETTINGS, "needs": []}), conf.of_app(SETTINGS)
    assert "postgres" not in alone and "valkey" not in alone
    assert "unixsocket /run/postgresql/.s.PGSQL.5432 protocol pgsql" in beside
    assert "unixsocket /run/valkey-shop-queue/valkey.sock protocol redis" in beside


def test_a_file_system_is_watched_once(tmp_path):
    assert conf.mounts((str(tmp_path), str(tmp_path / "no"), f"{tmp_path}/..")) == [str(tmp_path)]


def test_disks_of_an_app_and_of_postgresql_are_watched_too(tmp_path, monkeypatch):
    """Not what the network or memory holds, nor an image that is full by nature."""
    rows = [f"/dev/sdb1 {tmp_path}/shop/data ext4 rw,relatime 0 0", f"/dev/sdb2 {tmp_path}/a\\040b xfs rw 0 0"]
    rows += [f"{kind} {tmp_path}/{kind} {kind} rw 0 0" for kind in ("nfs4", "tmpfs", "squashfs", "overlay")]
    rows += ["/dev/sdc1 /mnt/else ext4 rw 0 0", "/dev/sda1 / ext4 rw 0 0"]
    for name in ("shop/data", "nfs4", "tmpfs", "squashfs", "overlay"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(condition, "BELOW", (f"{tmp_path}/",))
    monkeypatch.setattr(condition, "text", lambda path: "\n".join(rows) if path == "/proc/self/mounts" else "")
    assert conf.mounts(()) == [f"{tmp_path}/shop/data"]
    assert [disk["path"] for disk in doctor_host.disks(())] == [f"{tmp_path}/shop/data"]
    assert "/var/lib/postgresql" in set(conf.PLACES) & set(doctor_host.PLACES)
    assert f'"host.disk.{tmp_path}/shop/data" with path {tmp_path}/shop/data' in conf.of_host(conf.mounts(()))


def test_each_check_has_a_name_of_its_own():
    names = re.findall(r'^check \w+ "(.+?)"', conf.of_host(["/", "/srv"]) + conf.of_app(SETTINGS), re.MULTILINE)
    assert len(names) == len(set(names)) > 15


@with_monit
def test_monit_calls_once_for_a_change_and_once_for_its_end(place, monkeypatch):
    """With the program replaced by one that writes down how it is called, and a cycle of a second."""
    module.ensure({**SETTINGS, "needs": []}, {}, dry=False)
    calls = place / "calls"
    calls.touch()
    (place / "watch").write_text(f'#!/bin/sh\necho "$*" >>{calls}\n')
    rc = place / "etc/monitrc"
    text = re.sub(r"/run/flask-deploy-monitor", str(place / "monitor"), rc.read_text())
    rc.write_text(text.replace("set daemon 30", "set daemon 1"))
    (place / "etc/host.monit").unlink()
    long = "customer-portal-staging-eu-west.processes"
    with (place / "etc/shop.monit").open("a") as more:
        more.write(f'check file "{long}" with path "{calls}"\n')
    found = place / "work/found"
    with subprocess.Popen(["monit", "-I", "-c", rc], stdout=subprocess.DEVNULL) as monit:
        try:
            time.sleep(3)
            assert calls.read_text() == "", "all is well"
            said = subprocess.run(
                ["monit", "-c", rc, "-B", "status"], capture_output=True, text=True, check=True
            ).stdout
            known = dict(telling.STATUS.findall(said))
            assert known[long] == known["shop.errors"] == "OK"
            (found / "shop.errors").write_text("errors\tmany\n")
            (found / "shop.release").write_text("aaa\tserves\n")
            time.sleep(5)
            assert sorted(calls.read_text().split("\n")[:-1]) == ["note shop.errors", "note shop.release"]
            (found / "shop.errors").write_text("")
            time.sleep(7)
            assert calls.read_text().count("note shop.errors") == 2
            (found / "shop.jobs").write_text("purge\tfailed\n")
            time.sleep(3)
            (found / "shop.jobs").write_text("purge\tfailed\nmail\tfailed\n")
            time.sleep(3)
            assert calls.read_text().count("note shop.jobs") >= 2
            assert Path(rc).exists()
        finally:
            monit.send_signal(signal.SIGTERM)
