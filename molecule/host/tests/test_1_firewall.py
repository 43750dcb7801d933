"""A host that is closed to all but SSH and the web, and whose containers reach the internet alone.

The tests follow each other; the last ones take the firewall away.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
PORTS = [*range(1, 3001), 5555, *range(8000, 9101)]
RULES = "/etc/nftables.d/flask-deploy.nft"
SCAN = """
import select, socket, time

def scan(address, ports, at_once=600, seconds=2):
    parts = [ports[first:first + at_once] for first in range(0, len(ports), at_once)]
    return [port for part in parts for port in some(address, part, seconds)]

def some(address, ports, seconds):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    asked, found, poll = {}, [], select.poll()
    for port in ports:
        one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        one.connect_ex((address, port))
        asked[one.fileno()] = one, port
        poll.register(one, select.POLLOUT)
    end = time.monotonic() + seconds
    while asked and (left := end - time.monotonic()) > 0:
        for handle, _event in poll.poll(left * 1000):
            one, port = asked.pop(handle)
            poll.unregister(one)
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(port)
            one.close()
    for one, _port in asked.values():
        one.close()
    return sorted(found)
"""


def scan_from_here(address, ports=PORTS):
    """Return the ports that a machine outside of the host can connect to."""
    known = {}
    exec(SCAN, known)  # as the world behind the host runs it
    return known["scan"](address, ports)


@pytest.fixture(scope="session")
def around(host):
    """Put services, containers and a world around the host; they are put there again after a reboot."""

    def surround():
        text = (ROOT / "molecule/host/surroundings").read_text()
        host.check_output(f"cat > /root/surroundings <<'SCRIPT'\n{text}SCRIPT\nbash /root/surroundings")

    surround()
    return surround


@pytest.fixture
def scan_from_world(host):
    """Return the ports that are open to the network behind the host, over IPv4 and IPv6."""

    def scan(address, ports=PORTS):
        code = f"{SCAN}\nprint(*scan({address!r}, {ports}))"
        host.check_output(f"cat > /root/scan.py <<'CODE'\n{code}\nCODE")
        return [int(port) for port in host.check_output("ip netns exec world python3 /root/scan.py").split()]

    return scan


@pytest.fixture
def reaches(host):
    """Tell whether a container can connect."""

    def ask(address, port, container="app"):
        return host.run(f"docker exec {container} busybox nc -w 2 {address} {port} </dev/null").rc == 0

    return ask


def address_of(host, container):
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return host.check_output(f"docker inspect -f '{form}' {container}")


def gateway(host, network="one"):
    return host.check_output(f"docker network inspect -f '{{{{(index .IPAM.Config 0).Gateway}}}}' {network}")


def keep(play, **more):
    return play("playbooks/host.yml", "-e", json.dumps(more))


def test_a_dry_run_foretells_all_and_changes_nothing(play, snapshot):
    before = snapshot()
    run = play("playbooks/host.yml", "--check", "-e", json.dumps({"host_updates": True, "host_ssh": True}))
    assert {"Install nftables", "Set the firewall", "Harden SSH", "Install what updates the host"} <= {
        *run.changed_tasks
    }
    assert snapshot() == before


def test_without_these_words_nothing_is_done(play):
    off = {"host_firewall": False, "kernel_settings": False, "kernel_core_dumps": True, "kernel_clock": False}
    run = play("playbooks/host.yml", "-e", json.dumps({**off, "kernel_apparmor": False}))
    assert run.changed == 0 and "ok=0" in run.output


def test_the_check_names_what_would_be_closed(play, host, around):
    host.check_output("systemctl stop listens-80 listens-443")  # or the check would name them alone
    said = " ".join(play("playbooks/check.yml").output.split())
    assert "5555/tcp (python3)" in said and "9000/tcp (container other)" in said
    around()


def test_it_closes(play, around):
    assert keep(play).changed > 0


def test_what_listens_is_there(host, around):
    assert {22, 80, 443, 5555} <= {
        int(line.split()[3].rpartition(":")[2]) for line in host.check_output("ss -Hltn").splitlines()
    }


def test_a_port_scan_from_outside_shows_ssh_and_the_web(address, around):
    assert scan_from_here(address()) == [22, 80, 443]


@pytest.mark.parametrize("version", ["198.51.100.1", "2001:db8::1"])
def test_it_is_the_same_over_both_versions_of_ip(around, scan_from_world, version):
    assert scan_from_world(version) == [22, 80, 443]


def test_the_host_answers_pings_over_both(host, around):
    for target in ("198.51.100.1", "2001:db8::1"):
        host.check_output(f"ip netns exec world python3 - {target} <<'CODE'\n{PING}\nCODE")


PING = """
import socket, struct, sys
six = ":" in sys.argv[1]
family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
with socket.socket(family, socket.SOCK_RAW, protocol) as pinger:
    pinger.settimeout(3)
    head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 7, 1)
    if not six:
        total = sum(struct.unpack("!4H", head))
        head = struct.pack("!BBHHH", 8, 0, 0xFFFF & ~total, 7, 1)
    pinger.sendto(head, (sys.argv[1], 0))
    while True:
        said = pinger.recv(200)
        if said[0 if six else 20] == (129 if six else 0):
            break
