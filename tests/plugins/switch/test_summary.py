"""What a person reads of a deploy."""

from __future__ import annotations

import os

import pytest
from ansible.module_utils.flask_deploy.host import nginx
from ansible.module_utils.flask_deploy.switch import summary

from tests.deploys import deploy

TALLY = {"requests": 40, "failed": 2, "p99": 0.7}

SEEN = {"seconds": 10, "watched": TALLY, "before": {"requests": 7, "failed": 1, "p99": 0.05}}

RECORD = {
    "release": "new",
    "previous": "old",
    "switched": True,
    "watch": {**SEEN, "probes": 5, "probes_failed": 3},
    "retired": [{"cut": 2}, {"cut": 1}],
    "stays": [],
    "seconds": {"build": 1.25, "retire": 0.05, "lock": 0.04},
    "schema": None,
    "back": "roll back: so",
}


def test_a_deploy_is_told_in_lines():
    assert summary.summarise(RECORD) == [
        "release old -> new",
        "seconds: build 1.2, retire 0.1",
        "watched 40 requests, failed 2 (1 of 7 with the release before); p99 50 -> 700 ms; asked 5 times, failed 3",
        "3 requests lasted longer than the drain and were cut: raise app_drain_timeout for them",
        "roll back: so",
    ]


QUIET = {"requests": 0, "failed": 0, "p99": None}
UNTIMED = {**QUIET, "requests": 3}  # websockets alone


@pytest.mark.parametrize(
    ("before", "watched", "line"),
    [
        (QUIET, TALLY, "watched 40 requests, failed 2; p99 700 ms (nobody asked the release before); "),
        (TALLY, QUIET, "watched no request (the release before had 40, failed 2); "),
        (QUIET, QUIET, "watched no request (nobody asked the release before either); "),
        (UNTIMED, TALLY, "watched 40 requests, failed 2 (0 of 3 with the release before); p99 700 ms; "),
    ],
)
def test_where_nobody_asked_the_line_says_so_in_words(before, watched, line):
    seen = {**RECORD["watch"], "before": before, "watched": watched}
    assert summary.summarise({**RECORD, "watch": seen})[2] == f"{line}asked 5 times, failed 3"


def test_a_first_deploy_has_no_way_back_and_a_schema_has_a_line():
    first = {**RECORD, "previous": None, "watch": None, "retired": [], "schema": "schema: 5", "seconds": {}}
    assert summary.summarise(first) == ["release none -> new", "schema: 5"]


def test_a_deploy_that_changes_nothing_says_so():
    assert summary.summarise({**RECORD, "switched": False}) == [
        "release new serves, as before",
        "seconds: build 1.2, retire 0.1",
    ]


@pytest.fixture
def says(app, monkeypatch):
    """Let the release that serves say this of itself; return what is told of that."""

    def told(answer):
        monkeypatch.setattr(nginx, "ask_socket", lambda *arguments, **options: answer)
        return summary.remarks(app, app.serving())

    deploy(app)
    return told


def test_settings_that_no_app_should_serve_with_are_warned_of(says):
    told = {"secret": "SECRET_KEY", "debug": "DEBUG", "testing": "TESTING", "database": "DB", "apart": "DB"}
    lines = says({"risks": [list(each) for each in told.items()]})
    assert [line.split(":")[0] for line in lines] == ["warning"] * 5
    assert "openssl rand -hex 32" in lines[0] and "FLASK_DEBUG" in lines[1] and "/data" in lines[3]
    assert "each host has its own" in lines[4]


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, {"risks": 1}, {"risks": [["secret"]]}, {"risks": [["secret", "\x1b[2J"], ["odd", "KEY"], [[], {}]]}],
)
def test_what_else_an_app_may_answer_is_not_shown(says, answer):
    assert says(answer) == []


def test_a_deploy_under_maintenance_says_what_visitors_see(app, says):
    os.makedirs(f"{app.root}/maintenance", exist_ok=True)
    with open(f"{app.root}/maintenance/html", "w"):
        pass
    assert [line.split(";")[0] for line in says({})] == ["visitors see the maintenance page"]


def test_remarks_are_told_whether_or_not_something_changed():
    for record in (RECORD, {**RECORD, "switched": False}):
        assert summary.summarise({**record, "remarks": ["warning: so"]})[-1] == "warning: so"
