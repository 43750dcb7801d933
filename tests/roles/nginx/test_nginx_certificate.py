"""The program that keeps certificates is on the host whole: with what it uses of the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import program
from ansible.modules import nginx_certificate

ROOM = "ansible/module_utils/flask_deploy/certificates"
PAIR, STORE = f"{ROOM}/pair.py", f"{ROOM}/store.py"


@pytest.fixture
def module():
    """Return what the module is of Ansible's."""
    return SimpleNamespace(
        check_mode=False,
        set_mode_if_different=lambda path, mode, changed: os.chmod(path, int(mode, 8)),
        atomic_move=os.replace,
    )


@pytest.fixture
def parts():
    return nginx_certificate.parts()


def python(place, *words):
    done = subprocess.run([sys.executable, "-B", *words], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_program_finds_all_its_parts_by_itself(module, parts, tmp_path):
    """And no others, though Ansible is installed where it runs."""
    assert nginx_certificate.write(module, str(tmp_path), parts)
    assert python(tmp_path, "-m", "keep_certificates", "--help").startswith("usage: keep_certificates")
    ask = "import sys, keep_certificates.__main__; print(*(getattr(m, '__file__', '') for m in sys.modules.values()))"
    used = {
        path for path in python(tmp_path, "-c", ask).split() if "/ansible/" in path or "/keep_certificates/" in path
    }
    assert used == {str(tmp_path / path) for path in parts}


def test_the_program_s_parts_are_those_of_the_package(parts):
    package = Path(program.__file__).parents[1]
    inside = f"{program.PACKAGE.replace('.', '/')}/"
    shared = {path.removeprefix(inside): text for path, text in parts.items() if path.startswith(inside) and text}
    assert shared == {path: (package / path).read_text() for path in shared} and "host/locks.py" in shared


def test_a_program_that_is_there_is_left_alone(module, parts, tmp_path):
    nginx_certificate.write(module, str(tmp_path), parts)
    assert not nginx_certificate.write(module, str(tmp_path), parts)
    (tmp_path / PAIR).write_bytes(b"# \xff\n")
    assert nginx_certificate.write(module, str(tmp_path), parts)
    assert (tmp_path / PAIR).read_text() == parts[PAIR]
    (tmp_path / STORE).write_text("")
    module.check_mode = True
    assert nginx_certificate.write(module, str(tmp_path), parts)
    assert (tmp_path / STORE).read_text() == ""
