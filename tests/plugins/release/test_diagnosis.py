"""A release that does not get ready is told with its cause first, and what to do about it."""

from __future__ import annotations

import pytest
from ansible.module_utils.flask_deploy.release.diagnosis import ADVICE, advise, diagnose


def test_the_cause_comes_before_the_last_lines_and_the_advice_last():
    said = ["booting", "ModuleNotFoundError: No module named 'shop'", "gunicorn.errors.HaltServer: Error", "bye"]
    assert diagnose("abc", "its container ended with code 3", said, "/").splitlines() == [
        "release abc is not ready: its container ended with code 3",
        "  what it says of the cause:",
        "    ModuleNotFoundError: No module named 'shop'",
        "  its last lines:",
        *(f"    {line}" for line in said),
        "  what to do: add the module to the app's requirements, or name another one in app_wsgi",
    ]


def test_who_says_nothing_has_no_lines():
    assert diagnose("abc", "it is odd", [], "/") == "release abc is not ready: it is odd"


def test_the_last_five_causes_are_shown_once_each_and_the_last_twenty_lines():
    said = [f"ValueError: {number}" for number in range(7) for _ in range(4)]
    lines = diagnose("abc", "x", said, "/").splitlines()
    place = lines.index("  its last lines:")
    assert lines[2:place] == [f"    ValueError: {number}" for number in range(2, 7)]
    assert lines[place + 1 :] == [f"    {line}" for line in said[-20:]]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("its container ended with code 137, killed for want of memory", "app_memory: 1g"),
        ("ModuleNotFoundError: No module named 'gunicorn'", "add gunicorn[gevent] to its requirements"),
        ("Failed to find attribute 'app' in 'shop'.", "app_wsgi names nothing in that module"),
        ("KeyError: 'DATABASE_URL'", "the app misses the variable DATABASE_URL"),
        ("PermissionError: [Errno 13] Permission denied: '/app/x'", "it runs as app_uid"),
        ("/ did not answer below 400 in 60 s (status 404)", "set app_health_path"),
        ("/ did not answer below 400 in 60 s (status 302)", "needs no login"),
        ("/ did not answer below 400 in 60 s (status 500)", "the app itself fails"),
        ("something else", None),
    ],
)
def test_a_known_cause_has_advice(text, advice):
    told = advise(text)
    assert told is None if advice is None else advice in told


def test_advice_is_one_line_each():
    assert all("\n" not in advice and advice for _, advice in ADVICE)
