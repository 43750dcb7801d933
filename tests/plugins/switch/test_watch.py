"""A release is judged by the traffic it gets, and by nothing else."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import random
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import clock, files, nginx
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.switch import log, tally, watch

RULES = {"seconds": 0.4, "percent": 5, "samples": 20, "slow": 0, "slower": 0}
OLD, NEW = "0" * 12, "1" * 12
HOUR = 3600


@pytest.fixture
def app(host, monkeypatch):
    app = host()
    for release in (OLD, NEW):
        os.makedirs(app.path(release))
        files.write_json(app.path(release, "release.json"), {"domain": "shop.example.com", "health_path": "/"})
    monkeypatch.setattr(containers, "process", lambda app, release: os.getpid())
    return app


def line(release, status=200, at=0.0, seconds=0.01, upstream=None, **more):
    """Return a line as nginx writes it of a request that ended ``at`` seconds from now."""
    upstream = str(status) if upstream is None else upstream
    entry = {"at": time.time() + at, "release": release, "status": status, "seconds": seconds, "named": "answer"}
    return json.dumps({**entry, "upstream_seconds": str(seconds), "upstream_status": upstream, **more}) + "\n"


def write(release, status=200, times=1, **more):
    with open(log.LOG, "a", encoding="utf-8") as file:
        file.write(line(release, status, **more) * times)


@pytest.fixture
def look(app):
    """Return a function that watches a switch of this very moment, to which something may happen meanwhile."""

    def watched(*meanwhile, before=OLD, since=None, **rules):
        moved = clock.now(), time.time(), since or log.position(log.LOG)
        writing = threading.Thread(target=_one_by_one, args=(meanwhile,))
        writing.start()
        seen = watch.watch(app, NEW, before, {**RULES, **rules}, *moved)
        writing.join()
        return seen

    return watched


def _one_by_one(steps):
    time.sleep(0.1)
    for step in steps:
        step()


def wrote(*rows, **more):
    """Return what writes rows of (release, status, times) to the log."""
    return lambda: [write(*row, **more) for row in rows]


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(watch, "PROBE_EVERY", 0)


@pytest.fixture
def later(monkeypatch):
    """nginx keeps no connection to the release before."""
    monkeypatch.setattr(watch, "KEPT", 0)


def test_good_traffic_is_well_and_counted(look):
    write(OLD, times=50, seconds=0.2)
    seen = look(wrote((NEW, 200, 30), seconds=0.1))
    assert (seen["well"], seen["reason"]) == (True, None)
    assert seen["watched"] == {"requests": 30, "failed": 0, "p50": 0.1, "p99": 0.1}
    assert seen["before"] == {"requests": 50, "failed": 0, "p50": 0.2, "p99": 0.2}
    assert seen["probes"] >= 1 and seen["probes_failed"] == 0
    assert RULES["seconds"] <= seen["seconds"] == round(seen["seconds"], 1) < 30


def test_a_share_of_failures_is_bad(look):
    seen = look(wrote((NEW, 200, 30), (NEW, 500, 10)))
    assert not seen["well"]
    assert seen["reason"] == "10 of 40 requests failed (25 %), 0 % with the release before"


@pytest.mark.parametrize(
    ("before", "rows", "rules"),
    [
        ([], [(NEW, 500, 19)], {}),
        ([], [(NEW, 500, 1), (NEW, 200, 30)], {}),
        ([], [(NEW, 404, 40)], {}),
        ([], [(NEW, 499, 40)], {}),
        ([], [(OLD, 500, 40), (NEW, 200, 40)], {}),
        ([(OLD, 500, 50), (OLD, 200, 50)], [(NEW, 500, 20), (NEW, 200, 20)], {}),
        ([], [(NEW, 500, 20), (NEW, 200, 20)], {"percent": 60}),
    ],
    ids=[
        *("too few", "below the share", "clients' faults", "clients that left", "the other release's"),
        *("no worse than before", "by setting"),
    ],
)
def test_what_is_not_the_release_s_fault_is_well(look, before, rows, rules):
    wrote(*before)()
    assert look(wrote(*rows), **rules)["well"]


def test_what_nginx_answers_by_itself_tells_nothing(look):
    seen = look(wrote((NEW, 503, 40), (NEW, 200, 400), upstream=""), wrote((NEW, 500, 20)))
    assert seen["watched"]["requests"] == seen["watched"]["failed"] == 20
    assert look(wrote((NEW, 503, 40), upstream=""))["well"]


PROBE = {"agent": nginx.AGENT, "remote_addr": nginx.HERE}


@pytest.mark.parametrize(
    ("rows", "rules"),
    [
        ([(NEW, 200, 15, {}), (NEW, 500, 5, {})], {}),
        ([(NEW, 200, 20, {"seconds": 1.0, "first": "1.0"})], {"slower": 10}),
    ],
    ids=["failures", "slowness"],
)
def test_what_the_watch_asks_itself_hides_nothing(look, rows, rules):
    """With few visitors it asks as often as they do."""
    quick = {"seconds": 0.05, "first": "0.05"}
    write(OLD, times=40, at=-1, **quick)
    asked = [lambda row=row: write(*row[:3], **row[3]) for row in rows]
    seen = look(lambda: write(NEW, times=21, **quick, **PROBE), *asked, **rules)
    assert not seen["well"] and seen["watched"]["requests"] == 20


def test_what_the_host_asked_itself_is_no_visitor_before_either(look):
    write(OLD, 500, times=40, at=-1, **PROBE)
    write(OLD, times=20, at=-1)
    seen = look(wrote((NEW, 500, 40), **PROBE), wrote((OLD, 200, 5), **PROBE))
    assert seen["well"]
    assert (seen["before"]["requests"], seen["before"]["failed"], seen["watched"]["requests"]) == (20, 0, 0)


@pytest.mark.parametrize("named", [OLD, NEW])
def test_an_answer_of_another_app_that_names_a_release_of_this_one_is_not_counted(look, named):
    """Who writes raw HTTP may name any release in its answer's header; which app was asked, nginx says."""
    write(OLD, times=20, at=-1, app="shop")
    write(named, 500, times=400, at=-1, app="blog")
    seen = look(wrote((NEW, 200, 20), app="shop"), wrote((named, 500, 400), app="blog"), wrote((NEW, 200, 1), app=""))
    assert seen["well"]
    assert (seen["before"]["requests"], seen["before"]["failed"]) == (20, 0)
    assert (seen["watched"]["requests"], seen["watched"]["failed"]) == (21, 0)


