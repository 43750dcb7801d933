"""A release is judged by the traffic it gets, and by nothing else."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing

import pytest
from ansible.module_utils import app_containers as containers
from ansible.module_utils import app_files as files
from ansible.module_utils import app_site as site
from ansible.module_utils import app_watch as watch

RULES = {"seconds": 0.4, "percent": 5, "samples": 20}
OLD, NEW = "0" * 12, "1" * 12


@pytest.fixture
def app(host, monkeypatch):
    app = host()
    for release in (OLD, NEW):
        os.makedirs(app.path(release))
        files.write_json(app.path(release, "release.json"), {"domain": "shop.example.com", "health_path": "/"})
    monkeypatch.setattr(containers, "process", lambda app, release: os.getpid())
    return app


def write(release, status=200, times=1, upstream=None, seconds=0.01):
    upstream = str(status) if upstream is None else upstream
    entry = {"release": release, "status": status, "seconds": seconds, "upstream_status": upstream}
    with open(watch.LOG, "a", encoding="utf-8") as log:
        log.write((json.dumps(entry) + "\n") * times)


def look(app, **rules):
    return watch.watch(app, NEW, OLD, {**RULES, **rules}, time.time())


def test_good_traffic_is_well_and_counted(app):
    write(OLD, times=50, seconds=0.2)
    write(NEW, times=30, seconds=0.1)
    seen = look(app)
    assert (seen["well"], seen["reason"]) == (True, None)
    assert seen["watched"] == {"requests": 30, "failed": 0, "p50": 0.1, "p99": 0.1}
    assert seen["before"] == {"requests": 50, "failed": 0, "p50": 0.2, "p99": 0.2}
    assert seen["probes"] >= 1 and seen["probes_failed"] == 0


def test_a_share_of_failures_is_bad(app):
    write(NEW, times=30)
    write(NEW, 500, times=10)
    seen = look(app)
    assert not seen["well"]
    assert seen["reason"] == "10 of 40 requests failed (25 %), 0 % with the release before"


@pytest.mark.parametrize(
    ("rows", "rules"),
    [
        ([(NEW, 500, 19)], {}),
        ([(NEW, 500, 1), (NEW, 200, 30)], {}),
        ([(NEW, 404, 40)], {}),
        ([(OLD, 500, 40), (NEW, 200, 40)], {}),
        ([(OLD, 500, 50), (OLD, 200, 50), (NEW, 500, 20), (NEW, 200, 20)], {}),
        ([(NEW, 500, 20), (NEW, 200, 20)], {"percent": 60}),
    ],
    ids=["too few", "below the share", "clients' faults", "the other release's", "no worse than before", "by setting"],
)
def test_what_is_not_the_release_s_fault_is_well(app, rows, rules):
    for release, status, times in rows:
        write(release, status, times)
    assert look(app, **rules)["well"]


def test_what_nginx_answers_by_itself_is_not_the_release_s_fault(app):
    write(NEW, 503, times=40, upstream="")
    assert look(app)["well"]


def test_a_failing_door_is_bad(app, monkeypatch):
    monkeypatch.setattr(watch, "PROBE_EVERY", 0)
    monkeypatch.setattr(site, "probe_door", lambda *arguments: 502)
    assert look(app, seconds=5)["reason"] == "/ failed 3 times in a row through the public door: status 502"


def test_one_failing_request_at_the_door_is_not_bad(app, monkeypatch):
    answers = iter([502, 502])
    monkeypatch.setattr(watch, "PROBE_EVERY", 0)
    monkeypatch.setattr(site, "probe_door", lambda *arguments: next(answers, 200))
    seen = look(app)
    assert seen["well"] and seen["probes_failed"] == 2


@pytest.mark.parametrize(("answers", "well"), [([502, 200], True), ([502, 502, 502], False)])
def test_a_watch_does_not_end_with_a_failing_door(app, monkeypatch, answers, well):
    """On a slow host there may be time for one request alone."""
    told = iter(answers)
    monkeypatch.setattr(watch, "PROBE_EVERY", 0)
    monkeypatch.setattr(site, "probe_door", lambda *arguments: next(told))
    seen = look(app, seconds=0.001)
    assert (seen["well"], seen["probes"]) == (well, len(answers))


def test_a_container_that_ended_is_bad(app, monkeypatch):
    monkeypatch.setattr(containers, "process", lambda app, release: 2**22 + 1)
    assert look(app)["reason"] == "its container ended"


def test_an_engine_that_does_not_tell_is_not_bad(app, monkeypatch):
    monkeypatch.setattr(containers, "process", lambda app, release: None)
    assert look(app)["well"]


def test_the_log_is_followed_over_its_rotation(app):
    write(NEW, times=2)
    with closing(watch.Log(watch.LOG).open(0)) as log:
        assert log.entries() == []
        write(NEW, times=3)
        os.rename(watch.LOG, watch.LOG + ".1")
        write(NEW, times=4)
        assert len(log.entries()) == 7
        write(NEW)
        assert len(log.entries()) == 1


def test_half_a_line_waits_for_its_rest(app):
    write(OLD)
    with closing(watch.Log(watch.LOG).open(0)) as log, open(watch.LOG, "a", encoding="utf-8") as file:
        for part, seen in (('{"release": "x", ', 0), ('"status": 200}\nnot json\n', 1)):
            file.write(part)
            file.flush()
            assert len(log.entries()) == seen


def test_a_site_without_a_log_is_judged_by_its_door(app):
    assert look(app)["watched"]["requests"] == 0


def test_no_seconds_is_no_watch(app, monkeypatch):
    monkeypatch.setattr(site, "probe_door", lambda *arguments: 502)
    write(NEW, 500, times=40)
    assert look(app, seconds=0)["well"]
