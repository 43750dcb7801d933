"""What works and is seldom meant is said in one line each, names no secret's value, and stops nothing."""

from __future__ import annotations

import pytest
from ansible.plugins.action import check_inventory
from inventory_check.inventory import load_defaults, warnings

MARK = "h5-Xq-sentinel"
LEAST = {"app_env": {}, "app_secrets": {}, "app_workers": 2, "app_memory": "512m", "app_server": "auto"}
LEAST["build_source"] = "https://git.example.com/shop.git"


def said(hosts=1, processors=2, keys=False, more=(), **values):
    """Return the lines on an inventory, of which none may show a secret."""
    known = {"groups": {"web": [f"web{number}" for number in range(hosts)]}, **dict(more)}
    lines = warnings({**load_defaults(), **LEAST, **values}, known, {"processors": processors, "keys": keys})
    assert MARK not in "".join(lines)
    return lines


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "STRIPE_API_KEY", "MAIL_PASSWORD", "GITHUB_TOKEN", "CLIENT_SECRET", "db_password", "TOKEN2"]
)
def test_a_secret_beside_what_a_release_keeps_is_said(name):
    assert said(app_env={name: MARK, "CURRENCY": "EUR"}) == [
        f"app_env: these look secret: {name}; write them into app_secrets, which no release keeps"
    ]


def test_a_password_within_an_address_is_said():
    (line,) = said(app_env={"DATABASE_URL": f"postgresql+psycopg://shop:{MARK}@db.example.com/shop", "A": "http://b/c"})
    assert line.startswith("app_env: these look secret: DATABASE_URL; ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_PUBLIC_KEY", "pk_live_0123456789"),
        ("RECAPTCHA_SITE_KEY", "6Lc0123456789"),
        ("FLASK_JWT_AUTH_USERNAME_KEY", "email"),
        ("JWT_KEY_DIR", "/run/jwt/keys"),
        ("TLS_KEY", "/run/secrets/tls.pem"),
        ("PASSWORD_RESET_TIMEOUT", "259200000"),
        ("MONKEY", "banana-banana"),
        ("DOCS_URL", "https://example.com:8443/a@b"),
    ],
)
def test_what_only_looks_like_a_secret_is_not(name, value):
    assert said(app_env={name: value}) == []


@pytest.mark.parametrize(
    ("name", "value"), [("FLASK_DEBUG", "1"), ("DEBUG", "true"), ("DEBUG", "True"), ("FLASK_ENV", "development")]
)
def test_debugging_is_said(name, value):
    assert said(app_env={name: value}) == [f"app_env: debugging is on by {name}: errors show the app's code; remove it"]


@pytest.mark.parametrize(("name", "value"), [("FLASK_DEBUG", "0"), ("DEBUG", "False"), ("FLASK_ENV", "production")])
def test_debugging_that_is_off_is_not(name, value):
    assert said(app_env={name: value}) == []


@pytest.mark.parametrize("variable", ["app_env", "app_secrets"])
def test_a_database_file_on_several_hosts_is_said(variable):
    value = {"DATABASE_URL": f"sqlite:////data/{MARK}.db", "CURRENCY": "EUR"}
    assert said(hosts=3, **{variable: value}) == [
        f"{variable}: DATABASE_URL is a file, and each of the 3 hosts has its own; "
        "write the address of one that they share, such as PostgreSQL's"
    ]
    assert said(hosts=1, **{variable: value}) == []


def test_a_store_of_sessions_in_data_on_several_hosts_is_said():
    (line,) = said(hosts=2, app_env={"FLASK_JWT_STORE_PATH": "/data/sessions.sqlite3"})
    assert line.endswith('give JWT(store=…) one that they share, or write FLASK_JWT_STORE_PATH: ""')
    assert said(hosts=2, app_env={"FLASK_JWT_STORE_PATH": ""}) == []


def test_more_workers_than_the_memory_holds_are_said():
    assert said(app_workers=16, app_memory="512m") == [
        "app_workers: 16 workers have 32 MB each of app_memory, and a small app needs 64 MB; "
        "write app_workers: 8, or app_memory: 1024m"
    ]
    assert said(app_workers=16, app_memory="1g") == []
    assert said(app_workers=16, app_server="port:5000") == []


def test_workers_that_follow_from_the_processors_are_counted_on_the_host():
    (line,) = said(app_workers=0, processors=32)
    assert line.startswith("app_workers: 32 workers (one for each of the 32 processors) have 16 MB each ")
    assert said(app_workers=0, processors=8) == []


@pytest.mark.parametrize("scheme", ["http", "git"])
def test_code_that_others_on_the_way_could_change_is_said(scheme):
    source = f"{scheme}://git.example.com/shop.git"
    assert said(build_source=source) == [
        f"build_source: {scheme}:// lets others on the way read and change the code; "
        "write https://git.example.com/shop.git"
    ]
    assert said(build_source=source, build_ref="3f9a0c41d2b7" + "0" * 28) == []
    assert said(build_source="ssh://git@git.example.com/shop.git") == []


def test_keys_of_before_are_said_until_the_inventory_says_what_they_are_for():
    assert said(keys=True) == [
        "tokens_algorithm: the keys in /etc/app/jwt stay, and no deploy looks after them; "
        "write tokens_algorithm: RS256, or none if the app signs no tokens"
    ]
    for algorithm in ("RS256", "none"):
        assert said(keys=True, more={"tokens_algorithm": algorithm}) == []


def test_a_name_without_its_role_is_said_where_nothing_reads_it():
    ours = {"health_path": "/healthz", "jwt_algorithm": "ES256", "domain": "shop.example.com", "my_key": "x"}
    assert said(more=ours) == [
        "health_path: nothing reads this variable; did you mean app_health_path?",
        "jwt_algorithm: nothing reads this variable; did you mean tokens_algorithm?",
    ]
    read = {"health_path": "/healthz", "app_health_path": "{{ health_path }}"}
    assert said(more=read) == []


def test_warnings_come_with_an_inventory_that_is_right_and_stop_nothing(monkeypatch):
    plugin = object.__new__(check_inventory.ActionModule)
    values = {**load_defaults(), **LEAST, "app_env": {"DEBUG": "1"}}
    known = {"inventory_hostname": "web1", "groups": {"web": ["web1"]}}
    monkeypatch.setattr(check_inventory.ActionBase, "run", lambda *given: None)
    plugin._task = type("Task", (), {"args": {}})
    plugin._connection = type("Connection", (), {"transport": "local"})
    plugin._check_inventory = lambda *given: (values, [])
    plugin._check_system = lambda: []
    plugin._check_host = lambda *given: {"mistakes": [], "processors": 2, "keys": False}
    answer = plugin.run(None, known)
    assert not answer.get("failed") and len(answer["warnings"]) == 1