def test_noise_is_no_alarm_however_often_it_is_looked_at():
    """1 % of requests fail, before and after: what 20 of them show by chance is not held against a release."""
    dice, alarms = random.Random(11), 0
    for _switch in range(2000):
        failed = 0
        for asked in range(1, 301):
            failed += dice.random() < 0.01
            if asked >= 20 and tally.beyond(failed, asked, 5 + 1):
                alarms += 1
                break
    assert alarms <= 2


# -- whose request it was, and when ------------------------------------------------------------


def test_what_the_release_did_another_time_is_not_counted(look):
    """It went back, its database was mended, and it comes again."""
    write(NEW, 500, times=30, at=-HOUR)
    write(NEW, 500, times=30, at=-70)
    assert look(wrote((NEW, 200, 40)))["watched"] == {"requests": 40, "failed": 0, "p50": 0.01, "p99": 0.01}


def test_good_times_long_ago_do_not_hide_failures(look):
    write(NEW, 200, times=5000, at=-HOUR)
    assert look(wrote((NEW, 500, 100)))["reason"].startswith("100 of 100 requests failed")


def test_the_release_before_is_known_by_its_last_minute(look):
    write(OLD, 500, times=50, at=-HOUR)
    write(OLD, 200, times=50, at=-30)
    write(OLD, 500, times=50, at=HOUR)  # the clock was set since
    seen = look(wrote((NEW, 500, 20), (NEW, 200, 20)))
    assert seen["before"]["requests"] == 50 and not seen["well"]


