"""The environment reaches a command byte for byte, and neither its arguments nor a shell."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = ROOT / "roles" / "app" / "files" / "exec.py"
SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:]]))"


@pytest.fixture
def run(tmp_path):
    """Run a command in a release's environment; its places lie in a directory."""
    text = PROGRAM.read_text()
    for place in ("release", "run/secrets"):
        (tmp_path / place).mkdir(parents=True)
        text = text.replace(f'"/{place}/', f'"{tmp_path}/{place}/')
    (tmp_path / "exec.py").write_text(text)
    (tmp_path / "release/release.json").write_text('{"id": "3f9a0c41d2b7"}')

    def execute(environment, secrets, *arguments):
        (tmp_path / "release/env.json").write_text(json.dumps(environment))
        (tmp_path / "run/secrets/env.json").write_text(json.dumps(secrets))
        command = [sys.executable, tmp_path / "exec.py", sys.executable, "-c", SHOW, *arguments]
        return json.loads(subprocess.run(command, capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}).stdout)

    return execute


def test_values_arrive_byte_for_byte(run):
    values = {"A": "{{ x }} $HOME `id` %s \\ 'it' \"q\"\n\ttwo\nlines", "U": "üß世界🌍", "E": "", "S": "  "}
    environment, _arguments = run(values, {})
    assert {name: environment[name] for name in values} == values


def test_secrets_win_and_the_release_is_named(run):
    environment, _arguments = run({"A": "1", "B": "2"}, {"B": "3"})
    assert (environment["A"], environment["B"], environment["APP_RELEASE"]) == ("1", "3", "3f9a0c41d2b7")


def test_arguments_are_not_read_by_a_shell(run):
    assert run({}, {}, "$HOME", "a b", "*")[1] == ["$HOME", "a b", "*"]
