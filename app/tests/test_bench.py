"""The benches run, and count right; their figures are for people to judge."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


def run(*command, cwd):
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize("store", ["sqlite", "valkey"])
def test_sessions(tmp_path, store):
    few = ("--rounds", "3", "--refreshes", "40")
    lines = run(BENCH / "sessions.py", "30", *few, "--store", store, cwd=tmp_path)
    assert [line.split()[0] for line in lines] == ["30", "login", "refresh", "look", "40", "the"]
    assert lines[4].startswith("40 refreshes of ")


@pytest.fixture(scope="module")
def tokens():
    spec = importlib.util.spec_from_file_location("bench_tokens", BENCH / "tokens.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tokens(tmp_path, tokens):
    lines = run(BENCH / "tokens.py", "--rounds", "1", "--seconds", "0.001", cwd=tmp_path)
    shown = "\n".join(lines)
    for name in tokens.NAMES:
        assert sum(line.startswith(name) for line in lines) == 3, name
    for algorithm in ("RS256", "ES256", "EdDSA"):
        assert f"{algorithm} verify: " in shown
    assert "RS256 sign: " in shown
    for condition in ("Python ", "openssl speed of OpenSSL ", "cryptography ", "PyJWT ", "load "):
        assert condition in shown


def rounds(tokens, *, ours):
    """Rounds of a machine that does other things too: a rate differs, a ratio does not."""
    others = dict.fromkeys(tokens.NAMES, (100.0, 100.0))
    made = [{**others, tokens.OURS: rates} for rates in ours]
    return [
        {name: (sign * busy, verify * busy) for name, (sign, verify) in each.items()}
        for each, busy in zip(made, (1, 0.2, 1.1, 0.5, 1), strict=True)
    ]


def test_one_disturbed_round_decides_nothing(tokens):
    seen = rounds(tokens, ours=[(90, 95), (90, 95), (10, 5), (90, 95), (90, 95)])
    assert tokens.ratio(seen, tokens.SIGN, tokens.OURS, tokens.RAW) == pytest.approx(0.9)
    assert tokens.judged("RS256", seen) == [
        "RS256 sign: 0.900 of raw, at least 0.85: met",
        "RS256 verify: 1.053 times PyJWT's time, at most 1.1: met",
    ]


@pytest.mark.parametrize(
    ("algorithm", "verdicts"),
    [("RS256", ["MISSED", "MISSED"]), ("ES256", ["met"]), ("EdDSA", ["met"])],
)
def test_each_limit_is_judged(tokens, algorithm, verdicts):
    seen = rounds(tokens, ours=[(84, 89)] * 5)
    assert [line.rpartition(" ")[2] for line in tokens.judged(algorithm, seen)] == verdicts
