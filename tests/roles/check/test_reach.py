"""A firewall that lets SSH in alone is told before a deploy that nobody could visit; a quiet host is not."""

from __future__ import annotations

import contextlib
import socket

import pytest
from inventory_check import reach


@pytest.fixture
def near(monkeypatch):
    """Let the addresses of this machine count as public, and a silence be short."""
    monkeypatch.setattr(reach, "is_public", lambda address: True)
    monkeypatch.setattr(reach, "SECONDS", 0.3)


@pytest.fixture
def port():
    """Return what makes a port that answers, refuses or is silent, as behind a firewall that drops."""
    with contextlib.ExitStack() as stack:

        def made(kind):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            number = listener.getsockname()[1]
            if kind != "refuses":
                listener.listen(0 if kind == "silent" else 8)
            for _ in range(4 if kind == "silent" else 0):  # a full queue drops what comes, listen(2)
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", number))
            return number

        yield made


def test_silent_ports_are_told_in_one_line(near, port):
    silent = [port("silent"), port("silent")]
    (line,) = reach.swallowed("127.0.0.1", [*silent, port("answers"), port("refuses")])
    assert line.startswith(f"127.0.0.1 gives no answer from here at port {silent[0]} and {silent[1]}: ")
    assert "sudo ufw allow 80,443/tcp" in line


def test_a_host_that_answers_or_refuses_is_well(near, port):
    """Before the first deploy nothing listens: a refusal shows that no firewall is between."""
    assert reach.swallowed("127.0.0.1", [port("answers"), port("refuses")]) == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "172.17.0.2", "fe80::1", "a-name-of-ssh-alone.invalid", ""]
)
def test_private_addresses_and_names_of_the_ssh_client_are_not_asked(monkeypatch, address):
    monkeypatch.setattr(reach, "is_silent", lambda *_: pytest.fail("asked"))
    assert reach.swallowed(address) == []


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe"])
def test_public_addresses_are_asked(monkeypatch, address):
    monkeypatch.setattr(reach, "is_silent", lambda *_: True)
    assert reach.swallowed(address)[0].startswith(f"{address} gives no answer from here at port 80 and 443: ")
