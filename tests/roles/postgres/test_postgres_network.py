"""An app of other hosts comes in by TLS, from its own addresses, with a password that nobody types."""

from __future__ import annotations

import os
import re
import stat
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import files, postgres
from ansible.module_utils.flask_deploy.postgres import network
from ansible.module_utils.flask_deploy.postgres.cluster import HBA, PostgresError
from ansible.modules import postgres_app as module
from inventory_check.inventory import RULES

NEEDS = {"app_needs": ["postgres"], "app_name": "shop", "postgres_variable": "DATABASE_URL"}
APART = {"web": ["web1", "web2"], "postgres": ["db1"]}


@pytest.fixture
def place(tmp_path, monkeypatch, owners):
    monkeypatch.setattr(network, "PLACE", str(tmp_path / "postgres"))
    monkeypatch.setattr(postgres, "RECORD", str(tmp_path / "postgres.json"))
    monkeypatch.setattr(network, "pwd", SimpleNamespace(getpwnam=lambda _name: SimpleNamespace(pw_gid=0)))
    return tmp_path / "postgres"


def openssl(*words):
    return network.command.run("openssl", *words, error=PostgresError, limit=60).decode()


def test_who_comes_in_is_an_app_from_its_hosts_over_tls_to_its_own_database():
    rows = network.hba({"shop": ["10.0.0.5", "fd00::5"], "mail": ["10.0.0.6"]}).removeprefix(HBA).splitlines()
    assert rows == [
        'hostssl "mail" "mail" 10.0.0.6/32 scram-sha-256',
        'hostssl "shop" "shop" 10.0.0.5/32 scram-sha-256',
        'hostssl "shop" "shop" fd00::5/128 scram-sha-256',
    ]
    assert network.hba({}) == HBA, "beside the app nothing changes"


@pytest.mark.parametrize("address", ["10.0.0.5", "fd00::5", "db.example.com"])
def test_the_certificate_is_of_the_address_and_of_a_ca_that_lasts(place, address):
    assert len(network.ensure_certificate(address, False)) == 2
    ca = (place / "ca.crt").read_bytes()
    assert openssl("verify", "-CAfile", str(place / "ca.crt"), str(place / "server.pem")).endswith("OK\n")
    assert network.ensure_certificate(address, False) == []
    assert network.ensure_certificate("other.example.com", False) == [f"{place}/server.pem"]
    assert (place / "ca.crt").read_bytes() == ca, "apps that run trust the renewed one too"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o400, "server.pem": 0o640}


def test_a_certificate_that_ends_soon_is_renewed(place, monkeypatch):
    network.ensure_certificate("10.0.0.5", False)
    monkeypatch.setattr(network, "RENEWED", (network.DAYS + 1) * network.DAY)
    assert network.ensure_certificate("10.0.0.5", False) == [f"{place}/server.pem"]


def test_a_dry_run_makes_nothing(place):
    assert len(network.ensure_certificate("10.0.0.5", True)) == 2 and not place.exists()
    assert network.ensure_password("shop", True) == [] and not place.exists()


def test_a_verifier_is_that_of_rfc_5802():
    """The example of RFC 7677: user, pencil."""
    salt = network.base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    kept = network.verifier("pencil", salt)
    assert kept == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_a_password_is_made_once_and_only_its_verifier_is_told(place, monkeypatch):
    role, said = {"kept": ""}, []

    def sql(statement, *_words):
        said.append(statement)
        if found := re.search(r"PASSWORD '([^']+)'", statement):
            role["kept"] = found[1]
        return [[role["kept"]]]

    monkeypatch.setattr(network, "sql", sql)
    assert network.ensure_password("shop", False) == ["password of role shop"]
    text = network.password("shop")
    assert len(text) >= 43 and stat.S_IMODE(os.stat(place / "shop.password").st_mode) == 0o400
    assert network.ensure_password("shop", False) == [] and text not in "".join(said)
    role["kept"] = network.verifier("another", b"0123456789abcdef")
    assert network.ensure_password("shop", False) == ["password of role shop"]


