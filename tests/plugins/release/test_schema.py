"""What the schema of a database is, is asked once and written down; why it cannot be asked is said."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.release import containers, schema


def test_a_command_that_no_shell_takes_tells_no_schema():
    assert schema.derived("sh -c 'flask db upgrade") == ""


@pytest.mark.parametrize(
    ("code", "why"), [(3, "'tell' ended with code 3: no such table"), (None, "'tell' did not end within 30 s: it said")]
)
def test_why_the_schema_cannot_be_asked_is_said(app, monkeypatch, code, why):
    done = SimpleNamespace(code=code, out=b"", said="INFO\nno such table")
    monkeypatch.setattr(containers, "run_once", lambda *given: done)
    told, said = schema.ask(app, "abc", "tell")
    assert told is None and said.startswith(why)


def test_a_state_that_is_known_keeps_its_moment(app):
    os.makedirs(app.path("abc"))
    schema.served_with(app, "abc", "1a", "tell")
    known = schema.ran_with(app, "abc")
    schema.served_with(app, "abc", "1a", "tell")
    assert schema.ran_with(app, "abc") == known
    schema.served_with(app, "abc", "2b", "tell")
    assert schema.ran_with(app, "abc")["state"] == "2b"