def test_a_busy_neighbour_hides_nothing_of_the_last_minute(look):
    """One app of many on the host: it fails as often as ever, and the other ones write more than it does."""
    write(OLD, 500, times=15, at=-40)
    write(OLD, 200, times=85, at=-40)
    write("2" * 12, times=40_000, at=-1, app="neighbour")
    assert os.path.getsize(log.LOG) > 6 << 20
    seen = look(wrote((NEW, 500, 15), (NEW, 200, 85)), seconds=1)
    assert (seen["before"]["requests"], seen["reason"]) == (100, None)


@pytest.mark.parametrize("named", [{"named": "end"}, {"named": None}], ids=["by its end", "by an older nginx.conf"])
def test_what_began_before_the_switch_is_the_release_s_before(look, named):
    """An older log names the release that serves as a request ends."""
    seen = look(wrote((NEW, 502, 40), seconds=1.5, **named))
    assert seen["well"] and seen["before"]["failed"] == 40 and seen["watched"]["requests"] == 0


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_clock_that_is_set_changes_no_verdict(look, monkeypatch, later, step):
    """nginx's times and this host's jump together, back or forth, in the midst of a watch."""
    write(OLD, times=40, at=-1)
    real = time.time
    bad = look(
        wrote((NEW, 200, 10), named="end"),
        lambda: monkeypatch.setattr(time, "time", lambda: real() + step),
        wrote((NEW, 500, 10), named="end"),
        seconds=5,
    )
    assert bad["reason"] == "10 of 20 requests failed (50 %), 0 % with the release before"
    assert bad["seconds"] < 5
    monkeypatch.setattr(time, "time", real)
    began = clock.now()
    well = look(wrote((NEW, 200, 20)), lambda: monkeypatch.setattr(time, "time", lambda: real() + step), seconds=1)
    assert well["well"] and 1 <= clock.now() - began < 4 and 1 <= well["seconds"] < 4


def test_what_nginx_wrote_late_is_told_by_when_it_ended(app):
    """It is flushed each second: what ended before the link moved may be written after a look that followed that."""
    look = watch.Look(app, NEW, OLD, RULES, clock.now() - 0.5)
    since = log.position(log.LOG)
    write(NEW, 200)
    with closing(log.Log(log.LOG, since)) as written:
        look.follow(written)
        write(NEW, 502, times=40, at=-1, named="end")
        look.follow(written)
    assert (look.new.requests, look.new.failed, look.old.failed) == (1, 0, 40)


def test_rules_of_an_earlier_version_judge_by_failures_alone(app, tells):
    tells(wait_for(20, 9.0))
    rules = {"seconds": 60, "percent": RULES["percent"], "samples": RULES["samples"]}
    look = watch.Look(app, NEW, OLD, rules, clock.now() - 10)
    assert look.pulse.ask() is None and look.pulse.ages == [9.0] * 20
    for seconds, counted in ((0.01, look.old), (9.0, look.new)):
        for _request in range(40):
            counted.add(log.parse(line(counted.release, first=str(seconds), seconds=seconds).encode()))
    assert look.bad(over=True) is None


def test_lines_without_times_and_in_any_order_are_judged_by_their_place(look):
    """The log's own position tells before from after."""
    with open(log.LOG, "a", encoding="utf-8") as file:
        file.write(json.dumps({"release": NEW, "status": 500}) + "\n")
        file.write((json.dumps({"release": OLD, "status": 500}) + "\n") * 40)

    def later():
        with open(log.LOG, "a", encoding="utf-8") as file:
            file.write((json.dumps({"release": NEW, "status": 200}) + "\n") * 40)
            file.write(line(NEW, 500, at=-HOUR) + line(NEW, 200, at=HOUR) + '{"release": []}\n{"status": "x"}\n')

    seen = look(later)
    assert seen["well"] and seen["watched"]["requests"] >= 40 and seen["before"]["requests"] == 0


