"""A release goes back only to a database that its code ran with, as far as anybody recorded it."""

from __future__ import annotations

import os

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import ahead, schema

from tests.deploys import options

UNKNOWN = {"state": None, "how": "now it cannot be asked", "schema_command": "tell"}


@pytest.fixture
def release(app):
    os.makedirs(app.path("abc"))
    return "abc"


def test_the_schema_is_asked_by_the_code_that_serves_and_with_the_given_command(app, release, monkeypatch):
    asked = []
    monkeypatch.setattr(app, "serving", lambda: release)
    monkeypatch.setattr(schema, "ask", lambda app, *of: asked.append(of) or ("2b", ""))
    seen = {"state": "2b", "how": "now", "schema_command": "tell"}
    assert ahead.now(app, options(schema_command="tell"), dry=False) == seen
    assert asked == [(release, "tell")] and schema.ran_with(app, release)["state"] == "2b"


def test_a_database_that_cannot_be_asked_is_ahead_of_nothing(app, release):
    assert ahead.judge(app, release, UNKNOWN) == (None, ahead.UNKNOWN)
    schema.served_with(app, release, "1a", "tell")
    assert ahead.judge(app, release, UNKNOWN) == (None, ahead.UNKNOWN)


@pytest.mark.parametrize(("code", "failed"), [(0, ""), (1, " and FAILED")])
def test_a_release_of_which_nothing_is_recorded_is_behind_what_changed(app, release, code, failed):
    change = {"release": "def", "command": "migrate", "code": code, "at": 1, "before": "1a", "after": "2b"}
    files.write_json(app.schema_file, {"changes": [change]})
    assert ahead.judge(app, release, {"state": "2b", "how": "now", "schema_command": "tell"})[0] == (
        "with which schema its code ran is not recorded, the database is at 2b (now); "
        f"'migrate' of release def ran at 1970-01-01 00:00:01 UTC{failed}"
    )
