"""Times of systemd in cron's words name the same minutes, or are refused with what to write."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from croniter import croniter
from hypothesis import example, given, settings
from hypothesis import strategies as st
from manifests.cron import SHORT, NoCron, cron

BEGIN = "2027-02-26 22:58:30"  # a month and a week end soon after it
RUNS = 12

TABLE = {
    "*-*-* 03:00": "0 3 * * *",
    "*:0/15": "*/15 * * * *",
    "*:7/15": "7,22,37,52 * * * *",
    "Mon..Fri 08:30": "30 8 * * 1-5",
    "Mon..Fri *-*-* 08:30:00": "30 8 * * 1-5",
    "*-*-01 00:00": "0 0 1 * *",
    "hourly": "0 * * * *",
    "minutely": "* * * * *",
    "Daily": "0 0 * * *",
    "weekly": "0 0 * * 1",
    "yearly": "0 0 1 1 *",
    "Sun": "0 0 * * 0",
    "Sat,Sun 04:00": "0 4 * * 0,6",
    "Friday..Sunday 04:00": "0 4 * * 0,5,6",
    "*-*-*": "0 0 * * *",
    "12-25 7:00": "0 7 25 12 *",
    "*-01,07-01,15 00:30": "30 0 1,15 1,7 *",
    "*-*-1..31 5:00": "0 5 * * *",
    "*:0..59/7": "*/7 * * * *",
    "*-1/3-1..31/10 00:00": "0 0 1,11,21,31 1,4,7,10 *",
    "8..18/2:00": "0 8,10,12,14,16,18 * * *",
    "0/2:30": "30 */2 * * *",
    "*:*": "* * * * *",
}
REFUSED = {
    "Mon *-*-01 03:00": "a weekday and a day of the month as one or the other",
    "2027-01-01 03:00": "no years",
    "*-*~01 03:00": "from the end of a month",
    "*-*-* 03:00:30": "whole minute",
    "*:*:0/10": "whole minute",
    "Fri..Mon 03:00": "no range of weekdays",
    "*:0/0": "a step without an end",
    "*:0,1/10": "write its end, such as 1..59/10",
    "*:0/7": "write its end, such as 0..59/7",
    "*:0/60": "write its end, such as 0..59/60",
    "*-1/12-* 00:00": "write its end, such as 1..12/12",
    "*:20/15": "write its end, such as 20..59/15",
    "0/5:00": "write its end, such as 0..23/5",
    "*-*-1/2 03:00": "write its end, such as 1..31/2",
    "*:0..59/0": "not a minute from 0 to 59",
    "25:00": "not an hour from 0 to 23",
    "*-13-01 03:00": "not a month from 1 to 12",
    "*:*/5": "is not read as a minute",
    "03:00 *-*-*": "is not read here",
    "@1700000000": "is not read here",
    "Mo 03:00": "is no weekday",
    "03:00 CET": "is not read here",
}


@pytest.mark.parametrize(("at", "wanted"), TABLE.items())
def test_a_time_has_its_five_fields(at, wanted):
    assert cron(at) == (wanted, "Etc/UTC")


@pytest.mark.parametrize(
    ("at", "zone"),
    [
        ("daily UTC", "Etc/UTC"),
        ("*-*-* 03:00 Europe/Berlin", "Europe/Berlin"),
        ("Mon 3:00 America/New_York", "America/New_York"),
    ],
)
def test_a_time_zone_at_its_end_is_the_zone_of_the_job(at, zone):
    assert cron(at)[1] == zone


@pytest.mark.parametrize(("at", "said"), REFUSED.items())
def test_a_time_without_a_form_in_cron_is_refused_with_what_to_write(at, said):
    with pytest.raises(NoCron) as caught:
        cron(at)
    assert said in str(caught.value)
    assert re.search("; (write|leave)|write its end", str(caught.value))


def of_systemd(at):
    """Return when systemd would elapse next, or None where it refuses the time."""
    words = ["systemd-analyze", "calendar", f"--iterations={RUNS}", f"--base-time={BEGIN} UTC", at]
    done = subprocess.run(words, env={**os.environ, "TZ": "UTC"}, capture_output=True, text=True, check=False)
    found = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d):00 UTC", done.stdout)
    return None if done.returncode else found


def of_cron(schedule):
    """Return when a reader of cron would start a run next."""
    turns = croniter(schedule, datetime.strptime(BEGIN, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC))
    return [turns.get_next(datetime).strftime("%Y-%m-%d %H:%M") for _ in range(RUNS)]


def agree(at):
    """Tell whether a time was translated; fail where cron would start it at other minutes."""
    try:
        schedule, _zone = cron(at)
    except NoCron:
        return False
    assert of_systemd(at) == of_cron(schedule), (at, schedule)
    return True


def numbers(low, high):
    """Return a strategy of one field, as systemd writes it."""
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(sorted)
    steps = st.integers(1, high)
    part = st.one_of(
        number.map(str),
        ranges.map("{0[0]}..{0[1]}".format),
        st.tuples(number, steps).map("{0[0]}/{0[1]}".format),
        st.tuples(ranges, steps).map("{0[0][0]}..{0[0][1]}/{0[1]}".format),
    )
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


DAY = st.sampled_from(["Mon", "tue", "Wednesday", "Thu", "Fri", "SAT", "Sunday", "Mon..Fri", "Wed..Sun", "Sat..Sun"])
DATES = st.tuples(numbers(1, 12), numbers(1, 28)).map("*-{0[0]}-{0[1]}".format)
TIMES = st.tuples(numbers(0, 23), numbers(0, 59), st.sampled_from(["", ":00", ":0"])).map("{0[0]}:{0[1]}{0[2]}".format)
SPECS = st.one_of(
    st.sampled_from(sorted(SHORT)),
    st.tuples(
        st.lists(DAY, max_size=3).map(",".join), st.one_of(st.just(""), DATES), st.one_of(st.just(""), TIMES)
    ).map(lambda parts: " ".join(filter(None, parts))),
).filter(bool)
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="no systemd-analyze here to compare with"
)


@needs_systemd
@pytest.mark.parametrize("at", TABLE)
def test_each_time_of_the_table_elapses_at_the_same_minutes(at):
    assert agree(at)


@needs_systemd
@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(SPECS)
@example("*-*-31 00:00")
@example("*-*-1..31/2 00:00")
@example("0..23/5:0..59/7")
@example("*:0,1..59/10")
@example("*-02-29 12:00")
@example("Mon..Sun *-*-13 12:00")
def test_whatever_is_translated_elapses_at_the_same_minutes(at):
    agree(at)


@needs_systemd
def test_most_of_what_is_compared_is_translated():
    """Else the property above would hold of nothing."""
    tried = ["Mon..Fri *-2,3-* 0..5/2:3/20", "*-1..6-1,15 23:59", "Sun *:30", "quarterly"]
    assert all(map(agree, tried))


@needs_systemd
@pytest.mark.parametrize("at", ["Fri..Mon 03:00", "*:0/0", "25:00", "*-13-01 03:00", "*:*/5", "Mo 03:00"])
def test_what_systemd_itself_refuses_is_no_time_here_either(at):
    assert of_systemd(at) is None
