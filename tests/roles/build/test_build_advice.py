"""A source that becomes no image: the failed step's own words are shown once, and what to do about it stands last."""

from __future__ import annotations

import re

import pytest
from ansible.module_utils import build_advice as advice
from ansible.module_utils.flask_deploy.host import building, compiling, engine

from tests.roles.build.failures import FAILURES

RUN = "RUN --mount=type=secret,id=steps --mount=type=secret,id=ca     sh /run/secrets/steps dependencies 4711"
# As `docker build --progress plain` says it; {number} lines are those of the step.
BUILD = """\
docker build: #0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 2.05kB done
#1 DONE 0.0s

#8 [build 3/9] RUN another
#8 0.100 of another step
#8 DONE 0.2s

#9 [build 4/9] {run}
#9 0.121 earlier
{log}
#9 ERROR: process "/bin/sh -c sh /run/secrets/steps dependencies" did not complete successfully: exit code: {code}
------
 > [build 4/9] {run}:
0.121 earlier
{block}
------
Dockerfile:14
--------------------
  13 |     COPY requirements.txt ./
  14 | >>> {run}
  15 |
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c …" did not complete successfully: exit code: {code}
"""


def build(*lines, code=1):
    """Return what docker says of a build whose step printed these lines."""
    log = "\n".join(f"#9 1.{number:03} {line}" for number, line in enumerate(lines))
    block = "\n".join(f"1.{number:03} {line}" for number, line in enumerate(lines))
    return BUILD.format(run=RUN, log=log, block=block, code=code)


NO_SOLUTION = "error: No solution found when resolving dependencies"  # by uv