def test_a_boot_ends_a_watch(app, monkeypatch):
    """The boot clock begins anew: such a switch is not this boot's to judge."""
    seen = watch.watch(app, NEW, OLD, {**RULES, "seconds": 3600}, clock.now() + 1e6, time.time(), None)
    assert seen["well"] and seen["seconds"] == 0


def test_nginx_s_log_is_waited_for_at_the_end(look, monkeypatch):
    """nginx writes each second: what failed in the last one counts."""
    delay = importlib.reload(importlib.import_module(watch.__name__)).LOG_DELAY
    assert delay > 1
    monkeypatch.setattr(watch, "LOG_DELAY", 1.0)
    late = lambda: (time.sleep(1), write(NEW, 500, times=40))  # noqa: E731
    assert look(late, seconds=0.5)["reason"] == "40 of 40 requests failed (100 %), 0 % with the release before"


# -- what never ends, and what ends later than before -----------------------------------------------


@pytest.fixture
def tells(app, monkeypatch):
    """Return a function that lets the release tell what waits and was lost, or fail to."""
    with open(app.path(NEW, "gunicorn.conf.py"), "w", encoding="utf-8") as file:
        file.write(f'WAITING = "{watch.PULSE}"\n')
    monkeypatch.setattr(watch, "PULSE_EVERY", 0)

    def telling(*answers):
        given = itertools.chain(answers, itertools.repeat(answers[-1]))

        def ask(*arguments):
            answer = next(given)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(nginx, "ask_socket", ask)

    return telling


def wait_for(number, seconds=0.3, lost=0):
    return {"waiting": [seconds] * number, "lost": lost}


SLOW = {"slow": 0.2, "seconds": 0.8}


@pytest.mark.parametrize(
    ("answered", "waiting", "said"),
    [
        (20, 20, "20 of 40 requests failed or wait for more than 0.2 s (50 %), 0 % with the release before"),
        (6, 6, "6 of 12 requests failed or wait for more than 0.2 s (50 %), 0 % with the release before"),
        (0, 5, "5 of 5 requests failed or wait for more than 0.2 s (100 %), 0 % with the release before"),
    ],
    ids=["many clients", "few that wait for ever", "all"],
)
def test_requests_that_hang_are_failures(look, tells, answered, waiting, said):
    write(OLD, times=40, at=-1)
    tells(wait_for(0), wait_for(waiting, 0.1), wait_for(waiting))
    seen = look(wrote((NEW, 200, answered)), **SLOW)
    assert seen["reason"] == said


def test_clients_that_give_up_do_not_hide_a_release_that_hangs(look, tells):
    """They leave after 2 s, and the release waits on."""
    tells(wait_for(0), wait_for(20))
    seen = look(wrote((NEW, 200, 20)), wrote((NEW, 499, 20), first="-", named="start"), **SLOW)
    assert seen["reason"].startswith("20 of 40 requests failed or wait")


@pytest.mark.parametrize(
    ("answers", "rules", "before"),
    [
        ([wait_for(20, 0.1)], {}, 0.01),
        ([wait_for(1)], {}, 0.01),
        ([wait_for(4)], {}, 0.01),
        ([wait_for(20)], {"slow": 0}, 0.01),
        ([wait_for(20)], {}, 0.3),
        ([wait_for(20, 3600)], {}, 0.01),
    ],
    ids=["not for long", "one", "as chance has it", "by setting", "as before", "since before the switch"],
)
def test_what_waits_is_not_always_a_fault(look, tells, answers, rules, before):
    write(OLD, times=40, at=-1, first=str(before), seconds=before)
    tells(*answers)
    assert look(wrote((NEW, 200, 40)), **{**SLOW, **rules})["well"]


