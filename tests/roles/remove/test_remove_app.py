"""An app goes whole; its data, and other apps, stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import nginx
from ansible.module_utils.flask_deploy.switch import unit
from ansible.modules import remove_app as module
from keep_archive.places import Archive
from keep_metrics import places as measured


@pytest.fixture
def app(host, engine):
    """Return an app with a release, a container, a network, an image, data and keys."""
    app = host()
    for path in (app.path("aaa"), f"{app.root}/data", f"{app.etc}/jwt"):
        os.makedirs(path)
    Path(app.include).write_text("include x;\n")
    Path(f"{app.root}/data/shop.sqlite3").write_text("orders")
    Path(f"{app.root}/schema.json").write_text("{}")
    os.symlink("releases/aaa", app.current)
    unit.ensure(app)
    engine.forget()
    (engine.place / "containers" / "shop-aaa").mkdir()
    (engine.place / "volumes" / "of-shop-aaa").mkdir()
    (engine.place / "networks" / "shop").mkdir()
    (engine.place / "tags").write_text("sha256:one flask-deploy/shop:a\nsha256:one flask-deploy/shop:b\n")
    return app


def left(app):
    return sorted(path.relative_to(app.root).as_posix() for path in Path(app.root).rglob("*"))


def test_everything_goes_but_data_and_keys(app, engine):
    actions = module.remove(app, data=False, dry=False)
    assert left(app) == ["data", "data/shop.sqlite3"] and os.path.isdir(f"{app.etc}/jwt")
    assert not os.path.lexists(app.include) and not list(Path(app.systemd).rglob("flask-deploy*"))
    assert engine.calls("systemctl stop") == ["systemctl stop flask-deploy-keep@shop.service"]
    assert engine.calls("docker rm ") and engine.volumes() == []
    assert [call[-1] for call in engine.calls("docker rmi -f flask-deploy/shop:")] == ["a", "b"]
    assert engine.calls("systemctl reload nginx")
    assert "removed container shop-aaa" in actions and "removed 1 images" in actions


def test_an_app_that_is_gone_is_not_watched(app, tmp_path, monkeypatch):
    for name in ("shop.json", "shop.monit", "host.monit", "shop-two.monit"):
        (tmp_path / name).touch()
    monkeypatch.setattr(module, "WATCHED", (f"{tmp_path}/{{app}}.*",))
    told = []

    def ask(*words, **_options):
        told.append((*words, *(path.name for path in tmp_path.glob("shop.*"))))
        return ""

    monkeypatch.setattr(module.systemd, "ask", ask)
    module.remove(app, data=False, dry=False)
    assert told[0] == ("try-restart", "flask-deploy-monitor.service"), "before anything ends, or it would be told"
    assert sorted(path.name for path in tmp_path.glob("*.monit")) == ["host.monit", "shop-two.monit"]


def test_an_app_that_is_gone_is_not_measured():
    assert {f"{measured.ETC}/{{app}}.*", f"{measured.TEXTS}/{{app}}.*"} <= set(module.WATCHED)


def test_data_goes_when_it_is_named(app):
    module.remove(app, data=True, dry=False)
    assert not os.path.exists(app.root) and not os.path.exists(app.etc)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Let the app keep the archive of PostgreSQL, in which another one has a database too."""
    for name in ("archive", "lib"):
        (tmp_path / name).mkdir()
    (tmp_path / "archive/settings.json").write_text('{"app": "shop"}')
    monkeypatch.setattr(module, "ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.setattr(module, "ENDED", str(tmp_path / "lib/ended.json"))
    monkeypatch.setattr(module.postgres, "apps", lambda: [("blog", 10002), ("shop", 10001)])
    return tmp_path


@pytest.mark.parametrize("dry", [True, False])
def test_who_is_in_no_backup_any_more_is_told_with_what_to_type(app, archive, dry):
    left = module.Leftovers()
    module.remove(app, data=True, dry=dry, left=left)
    (line,) = left.lines
    assert "in no backup from now on: app shop kept it, and blog has databases there" in line
    assert line.endswith("ansible-playbook site.yml -i inventories/<of blog>")
    assert [(archive / name).exists() for name in ("lib/ended.json", "archive")] == [not dry, dry]


@pytest.mark.parametrize("why", ["data stays", "another keeps it", "no other has a database"])
def test_backups_of_postgresql_that_go_on_are_not_told(app, archive, monkeypatch, why):
    if why == "another keeps it":
        (archive / "archive/settings.json").write_text('{"app": "mail"}')
    if why == "no other has a database":
        monkeypatch.setattr(module.postgres, "apps", lambda: [("shop", 10001)])
    left = module.Leftovers()
    module.remove(app, data=why != "data stays", dry=False, left=left)
    assert left.lines == [] and not (archive / "lib/ended.json").exists()


def test_the_status_of_the_others_reads_what_is_written_here():
    assert Archive().ended == module.ENDED


def test_a_second_time_there_is_nothing_to_do(app, engine):
    module.remove(app, data=False, dry=False)
    (engine.place / "tags").write_text("")
    assert module.remove(app, data=False, dry=False) == []


def test_a_dry_run_tells_and_removes_nothing(app, engine):
    before = left(app)
    told = module.remove(app, data=False, dry=True)
    assert left(app) == before and os.path.exists(app.include)
    assert not engine.calls("docker rm") and not engine.calls("systemctl reload")
    (engine.place / "tags").write_text("sha256:one flask-deploy/shop:a\n")
    assert told == module.remove(app, data=False, dry=False)


def test_visitors_are_sent_away_before_their_app_goes(app, engine, monkeypatch):
    monkeypatch.setattr(nginx, "reload", lambda: os.stat(app.path("aaa")))
    module.remove(app, data=False, dry=False)
    assert not os.path.exists(app.path("aaa"))


def test_a_reload_that_a_kill_cut_off_is_made_up_for(app, engine, monkeypatch):
    """By then the file is gone: nginx went on with a site whose directory goes next."""
    with monkeypatch.context() as killed:
        killed.setattr(nginx, "reload", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            module.remove(app, data=False, dry=False)
    assert not os.path.lexists(app.include)
    assert "nginx reloaded" in module.remove(app, data=False, dry=False)
    assert len(engine.calls("systemctl reload nginx")) == 1
    assert "nginx reloaded" not in module.remove(app, data=False, dry=False)


def test_a_network_of_somebody_else_stays(app, engine):
    module.remove(app, data=False, dry=False)
    assert not engine.calls("docker network rm")