def test_a_run_on_some_hosts_takes_no_other_host_s_way_in(place, monkeypatch):
    monkeypatch.setattr(network, "ensure_certificate", lambda *_words: [])
    options = {"address": "10.0.0.1", "clients": ["10.0.0.5", "10.0.0.6"], "whole": True}
    assert module.come_in("shop", options, False) == ["shop comes from 10.0.0.5, 10.0.0.6"]
    module.come_in("shop", {**options, "clients": ["10.0.0.7"], "whole": False}, False)
    assert network.known() == {"shop": ["10.0.0.5", "10.0.0.6", "10.0.0.7"]}
    module.come_in("shop", {**options, "clients": ["10.0.0.7"]}, False)
    assert network.known() == {"shop": ["10.0.0.7"]}
    network.forget("shop")
    assert network.known() == {}


def test_what_was_not_set_up_is_told_with_what_to_type(place):
    files.write_json(postgres.RECORD, {"cluster": "17/main"})
    told = network.told("shop")
    assert "not set up for shop on its host yet; once, type: ansible-playbook site" in told.pop("missing") and not told


def test_a_way_that_is_not_there_is_told():
    assert network.source("127.0.0.1") == "127.0.0.1"
    with pytest.raises(PostgresError, match="postgres_address: this host finds no way to nowhere"):
        network.source("nowhere.invalid")


def test_settings_open_the_network_only_for_others():
    text = module.settings(1024, {"work_mem": "16MB"}, network.SETTINGS)
    assert text.count("listen_addresses = ") == 1 and "listen_addresses = '*'" in text and "ssl = 'on'" in text
    assert "listen_addresses = ''" in module.settings(1024, {}) and "ssl = " not in module.settings(1024, {})


def of_postgres(groups, **values):
    return RULES["postgres"].check_groups({**NEEDS, **values}, groups)


def test_several_hosts_share_a_database_on_a_host_of_its_own():
    assert of_postgres(APART) == []
    assert "each of the 2 hosts would have postgres of its own" in of_postgres({"web": ["web1", "web2"]})[0]


@pytest.mark.parametrize(
    ("groups", "values", "said"),
    [
        ({**APART, "postgres": ["db1", "db2"]}, {}, "one host holds the databases, and there are 2: db1, db2"),
        ({**APART, "postgres": ["web1"]}, {}, "web1 is in group web too"),
        (
            APART,
            {"archive_to": "/mnt/backup/shop"},
            'here it is on db1; back it up there yourself, and write archive_to: ""',
        ),
        (APART, {"app_env": {"PGSSLMODE": "disable"}}, "app_env: PGSSLMODE is what app_needs: [postgres] gives"),
        ({"web": ["web1"]}, {"postgres_address": "10.0.0.5"}, "names the host of group postgres, which has none"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_changes(groups, values, said):
    (line,) = of_postgres(groups, **values)
    assert said in line


def test_the_app_gets_address_and_password_among_its_secrets_and_the_rest_in_its_environment(render):
    known = {
        "groups": {"web": ["web1"], "postgres": ["db1"]},
        "hostvars": {"db1": {"ansible_host": "10.0.0.1"}},
        "app_needs": ["postgres"],
        "app_name": "shop",
        "__postgres_told": {"password": "h5-Xq"},
    }
    environment = render("app", "__app_environment", **known)
    assert (
        "h5-Xq" not in environment and "'PGSSLMODE': 'verify-full'" in environment and "DATABASE_URL" not in environment
    )
    assert "'PGSSLROOTCERT': '/etc/flask-deploy/postgres-ca/ca.crt'" in environment
    assert "postgresql://shop:h5-Xq@10.0.0.1:5432/shop" in render("postgres", "__postgres_secrets", **known)
    assert "/etc/flask-deploy/postgres-ca" in render("app", "__app_needs", **known)
    beside = {**known, "groups": {"web": ["web1"]}}
    assert render("postgres", "__postgres_secrets", **beside) == "{}"
    assert "postgresql://shop@/shop?host=/run/postgresql" in render("app", "__app_environment", **beside)
    assert "PGSSL" not in render("app", "__app_environment", **beside)
