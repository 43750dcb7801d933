"""How far a long step is: who notes it, what is noted, and that nobody asks a host where nobody reads."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest
from ansible import constants as C

from tests.conftest import ROOT

sys.path.append(str(ROOT / "plugins/plugin_utils"))

from step_lines import progress
from step_lines.step import Step, log_in


class Connection:
    """Answers a command; knows how often it was asked."""

    def __init__(self):
        self.asked = 0

    def exec_command(self, command, sudoable=True):
        assert not sudoable, "no word of sudo's in the host's log every two seconds"
        self.asked += 1
        return 0, b"#9 [build 3/7] RUN steps\n#9 4.1 Collecting flask\n", b""


def action(task="t1"):
    return SimpleNamespace(_task=SimpleNamespace(_uuid=task), _connection=Connection())


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Have somebody read notes."""
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(progress, "PAUSE", 0.01)
    monkeypatch.setenv(progress.PLACE, "")  # so that it goes with the test
    progress.invite()


def look(connection):
    return progress.last_line(progress.said_on(connection, "tail"))


def running(uuid="t1", hosts=("web1",)):
    told = {"name": "Build", "action": "build_image", "args": {}, "check_mode": False}
    task = SimpleNamespace(_uuid=uuid, get_name=lambda: "build : Build", **told)
    step = Step(task)
    step.started |= set(hosts)
    return step.running()


def until(claim):
    end = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_line_of_a_step_shows_what_its_host_said_last(reader):
    with progress.followed(action(), "web1", look):
        until(lambda: running().endswith("build: Build: Collecting flask"))


def test_of_several_hosts_each_is_named(reader):
    with progress.followed(action(), "web1", look), progress.followed(action(), "web2", lambda _: "40 % of 9 MB"):
        expected = "0 of 2 hosts: web1 Collecting flask, web2 40 % of 9 MB"
        until(lambda: running(hosts=("web1", "web2")).endswith(expected))


def test_another_step_shows_nothing_of_it(reader):
    with progress.followed(action(), "web1", look):
        until(lambda: progress.noted("t1", {"web1"}))
    assert running("t2").endswith("build: Build")


def test_a_host_that_is_lost_while_it_is_looked_at_is_told_by_the_step_alone(reader):
    def lost(_connection):
        raise OSError("no route to host")

    with progress.followed(action(), "web1", lost):
        time.sleep(0.1)
    assert running().endswith("build: Build")


def test_where_nobody_reads_no_host_is_asked(monkeypatch):
    monkeypatch.delenv(progress.PLACE, raising=False)
    monkeypatch.setattr(progress, "PAUSE", 0.01)
    asking = action()
    with progress.followed(asking, "web1", lambda _connection: pytest.fail("asked")):
        time.sleep(0.1)
    assert asking._connection.asked == 0


@pytest.mark.parametrize(
    ("printed", "last"),
    [
        ("#7 [2/5] RUN steps\n#7 12.30 Downloading numpy\n#7 12.31 \n", "Downloading numpy"),
        ("#7 1.2 10%\r#7 1.2 40%\r", "40%"),
        ("#7 0.4 \033[32mdone\033[0m\033]0;title\007\n", "done]0;title"),
        ("", ""),
    ],
)
def test_a_build_s_last_line_is_plain(printed, last):
    assert progress.last_line(printed) == last


def test_a_share_is_never_more_than_all_of_it():
    assert progress.share(50_000_000, 200_000_000) == "25 % of 200 MB"
    assert progress.share(9, 0) == "100 % of 1 MB"


def test_a_host_is_to_be_reached_as_the_inventory_says():
    assert log_in({"inventory_hostname": "web1"}) == [
        "Log in by hand first, which also makes the host key known: ssh web1"
    ]
    assert log_in({"inventory_hostname": "web1", "ansible_user": "{{ other }}"}) == []