"""


def test_a_container_reaches_the_internet_and_names(around, reaches):
    assert reaches("198.51.100.9", 8080)
    assert reaches("10.9.9.9", 53), "a resolver may be private"


def test_a_container_reaches_no_private_address_and_no_metadata(around, reaches):
    assert not reaches("10.9.9.9", 8080)
    assert not reaches("169.254.169.254", 8080)


def test_a_container_reaches_its_own_network_and_no_other(host, around, reaches):
    assert reaches(address_of(host, "beside"), 8000)
    assert not reaches(address_of(host, "other"), 8000)


def test_a_container_reaches_the_hosts_website_and_nothing_else_of_it(host, address, around, reaches):
    for target in (gateway(host), gateway(host, "two"), address()):
        assert reaches(target, 80)
        assert not reaches(target, 22)
        assert not reaches(target, 5555)


def test_a_published_port_is_closed_too(address, around):
    assert scan_from_here(address(), [9000]) == []


def test_a_second_run_changes_nothing(play, around):
    assert keep(play).changed == 0


def test_what_was_opened_by_name_is_open_and_closed_again(play, host, address, around, reaches, scan_from_world):
    keep(
        play,
        host_ports={"extra": {"port": 5555, "from": ["198.51.100.0/24"]}, "other": {"port": 9000}},
        host_egress={"database": {"to": ["10.9.9.9"], "port": 8080}, "own": {"to": ["host"], "port": 5555}},
    )
    assert scan_from_world("198.51.100.1", [5555]) == [5555]
    assert scan_from_here(address(), [5555, 9000]) == [9000]
    assert reaches("10.9.9.9", 8080) and not reaches("169.254.169.254", 8080)
    assert reaches(gateway(host), 5555) and not reaches(gateway(host), 22)
    keep(play)
    assert scan_from_here(address(), [5555, 9000]) == []
    assert not reaches("10.9.9.9", 8080) and not reaches(gateway(host), 5555)


def test_many_connections_to_ssh_from_one_source_are_dropped(play, host, around, scan_from_world):
    keep(play, host_ssh_rate=10)
    assert 8 <= len(scan_from_world("198.51.100.1", [22] * 30)) <= 12
    assert 8 <= len(scan_from_world("2001:db8::1", [22] * 30)) <= 12
    assert host.run("true").rc == 0, "others are not slowed"
    keep(play)


def test_rules_that_cut_the_controller_off_come_back_by_themselves(play, host, address, around):
    before = host.check_output(f"sha256sum {RULES}")
    run = play("playbooks/host.yml", "-e", json.dumps({"host_ssh_from": ["203.0.113.0/24"]}), succeed=False)
    assert run.rc != 0
    said = " ".join(run.output.split())
    assert "The host took the change back, and is as it was" in said
    assert host.check_output(f"sha256sum {RULES}") == before
    assert scan_from_here(address()) == [22, 80, 443]
    assert keep(play).changed == 0


@pytest.mark.parametrize(
    "command",
    [
        "systemctl restart docker",
        "systemctl start nftables",
        "systemctl restart nftables",
        "systemctl reload nftables",
        "systemctl stop nftables",
        "systemctl restart flask-deploy-firewall",
    ],
)
def test_it_outlives_restarts_of_what_is_beside_it(host, address, around, until, command):
    host.check_output(command)
    until(lambda: scan_from_here(address(), [22, 80, 443, 5555]) == [22, 80, 443], 10)


# -- what was there before -------------------------------------------------------------------

THEIRS = """
table inet theirs {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        tcp dport 22 accept
    }
}
"""


def test_a_firewall_of_others_stays_in_charge(play, host, around):
    host.check_output(f"systemctl disable --now flask-deploy-firewall; rm {RULES}")
    host.check_output("systemctl stop listens-80 listens-443")  # or the check would name them alone
    host.check_output(f"nft -f - <<'RULES'{THEIRS}RULES")
    before = host.check_output("nft -s list ruleset | sha256sum")
    for playbook in ("playbooks/check.yml", "playbooks/host.yml"):
        run = play(playbook, succeed=False)
        assert run.rc != 0
        assert "the nftables table inet theirs filters what comes in" in " ".join(run.output.split())
    assert host.check_output("nft -s list ruleset | sha256sum") == before
    host.check_output("nft delete table inet theirs")


def test_ufw_stays_in_charge_too(play, host, around):
    host.check_output("apt-get install -y -q ufw && ufw allow 22/tcp && ufw --force enable")
    try:
        run = play("playbooks/host.yml", succeed=False)
        assert "ufw is active; type there: sudo ufw disable" in " ".join(run.output.split())
    finally:
        host.check_output("ufw --force disable && apt-get purge -y -q ufw")


def test_it_is_set_again(play, address, around):
    keep(play)
    around()
    assert scan_from_here(address()) == [22, 80, 443]
