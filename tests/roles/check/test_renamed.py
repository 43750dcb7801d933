"""Variables that got another name: an inventory of before is told all of them before anything changes."""

from __future__ import annotations

import re

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import check_inventory
from ansible.template import Templar
from inventory_check.renamed import GONE, RENAMED, WORDS, unprefixed

from tests.conftest import load

BEFORE = """
app_domain: shop.example.com
app_source: /
app_wsgi: shop:create_app()
app_cors_origins: ["https://www.example.com"]
app_hsts_max_age: 300
app_jwt_algorithm: EdDSA
app_rebuild: true
"""


def said(text, monkeypatch):
    """Return what the check says of an inventory, without a host or a network."""
    monkeypatch.setattr(check_inventory, "check_outside", lambda *values: [])
    known = {**load(text), "groups": {"web": ["web1"]}}
    plugin = object.__new__(check_inventory.ActionModule)
    plugin._templar = Templar(DataLoader(), variables=known)
    return plugin._check_inventory(known)[1]


def now():
    """Return the same inventory with its new names."""
    text = BEFORE
    for old, new in RENAMED.items():
        text = text.replace(f"\n{old}:", f"\n{new}:")
    return text


def test_old_names_are_told_all_at_once(monkeypatch):
    assert said(BEFORE, monkeypatch) == [
        "app_cors_origins is now site_cors_origins",
        "app_domain is now site_domain",
        "app_hsts_max_age is now site_hsts_max_age",
        "app_jwt_algorithm is now tokens_algorithm",
        "app_rebuild is now build_fresh",
        "app_source is now build_source",
    ]


def test_what_else_is_wrong_is_told_with_them(monkeypatch):
    lines = said(BEFORE.replace("300", "-1").replace("shop:create_app()", "/srv/shop.py"), monkeypatch)
    assert [line for line in lines if " is now " not in line] == [
        "site_hsts_max_age: -1 is not between 0 and 1000000000; example: site_hsts_max_age: 63072000",
        "app_wsgi: '/srv/shop.py' is not valid; example: app_wsgi: shop:create_app()",
    ]


def test_an_inventory_with_its_new_names_is_right(monkeypatch):
    assert said(now(), monkeypatch) == []


def test_each_new_name_is_a_variable_and_no_old_one_is():
    specs = check_inventory.load_specs()
    assert set(RENAMED.values()) <= specs.keys() and not RENAMED.keys() & specs.keys()
    assert len(set(RENAMED.values())) == len(RENAMED)


def test_what_is_gone_says_what_is_in_its_place(monkeypatch):
    assert said(f"{now()}app_keepalive: 5\n", monkeypatch) == [
        "app_keepalive is gone: connections of nginx stay open for 75 s; remove the line"
    ]
    assert not GONE.keys() & check_inventory.load_specs().keys()


def test_a_word_from_elsewhere_is_answered_with_variables_that_there_are():
    specs = check_inventory.load_specs()
    for answer in WORDS.values():
        named = re.findall(r"\b(?:app|backup|build|docker|nginx|site|tokens)_\w+", answer)
        assert named and set(named) <= specs.keys(), answer
    assert not {f"app_{word}" for word in WORDS} & specs.keys()


@pytest.mark.parametrize(
    "name", ["app", "rollback", "maintenance", "remove", "run", "shell", "rotate_keys", "vault_keys"]
)
def test_every_play_that_changes_a_host_stops_at_an_old_name(tmp_path, playbook, name):
    """192.0.2.1 is nobody's address (RFC 5737): a connection would be waited for, and named as unreachable."""
    (tmp_path / "hosts.yml").write_text(
        "web:\n  hosts: {web1: {ansible_host: 192.0.2.1}}\n"
        "  vars: {site_domain: shop.example.com, build_source: /, app_wsgi: shop:app, app_cors_origins: []}\n"
    )
    done = playbook(name)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "app_cors_origins is now site_cors_origins" in done.stdout
    assert "\nweb1: failed=1\n" in done.stdout, "one task ran, and nothing changed"


def test_no_variable_that_a_role_has_is_said_to_be_read_by_nobody():
    """Some are what an old name had behind its prefix: app_build_ca_file."""
    known = check_inventory.load_specs()
    assert unprefixed(dict.fromkeys(known, 1), known) == []
    assert unprefixed({"max_body": "10m"}, known) == [
        "max_body: nothing reads this variable; did you mean site_max_body?"
    ]
