"""Which release serves and which did last is told by links and numbers, never by the wall clock."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import writing
from ansible.module_utils.flask_deploy.switch import retire, switch

from tests.deploys import SITE, begin, deploy, prepare


def test_each_place_is_open_to_whom_it_is_for(app):
    """The app alone reads what is its own; nginx passes through the rest, which is root's."""
    own, roots = (10001, 10001), (0, 0)
    places = {
        **{f"{app.root}{name}": (0o755, *roots) for name in ("", "/releases", "/maintenance")},
        app.etc: (0o755, *roots),
        f"{app.root}/data": (0o700, *own),
        **{f"{app.etc}/{name}": (0o500, *own) for name in ("secrets", "jwt")},
    }
    assert sorted(places) == sorted(set(writing.ensure_places(app, dry=True)) & set(places)) and not os.path.exists(
        app.root
    )
    writing.ensure_places(app)
    found = {path: files.os.lstat(path) for path in places}
    assert {path: (info.st_mode & 0o777, info.st_uid, info.st_gid) for path, info in found.items()} == places
    assert writing.ensure_places(app) == []


def test_nginx_passes_through_an_app_s_data_while_a_release_has_it_serve_files_there(app):
    """A rollback to that release finds the way open."""

    def door():
        info = files.os.lstat(f"{app.root}/data")
        return info.st_mode & 0o777, info.st_uid, info.st_gid

    closed, opened = (0o700, 10001, 10001), (0o710, 10001, 33)
    uploads = f"{SITE}  alias {app.root}/data/uploads/;\n"
    release = prepare(app, files={"site.conf": uploads, "gunicorn.conf.py": "", "exec.py": ""})
    assert door() == opened
    prepare(app, build="b2")
    assert door() == opened
    files.remove_tree(app.path(release))
    prepare(app, build="b3")
    assert door() == closed


def test_a_link_to_a_release_that_is_gone_serves_nothing(app):
    writing.ensure_places(app)
    files.link(app.current, "releases/gone")
    assert app.serving() is None


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
def test_a_clock_that_is_set_changes_no_order(app, monkeypatch, hours):
    releases = [deploy(app, build=f"b{number}", keep=9) for number in range(2)]
    wall, moved, shift = time.time, os.lstat, hours * 3600

    def lstat(path):
        found = moved(path)
        return SimpleNamespace(st_mtime=found.st_mtime + shift, st_mode=found.st_mode)

    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: wall() + shift)
        clock.setattr(switch, "os", SimpleNamespace(**{**vars(os), "lstat": lstat}))
        releases += [deploy(app, build=f"b{number}", keep=9) for number in range(2, 4)]
    assert retire.targets(app) == releases[2::-1]
    assert retire.surplus(app, 2) == releases[1::-1]
    assert sorted(app.known(), key=app.order) == releases


def test_releases_of_before_there_was_an_order_come_first_by_their_time(app):
    releases = [deploy(app, build=f"b{number}") for number in range(3)]
    for number, release in enumerate(releases):
        state = {"state": "retired", "since": 1, "switched": 1e9 + number}
        files.write_json(app.path(release, "state.json"), state)
    newest = deploy(app, build="b9")
    app.set_state(newest, "live", switched=1.0)
    assert sorted(app.known(), key=app.order) == [*releases[1:], newest]


def test_a_release_that_is_gone_back_to_is_the_newest(app):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    switch.carry_out(app)
    assert max(app.known(), key=app.order) == old


def test_a_release_whose_state_is_gone_is_told_as_unknown(app):
    assert app.describe("abc").startswith("abc unknown  never served")
