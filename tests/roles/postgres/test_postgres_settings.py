"""What PostgreSQL is set to follows from a host's memory, and what a user wants wins."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.postgres import cluster
from ansible.module_utils.flask_deploy.postgres.cluster import HBA
from ansible.modules import postgres_app as module

from tests.conftest import ROOT


def values(text):
    return dict(re.findall(r"^(\S+) = '(.*)'  # ", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("memory", "buffers", "cache", "work", "maintenance"),
    [
        (512, "64MB", "256MB", "4MB", "32MB"),
        (1024, "128MB", "512MB", "4MB", "32MB"),
        (2048, "256MB", "1024MB", "4MB", "64MB"),
        (4096, "512MB", "2048MB", "8MB", "128MB"),
        (65536, "2048MB", "32768MB", "32MB", "512MB"),
    ],
)
def test_by_memory(memory, buffers, cache, work, maintenance):
    found = values(module.settings(memory, {}))
    assert found["shared_buffers"] == buffers and found["effective_cache_size"] == cache
    assert (found["work_mem"], found["maintenance_work_mem"]) == (work, maintenance)
    assert found["listen_addresses"] == ""


def test_a_kernel_that_takes_a_little_more_changes_nothing():
    assert module.rounded(990_000) == module.rounded(1_010_000) == 1024
    assert module.rounded(2_048_000) == 2048


def test_a_user_s_own_win_and_are_marked():
    text = module.settings(1024, {"work_mem": "16MB", "jit": False, "max_connections": 50})
    assert [line for line in text.splitlines() if line.endswith("# postgres_settings")] == [
        "jit = 'off'  # postgres_settings",
        "max_connections = '50'  # postgres_settings",
        "work_mem = '16MB'  # postgres_settings",
    ]
    assert text.count("work_mem = ") == 2, "maintenance_work_mem is the other"


def test_a_value_stays_a_value():
    (line,) = [
        each for each in module.settings(1024, {"a": "x'\nfsync = off\\"}).split("\n") if each.startswith("a = ")
    ]
    assert line == "a = 'x''"


def test_the_readme_names_each_setting():
    table = (ROOT / "roles/postgres/README.md").read_text()
    assert [name for name, _value, _why in module.table(1024) if f"| {name} |" not in table] == []


def test_who_gets_in():
    """PostgreSQL takes the first row that fits."""
    rows = [line.split() for line in HBA.splitlines() if not line.startswith("#")]
    assert rows == [
        ["local", "all", "postgres", "peer"],
        ["local", "replication", "postgres", "peer"],
        ["local", "sameuser", "all", "peer", "map=flask-deploy"],
        ["local", "all", "all", "reject"],
    ]


def test_what_a_database_answers_may_be_no_text(monkeypatch):
    """One with the encoding SQL_ASCII holds any bytes."""
    monkeypatch.setattr(cluster.command, "run", lambda *_words, **_options: b"a\tb\xff\n")
    assert cluster.sql("SELECT 1") == [["a", "b\ufffd"]]


def test_a_log_that_is_no_text_is_told_where_postgresql_does_not_start(monkeypatch):
    """It holds what clients sent."""
    monkeypatch.setattr(cluster.systemd, "ask", lambda *_words, **_options: "failed\n")
    monkeypatch.setattr(cluster.files, "read", lambda _path: b"1\n2\nFATAL: \xff\nlast\n")
    with pytest.raises(cluster.PostgresError, match="does not start; its last lines: 2; FATAL: \ufffd; last"):
        cluster.Cluster.until(SimpleNamespace(unit="postgresql@17-main.service", version="17"), lambda: False)
