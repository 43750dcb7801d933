"""Ports and addresses that somebody else holds, or that a host has not, are seen before anything changes."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
from ansible.module_utils import check_ports as ports

LISTENING = 'LISTEN 0 511 {0}:{1} {0}:* users:(("{2}",pid=77,fd=6))'
TAKEN = "metrics_port: port {0} is held by {1} (pid 77); choose another, of which the next two are free as well"
OURS = "/system.slice/flask-deploy-metrics-node.service"


@pytest.fixture
def listens(monkeypatch):
    """Let a process of a control group listen; return what is said of that."""

    def told(name, port=80, address="0.0.0.0", group="/"):
        addresses = (address, "[::]") if address == "0.0.0.0" else (address,)
        listed = "\n".join(LISTENING.format(at, *what) for at in addresses for what in ((port, name), (8080, "java")))
        said = SimpleNamespace(out=listed.encode())
        monkeypatch.setattr(ports, "command", SimpleNamespace(attempt=lambda *words, **more: said))
        monkeypatch.setattr(ports.files, "read", {"/proc/77/cgroup": f"0::{group}\n".encode()}.get)
        return ports.taken_web()

    return told


@pytest.mark.parametrize(("address", "port"), [("0.0.0.0", 80), ("[::]", 443)])
def test_a_port_that_a_unit_holds_is_named_with_it(listens, address, port):
    assert listens("httpd", port, address, "/system.slice/apache2.service") == [
        f"port {port} is held by httpd (pid 77); type there: sudo systemctl disable --now apache2.service"
    ]
    (line,) = listens("httpd", group="/system.slice/system-httpd.slice/httpd@blue.service")
    assert line.endswith(" disable --now httpd@blue.service")


def test_on_a_host_that_is_a_container_a_unit_is_still_one(listens, monkeypatch):
    texts = {
        "/proc/1/cgroup": b"0::/docker/3f9a/init.scope\n",
        "/proc/77/cgroup": b"0::/docker/3f9a/system.slice/a.service\n",
    }
    listens("httpd")
    monkeypatch.setattr(ports.files, "read", texts.get)
    assert ports.taken_web()[0].endswith(" disable --now a.service")


@pytest.mark.parametrize(
    "group",
    [
        "/",
        "/system.slice/ssh.service",
        "/system.slice/cron.service",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/a.service",
    ],
)
def test_a_port_that_no_unit_holds_is_named_with_its_process(listens, group):
    assert listens("python3", group=group) == [
        "port 80 is held by python3 (pid 77), which is no unit of systemd; "
        "type there: ps -fp 77, and if nothing needs it: sudo kill 77"
    ]


def test_a_process_that_ended_meanwhile_is_named_all_the_same(listens, monkeypatch):
    listens("python3")
    monkeypatch.setattr(ports.files, "read", lambda path: None)
    assert "(pid 77), which is no unit" in ports.taken_web()[0]


def test_a_socket_of_systemd_is_named_as_such():
    assert ports.way_out("systemd", "1", "80") == " for one of its sockets; type there: systemctl list-sockets"


@pytest.mark.parametrize(("holder", "command"), [("docker-proxy", "docker"), ("conmon", "podman")])
def test_a_port_that_a_container_publishes_is_named_as_such(listens, holder, command):
    assert listens(holder) == [
        f"port 80 is held by {holder} (pid 77); type there: sudo {command} ps --filter publish=80"
    ]


def test_nginx_may_hold_its_ports(listens):
    assert listens("nginx", 443, "*", "/system.slice/nginx.service") == []


@pytest.fixture
def metrics(listens):
    """Let a process listen; return what is said of metrics at 127.0.0.1:9180."""

    def told(name, port, address="127.0.0.1", group="/"):
        listens(name, port, address, group)
        return ports.taken_metrics("127.0.0.1", 9180)

    return told


@pytest.mark.parametrize(("port", "address"), [(9180, "127.0.0.1"), (9181, "*"), (9182, "0.0.0.0")])
def test_a_port_of_metrics_that_somebody_holds_is_named(metrics, port, address):
    assert metrics("prometheus", port, address) == [TAKEN.format(port, "prometheus")]


def test_our_own_exporters_and_a_port_beside_theirs_are_nobodys(metrics):
    assert metrics("prometheus-node", 9180, group=OURS) == []
    assert metrics("nginx", 9182) == []
    assert metrics("nginx", 9180) == [TAKEN.format(9180, "nginx")]
    assert metrics("java", 9183) == metrics("java", 9180, "10.0.0.5") == []


def test_an_address_of_metrics_that_the_host_has_not_is_named():
    said = "metrics_address: 192.0.2.7 is no address of this host; type there: ip -brief address"
    assert ports.taken_metrics("192.0.2.7", 9180) == [said]


def test_no_metrics_are_asked_for(monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    assert ports.taken_metrics("", 9180) == ports.taken_metrics() == []
