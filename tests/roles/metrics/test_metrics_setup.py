"""What role metrics puts on a host: a program that is whole, exporters of its own, and nginx's figures."""

from __future__ import annotations

import json
import os
import socket

import pytest
from ansible.module_utils.flask_deploy.host import files, nginx, timed
from ansible.modules import metrics_setup as module
from keep_metrics import ending, places

from tests import carried
from tests.conftest import ROOT

FILES = ROOT / "roles/metrics/files/keep_metrics"
SETTINGS = {"app": "shop", "domain": "shop.example.com", "certificate": "shop", "backup": False}
SENT = {"__main__.py": "pass"}


def test_the_program_finds_all_its_parts_by_itself(tmp_path):
    """And needs no others, though Ansible is installed where it runs."""
    parts = module.sources({path.name: path.read_text() for path in FILES.glob("*.py")})
    assert carried.used(parts, "keep_metrics", tmp_path) == parts.keys()


def test_the_module_imports_what_it_is_to_carry():
    assert carried.not_imported("metrics") == ""


def test_the_program_ends_what_the_module_begins():
    assert {f"{module.UNITS}/{name}" for name in (*ending.OURS, "flask-deploy-metrics.service")} == set(
        module.units("127.0.0.1", 9180)
    )
    assert (ending.STATUS, ending.UNITS) == (module.STATUS, module.UNITS)
    assert (places.ETC, places.WORK) == (module.ETC, module.WORK)
    assert f"{module.WORK}/textfile" == places.TEXTS and f"{timed.PLACE}/metrics" == module.CALL


@pytest.fixture
def place(tmp_path, monkeypatch, host):
    """Let the host be a directory, on which exporters listen at once."""
    host()
    for name, path in {"ETC": "etc", "WORK": "work", "CALL": "lib/metrics", "UNITS": "units"}.items():
        monkeypatch.setattr(module, name, str(tmp_path / path))
    monkeypatch.setattr(timed, "PLACE", str(tmp_path / "lib"))
    monkeypatch.setattr(module, "await_answer", lambda *words: None)
    return tmp_path


def kept(dry=False, address="127.0.0.1", port=9180):
    return module.ensure(SETTINGS, SENT, address, port, dry)


def test_all_is_written_and_started_and_twice_is_no_change(place, engine, monkeypatch):
    written = {os.path.basename(path) for path in kept()}
    assert {"shop.json", "metrics", *module.RUNNING, "flask-deploy-metrics.service"} <= written
    assert "flask_deploy_metrics.conf" in written
    assert engine.calls("systemctl enable --now") == [f"systemctl enable --now {' '.join(module.RUNNING)}"]
    assert engine.calls("systemctl start") == ["systemctl start flask-deploy-metrics.service"]
    assert len(engine.calls("systemctl reload nginx")) == 1
    assert json.loads((place / "etc/shop.json").read_text()) == SETTINGS
    monkeypatch.setattr(module, "asleep", list)
    engine.forget()
    assert kept() == [] and not engine.calls("systemctl reload") and not engine.calls("systemctl start")


def test_a_dry_run_foretells_and_writes_nothing(place, engine):
    before = sorted(place.rglob("*"))
    assert {*module.RUNNING} <= set(kept(dry=True))
    assert [path for path in sorted(place.rglob("*")) if path not in before and "engine" not in path.parts] == []


def test_an_exporter_that_stopped_or_is_not_enabled_is_started(place, monkeypatch):
    states = {"is-active": "active\ninactive\nactive\n", "is-enabled": "enabled\nenabled\ndisabled\n"}
    monkeypatch.setattr(module.systemd, "ask", lambda verb, *_units, **_limit: states.get(verb, ""))
    assert module.asleep() == [module.NGINX, module.TIMER]


def test_what_nginx_refuses_is_taken_back(place, engine):
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(nginx.SiteError, match="unknown directive"):
        kept()
    path = f"{nginx.CONF}/{module.STATUS}"
    assert not os.path.exists(path)
    (engine.place / "nginx-refuses").unlink()
    kept()
    before = files.read(path)
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(nginx.SiteError):
        kept(port=9999)
    assert files.read(path) == before


def test_a_reload_that_a_kill_cut_off_is_made_up_for(place, engine, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(nginx, "reload", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            kept()
    kept()
    assert len(engine.calls("systemctl reload nginx")) == 1


def test_a_reload_that_a_kill_cut_off_at_the_end_of_metrics_is_made_up_for(place, engine, monkeypatch):
    """By then the file is gone, and nothing says that nginx listens still."""
    for name, path in {"ETC": "etc", "WORK": "work"}.items():
        monkeypatch.setattr(places, name, str(place / path))
    monkeypatch.setattr(ending, "UNITS", str(place / "units"))
    kept()
    with monkeypatch.context() as killed:
        killed.setattr(nginx, "reload", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ending.end()
    engine.forget()
    ending.end()
    ending.end()
    assert len(engine.calls("systemctl reload nginx")) == 1 and not os.path.exists(f"{nginx.CONF}/{module.STATUS}")


def test_exporters_listen_on_the_address_alone_and_nginx_for_its_host_alone():
    texts = {os.path.basename(path): text.decode() for path, text in module.units("fd00::5", 9180).items()}
    assert "--web.listen-address=[fd00::5]:9180 " in texts[module.NODE]
    assert "--web.listen-address=[fd00::5]:9181 " in texts[module.NGINX]
    assert "--nginx.scrape-uri=http://127.0.0.1:9182/stub_status\n" in texts[module.NGINX]
    assert "listen 127.0.0.1:9182;" in module.SITE.format(port=9182)


def test_an_exporter_that_does_not_listen_is_named_with_what_to_type(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(module.Refused, match=rf"nothing listens on 127.0.0.1:{port}: .*journalctl -n 20 -u an-expo"):
        module.await_answer("127.0.0.1", port, "an-exporter")
