"""The firewall's rules, as the kernel reads them: in a network namespace of each test's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
from ansible.module_utils import host_ruleset

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("nft"), reason="make tools installs nft, and it takes root"
)
LEAST = {"ssh": {22}, "ssh_from": [], "ssh_rate": 30, "ports": {}, "egress": {}}
OTHERS = "table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }"


def kernel(text, *after, before=""):
    """Load rules where nothing else is; return what the last command says."""
    steps = [f"nft -f - <<'RULES'\n{part}\nRULES" for part in (before, text) if part]
    script = "\n".join(["set -e", *steps, *(after or ("nft -s list table inet flask_deploy",))])
    done = subprocess.run(["unshare", "--net", "bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def chain(said, name):
    """Return the rules of one chain, as the kernel has them."""
    return [line.strip() for line in re.search(rf"chain {name} {{\n(.*?)\n\t}}", said, re.DOTALL)[1].splitlines()]


@pytest.fixture
def rules():
    """Return what the kernel makes of some settings."""
    return lambda **more: kernel(host_ruleset.ruleset(**{**LEAST, **more}))


def test_nothing_comes_in_but_ssh_and_the_web(rules):
    said = chain(rules(ssh={22, 2222}), "input")
    assert said[0] == "type filter hook input priority filter - 10; policy drop;"
    accepted = [line for line in said if line.endswith("accept") and "dport" in line]
    assert accepted == ["tcp dport { 22, 2222 } accept", "tcp dport { 80, 443 } accept"]


def test_icmpv6_is_as_rfc_4890_says(rules):
    said = "\n".join(line for line in chain(rules(), "input") if "icmpv6" in line)
    for needed in ("packet-too-big", "destination-unreachable", "time-exceeded", "parameter-problem", "echo-request"):
        assert needed in said
    assert re.search(r"nd-neighbor-solicit.*ip6 hoplimit 255 accept", said)
    assert re.search(r"mld-listener-query.*ip6 hoplimit 1 accept", said)
    assert "redirect" not in said and "nexthdr" not in said  # a MLD has a header between


def test_own_ports_are_open_to_their_sources(rules):
    ports = {
        "metrics": {"port": 9100, "from": ["10.0.0.0/8", "192.0.2.7", "fd00::/8"]},
        "game": {"port": ["7000-7010", 7777], "protocol": "udp"},
    }
    said = chain(rules(ports=ports), "input")
    assert 'ip saddr { 10.0.0.0/8, 192.0.2.7 } tcp dport 9100 accept comment "metrics"' in said
    assert 'ip6 saddr fd00::/8 tcp dport 9100 accept comment "metrics"' in said
    assert 'udp dport { 7000-7010, 7777 } accept comment "game"' in said


def test_a_port_for_nobody_is_open_to_nobody():
    said = host_ruleset.ruleset(**{**LEAST, "ports": {"metrics": {"port": 9100, "from": []}}})
    assert "9100" not in said
    assert host_ruleset.ruleset(**{**LEAST, "ports": {"metrics": {"port": 9100}}}).count("9100") == 3


def test_ssh_is_open_to_its_networks_alone_and_slowed_for_all(rules):
    said = chain(rules(ssh_from=["198.51.100.9/24"], ssh_rate=12), "input")
    ssh = [line for line in said if "dport 22" in line]
    limit = "limit rate over 12/minute burst 12 packets"
    assert ssh == [
        f"tcp dport 22 ct state new add @ssh4 {{ ip saddr {limit} }} counter drop",
        f"tcp dport 22 ct state new add @ssh6 {{ ip6 saddr & ffff:ffff:ffff:ffff:: {limit} }} counter drop",
        "tcp dport 22 ip saddr 198.51.100.0/24 accept",
    ]


def test_containers_reach_names_and_the_internet_but_nothing_private(rules):
    said = chain(rules(), "from_containers")
    assert said[0] == "fib daddr . iif oif exists accept"
    assert "meta l4proto { tcp, udp } th dport 53 accept" in said
    closed = "\n".join(line for line in said if "reject" in line)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"):
        assert network in closed
    assert not any(line == "accept" for line in said)


def test_what_egress_names_is_open_and_the_host_is_by_that_word_alone(rules):
    egress = {
        "db": {"to": ["10.0.0.5", "fd00::5"], "port": 5432},
        "ntp": {"to": ["host"], "port": 123},
        "l": {"to": ["10.9.0.0/16"]},
    }
    text = rules(egress=egress)
    out, host = chain(text, "from_containers"), chain(text, "containers_to_host")
    assert 'ip daddr 10.0.0.5 tcp dport 5432 accept comment "db"' in out
    assert 'ip6 daddr fd00::5 tcp dport 5432 accept comment "db"' in out
    assert 'ip daddr 10.9.0.0/16 accept comment "l"' in out
    assert 'tcp dport 123 accept comment "ntp"' in host and not any("ntp" in line for line in out)
    assert host[-1].endswith("reject with icmpx admin-prohibited")


def test_containers_reach_of_the_host_what_everybody_does_but_not_ssh(rules):
    ports = {"api": {"port": 9000}, "metrics": {"port": 9100, "from": ["10.0.0.0/8"]}}
    said = "\n".join(chain(rules(ports=ports), "containers_to_host"))
    assert "80, 443" in said and "9000" in said
    assert "9100" not in said and "22" not in said


def test_a_published_port_is_open_by_the_port_that_was_asked_for(rules):
    said = chain(rules(ports={"api": {"port": 9000, "from": ["192.0.2.0/24"]}}), "published")
    assert said == [
        'ip saddr 192.0.2.0/24 ct status dnat meta l4proto tcp ct original proto-dst 9000 accept comment "api"'
    ]
    assert chain(rules(), "to_containers") == ["jump published", "counter drop"]


def test_a_bridge_that_leads_to_the_world_is_none_of_dockers(rules):
    assert 'iifname != "br-lan" iifname "br-*" jump containers_to_host' in chain(
        rules(uplinks=["br-lan", "eth0"]), "input"
    )
    assert 'iifname "br-*" jump containers_to_host' in chain(rules(uplinks=["eth0"]), "input")


def test_tables_of_others_stay_and_a_second_time_changes_nothing():
    text = host_ruleset.ruleset(**LEAST)
    again = ("nft -f - <<'RULES'\n" + text + "\nRULES", "nft -j list ruleset")
    chains = [part["chain"] for part in json.loads(kernel(text, *again, before=OTHERS))["nftables"] if "chain" in part]
    assert [each["name"] for each in chains if each["table"] == "filter"] == ["FORWARD"]
    assert len([each for each in chains if each["table"] == "flask_deploy" and each["name"] == "input"]) == 1
