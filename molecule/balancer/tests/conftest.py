"""Three hosts behind two balancers, and visitors who ask the address that these share."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from bench.judge import Judge
from bench.stand_in import Host

KINDS = {"get": 3, "post": 3, "new": 1, "http2": 2, "http2-post": 2}
WEB, BALANCERS = ("web1", "web2", "web3"), ("lb1", "lb2")


@pytest.fixture(scope="session")
def hosts():
    rows = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    found = {row["instance"]: Host(row["instance"], row["container"]) for row in rows}
    for name in WEB:  # in app_env it would make another release of each
        found[name].sh(f"echo {name} > /srv/app/data/name")
    return found


@pytest.fixture(scope="session")
def at():
    """Return the address that moves between the balancers, as the inventory makes it."""
    rows = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    (lb1,) = (row["address"] for row in rows if row["instance"] == "lb1")
    return ".".join(lb1.split(".")[:2]) + ".255.10"


@pytest.fixture
def ask(at):
    """Ask the balancers' address; return (status, who served, body)."""

    def asked(path="/", *words):
        command = ["curl", "-sSk", "-i", "--max-time", "20", "--resolve", f"app.test:443:{at}", *words]
        done = subprocess.run([*command, f"https://app.test{path}"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
        served = re.search(r"^x-served-by: (\S+)$", head, re.MULTILINE | re.IGNORECASE)
        return int(head.split()[1]), served and served[1], body

    return asked


@pytest.fixture
def serving(ask):
    """Return the hosts that get requests, of either kind."""
    return lambda: {ask("/", *words)[1] for _ in range(6) for words in ([], ["-d", "x"])}


@pytest.fixture
def load(at):
    """Return traffic through the balancers, to be held within."""
    return lambda: Judge(at, "app.test", kinds=KINDS)


@pytest.fixture
def judged(load):
    """Let traffic run through the balancers; nothing of it may fail."""

    @contextmanager
    def judging():
        with load() as judge:
            yield
        verdict = judge.verdict()
        assert verdict.failed == 0, str(verdict)

    return judging
