"""The judge of traffic: each kind of loss in a history is seen, and what a run of it does and shows."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from contextlib import nullcontext
from xml.etree import ElementTree

import pytest

from bench.command import Trial, faults, report
from bench.demo import Play, RunError
from bench.history import Answer, History, Note, line, read
from bench.judge import Switch, switch_record
from bench.noise import deploy, noise
from bench.picture import draw
from bench.plan import STEPS, Plan
from bench.verdict import judge

SWITCH = Switch(old="a", new="b", began=100.0, ended=100.2)


def told(started, ended, release, kind="get", failure=""):
    return Answer(kind, "1", started, ended, 200, release, failure)


@pytest.mark.parametrize(
    ("started", "ended", "release"),
    [
        (90, 91, "a"),
        (99, 103, "a"),
        (99, 103, "b"),
        (104, 104.5, "a"),  # on a connection that nginx kept
        (104, 109, "a"),
        (104, 104.5, "b"),
        (106, 106.1, "b"),
    ],
)
def test_an_answer_from_a_release_that_may_give_it_is_good(started, ended, release):
    assert judge(History([told(50, 51, "a"), told(started, ended, release)]), [SWITCH]).failed == 0


@pytest.mark.parametrize(
    ("started", "ended", "release"),
    [(90, 91, "b"), (99, 99.9, "b"), (106, 106.1, "a"), (120, 121, "a"), (90, 91, "c"), (106, 107, "")],
)
def test_an_answer_from_another_release_is_a_failure(started, ended, release):
    verdict = judge(History([told(50, 51, "a"), told(started, ended, release)]), [SWITCH])
    assert [failure.release for failure in verdict.failures] == [release]
    assert "answered by release" in str(verdict)


def test_a_deploy_that_failed_shows_only_the_old_release():
    seen = History([told(1, 2, "a"), told(2, 3, "a"), told(3, 4, "b"), told(4, 5, "a")])
    assert judge(seen, []).failed == 1
    assert judge(History(seen.answers[:2]), []).failed == 0


def test_releases_are_not_judged_where_no_switch_is_known_and_files_never():
    assert judge(History([told(1, 2, "a"), told(3, 4, "b")]), None).failed == 0
    assert judge(History([told(1, 2, "a"), told(3, 4, "", kind="file")]), []).failed == 0


def test_two_switches_close_together_allow_three_releases():
    switches = [SWITCH, Switch("b", "c", 102.0, 102.1)]
    assert judge(History([told(50, 51, "a"), *(told(99, 103, release) for release in "abc")]), switches).failed == 0
    assert judge(History([told(50, 51, "a"), told(106, 107, "a")]), switches).failed == 1


def test_a_loss_is_counted_by_its_kind():
    verdict = judge(History([told(1, 2, "a"), told(1, 2, "", "post", "no answer: closed")]), None)
    assert (verdict.failed, verdict.by_kind) == (1, {"get": (1, 0), "post": (1, 1)})


def test_requests_in_flight_at_a_switch_are_counted():
    seen = History([told(99, 101, "a"), told(98, 99, "a"), told(100.5, 101, "b"), told(99, 101, "a", "message")])
    assert judge(seen, [SWITCH]).in_flight == [1]


def test_a_history_without_a_request_shows_nothing():
    with pytest.raises(ValueError, match="shows nothing"):
        judge(History(), [])


def test_a_history_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "history"
    path.write_text(line(told(1, 2, "a")) + line(Note("refused", "http2", 3.0)) + '{"kind": "ge')
    assert read(path) == History([told(1, 2, "a")], [Note("refused", "http2", 3.0)])


def test_the_hosts_record_says_when_it_switched():
    assert switch_record(lambda command: 'releases/b\n100.25\n100.5\n{"previous": "a"}') == Switch(
        "a", "b", 100.25, 100.5
    )
    assert switch_record(lambda command: "releases/b\n100.25\n90\n{}", old="a") == Switch("a", "b", 100.25, 100.25)


def test_the_first_release_of_a_host_has_a_record(tmp_path):
    (tmp_path / "app/releases/a/run").mkdir(parents=True)
    (tmp_path / "app/releases/a/state.json").write_text('{"state": "live"}')
    (tmp_path / "app/current").symlink_to("releases/a")

    def run(command):
        return subprocess.check_output(command.replace("/srv/", f"{tmp_path}/"), shell=True, text=True)

    moved = os.lstat(tmp_path / "app/current").st_mtime
    assert switch_record(run) == Switch("", "a", pytest.approx(moved), pytest.approx(moved))


# -- the command -----------------------------------------------------------------------------


def test_a_picture_shows_each_switch_and_each_failure():
    seen = [told(99 + n / 10, 99.1 + n / 10, "a") for n in range(30)] + [told(101, 102, "", failure="no <answer>")]
    drawn = ElementTree.fromstring(draw(seen, [100.0], "1 failed"))
    names = [element.tag.rpartition("}")[2] for element in drawn.iter()]
    assert names.count("circle") == 1
    assert [e for e in drawn.iter() if e.get("stroke") == "#e69f00"]


@pytest.mark.parametrize("reload", [True, False])
def test_a_plan_deploys_goes_back_and_brings_back_the_rejected(monkeypatch, reload):
    played, now = [], iter(range(10, 100))
    monkeypatch.setattr("bench.demo.play", lambda book, **values: played.append((book, values)) or Play(next(now), 1))
    record = "releases/{0}\n{0}\n{0}\n{{}}"
    monkeypatch.setattr("bench.demo.shell", lambda command: record.format(next(now)))
    assert [step for step, _play, _switch in Plan(reload).steps(5)] == list(STEPS)
    books = [book.rpartition("/")[2] for book, _values in played]
    assert books == ["app.yml", "app.yml", "rollback.yml", "app.yml", "app.yml"]
    assert played[4][1] == {**played[1][1], "app_accept_rejected": True}
    assert played[0][1] != played[1][1] != played[3][1]
    assert [values.get("site_max_body") for _book, values in played[:2]] == (["10m", "11m"] if reload else [None, None])


def test_a_step_that_does_not_switch_ends_the_run(monkeypatch):
    monkeypatch.setattr("bench.demo.play", lambda book, **values: Play(10, 1))
    monkeypatch.setattr("bench.demo.shell", lambda command: "releases/a\n9\n9\n{}")
    with pytest.raises(RunError, match="deploy did not switch"):
        list(Plan(False).steps(1))


def run_of(in_flight=20, **counts):
    """Return a verdict with this number of failures by kind and reason."""
    lost = [told(1, 2, "", kind.replace("_", "-"), reason) for kind, reason in counts.items()]
    verdict = judge(History([told(99, 101, "a") for _ in range(in_flight)] + lost), None)
    verdict.in_flight = [in_flight]
    return verdict


RED, GREEN = run_of(get="status 502"), run_of()


@pytest.mark.parametrize(
    ("arm", "verdict", "control", "words"),
    [
        ("quiet", GREEN, RED, []),
        ("quiet", RED, RED, ["1 requests failed"]),
        ("quiet", run_of(19), RED, ["only 19 requests in flight"]),
        ("hogs", GREEN, GREEN, ["the control arm is not red"]),
        ("reload", run_of(get="no answer: closed"), RED, []),
        ("reload", run_of(get="status 502"), RED, ["1 requests failed"]),
        ("reload", run_of(http2="no answer: closed"), RED, ["1 requests failed"]),
    ],
)
def test_a_run_that_is_no_proof_says_why(arm, verdict, control, words):
    said = faults(Trial(arm, verdict, [], [], ""), control)
    assert len(said) == len(words) and all(word in line for word, line in zip(words, said, strict=True))


@pytest.mark.parametrize(
    ("failing", "alarms", "words"),
    [(1, [], []), (1, [2], ["1 false alarms"]), (0, [], ["no request failed: there was no noise"])],
    ids=["proof", "an alarm", "no noise"],
)
def test_noise_counts_what_the_watch_takes_back(monkeypatch, tmp_path, failing, alarms, words):
    turns, said = itertools.count(-1), []  # the first makes the noise

    def play(playbook, **values):
        if next(turns) in alarms:
            raise RunError("release 1 does not serve: 9 of 40 requests failed")

    tally = {"requests": 200, "failed": failing, "p50": 0.02, "p99": 0.1}
    told = {"watch": {"watched": tally, "before": {**tally, "p50": 0.01}, "probes": 20, "probes_failed": 0}}
    monkeypatch.setattr("bench.noise.Judge", lambda *arguments, **more: nullcontext())
    for name, stand_in in {"play": play, "shell": lambda command: json.dumps(told), "address": lambda: ""}.items():
        monkeypatch.setattr(f"bench.demo.{name}", stand_in)
    monkeypatch.setattr("bench.demo.ROOT", tmp_path)
    (tmp_path / "build").mkdir()
    assert noise(4, nullcontext, said.append) == words
    written = json.loads((tmp_path / "build/judge-noise.json").read_text())
    assert (written["switches"], written["alarms"], written["most_slower"]) == (4, len(alarms), 2.0)


def test_a_deploy_that_fails_otherwise_is_no_alarm():
    def play(turn):
        raise RunError("the image was not built")

    with pytest.raises(RunError):
        deploy(play, "1")


def test_a_run_that_was_stopped_is_no_proof():
    assert faults(Trial("quiet", GREEN, [], [], "stopped after 1 of 2 switches"), RED) == [
        "stopped after 1 of 2 switches"
    ]


def test_a_report_is_json_with_what_was_asked_for():
    verdict = judge(History([told(99, 101, "a"), told(101, 102, "", "http2", "stream reset")]), [SWITCH])
    shown = json.loads(json.dumps(report(Trial("quiet", verdict, [], [{"step": "deploy"}], ""), RED)))
    assert (shown["requests"], shown["failed"], shown["switches"], shown["failed_http2"]) == (2, 1, 1, 1)
    assert (shown["in_flight_least"], shown["control"]["failed"]) == (1, 1)
    assert shown["failures"][0]["failure"] == "stream reset"