def test_clients_that_left_the_release_before_tell_how_slow_that_was(look, tells):
    write(OLD, 499, times=40, at=-1, seconds=0.3, first="-", named="start")
    tells(wait_for(20))
    seen = look(wrote((NEW, 200, 40)), **SLOW)
    assert seen["well"] and seen["before"]["requests"] == 40


def test_how_long_a_websocket_was_open_is_no_time_of_an_answer():
    counted = tally.Tally(NEW)
    for told in (*[line(NEW, 101, seconds=900)] * 3, line(NEW, 200, seconds=0.1)):
        counted.add(log.parse(told.encode()))
    assert counted.summary() == {"requests": 4, "failed": 0, "p50": 0.1, "p99": 0.1}


def test_what_failed_slowly_is_counted_once():
    counted = tally.Tally(NEW, slow=0.2)
    for told in (line(NEW, 500, seconds=0.3), line(NEW, 200, seconds=0.1)):
        counted.add(log.parse(told.encode()))
    assert counted.share == 50


@pytest.mark.parametrize(("waiting", "samples", "well"), [(2, 4, True), (3, 4, False), (4, 20, True), (5, 20, False)])
def test_a_few_that_wait_are_judged_where_they_are_a_quarter_of_the_sample(look, tells, waiting, samples, well):
    """Three at least."""
    tells(wait_for(0), wait_for(waiting))
    assert look(**SLOW, samples=samples)["well"] is well


def test_a_short_watch_takes_half_of_its_time_for_hanging(look, tells):
    tells(wait_for(0), wait_for(20, 0.5))
    assert "wait for more than 0.4 s" in look(wrote((NEW, 200, 20)), slow=30, seconds=0.8)["reason"]


def test_a_release_that_does_not_say_what_waits_is_judged_without(look, monkeypatch):
    """One that an earlier commit made: it is not even asked."""
    asked = []
    monkeypatch.setattr(nginx, "ask_socket", lambda *arguments: asked.append(arguments) or wait_for(0))
    assert look(wrote((NEW, 200, 40)), **SLOW)["well"] and asked == []


def test_a_release_that_stopped_to_tell_is_bad(look, tells):
    """All its workers are stuck: not even its own layer answers."""
    tells(wait_for(0), OSError("no whole answer in 3 s"))
    reason = look(**SLOW)["reason"]
    assert reason == "it did not answer 3 of 4 times through its socket: no whole answer in 3 s"


@pytest.mark.parametrize("nonsense", [{}, {"waiting": "x", "lost": 0}, [], {"waiting": [None], "lost": 0}])
def test_nonsense_from_an_app_is_no_answer(look, tells, nonsense):
    tells(nonsense)
    assert look(**SLOW)["reason"].startswith("it did not answer 3 of 3 times through its socket")


@pytest.mark.parametrize("lost", [0, 60], ids=["nothing", "another time"])
def test_a_kept_connection_to_a_release_that_hangs_is_not_the_new_one_s_fault(look, tells, lost):
    """A rollback out of it: nginx asks it a few times more, and what it logs of them has no answer to go by."""
    tells(wait_for(0, lost=lost))
    assert look(wrote((NEW, 504, 30), (NEW, 502, 30), named="start", connect="0.000", first="-"))["well"]


@pytest.mark.parametrize("more", [{"connect": "-"}, {}], ids=["refused", "lost"])
def test_what_the_new_one_lost_itself_is_its_fault_at_once(look, tells, more):
    """No connection came about, or its own workers say that they held them."""
    tells(wait_for(0, lost=7), wait_for(0, lost=37 if not more else 7))
    seen = look(wrote((NEW, 502, 30), named="start", first="-", **{"connect": "0.000", **more}))
    assert seen["reason"] == "30 of 30 requests failed (100 %), 0 % with the release before"


def test_what_nginx_may_no_longer_have_kept_is_the_new_one_s(look, monkeypatch):
    monkeypatch.setattr(watch, "KEPT", 0.05)
    assert not look(wrote((NEW, 502, 30), named="start", connect="0.000", first="-"))["well"]


