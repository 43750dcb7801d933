"""A server moves to a bare machine with all that it holds. The old one stays closed, and the way back is the same."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

TIMERS = " ".join(f"flask-deploy-{kind}@shop.timer" for kind in ("backup", "drill", "archive", "archive-drill"))
RESTORE = ("playbooks/restore_server.yml", "-e", "restore_app=shop")
PLACES = "/srv/shop/data /etc/shop/jwt /etc/shop/release.key"
FILES = f"find {PLACES} -type f -printf '%p %m %U:%G ' -exec sha256sum {{}} \\; | sort"
ROWS = "cd /; sudo -u postgres psql -At -h /run/postgresql shop -c 'SELECT id, text FROM note ORDER BY id'"


@dataclass
class Machine:
    """A machine that the server is on, or was."""

    name: str
    container: str
    address: str

    def sh(self, command: str) -> str:
        words = ["docker", "exec", self.container, "sh", "-c", command]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def ask(self, path: str, *arguments: str) -> tuple[int, str]:
        """Return (status, body) of an answer to the site's name."""
        words = ["curl", "-sSk", "--max-time", "30", "-w", "\n%{http_code}", *arguments]
        where = ["--resolve", f"app.test:443:{self.address}", f"https://app.test{path}"]
        done = subprocess.run([*words, *where], capture_output=True, text=True, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def write(self, text: str) -> None:
        assert self.ask(f"/notes/{text}", "--data", text * 100)[0] == 204

    def held(self) -> list[str]:
        """Return its rows, and its files with owner, mode and content."""
        return self.sh(ROWS).splitlines() + self.sh(FILES).splitlines()


@pytest.fixture(scope="session")
def machines():
    """Return the machines by their names."""
    rows = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    return {row["instance"]: Machine(row["instance"], row["container"], row["address"]) for row in rows}


@pytest.fixture
def on(play, monkeypatch):
    """Run a playbook for the server on a machine."""

    def run(machine: Machine, *words: str, succeed: bool = True):
        monkeypatch.setenv("SERVER", machine.name)
        return play(*words, succeed=succeed)

    return run


@pytest.fixture
def leave(on):
    """Close the server on a machine and back it up, as the how-to says; return what it held."""

    def left(machine: Machine) -> list[str]:
        on(machine, "playbooks/maintenance.yml", "-e", "site_maintenance=on")
        on(machine, "playbooks/backup.yml")
        machine.sh(f"systemctl disable --now {TIMERS}")
        return machine.held()

    return left


def notes(machine: Machine) -> list[str]:
    status, body = machine.ask("/")
    assert status == 200, body
    return json.loads(body)["notes"]


def test_a_bare_machine_gets_rows_files_and_keys(machines, on, leave):
    old, new = machines["web1"], machines["spare"]
    for text in ("first", "second"):
        old.write(text)
    held = leave(old)
    assert any("/etc/shop/jwt/" in line for line in held) and "2|second" in held
    on(new, *RESTORE)
    assert new.held() == held
    assert notes(new) == ["first", "second"]


def test_the_old_machine_stays_in_maintenance(machines):
    assert machines["web1"].ask("/")[0] == 503


def test_the_new_machine_is_a_whole_server(machines, on):
    new = machines["spare"]
    assert on(new, "site.yml").changed == 0
    assert on(new, "playbooks/status.yml").rc == 0
    assert new.sh(f"systemctl is-active {TIMERS}").split() == ["active"] * 4


def test_a_machine_that_has_data_is_left_alone_without_its_word(machines, on):
    new = machines["spare"]
    new.write("third")
    held = new.held()
    refused = on(new, *RESTORE, succeed=False)
    assert refused.rc != 0 and "-e restore_over=shop-on-web1" in refused.output
    assert new.held() == held and new.ask("/")[0] == 200


def test_the_way_back_brings_what_was_written_meanwhile(machines, on, leave):
    old, new = machines["web1"], machines["spare"]
    held = leave(new)
    on(old, *RESTORE, "-e", "restore_over=shop-on-web1")
    assert old.held() == held and "3|third" in held
    assert old.ask("/")[0] == 503, "the page that was up on it stays, until it is taken down"
    on(old, "playbooks/maintenance.yml", "-e", "site_maintenance=off")
    assert notes(old) == ["first", "second", "third"]
    assert new.ask("/")[0] == 503
    old.write("fourth")
    on(old, "playbooks/backup.yml")
