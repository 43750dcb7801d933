"""What lies in a file of a release or of a failure may be damaged, or another version's: no reader fails of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.release import containers, failures
from ansible.module_utils.flask_deploy.release import record as records
from ansible.module_utils.flask_deploy.switch import steps, ways
from ansible.modules import status_look

from tests.deploys import deploy, options, serve

ERRORS = (steps.ReleaseError, engines.EngineError, containers.NotReady)


def alter(path, odd):
    known = json.loads(Path(path).read_text()) if Path(path).exists() else {}
    Path(path).write_text(json.dumps({**known, **odd}))


def same(app, old):
    steps.prepare(app, options(), dry=False)


def another(app, old):
    deploy(app, build="b2")


def back(app, old):
    try:
        serve(app, steps.restore(app, options(release=old), dry=False)[0])
    except ERRORS:
        assert ways.impossible(app, old)


VERBS = [same, another, back]
RECORDS = [
    {"container": None},
    {"container": "x"},
    {"container": {"pids": []}},
    {"source": "x"},
    {"source": {"kind": "git"}},
    {"source": {"kind": "git", "ref": 3}},
    {"source": {"commit": None}},
    {"static": None},
    {"static": {}},
    {"static": {"path": 5}},
    {"arguments": None},
    {"arguments": ["x", 5]},
    {"arguments": {"a": 1}},
    {"image": 5},
    {"domain": []},
    {"start_timeout": "x"},
    {"wsgi": None},
    {"created": 1e300},
]
STATES = [{"switched": "x"}, {"switched": 1e300}, {"since": "x"}, {"since": -1e300}, {"order": {}}, {"moved": None}]
FILES = [("release.json", odd) for odd in RECORDS] + [("state.json", odd) for odd in STATES]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
@pytest.mark.parametrize(("name", "odd"), FILES, ids=str)
def test_odd_values_of_a_release_end_no_verb_with_a_traceback(app, verb, name, odd):
    old = deploy(app)
    if verb is back:
        deploy(app, build="b2")
    alter(app.path(old, name), odd)
    status_look.describe(app)
    verb(app, old)
    status_look.describe(app)


def test_a_rejected_release_is_refused_whatever_its_time_is(app):
    old = deploy(app)
    alter(app.path(old, "state.json"), {"state": "rejected", "since": "x"})
    with pytest.raises(steps.ReleaseError, match="was rolled back from at 1970"):
        steps.prepare(app, options(), dry=False)


def test_a_record_with_a_value_of_another_type_is_damaged():
    whole = {"image": "sha256:1", "container": {"pids": "5", "memory": None}, "arguments": ["--name"]}
    known = records.whole(whole)
    assert known["image"] == "sha256:1" and known["arguments"] == ["--name"]
    assert known["container"] == {**records.UNKNOWN["container"], "pids": "5"}
    assert records.whole({**whole, "domain": 5}) == records.UNKNOWN


FAILED = [
    {"at": 1e300},
    {"at": float("nan")},
    {"at": "now"},
    {"source": {"kind": "git"}},
    {"source": {"commit": 5}},
    {"source": {"commit": None}},
    {"command": "x"},
    {"command": ["x"]},
    {"command": {"code": 0, "after": 5}},
    {"reason": ["x"]},
]


@pytest.mark.parametrize("odd", FAILED, ids=str)
def test_odd_values_of_what_failed_end_nothing(app, odd):
    release = steps.write(app, options(), dry=False)[0]
    Path(app.failed).write_text(json.dumps({"failed": ["x", {"id": release, "at": 1, **odd}]}))
    assert status_look.describe(app)["failures"] == failures.lines(app)
    steps.command(app, options(release=release, command="migrate"))
    failures.remember(app, release, app.record(release), "it broke")
    assert failures.lines(app)[1] == "  it broke" and failures.known(app, release)["command"]["command"] == "migrate"