@pytest.mark.parametrize(
    ("before", "after", "rules", "well"),
    [
        (0.05, 0.7, {}, False),
        (0.1, 0.55, {"slower": 5}, True),
        (0.5, 4.0, {}, True),
        (0.05, 0.7, {"slower": 0}, True),
        (0.05, 0.7, {"samples": 41}, True),
        (0.5, 1.0, {"slower": 1.5}, False),
        (1.0, 2.0, {"slower": 2}, True),
    ],
    ids=[
        *("much slower", "by less than half a second", "by less than the factor", "by setting", "too few"),
        *("by half a second", "by the factor"),
    ],
)
def test_answers_that_take_much_longer_are_bad(look, before, after, rules, well):
    write(OLD, times=40, at=-1, first=str(before))
    seen = look(wrote((NEW, 200, 40), first=str(after)), **{"slower": 10, **rules})
    assert seen["well"] is well
    if not well:
        times = f"{after:.2f} s, {before:.3f} s"
        assert seen["reason"] == f"half of its answers took longer than {times} with the release before"


# -- what the door says --------------------------------------------------------------------------


def test_a_failing_door_is_bad(look, monkeypatch, often, later):
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: 502)
    assert look(seconds=5)["reason"] == "/ failed 3 of 3 times through the public door: status 502"


def test_a_door_that_fails_every_second_time_is_bad(look, monkeypatch, often, later):
    answers = itertools.cycle([200, 502])
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: next(answers))
    assert look(seconds=5)["reason"] == "/ failed 3 of 6 times through the public door: status 502"


def test_a_door_that_fails_every_third_time_is_not_looked_at_for_ever(look, monkeypatch, often, later):
    """Its last three answers are never all good, and three of six never bad."""
    answers = itertools.cycle([502, 200, 200])
    monkeypatch.setattr(watch, "UNSETTLED", 0.5)
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: next(answers))
    seen = look(seconds=0.1)
    assert seen["reason"].startswith("/ failed 2 of 6 times through the public door: status "), seen
    assert seen["seconds"] >= 0.6


@pytest.mark.parametrize(("own", "well"), [(200, True), (503, False)])
def test_a_door_that_may_have_met_the_release_before_asks_the_new_one_itself(look, monkeypatch, often, own, well):
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: 503)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: own)
    assert look()["well"] is well


def test_one_failing_request_at_the_door_is_not_bad(look, monkeypatch, often, later):
    answers = iter([502, 502])
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: next(answers, 200))
    seen = look()
    assert seen["well"] and seen["probes_failed"] == 2


@pytest.mark.parametrize(("answers", "well"), [([502, 200, 200, 200], True), ([502, 502, 502], False), ([200], True)])
def test_a_watch_does_not_end_with_a_failing_door(look, monkeypatch, often, later, answers, well):
    """On a slow host there may be time for one request alone."""
    told = iter(answers)
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: next(told))
    seen = look(seconds=0.001)
    assert (seen["well"], seen["probes"]) == (well, len(answers))


def test_a_container_that_ended_is_bad(look, monkeypatch):
    monkeypatch.setattr(containers, "process", lambda app, release: 2**22 + 1)
    assert look()["reason"] == "its container ended"


def test_an_engine_that_does_not_tell_is_not_bad(look, monkeypatch):
    monkeypatch.setattr(containers, "process", lambda app, release: None)
    assert look()["well"]


def test_a_site_without_a_log_is_judged_by_its_door(look):
    assert look()["watched"]["requests"] == 0


def test_no_seconds_is_no_watch(look, monkeypatch):
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: 502)
    assert look(wrote((NEW, 500, 40)), seconds=0)["well"]


