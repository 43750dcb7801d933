"""nginx's log is read from a position on: over rotations, in bounded pieces, whatever stands in it."""

from __future__ import annotations

import json
import os
import resource
import time
from contextlib import closing

import pytest
from ansible.module_utils import app_log as log
from ansible.module_utils.app_tally import SAMPLE, Tally

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
    ],
)
def test_times_are_those_that_nobody_sets(told, seconds, first, refused):
    entry = log.parse(json.dumps({"release": ONE, "status": 200, **told}).encode())
    assert (entry.seconds, entry.first, entry.refused) == (pytest.approx(seconds), first, refused)


def test_an_older_log_tells_a_time_in_words():
    entry = log.parse(b'{"time":"2026-11-27T04:00:00+00:00","release":"1","status":200}')
    assert (entry.at, entry.named) == (1795752000.0, "end")


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
