"""What the check says of role balancer's variables."""

from __future__ import annotations

import importlib.util

import pytest

from tests.conftest import ROOT


@pytest.fixture
def rules():
    spec = importlib.util.spec_from_file_location("balancer_rules", ROOT / "roles/balancer/rules.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GROUPS = {"web": ["web1", "web2"], "balancer": ["lb1", "lb2"]}
GOOD = {"site_trusted_proxies": ["10.0.0.11"]}


@pytest.mark.parametrize("value", ["", "203.0.113.10/24"])
def test_addresses_that_can_move(rules, value):
    assert rules.address(value) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("203.0.113.10", "lacks the length of its network"),
        ("lb.example.com", "is no address"),
        ("203.0.113.10/99", "is no address"),
        ("224.0.0.1/24", "is no address of one host"),
        ("2001:db8::10/64", "is of IPv6, which keepalived does not move here"),
    ],
)
def test_addresses_that_cannot(rules, value, said):
    assert said in rules.address(value) and rules.EXAMPLE in rules.address(value)


def test_paths(rules):
    assert rules.paths({"web1": "10.0.0.21", "lb1": "lb1.internal"}) is None
    assert "web1: 5 is no address" in rules.paths({"web1": 5})
    assert "web1: '10.0.0.21:443' is no address" in rules.paths({"web1": "10.0.0.21:443"})


@pytest.mark.parametrize(
    ("values", "groups", "said"),
    [
        ({"balancer_address": "203.0.113.10/24"}, {"web": ["web1"]}, "is for hosts of group balancer, which has none"),
        (GOOD, {"web": ["web1"], "balancer": ["web1"]}, "web1 is in group web too"),
        ({**GOOD, "balancer_paths": {"web9": "10.0.0.9"}}, GROUPS, "there is no host web9"),
        (
            {**GOOD, "balancer_address": "203.0.113.10/24"},
            {"web": ["web1"], "balancer": ["lb1"]},
            "moves between two balancers, and lb1 is alone",
        ),
        ({}, GROUPS, "site_trusted_proxies: write the addresses"),
        ({**GOOD, "site_tls_in_front": True}, GROUPS, "site_tls_in_front: the balancers ask the hosts by TLS"),
    ],
)
def test_what_cannot_work_is_one_line(rules, values, groups, said):
    (line,) = rules.check_groups(values, groups)
    assert said in line


def test_what_can_work_is_none(rules):
    assert rules.check_groups(GOOD, GROUPS) == []
    assert rules.check_groups({**GOOD, "balancer_address": "203.0.113.10/24"}, GROUPS) == []
    assert rules.check_groups({}, {"web": ["web1"]}) == []