# -- what the parts of a look make of what they see ------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "good", "bad"),
    [
        ("", False, False),
        ("+", True, False),
        ("-", False, False),
        ("--", False, False),
        ("---", False, True),
        ("-++", False, False),
        ("-+++", True, False),
        ("--+++", True, False),
        ("---+++", True, True),
        ("---++++", True, False),
        ("+++-", False, False),
        ("-+-+-+", False, True),
        ("--+-++", False, True),
        ("++++++++--", False, False),
    ],
)
def test_the_last_six_answers_count(answers, good, bad):
    asked = watch.Asked(0)
    for answer in answers:
        asked.told(answer == "+", f"said {answer}")
    assert (asked.good, asked.bad) == (good, bad)
    assert (asked.asked, asked.failed) == (len(answers), answers.count("-"))
    assert asked.said == (f"said {answers[-1]}" if answers else "")


def test_a_question_is_asked_now_and_then(monkeypatch):
    moment = 1000.0
    monkeypatch.setattr(watch, "now", lambda: moment)
    asked = watch.Asked(5)
    assert asked.due
    asked.told(True, "")
    moment += 4.9
    assert not asked.due
    moment = 1005.0
    assert asked.due


@pytest.mark.parametrize(
    ("limit", "ages", "longer"),
    [
        (0, [99.0], 0),
        (2, [], 0),
        (2, [2.0], 0),
        (2, [2.1, 9.0, 10.0], 3),
        (2, [2.1, 10.1], 1),
    ],
    ids=["by setting", "none", "as long as it may", "longer", "since before the switch"],
)
def test_what_waits_for_too_long_began_after_the_switch(app, monkeypatch, tells, limit, ages, longer):
    tells({"waiting": ages, "lost": 0})
    pulse = watch.Pulse(app, NEW, moved=100.0)
    monkeypatch.setattr(watch, "now", lambda: 110.0)
    pulse.ask()
    assert pulse.longer(limit) == longer


def test_what_was_lost_before_the_first_look_is_not_this_watch_s(app, tells):
    tells(wait_for(0, lost=7), wait_for(0, lost=9))
    pulse = watch.Pulse(app, NEW, moved=clock.now())
    assert (pulse.lost, pulse.good) == (0, False)
    pulse.ask()
    assert (pulse.lost, pulse.good, pulse.said) == (0, True, "")
    pulse.ask()
    assert (pulse.lost, pulse.asked, pulse.failed) == (2, 2, 0)


def test_a_release_is_asked_what_waits_where_it_listens_and_not_for_ever(app, monkeypatch, tells):
    tells(wait_for(0))
    asked = []
    monkeypatch.setattr(nginx, "ask_socket", lambda *arguments: asked.append(arguments) or wait_for(0))
    watch.Pulse(app, NEW, moved=clock.now()).ask()
    assert asked == [(app.socket(NEW), watch.PULSE, "shop.example.com", watch.PULSE_TIMEOUT)]


def test_a_door_that_cannot_be_asked_says_why(app, monkeypatch, later):
    def refuse(*arguments):
        raise OSError("connection refused")

    monkeypatch.setattr(nginx, "probe_door", refuse)
    door = watch.Door(app, NEW, clock.now())
    door.ask()
    door.asking.join()
    assert (door.failed, door.said) == (1, "connection refused")


@pytest.mark.parametrize(("status", "good"), [(200, True), (302, True), (399, True), (400, False), (503, False)])
def test_the_door_is_good_below_400(app, monkeypatch, later, status, good):
    monkeypatch.setattr(nginx, "probe_door", lambda domain, path: status if (domain, path) == TARGET else 599)
    door = watch.Door(app, NEW, clock.now())
    assert not door.waits
    door.ask()
    door.asking.join()
    assert (list(door.last), door.said, door.waits) == ([good], f"status {status}", False)


TARGET = ("shop.example.com", "/")


