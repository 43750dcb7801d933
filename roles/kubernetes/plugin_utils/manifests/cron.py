"""Times of systemd in cron's words, where both name the same minutes; any other time is refused with what to write."""

from __future__ import annotations

import re

SHORT = {
    "minutely": "* * * * *",
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 1",
    "monthly": "0 0 1 * *",
    "quarterly": "0 0 1 1,4,7,10 *",
    "semiannually": "0 0 1 1,7 *",
    "yearly": "0 0 1 1 *",
    "annually": "0 0 1 1 *",
}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ZONE = re.compile(r"UTC|[A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+)+")
PART = re.compile(r"(\d+)(?:\.\.(\d+))?(?:/(\d+))?", re.ASCII)
UTC = "Etc/UTC"
LONGEST_MONTH = 31  # days
FORMS = 'write a form that cron has, such as at: "*-*-* 03:00", "Mon..Fri 08:30" or "*:0/15"'


class NoCron(Exception):
    """A time has no form in cron; the message says why, and what to write instead."""


def cron(at: str) -> tuple[str, str]:
    """Return a time as cron's five fields, and its time zone.

    :raises NoCron: it is not of the forms that are read here.
    """
    words = at.split()
    zone = words.pop() if len(words) > 1 and ZONE.fullmatch(words[-1]) else "UTC"
    known = SHORT.get(words[0].lower()) if len(words) == 1 else None
    return known or _fields(words), UTC if zone == "UTC" else zone


def _fields(words: list[str]) -> str:
    days = _weekdays(words.pop(0)) if words and words[0][0].isalpha() else set(range(7))
    date = words.pop(0) if words and "-" in words[0] else "*-*"
    time = words.pop(0) if words and ":" in words[0] else "0:0"
    if words:
        raise NoCron(f"{words[0]!r} is not read here; {FORMS}")
    month, day = _date(date)
    hour, minute = _time(time)
    if len(day) < LONGEST_MONTH and len(days) < 7:
        raise NoCron(
            "cron takes a weekday and a day of the month as one or the other; write one of them, and let the command "
            "see to the other"
        )
    return " ".join(
        [
            _field(minute, 0, 59),
            _field(hour, 0, 23),
            _field(day, 1, LONGEST_MONTH),
            _field(month, 1, 12),
            _field(days, 0, 6),
        ]
    )


def _weekdays(word: str) -> set[int]:
    """Return days as cron counts them: Sunday is 0."""
    found: set[int] = set()
    for part in word.split(","):
        numbers = [_weekday(name) for name in part.split("..")]
        if len(numbers) > 2 or numbers[0] > numbers[-1]:
            raise NoCron(f"{part!r} is no range of weekdays; write one from Mon to Sun, such as Mon..Fri")
        found |= {number % 7 for number in range(numbers[0], numbers[-1] + 1)}
    return found


def _weekday(name: str) -> int:
    for number, day in enumerate(DAYS, 1):
        if name.lower() in (day, day[:3]):
            return number
    raise NoCron(f"{name!r} is no weekday; {FORMS}")


def _date(word: str) -> tuple[set[int], set[int]]:
    """Return months and days of the month."""
    parts = word.split("-")
    if "~" in word:
        raise NoCron("cron does not count from the end of a month; write days, such as *-*-28 03:00")
    if len(parts) == 3 and parts.pop(0) != "*":
        raise NoCron("cron knows no years; write * for the year")
    if len(parts) != 2:
        raise NoCron(f"{word!r} is no date that is read here; {FORMS}")
    return _values("a month", parts[0], 1, 12), _values("a day", parts[1], 1, LONGEST_MONTH)


def _time(word: str) -> tuple[set[int], set[int]]:
    """Return hours and minutes."""
    parts = word.split(":")
    if len(parts) == 3 and parts.pop() not in ("0", "00"):
        raise NoCron("cron starts what it starts at a whole minute; leave the seconds out")
    if len(parts) != 2:
        raise NoCron(f"{word!r} is no time that is read here; {FORMS}")
    return _values("an hour", parts[0], 0, 23), _values("a minute", parts[1], 0, 59)


def _values(what: str, text: str, low: int, high: int) -> set[int]:
    if text == "*":
        return set(range(low, high + 1))
    found: set[int] = set()
    for part in text.split(","):
        match = PART.fullmatch(part)
        if not match:
            raise NoCron(f"{part!r} is not read as {what} here; {FORMS}")
        start, stop, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if match[3] and not match[2]:
            stop = _end(text, start, step, low, high)
        if not low <= start <= stop <= high or not step:
            raise NoCron(f"{part!r} is not {what} from {low} to {high}; {FORMS}")
        found |= set(range(start, stop + 1, step))
    return found


def _end(text: str, start: int, step: int, low: int, high: int) -> int:
    """Return the last number of a repetition without an end.

    It goes on from one hour, day or year to the next, and systemd 252 skips numbers there, where it does not come upon
    its own start again, or stands in a list; cron does not.
    """
    alone = "," not in text
    evenly = start - low < step <= high - start and (high - low + 1) % step == 0
    if alone and evenly and high != LONGEST_MONTH:
        return high
    raise NoCron(f"{text!r} has a step without an end; write its end, such as {start}..{high}/{step or 1}")


def _field(found: set[int], low: int, high: int) -> str:
    """Return numbers as cron writes them, in the shortest form that each reader of cron takes alike."""
    numbers = sorted(found)
    if len(numbers) == high - low + 1:
        return "*"
    step = numbers[1] - numbers[0] if len(numbers) > 2 else 0
    if step and numbers == list(range(low, high + 1, step)) and low == 0:
        return f"*/{step}"
    if step and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ",".join(map(str, numbers))
