"""What a repository starts its app with, and what that is without a shell, a Procfile and Compose."""

from __future__ import annotations

import pytest
import yaml
from ansible.module_utils.flask_deploy.release import schema

APP = "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef hello():\n    return 'hello'\n"


@pytest.fixture
def processes(decided):
    """Return {name: command} of the processes that are printed of a source with given files."""
    return lambda files: {
        name: about["command"] for name, about in decided({"app.py": APP, **files}).get("app_processes", {}).items()
    }


@pytest.mark.parametrize(
    ("command", "printed_as", "current"),
    [
        ("FLASK_APP=app.py flask db upgrade", "env FLASK_APP=app.py flask db upgrade", "env FLASK_APP=app.py flask db"),
        ("A=1 B='2 3' flask db upgrade", "env A=1 B='2 3' flask db upgrade", "env A=1 B='2 3' flask db"),
        ("exec flask db upgrade", "flask db upgrade", "flask db"),
        ("FLASK_APP=$X flask db upgrade", "sh -c 'FLASK_APP=$X flask db upgrade'", None),
    ],
)
def test_a_variable_before_a_command_is_set_without_a_shell(decided, command, printed_as, current):
    found = decided({"app.py": APP, "Procfile": f"release: {command}\n"})["app_release_command"]
    assert found == printed_as
    assert schema.derived(found) == (f"{current} current" if current else "sh -c 'FLASK_APP=$X flask db current'")


def test_a_variable_before_manage_py_keeps_the_schema_command(decided):
    found = decided({"app.py": APP, "Procfile": "release: FLASK_ENV=production python manage.py db upgrade\n"})
    assert found["app_schema_command"] == "env FLASK_ENV=production python manage.py db current"


@pytest.mark.parametrize("file", ["Procfile", "compose.yml"])
def test_a_process_with_a_variable_before_it_is_found(processes, file):
    command = "C_FORCE_ROOT=1 celery -A app worker"
    compose = f"services: {{worker: {{build: ., command: {command}}}}}"
    files = {file: f"worker: {command}\n" if file == "Procfile" else compose}
    assert processes(files) == {"worker": "env C_FORCE_ROOT=1 celery -A app worker"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["celery_worker"], ["celery-worker"]),
        (["celery_worker", "celery-worker"], ["celery-worker", "celery-worker-2"]),
        (["celery.beat"], ["celery-beat"]),
        (["2mails_"], ["mails"]),
        (["celery-beat-scheduler", "mails"], ["celery-beat", "mails"]),
        (["my-long-worker-of-mails", "my-long-worker-of-news"], ["my-long-worker", "my-long-worker-2"]),
        (["averyverylongworker", "averyverylongworkers"], ["averyverylongwor", "averyverylongw-2"]),
    ],
)
def test_a_process_keeps_its_name_as_far_as_it_may(processes, given, named):
    services = ", ".join(f"{name}: {{build: ., command: celery -A app worker -Q q{n}}}" for n, name in enumerate(given))
    expected = {name: f"celery -A app worker -Q q{n}" for n, name in enumerate(named)}
    assert processes({"compose.yml": f"services: {{{services}}}"}) == expected


def test_a_row_of_a_map_that_the_check_refuses_takes_no_other_with_it(printed):
    text = printed({"app.py": APP, "Procfile": "mails: celery -A app worker\nodd: celery 'x\n"})
    assert yaml.safe_load(text)["app_processes"] == {"mails": {"command": "celery -A app worker", "count": 1}}
    assert '#   app_processes: odd: command: "celery \'x" is no command (No closing quotation)' in text
