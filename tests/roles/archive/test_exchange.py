"""A restored database takes its place, and what another run left beside it is never taken for the one of before."""

from __future__ import annotations

import re
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from inventory_check.values import APP
from keep_archive import fetching, pgbackrest

BACKUP = {"label": "20261128-030000F", "timestamp": {"stop": 1}}
RENAME = re.compile(r'ALTER DATABASE "([^"]+)" RENAME TO "([^"]+)"')


@pytest.fixture
def server(monkeypatch):
    """Return {database: what it holds} of a PostgreSQL that knows names alone, beside that of a backup."""
    found, aside = {"shop": "live"}, {}

    def sql(statement, *_where, sockets=pgbackrest.SOCKETS, **_more):
        return said(statement, found if sockets == pgbackrest.SOCKETS else aside)

    def said(statement, found):
        for old, new in RENAME.findall(statement):
            assert new not in found, f"there is a database {new} already"
            found[new] = found.pop(old)
        if name := re.match(r'DROP DATABASE IF EXISTS "([^"]+)"', statement):
            found.pop(name[1], None)
        if name := re.search(r"datname = '([^']+)'", statement):
            return [["1"]] if name[1] in found else []
        return [["2026-11-28 02:59:59+00"]]

    @contextmanager
    def restored(*_words):
        aside.clear()
        aside.update({"shop": "of the backup", fetching.RESTORED.format("shop"): "of a restore that ran then"})
        yield SimpleNamespace(live="/bin", sockets="/tmp", rows=lambda _app: {"item": 3})

    monkeypatch.setattr(pgbackrest, "sql", sql)
    monkeypatch.setattr(pgbackrest, "run", lambda *_words, **_more: "")
    monkeypatch.setattr(pgbackrest, "newest", lambda *_words: BACKUP)
    monkeypatch.setattr(fetching.aside, "restored", restored)
    monkeypatch.setattr(fetching.aside, "rows", lambda _name: {"item": 3})
    monkeypatch.setattr(
        fetching.command, "pipe", lambda dump, _load, **_more: found.update({dump[-1]: aside[dump[-1]]})
    )
    return found


def test_it_takes_its_place_and_the_one_of_before_goes(server):
    fetching.load(None, "shop", "latest")
    fetching.exchange("shop")
    assert sorted(server.values()) == ["live", "of the backup"] and server["shop"] == "of the backup"
    fetching.keep("shop")
    assert server == {"shop": "of the backup"}


@pytest.mark.parametrize("exchanged", [False, True])
def test_wherever_it_is_cut_off_the_one_of_before_serves(server, exchanged):
    fetching.load(None, "shop", "latest")
    if exchanged:
        fetching.exchange("shop")
    assert fetching.settle("shop") is exchanged
    assert server == {"shop": "live"}


def test_what_an_earlier_restore_left_is_not_put_back_by_a_later_one(server):
    """The earlier one went well, and was killed before it let go of what was there before."""
    server[fetching.BEFORE.format("shop")] = "of last week"
    fetching.load(None, "shop", "latest")
    fetching.settle("shop")  # as the app did not stop
    assert server == {"shop": "live"}


def test_no_app_can_have_the_name_of_what_is_dropped():
    for name in (fetching.RESTORED, fetching.BEFORE):
        assert not APP.fullmatch(name.format("shop"))
