"""Passwords: hashes, and no difference between a wrong password and an unknown name."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import argon2
import pytest
from argon2 import extract_parameters

from flask_app.users import UserFile
from flask_jwt_keys.background import Background
from flask_jwt_keys.passwords import Passwords, check_hash, hash_password

APP = Path(__file__).parents[1]


def test_a_password_matches_its_hash_only():
    encoded = hash_password("geheim")
    passwords = Passwords([encoded])
    assert passwords.matches(encoded, "geheim")
    assert not passwords.matches(encoded, "Geheim")
    assert not passwords.matches(encoded, "")
    assert not passwords.matches("no hash", "geheim")


@pytest.mark.parametrize("password", ["", "geheim", "x" * 10_000, "\x00", "pässwörd 🔑"])
def test_nobody_has_no_password(password):
    assert not Passwords().matches(None, password)


def test_hashes_are_argon2id_with_salts_of_their_own():
    first, second = hash_password("a"), hash_password("a")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_unknown_names_cost_what_wrong_passwords_cost():
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=2)
    passwords = Passwords([hasher.hash("a"), hash_password("b")])
    assert extract_parameters(passwords._nobodys) == extract_parameters(hasher.hash("x"))
    assert extract_parameters(Passwords()._nobodys) == extract_parameters(hash_password("x"))


def test_unknown_names_take_as_long_as_wrong_passwords(tmp_path):
    """Processor time, in turns, so that other processes do not count: less than a tenth apart."""
    (tmp_path / "users.json").write_text(json.dumps({"known": hash_password("right")}))
    users, times = UserFile(tmp_path / "users.json"), {"known": [], "unknown": []}
    for _ in range(41):
        for name, spent in times.items():
            begin = time.thread_time()
            assert users.authenticate(name, "wrong") is None
            spent.append(time.thread_time() - begin)
    known, unknown = (statistics.median(spent) for spent in times.values())
    assert abs(known - unknown) < 0.1 * known


@pytest.mark.parametrize("encoded", ["", "plain", "$argon2id$", "$2b$12$abc"])
def test_what_is_no_hash_is_named_so(encoded):
    with pytest.raises(ValueError, match="not an Argon2 hash"):
        check_hash(encoded)
    check_hash(hash_password("a"))


def test_without_gevent_a_call_is_a_call():
    assert Background(1).run(threading.get_ident) == threading.get_ident()


def test_with_gevent_a_call_runs_in_another_thread_that_stands_back():
    code = """
from gevent import monkey; monkey.patch_all()
import os
from flask_app.users import UserFile
from flask_jwt_keys.background import Background
def where():
    import threading
    tid = threading.get_native_id()
    return tid, os.getpriority(os.PRIO_PROCESS, tid)
before = os.getpriority(os.PRIO_PROCESS, os.getpid())
background = Background(1, niceness=10)
tid, niceness = background.run(where)
assert tid != os.getpid() and niceness == 10, (tid, niceness)
assert os.getpriority(os.PRIO_PROCESS, os.getpid()) == before
try:
    background.run(int, "x")
except ValueError:
    print("raised")
if os.fork() == 0:
    assert background.run(where)[0] != tid
    os._exit(0)
assert os.wait()[1] == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=APP, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "raised\n"), done.stderr
