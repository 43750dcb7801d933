"""nginx's log is read from a position on: over rotations, in bounded pieces, whatever stands in it."""

from __future__ import annotations

import json
import os
import resource
import time
from contextlib import closing

import pytest
from ansible.module_utils.flask_deploy.switch import log
from ansible.module_utils.flask_deploy.switch.tally import SAMPLE, Tally

ONE, TWO = "1" * 12, "2" * 12


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "access.log")


def write(path, release=ONE, times=1, status=200, **more):
    with open(path, "a", encoding="utf-8") as file:
        file.write((json.dumps({"at": time.time(), "release": release, "status": status, **more}) + "\n") * times)


def count(entries):
    return len(list(entries))


def test_the_log_is_followed_over_its_rotation(path):
    write(path, times=2)
    with closing(log.Log(path, log.position(path))) as followed:
        assert count(followed.entries({ONE})) == 0
        write(path, times=3)
        os.rename(path, f"{path}.1")
        write(path, times=4)
        assert count(followed.entries({ONE})) == 7
        write(f"{path}.1")  # nginx has not opened the new one yet
        write(path)
        assert count(followed.entries({ONE})) == 2


def test_another_reader_goes_on_behind_the_last_whole_line(path):
    write(path, times=2)
    with closing(log.Log(path, None)) as followed:
        assert count(followed.entries({ONE})) == 2
        write(path)
        with open(path, "a", encoding="utf-8") as file:
            file.write('{"at": 1')
        assert count(followed.entries({ONE})) == 1
        reached = followed.reached()
    with open(path, "a", encoding="utf-8") as file:
        file.write(f', "release": "{ONE}", "status": 200}}\n')
    with closing(log.Log(path, reached)) as followed:
        assert count(followed.entries({ONE})) == 1
    with closing(log.Log(f"{path}.none", None)) as followed:
        assert followed.reached() is None


def test_a_rotation_between_the_position_and_the_first_look_loses_nothing(path):
    write(path, times=5)
    write(path, TWO, times=2)
    since = log.position(path)
    write(path, times=3)
    os.rename(path, f"{path}.1")
    write(path, times=4)
    with closing(log.Log(path, since)) as followed:
        assert count(followed.entries({ONE})) == 7
        assert (count(followed.before(ONE)), count(followed.before(TWO))) == (5, 2)


def test_what_lies_before_is_found_in_the_file_before_too(path):
    write(path, times=5)
    os.rename(path, f"{path}.1")
    write(path, times=2)
    with closing(log.Log(path, log.position(path))) as followed:
        assert count(followed.before(ONE)) == 7
        assert count(followed.entries({ONE})) == 0


@pytest.mark.parametrize("since", [None, [1, 10]], ids=["there was no log", "it is gone"])
def test_all_of_a_new_log_is_new(path, since):
    with closing(log.Log(path, since)) as followed:
        assert count(followed.entries({ONE})) == 0
        write(path, times=3)
        assert count(followed.entries({ONE})) == 3


def test_a_new_log_that_is_rotated_before_the_first_look_is_read_to_its_end(path):
    write(path, times=2)
    with closing(log.Log(path, None)) as followed:
        write(path, times=3)
        os.rename(path, f"{path}.1")
        write(path)
        assert count(followed.entries({ONE})) == 6


def test_a_log_that_goes_while_its_end_is_looked_for_tells_nothing(path, monkeypatch):
    """logrotate may take it away at any time."""
    write(path, times=2)
    with closing(log.Log(path, log.position(path))) as followed:
        told = log.position(path)
        monkeypatch.setattr(log, "position", lambda name: told if name == path else None)
        os.unlink(path)
        assert count(followed.before(ONE)) == 0


def test_a_log_that_is_emptied_in_its_place_is_read_from_its_begin(path):
    write(path, times=9)
    with closing(log.Log(path, log.position(path))) as followed:
        os.truncate(path, 0)
        write(path, times=3)
        assert count(followed.entries({ONE})) == 3


def test_half_a_line_waits_for_its_rest(path):
    write(path)
    with closing(log.Log(path, log.position(path))) as followed, open(path, "a", encoding="utf-8") as file:
        for part, seen in ((f'{{"release": "{ONE}", ', 0), ('"status": 200}\nnot json\n', 1)):
            file.write(part)
            file.flush()
            assert count(followed.entries({ONE})) == seen


