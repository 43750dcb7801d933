"""Flask-JWT 0.3.2 and this extension, side by side: apps written for the one, on both.

Flask-JWT gets an environment of its day, so it takes an index of packages and a Python below 3.10.
`make test-all` runs it: pytest app/tests/side_by_side.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[1]
FLOWS = Path(__file__).with_name("flows_app.py")
OF_ITS_DAY = (
    "Flask-JWT==0.3.2",
    "PyJWT==1.4.2",
    "Flask==0.12.5",
    "Werkzeug==0.16.1",
    "Jinja2==2.11.3",
    "MarkupSafe==1.1.1",
    "itsdangerous==1.1.0",
    "click==7.1.2",
)
REFUSED = {"description": "Invalid credentials", "error": "Bad Request", "status_code": 401}

# What differs, and what is answered here. All else is the same.
INSTEAD_OF_500 = {
    "a_login_body_that_is_a_list": [401, "application/json", REFUSED, None],
    "a_form_as_login": [400, "text/html", None, None],
    "a_header_of_spaces": [
        401,
        "application/json",
        {
            "description": "Request does not contain an access token",
            "error": "Authorization Required",
            "status_code": 401,
        },
        'JWT realm="Login Required"',
    ],
    "numbers_for_a_handler_of_texts": [401, "application/json", REFUSED, None],
    "an_identity_handler_that_fails": [
        401,
        "application/json",
        {"description": "User does not exist", "error": "Invalid JWT", "status_code": 401},
        None,
    ],
}
AT_THE_START = {
    "an_algorithm_that_is_none": "ConfigError: these settings cannot work:\n"
    "  JWT_ALGORITHM is 'HS1'; expected RS256, ES256, EdDSA, HS256, HS384 or HS512"
}
WORKS_AT_LAST = ("an_identity_that_is_a_dict",)
LEFT_OUT = {"a_content_type_in_the_header": "cty"}
SAYS_MORE = ("no_authentication_handler",)
DIFFERENT = {*INSTEAD_OF_500, *AT_THE_START, *WORKS_AT_LAST, *LEFT_OUT, *SAYS_MORE}


def old_python():
    """A Python that PyJWT 1.4 runs on; uv downloads one where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [path for minor in (9, 8) for path in pyenv.glob(f"3.{minor}.*/bin/python3.{minor}")]
    return str(found[0]) if found else "3.9"


def answers(python, library, **environment):
    command = [python, FLOWS, library]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    directory = tmp_path_factory.mktemp("old")
    index = os.environ.get("UV_INDEX_URL") or os.environ.get("PIP_INDEX_URL", "")
    environment = {**os.environ, "UV_NATIVE_TLS": "1", "UV_INDEX_URL": index}
    make = ["uv", "venv", "--quiet", "--python", old_python(), directory]
    install = ["uv", "pip", "install", "--quiet", "--python", directory / "bin/python"]
    for command in (make, [*install, *OF_ITS_DAY]):
        subprocess.run(command, check=True, env=environment)
    return answers(directory / "bin/python", "flask_jwt")


@pytest.fixture(scope="module")
def new():
    return answers(sys.executable, "flask_jwt_keys", PYTHONPATH=str(APP))


def test_both_were_asked_the_same_and_much(old, new):
    assert old.keys() == new.keys()
    assert len(old) >= 25 and old.keys() >= DIFFERENT


def test_the_answers_are_the_same(old, new):
    assert {name: new[name] for name in new if name not in DIFFERENT} == {
        name: old[name] for name in old if name not in DIFFERENT
    }


@pytest.mark.parametrize("name", SAYS_MORE)
def test_an_app_that_cannot_start_is_told_what_to_write(old, new, name):
    (was,), (says,) = old[name], new[name]
    assert says.startswith(f"{was}: ") and "JWT_AUTH_URL_RULE" in says


@pytest.mark.parametrize("name", INSTEAD_OF_500)
def test_where_flask_jwt_failed_a_request_is_refused(old, new, name):
    *before, failed = old[name]
    assert failed[0] == 500
    assert new[name] == [*before, INSTEAD_OF_500[name]]


@pytest.mark.parametrize("name", AT_THE_START)
def test_what_cannot_work_is_told_at_the_start(old, new, name):
    assert old[name][0][0] == 500, "at a login"
    assert new[name] == [AT_THE_START[name]]


@pytest.mark.parametrize("name", WORKS_AT_LAST)
def test_what_failed_works(old, new, name):
    assert old[name][0][0] == 500
    assert [answer[0] for answer in new[name]] == [200, 200]


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_header_that_is_refused_is_left_out(old, new, name):
    assert old[name][0][2]["access_token"][0].pop(LEFT_OUT[name])
    assert new[name] == old[name]
