"""What stands against a service beside an app is told before anything changes."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils import check_needs
from ansible.module_utils.flask_deploy.host import account, postgres


@pytest.fixture
def etc(tmp_path, monkeypatch):
    """Return the directory of PostgreSQL's clusters on a host without any."""
    monkeypatch.setattr(postgres, "ETC", str(tmp_path))
    monkeypatch.setattr(postgres, "RECORD", str(tmp_path / "postgres.json"))
    monkeypatch.setattr(account, "entry", lambda uid: None)
    return tmp_path


def cluster(etc, name, *rows):
    (etc / name).mkdir(parents=True)
    (etc / name / "postgresql.conf").touch()
    (etc / name / "pg_ident.conf").write_text("".join(f"{row}\n" for row in rows))


def test_a_bare_host_takes_all_where_the_run_sets_them_up(etc):
    assert check_needs.mistakes("shop", 10001, ["postgres", "valkey"], True) == []
    assert check_needs.mistakes("shop", 10001, [], False) == []


def test_a_cluster_of_somebody_s_is_left_alone(etc):
    cluster(etc, "15/main")
    (line,) = check_needs.mistakes("shop", 10001, ["postgres"], True)
    assert line.startswith("app_needs: PostgreSQL 15/main is on this host already")
    assert line.endswith("sudo pg_dropcluster --stop 15 main")
    assert check_needs.mistakes("shop", 10001, ["valkey"], True) == []


def test_ours_is_used(etc):
    cluster(etc, "17/main", postgres.row("shop", 10001))
    (etc / "postgres.json").write_text(json.dumps({"cluster": "17/main"}))
    assert check_needs.mistakes("shop", 10001, ["postgres"], False) == []


@pytest.mark.parametrize(("app", "uid"), [("blog", 10001), ("shop", 10002), ("sho", 10001)])
def test_a_release_alone_is_told_to_set_up_first(etc, app, uid):
    cluster(etc, "17/main", postgres.row("shop", 10001))
    (etc / "postgres.json").write_text(json.dumps({"cluster": "17/main"}))
    lines = check_needs.mistakes(app, uid, ["postgres", "valkey"], False)
    assert lines == [check_needs.SET_UP.format(need, app) for need in ("postgres", "valkey")]


def test_an_id_of_another_app_is_the_only_line(etc, monkeypatch):
    monkeypatch.setattr(account, "taken", lambda app, uid: f"app_uid: {uid} is blog's")
    assert check_needs.mistakes("shop", 10001, ["postgres"], False) == ["app_uid: 10001 is blog's"]
