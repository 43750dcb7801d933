"""A host that starts again is closed before anybody can ask it; the engine's own rules are there too."""

from __future__ import annotations

import json
import socket
import subprocess


def is_open(address, port):
    try:
        with socket.create_connection((address, port), 2):
            return True
    except OSError:
        return False


def test_a_reboot_leaves_the_firewall_in_place(container, address, play, until):
    def sh(command):
        done = subprocess.run(["docker", "exec", container, "sh", "-c", command], capture_output=True, check=False)
        return done.stdout.decode()

    subprocess.run(["docker", "restart", "-t", "20", container], check=True, capture_output=True)
    until(lambda: is_open(address(), 22), 60)
    sh("systemd-run -q --unit=listens-5555 python3 -m http.server 5555")
    until(lambda: ":5555" in sh("ss -Hltn"), 20)
    assert not is_open(address(), 5555)
    until(lambda: sh("systemctl is-active docker").strip() == "active", 60)
    until(lambda: "DOCKER" in sh("nft list ruleset"), 20)
    assert not is_open(address(), 9000)
    began = {"host_ssh": True, "ansible_host": address()}
    assert play("playbooks/host.yml", "-e", json.dumps(began)).changed == 0