# What a user got wrong: (what git, docker or a step of the build says, what is shown of the cause, what to do).
WRONG = {
    "private repository without a key, by HTTPS": (
        "git fetch: fatal: could not read Username for 'https://git.example.com': terminal prompts disabled",
        "could not read Username",
        "build_git_key",
    ),
    "private repository without a key, by SSH": (
        "git fetch: git@git.example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
        "Permission denied (publickey)",
        "build_git_key",
    ),
    "repository that is not there": (
        "git fetch: fatal: '/srv/none.git' does not appear to be a git repository",
        "does not appear to be a git repository",
        "the repository is private, or its name is another",
    ),
    "host without a way to the repository": (
        "git fetch: fatal: unable to access 'https://git.example.com/': Could not resolve host: git.example.com",
        "Could not resolve host",
        "the host finds no git.example.com: correct the name in build_source",
    ),
    "requirement that no index has": (
        build(
            NO_SOLUTION, "  cause: Because flaskk was not found in the package registry and you require flaskk, we can"
        ),
        "Because flaskk was not found",
        "no index has flaskk: correct it where the app lists it",
    ),
    "requirement that pip does not find": (
        build(
            "ERROR: Could not find a version that satisfies the requirement flaskk (from versions: none)",
            "ERROR: No matching distribution found for flaskk",
        ),
        "No matching distribution found for flaskk",
        "no index has flaskk",
    ),
    "version that there is not": (
        build(
            NO_SOLUTION,
            "  cause: Because there is no version of flask==99 and you require flask==99, we can conclude that",
        ),
        "there is no version of flask==99",
        "no index has that version of flask",
    ),
    "requirements that exclude each other": (
        build(
            NO_SOLUTION,
            "  cause: Because flask==3.0.3 depends on werkzeug>=3.0.0 and you require flask==3.0.3, we can",
            "         And because you require werkzeug<2, we can conclude that your requirements are unsatisfiable.",
        ),
        "flask==3.0.3 depends on werkzeug>=3.0.0",
        "two requirements exclude each other",
    ),
    "too old a Python": (
        build(
            NO_SOLUTION, "  cause: Because the current Python version (3.11.2) does not satisfy Python>=3.13 and your"
        ),
        "the current Python version (3.11.2) does not satisfy",
        "wants another Python than 3.11.2: build_python: '3.13'",
    ),
    "package that does not build": (
        build(
            "  \u00d7 Failed to build `greenlet==3.0.0`", "what to do: greenlet has a wheel for Python 3.12. Write x"
        ),
        "Failed to build `greenlet==3.0.0`",
        "greenlet has a wheel for Python 3.12. Write x",
    ),
    "header that is missing": (
        build("  \u00d7 Failed to build `psycopg2`", "Error: pg_config executable not found."),
        "pg_config executable not found",
        "build_packages: [libpq-dev]",
    ),
    "MySQL's headers that are missing": (
        build("  \u00d7 Failed to build `mysqlclient`", "Exception: Can not find valid pkg-config name."),
        "Can not find valid pkg-config name",
        "build_packages: [default-libmysqlclient-dev]",
    ),
    "package that lies beside the app": (
        build(
            "error: Failed to build `flask-admin @ file:///`",
            "  cause: `/` does not appear to be a Python project, as neither `pyproject.toml` nor",
            "what to do: flask-admin has a wheel for none of Python 3.10 to 3.14. Write another version of it",
        ),
        "does not appear to be a Python project",
        "takes that package from another directory, by a path",
    ),
    "line of requirements that is none": (
        build(
            "error: Couldn't parse requirement in `requirements.txt` at position 6",
            '  cause: no such comparison operator "====", must be one of ~= == != <= >= < > ===',
            "         flask ==== 3",
            "               ^^^^^^",
        ),
        "flask ==== 3",
        "correct requirements.txt: a line there is no requirement",
    ),
    "lock that is older than its project": (
        build(
            "pyproject.toml changed significantly since poetry.lock was last generated. Run `poetry lock` to fix it."
        ),
        "changed significantly",
        "Type in the source: poetry lock; and commit it",
    ),
    "package that is not the locked one": (
        build("error: Hash mismatch for `flask==3.0.3`"),
        "Hash mismatch for `flask==3.0.3`",
        "lock anew, with uv lock",
    ),
    "project file that is no TOML": (
        build("error: Failed to parse: `pyproject.toml`", "  Caused by: TOML parse error at line 3, column 9"),
        "TOML parse error at line 3",
        "correct line 3 of the file that it names",
    ),
    "private index without a password": (
        build("error: Failed to fetch: `https://index.example.com/simple/`", "  HTTP status client error (401 Unauth"),
        "HTTP status client error (401",
        "build_secrets: {PIP_INDEX_URL: ",
    ),
    "proxy that signs by itself": (
        build("error: error sending request: invalid peer certificate: UnknownIssuer"),
        "UnknownIssuer",
        "build_ca_file",
    ),
    "package that Debian does not have": (
        build("E: Unable to locate package libfo-dev", code=100),
        "Unable to locate package libfo-dev",
        "Debian has no package libfo-dev",
    ),
    "build command that fails": (
        build("/bin/sh: 1: npm: not found", "build_command ended with code 127"),
        "build_command ended with code 127",
        "build_packages: [npm]",
    ),
    "build command that ends with another code": (
        build("build_command ended with code 7"),
        "build_command ended with code 7",
        "correct build_command, or what it runs",
    ),
    "file that git does not list": (
        'docker build: ERROR: failed to compute cache key: failed to calculate checksum of x: "/setup.sh": not found',
        "failed to calculate checksum",
        "the source has no setup.sh: git has to list it",
    ),
    "Dockerfile that is none": (
        "docker build: ERROR: failed to solve: dockerfile parse error on line 3: unknown instruction: FORM",
        "unknown instruction: FORM",
        "correct line 3 of the Dockerfile: unknown instruction: FORM",
    ),
    "stage that a Dockerfile does not have": (
        'docker build: ERROR: failed to solve: target stage "production" could not be found',
        "could not be found",
        "build_target: the Dockerfile has no stage production",
    ),
    "header that is missing, whatever is known of wheels": (
        build("x.c:15:10: fatal error: lber.h: No such file or directory", "what to do: x has no wheel"),
        "lber.h",
        "build_packages: [libldap-dev, libsasl2-dev]",
    ),
    "header of Python that is gone": (
        build("x.c:1:10: fatal error: longintrepr.h: No such file or directory", "what to do: build_python: '3.10'"),
        "longintrepr.h",
        "build_python: '3.10'",
    ),
    "project that lies above the app's": (
        build("error: Failed to parse entry: `shop`", "  cause: path could not be normalized: /app/../../"),
        "Failed to parse entry: `shop`",
        "lies above build_subdir",
    ),
    "image for another processor": (
        build("exec /bin/sh: exec format error", code=255),
        "exec format error",
        "another kind of processor than this host: take --platform out of its FROM",
    ),
    "too little memory for a build": (build("Killed", code=137), "Killed", "the host has too little memory"),
    "step that says nothing known": (build("that was odd"), "that was odd", "the step fails: the lines above"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_with_its_cause_and_what_to_do(wrong):
    said, cause, what = WRONG[wrong]
    told = advice.explained(said).splitlines()
    assert cause in "\n".join(told[:-1])
    assert told[-1].startswith("  what to do: ") and what in told[-1]
    assert len(told) <= 11, "cause and advice fit into what is last on the screen"


def test_a_failed_step_is_shown_once_and_named_without_its_mounts():
    told = advice.explained(build("one", "error: two", *map(str, range(20))))
    assert told.startswith("docker build: [build 4/9] RUN sh /run/secrets/steps dependencies 4711\n  what it says")
    assert told.count("error: two") == 1 and "  14 | >>>" not in told and "#1 DONE" not in told
    assert told.splitlines()[2:5] == ["    error: two", "    13", "    14"]


def test_where_docker_tells_a_step_s_words_below_its_name_alone_they_are_taken_from_there():
    """As Docker 20.10 does, the engine of Debian 12."""
    said = build("error: two")
    alone = "\n".join(line for line in said.splitlines() if not line.startswith("#"))
    assert advice.explained(alone).splitlines()[2:4] == ["    earlier", "    error: two"]
    assert "of another step" not in advice.explained(said)


def test_what_is_not_known_stays_as_it_is():
    assert advice.explained("the moon is in the way") == "the moon is in the way"


def test_a_step_that_was_stopped_is_shown_without_an_advice():
    said = build("earlier").replace("exit code: 1", "context canceled")
    assert advice.explained(said).splitlines()[1:] == ["  what it says of the cause:", "    earlier", "    earlier"]


def test_what_says_itself_what_to_do_stays_as_it_is():
    said = "a.txt is odd: No matching distribution found for x\n  what to do: this"
    assert advice.explained(said) == said


def test_all_that_docker_said_is_looked_at(monkeypatch):
    said = build(*["x" * 70] * 60, "error: Hash mismatch for `flask==3.0.3`", *["x" * 70] * 60)
    error = engine.EngineError(said)
    assert len(str(error)) < len(said) and "Hash mismatch" in advice.explained(error.whole)


@pytest.mark.parametrize(("said", "what"), FAILURES.items())
def test_what_a_step_says_has_advice(said, what):
    assert what in advice.explained(build(*said.splitlines())).splitlines()[-1]


def test_a_python_that_has_a_wheel_is_better_than_a_compiler_of_rust():
    told = "what to do: x has a wheel for Python 3.12. Write build_python: '3.12'"
    none = "what to do: x has a wheel for none of Python 3.10 to 3.14. Write what it needs of Debian, build_packages"
    rust = "error: can't find Rust compiler"
    assert "3.12" in advice.explained(build(rust, told)).splitlines()[-1]
    assert "cargo" in advice.explained(build(rust, none)).splitlines()[-1]
    assert "none of" in advice.explained(build("error: that was odd", none)).splitlines()[-1]


def test_a_wheel_for_another_python_is_told_before_what_compiles_it():
    told = "what to do: psycopg2-binary has a wheel for Python 3.12. Write build_python: '3.12'"
    lines = advice.explained(build("Error: pg_config executable not found.", told)).splitlines()
    assert lines[-1].endswith("Write build_python: '3.12'; or, to compile it, build_packages: [libpq-dev]")


@pytest.mark.parametrize("table", [building.BUILDING, compiling.LACKING, compiling.CAUSES, advice.ADVICE])
def test_each_row_decides_about_a_failure_of_these_tests(table):
    said = [*(build(*each.splitlines()) for each in FAILURES), *(each for each, _, _ in WRONG.values())]
    decided = {next((n for n, (pattern, _) in enumerate(table) if re.search(pattern, each)), None) for each in said}
    assert [pattern for n, (pattern, _) in enumerate(table) if n not in decided] == []


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (
            "x.c:1:10: fatal error: lber.h: No such file",
            "RUN apt-get update && apt-get install -y libldap-dev libsasl2-dev",
        ),
        ("E: Unable to locate package libgl1-mesa-glx", "libgl1 is in its place: correct that line of the Dockerfile"),
        ("E: Package 'odd' has no installation candidate", "no package odd: correct that line of the Dockerfile"),
        (
            "ERROR: Could not find a version that satisfies the requirement torch==1 (from versions: 2, 2.1)\n"
            "ERROR: No matching distribution found for torch==1",
            "or a Python that it was made for: another FROM in the Dockerfile",
        ),
        ("ModuleNotFoundError: No module named 'distutils'", "in the Dockerfile, FROM python:3.11-slim-trixie"),
    ],
)
def test_in_a_dockerfile_of_the_app_s_own_the_advice_is_a_line_for_it(said, what):
    own = build(*said.splitlines()).replace(RUN, "RUN pip install -r requirements.txt")
    assert what in advice.explained(own).splitlines()[-1]