def test_bytes_that_are_no_text_do_not_hide_a_request(path):
    with closing(log.Log(path, None)) as followed:
        with open(path, "wb") as file:
            file.write(b'{"release":"%s","status":500,"agent":"\xff\xfe"}\n' % ONE.encode())
        assert [entry.status for entry in followed.entries({ONE})] == [500]


@pytest.mark.parametrize(
    ("told", "seconds", "first", "refused"),
    [
        ({"seconds": 3600, "upstream_seconds": "0.250", "first": "0.200", "connect": "0.000"}, 0.25, 0.2, False),
        ({"seconds": 1.5, "upstream_seconds": "0.100, 0.200 : 0.300", "first": "-"}, 0.6, None, False),
        ({"seconds": 1.5, "upstream_seconds": "-", "connect": "-"}, 1.5, None, True),
        ({"seconds": 1.5}, 1.5, None, False),
        ({}, 0.0, None, False),
    ],
)
def test_times_are_those_that_nobody_sets(told, seconds, first, refused):
    entry = log.parse(json.dumps({"release": ONE, "status": 200, **told}).encode())
    assert (entry.seconds, entry.first, entry.refused) == (pytest.approx(seconds), first, refused)


def test_an_older_log_tells_a_time_in_words():
    entry = log.parse(b'{"time":"2026-11-27T04:00:00+00:00","release":"1","status":200}')
    assert (entry.at, entry.named) == (1795752000.0, "end")


@pytest.mark.slow
def test_a_million_lines_take_bounded_room_and_time(path):
    """Half of them another app's; among them a line of 100 MB."""
    part = 250_000
    with open(path, "w", encoding="utf-8") as file:
        for release in (ONE, TWO):
            file.write((json.dumps({"release": release, "status": 200, "seconds": 0.1}) + "\n") * part)
        for _ in range(100):
            file.write("x" * 1_000_000)
        file.write("\n")
        for release in (TWO, ONE):
            file.write((json.dumps({"release": release, "status": 200, "seconds": 0.1}) + "\n") * part)
    tally, began = Tally(ONE), time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with closing(log.Log(path, None)) as followed:
        for _look in range(os.path.getsize(path) // log.LOOK + 1):
            for entry in followed.entries({ONE}):
                tally.add(entry)
    assert tally.summary() == {"requests": 2 * part, "failed": 0, "p50": 0.1, "p99": 0.1}
    assert len(tally.times.kept) == SAMPLE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "kilobytes"
    assert time.process_time() - began < 30


def test_one_look_is_bounded(path, monkeypatch):
    monkeypatch.setattr(log, "LOOK", 10_000)
    with closing(log.Log(path, None)) as followed:
        write(path, times=1000)
        seen = [count(followed.entries({ONE})) for _look in range(12)]
    assert sum(seen) == 1000 and max(seen) < 200


def test_a_sample_is_fair():
    tally = Tally(ONE)
    for number in range(10 * SAMPLE):
        tally.add(log.Entry(ONE, "answer", 200, None, number / (10 * SAMPLE), None, False, False))
    assert tally.times.at(0.5) == pytest.approx(0.5, abs=0.05)


NONE = [b"", b"[]", b"1", b'"x"', b"null", b"{}", b"[1]", b'{"release":"1","status":"x"}']
BY_NGINX = b'{"release":"1","status":503,"upstream_status":""}'


@pytest.mark.parametrize("line", [*NONE, BY_NGINX])
def test_what_is_no_request_is_none(line):
    assert log.parse(line) is None


@pytest.mark.parametrize(
    ("told", "failed", "given_up", "websocket"),
    [
        ({"status": 499}, False, True, False),
        ({"status": 499, "first": "0.100"}, False, False, False),
        ({"status": 499, "first": "-"}, False, True, False),
        ({"status": 500}, True, False, False),
        ({"status": "502", "first": "-"}, True, False, False),
        ({"status": 101}, False, False, True),
        ({"status": 200, "websocket": "websocket"}, False, False, True),
        ({"status": 200, "websocket": ""}, False, False, False),
    ],
)
def test_a_line_tells_how_a_request_ended(told, failed, given_up, websocket):
    entry = log.parse(json.dumps({"release": ONE, **told}).encode())
    assert (entry.release, entry.failed, entry.given_up, entry.websocket) == (ONE, failed, given_up, websocket)


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ({"at": "12.5"}, 12.5),
        ({"at": 12.5, "time": "2026-11-27T04:00:00+00:00"}, 12.5),
        ({"at": "-", "time": "2026-11-27T04:00:00+00:00"}, 1795752000.0),
        ({"at": None, "time": "yesterday"}, None),
        ({"time": 12}, None),
        ({}, None),
    ],
)
def test_a_line_tells_when_a_request_ended(told, at):
    assert log.parse(json.dumps({"release": ONE, "status": 200, **told}).encode()).at == at


