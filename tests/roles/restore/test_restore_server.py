"""A server is set up anew with what its backups hold: in the order of site.yml, and a word says that it is meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from ansible.modules import restore_app, restore_database
from inventory_check.inventory import CHECKS

from tests.conftest import ROOT

FILES = {"snapshot": "3f9a0c41d2b7", "time": 1795834800.0}
DATABASE = {"set": "20261128-030000F", "moment": 1795834800.0, "here": {"public.item": 5}}


def parts(playbook):
    """Return what a playbook imports: each one's name, or the part of an app that it restores."""
    plays = yaml.safe_load((ROOT / playbook).read_text())
    return [
        play.get("vars", {}).get("__restore_part") or Path(play["ansible.builtin.import_playbook"]).name
        for play in plays
    ]


def test_it_runs_all_of_site_yml_with_files_first_and_the_database_before_a_release():
    found = parts("playbooks/restore_server.yml")
    assert [part for part in found if part.endswith(".yml")] == parts("site.yml")
    assert found.index("files") == found.index("check.yml") + 1
    assert found.index("postgres.yml") < found.index("database") == found.index("release.yml") - 1


@pytest.mark.parametrize(
    ("part", "given", "to", "server"),
    [
        ("", {}, "", ""),
        ("", {"restore_time": "2026-11-28T03:00:00Z"}, "2026-11-28T03:00:00Z", ""),
        ("files", {}, "", "host"),
        ("files", {"restore_time": "2026-11-28T03:00:00Z"}, "", "host"),
        ("database", {}, "latest", "host"),
        ("database", {"restore_time": "2026-11-28T03:00:00Z"}, "2026-11-28T03:00:00Z", "host"),
        ("database", {"restore_point": "shop-20261128T030000Z-5f0c"}, "shop-20261128T030000Z-5f0c", "host"),
    ],
)
def test_each_part_restores_its_own(render, part, given, to, server):
    known = given | ({"__restore_part": part} if part else {})
    assert [render("restore", name, **known) for name in ("__restore_to", "__restore_server")] == [to, server]


@pytest.fixture
def app(host):
    """Return an app with a key."""
    app = host()
    os.makedirs(app.etc, exist_ok=True)
    Path(app.etc, "key").write_text("5f0c")
    return app


@pytest.mark.parametrize("server", ["web1.example.com", "192.0.2.1", "2001:db8::1", "web_1"])
def test_one_word_that_names_app_and_server_says_that_all_is_meant(app, server):
    word = f"shop-on-{server}"
    for over in ("", "shop-on-another", restore_app.word("shop", FILES["time"])):
        with pytest.raises(restore_app.Refused, match=f"restore_over={word}$"):
            restore_app.refuse(app, FILES, over, server)
        with pytest.raises(restore_database.Refused, match=f"restore_over={word}$"):
            restore_database.refuse(app, DATABASE, "latest", over, server)
    restore_app.refuse(app, FILES, word, server)
    restore_database.refuse(app, DATABASE, "latest", word, server)
    assert CHECKS["restore_over"](word) is None


def test_that_word_is_not_taken_for_files_or_a_database_alone(app):
    with pytest.raises(restore_app.Refused):
        restore_app.refuse(app, FILES, "shop-on-web1")
    with pytest.raises(restore_database.Refused):
        restore_database.refuse(app, DATABASE, "latest", "shop-on-web1")