def test_the_door_is_asked_one_question_at_a_time(app, monkeypatch, often):
    answer = threading.Event()
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: answer.wait(10) and 200)
    door = watch.Door(app, NEW, clock.now())
    for _look in range(3):
        door.ask()
    first = door.asking
    assert door.waits and door.asked == 0
    assert first.daemon, "or an answer that never comes would keep the switch from its end"
    answer.set()
    first.join()
    door.ask()
    door.asking.join()
    assert door.asking is not first and door.asked == 2


def test_a_door_that_met_the_release_before_asks_where_the_new_one_listens(app, monkeypatch):
    asked = []
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: 503)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: asked.append(arguments) or 200)
    for moved, good in ((clock.now(), True), (clock.now() - watch.KEPT - 1, False)):
        door = watch.Door(app, NEW, moved)
        door.ask()
        door.asking.join()
        assert door.good is good
    assert asked == [(app.socket(NEW), "/", "shop.example.com")]


@pytest.mark.parametrize(
    ("failed", "asked", "percent", "more"),
    [
        *((0, 0, 5, False), (1, 1, 0, True), (0, 100, 0, False), (100, 100, 100, False), (5, 5, 250, False)),
        *((11, 100, 5, False), (12, 100, 5, True), (16, 20, 50, False), (17, 20, 50, True)),
    ],
)
def test_more_failed_than_is_allowed_and_than_chance_makes_of_it(failed, asked, percent, more):
    assert tally.beyond(failed, asked, percent) is more


# -- what nginx answers by itself ------------------------------------------------------------------


@pytest.fixture
def closed(app):
    """Return a function that shows the maintenance page, or takes it down."""
    page = Path(f"{app.root}/maintenance/html")
    page.parent.mkdir()

    def close(shown):
        page.touch() if shown else page.unlink(missing_ok=True)

    return close


def door_of(app, status=200):
    """Return what stands for nginx: 503 while the maintenance page is there, as site/pages.conf.j2 has it."""
    return lambda *arguments: 503 if os.path.exists(f"{app.root}/maintenance/html") else status


def test_under_maintenance_the_release_itself_is_asked(app, look, monkeypatch, often, later, closed):
    """With / for its health path, which is the default, nginx answers that with the page too."""
    closed(True)
    monkeypatch.setattr(nginx, "probe_door", door_of(app))
    seen = look(seconds=1)
    assert (seen["well"], seen["probes_failed"]) == (True, 0)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 500)
    assert look(seconds=1)["reason"].endswith(" times through the public door: status 500")


@pytest.mark.parametrize("shown", [True, False], ids=["on", "off"])
def test_maintenance_may_go_on_or_off_in_the_midst_of_a_question(app, monkeypatch, later, closed, shown):
    closed(not shown)

    def ask(*arguments):
        closed(shown)
        return 503

    monkeypatch.setattr(nginx, "probe_door", ask)
    door = watch.Door(app, NEW, clock.now())
    door.ask()
    door.asking.join()
    assert (list(door.last), door.said) == ([True], "status 200")


@pytest.mark.parametrize(
    ("page", "status", "own", "good"),
    [
        *((True, 502, 200, False), (True, 500, 200, False), (False, 503, 200, False), (True, 503, 503, False)),
        *((False, 429, 200, True), (False, 429, 429, False), (True, 429, 200, True)),
    ],
)
def test_what_nginx_says_for_itself_is_no_failure_and_all_else_is(
    app, monkeypatch, later, closed, page, status, own, good
):
    """Its maintenance page, and its limits: site_request_rate: 1 is less than a watch asks."""
    closed(page)
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: status)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: own)
    door = watch.Door(app, NEW, clock.now())
    door.ask()
    door.asking.join()
    assert list(door.last) == [good]


def test_a_door_that_cannot_be_reached_under_maintenance_is_bad(app, monkeypatch, later, closed):
    def refuse(*arguments):
        raise OSError("connection refused")

    closed(True)
    monkeypatch.setattr(nginx, "probe_door", refuse)
    door = watch.Door(app, NEW, clock.now())
    door.ask()
    door.asking.join()
    assert (list(door.last), door.said) == ([False], "connection refused")