def test_a_line_tells_by_what_its_release_is_known():
    for told, named in (({"named": "answer"}, "answer"), ({"named": ""}, "end"), ({}, "end")):
        assert log.parse(json.dumps({"release": ONE, "status": 200, **told}).encode()).named == named


def test_a_line_that_is_too_long_hides_no_other(path, monkeypatch):
    monkeypatch.setattr(log, "LONGEST", 200)
    monkeypatch.setattr(log, "PIECE", 64)
    with closing(log.Log(path, None)) as followed:
        write(path, status=201)
        write(path, status=202, agent="x" * 1000)
        write(path, status=203)
        write(path, status=204, agent="x" * 150)
        write(path, status=205)
        with open(path, "a", encoding="utf-8") as file:
            for longer in (0, 1, 500):
                told = json.dumps({"release": ONE, "status": 300 + longer})
                file.write(told.rjust(log.LONGEST + longer) + "\n")
        assert [entry.status for entry in followed.entries({ONE})] == [201, 203, 205, 300]


def test_no_more_than_the_end_of_what_lies_before_is_read(path, monkeypatch):
    """Over both files: a line that it begins in the midst of is none."""
    at = "1700000000.25"
    write(path, times=10, at=at)
    size = os.path.getsize(path) // 10
    os.rename(path, f"{path}.1")
    write(path, times=4, at=at)
    since = log.position(path)
    write(path, times=5, at=at)
    for lines, seen in ((2, 2), (4, 4), (7, 7), (100, 14)):
        monkeypatch.setattr(log, "TAIL", lines * size + (size // 2 if lines < 100 else 0))
        with closing(log.Log(path, since)) as followed:
            assert count(followed.before(ONE)) == seen


@pytest.mark.parametrize(
    ("since", "read"),
    [(0, 10), (1009.5, 10), (1010.5, 10), (1011.5, 10), (1012.5, 9), (1019.5, 2), (1020.5, 1), (2000, 1)],
)
def test_what_lies_before_is_read_from_a_time_on(path, monkeypatch, since, read):
    """Over both files; of what is read in one piece some ended earlier, and what tells no time ends no search."""
    for at in range(1011, 1016):
        write(path, at=at)
    os.rename(path, f"{path}.1")
    for at in (1016, "", 1018, 1019, 1020):
        write(path, at=at)
    monkeypatch.setattr(log, "BACK", os.path.getsize(path) // 5 + 4)
    with closing(log.Log(path, log.position(path))) as followed:
        assert count(followed.before(ONE, since)) == read


def test_what_lies_before_is_read_whole_though_one_look_is_bounded(path, monkeypatch):
    monkeypatch.setattr(log, "LOOK", 10_000)
    write(path, times=1000)
    with closing(log.Log(path, log.position(path))) as followed:
        assert count(followed.before(ONE)) == 1000


@pytest.mark.parametrize("line", [b"", b"[]", b"1", b"{", b"{}", b'{"at": "-"}', b"\xff" * 9, b"x" * (1 << 17)])
def test_what_tells_no_time_ends_no_search_for_one(path, monkeypatch, line):
    monkeypatch.setattr(log, "BACK", 64)
    write(path, times=9, at=5000)
    with open(path, "ab") as file:
        file.write(line + b"\n")
    write(path, at=5000)
    with closing(log.Log(path, log.position(path))) as followed:
        assert count(followed.before(ONE, 4000)) == 10


def test_an_old_file_is_let_go_of_when_nginx_writes_to_it_no_more(path, monkeypatch):
    def opened():
        return sum(os.path.realpath(f"/proc/self/fd/{name}").startswith(path) for name in os.listdir("/proc/self/fd"))

    moment = log.now()
    monkeypatch.setattr(log, "now", lambda: moment)
    write(path)
    followed = log.Log(path, log.position(path))
    os.rename(path, f"{path}.1")
    write(path)
    assert count(followed.entries({ONE})) == 1 and opened() == 2
    moment += log.REOPENED
    write(f"{path}.1")
    assert count(followed.entries({ONE})) == 1 and opened() == 2
    moment += 0.1
    write(f"{path}.1")
    write(path)
    assert count(followed.entries({ONE})) == 2 and opened() == 1
    write(path)
    assert count(followed.entries({ONE})) == 1
    followed.close()
    assert opened() == 0


def test_a_file_that_lies_before_is_closed_again(path):
    write(path, times=3)
    with closing(log.Log(path, log.position(path))) as followed:
        before = len(os.listdir("/proc/self/fd"))
        assert count(followed.before(ONE)) == 3
        assert len(os.listdir("/proc/self/fd")) == before


def test_an_emptied_log_forgets_the_half_line_that_it_held(path):
    with closing(log.Log(path, None)) as followed:
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"release": "half a line, and much more of it than is written after that, ' + "x" * 200)
        assert count(followed.entries({ONE})) == 0
        os.truncate(path, 0)
        write(path)
        assert count(followed.entries({ONE})) == 1


def test_requests_of_no_release_are_nobody_s(path):
    """nginx logs an empty release where none serves."""
    with closing(log.Log(path, None)) as followed:
        write(path, "", times=2)
        write(path, TWO, agent=ONE)
        write(path, ONE)
        assert count(followed.entries({"", ONE})) == 1
        assert count(followed.before(None)) == 0


def test_a_time_is_not_above_a_share_of_all():
    tally = Tally(ONE)
    assert (tally.times.at(0.5), tally.share) == (None, 0.0)
    for seconds in (0.4, 0.1, 0.3, 0.2, 0.12345):
        tally.add(log.Entry(ONE, "answer", 200, None, seconds, None, False, False))
    assert (tally.times.at(0), tally.times.at(0.5), tally.times.at(1)) == (0.1, 0.2, 0.4)
    assert tally.times.at(0.25) == 0.1235


def tallied(slow, *entries, doubtful=False):
    tally = Tally(ONE, slow)
    for status, seconds, first, websocket in entries:
        tally.add(log.Entry(ONE, "answer", status, None, seconds, first, False, websocket), doubtful)
    return tally.requests, tally.failed, tally.slow, tally.doubtful, tally.times.count, tally.firsts.count


@pytest.mark.parametrize(
    ("slow", "entry", "seen"),
    [
        (0, (200, 9.0, 9.0, False), (1, 0, 0, 0, 1, 1)),
        (1, (200, 9.0, 0.5, False), (1, 0, 0, 0, 1, 1)),
        (1, (200, 9.0, 1.0, False), (1, 0, 1, 0, 1, 1)),
        (1, (200, 1.0, None, False), (1, 0, 1, 0, 1, 0)),
        (1, (502, 9.0, None, False), (1, 1, 0, 0, 1, 0)),
        (1, (101, 9.0, 0.1, True), (1, 0, 0, 0, 0, 0)),
        (1, (502, 9.0, 0.1, True), (1, 1, 0, 0, 0, 0)),
        (1, (499, 0.9, None, False), (0, 0, 0, 0, 0, 0)),
        (1, (499, 1.0, None, False), (1, 0, 1, 0, 1, 0)),
        (0, (499, 9.0, None, False), (0, 0, 0, 0, 0, 0)),
        (1, (499, 0.9, 0.2, False), (1, 0, 0, 0, 1, 1)),
    ],
    ids=[
        *("none is slow", "the first byte counts", "slow", "slow without a first byte", "failed"),
        *("websocket", "failed websocket", "gave up early", "gave up after long", "gave up", "broke off"),
    ],
)
def test_what_a_request_counts_as(slow, entry, seen):
    assert tallied(slow, entry) == seen


def test_failures_of_which_only_the_release_can_tell_are_counted_apart():
    entries = [(502, 0.1, None, False), (200, 0.1, 0.1, False), (502, 0.1, None, False)]
    assert tallied(0, *entries, doubtful=True) == (1, 0, 0, 2, 1, 1)


def test_the_share_of_the_release_before_is_of_failed_and_slow_in_percent():
    tally = Tally(ONE, 1)
    for status, first in ((200, 0.1), (200, 2.0), (500, 0.1), (200, 0.1)):
        tally.add(log.Entry(ONE, "answer", status, None, first, first, False, False))
    assert tally.share == 50
    assert tally.summary() == {"requests": 4, "failed": 1, "p50": 0.1, "p99": 0.1}
