"""What a person reads of a deploy."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.switch import summary

TALLY = {"requests": 40, "failed": 2, "p99": 0.7}

SEEN = {"seconds": 10, "watched": TALLY, "before": {"requests": 7, "failed": 1, "p99": None}}

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
        "watched 40 requests, failed 2 (1 of 7 with the release before); p99 - -> 700 ms; asked 5 times, failed 3",
        "3 requests lasted longer than the drain and were cut: raise app_drain_timeout for them",
        "roll back: so",
    ]


def test_a_first_deploy_has_no_way_back_and_a_schema_has_a_line():
    first = {**RECORD, "previous": None, "watch": None, "retired": [], "schema": "schema: 5", "seconds": {}}
    assert summary.summarise(first) == ["release none -> new", "schema: 5"]


def test_a_deploy_that_changes_nothing_says_so():
    assert summary.summarise({**RECORD, "switched": False}) == [
        "release new serves, as before",
        "seconds: build 1.2, retire 0.1",
    ]
