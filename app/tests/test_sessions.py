"""Refresh tokens that count once, logout, revocation, and the store on one host."""

from __future__ import annotations

import gc
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import jwt
import pytest

from flask_jwt_keys import JWT, ConfigError, Grant, SQLiteStore

APP = Path(__file__).parents[1]


@pytest.fixture
def app(keyed, signers, tmp_path):
    return keyed(signers["EdDSA"], JWT_STORE_PATH=tmp_path / "data" / "sessions.sqlite3")


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def store(tmp_path):
    return SQLiteStore(tmp_path / "sessions.sqlite3")


def refresh(client, token):
    return client.post("/auth/refresh", json={"refresh_token": token})


def logout(client, token):
    return client.post("/auth/logout", headers={"Authorization": f"JWT {token}"})


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def grant(number=1, **changes):
    now = int(time.time())
    values = {"session": "s", "claims": {"identity": 1}, "jti": f"j{number}"}
    values |= {"access_until": now + 300, "until": now + 3600}
    return Grant(digest=bytes([number]) * 32, **{**values, **changes})


def assert_refused(response, description="Refresh token is not valid"):
    assert response.status_code == 401
    assert response.json == {
        "status_code": 401,
        "error": "Invalid token",
        "description": description,
    }


def test_login_gives_both_tokens_and_is_not_cached(client, call):
    response = call.login(client)
    assert sorted(response.json) == ["access_token", "refresh_token"]
    assert response.cache_control.no_store
    assert "jti" in claims_of(response.json["access_token"])


def test_a_refresh_token_renews_both(client, call):
    first = call.login(client).json
    second = refresh(client, first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    assert call.protected(client, second["access_token"]).status_code == 200
    assert call.protected(client, first["access_token"]).status_code == 200
    assert refresh(client, second["refresh_token"]).status_code == 200


def test_using_a_refresh_token_twice_ends_the_session(client, call):
    first = call.login(client).json
    other = call.login(client).json
    second = refresh(client, first["refresh_token"]).json
    assert_refused(refresh(client, first["refresh_token"]))
    assert_refused(refresh(client, second["refresh_token"]))
    for token in (first["access_token"], second["access_token"]):
        assert_refused(call.protected(client, token), "Token has been revoked")
    assert call.protected(client, other["access_token"]).status_code == 200
    assert refresh(client, other["refresh_token"]).status_code == 200


def test_logout_ends_the_session(client, call):
    first = call.login(client).json
    second = refresh(client, first["refresh_token"]).json
    assert logout(client, second["access_token"]).status_code == 204
    for token in (first["access_token"], second["access_token"]):
        assert_refused(call.protected(client, token), "Token has been revoked")
        assert_refused(call.protected(client, token + "="), "Invalid characters")
    assert_refused(refresh(client, second["refresh_token"]))
    assert_refused(logout(client, second["access_token"]), "Token has been revoked")


def test_logout_with_the_refresh_token_alone(client, call):
    tokens = call.login(client).json
    body = {"refresh_token": tokens["refresh_token"]}
    assert client.post("/auth/logout", json=body).status_code == 204
    assert_refused(call.protected(client, tokens["access_token"]), "Token has been revoked")
    assert client.post("/auth/logout", json=body).status_code == 204
    assert client.post("/auth/logout", json={"refresh_token": "unknown"}).status_code == 204


def test_logout_needs_a_token(client):
    assert client.post("/auth/logout").status_code == 401
    assert client.post("/auth/logout", json={}).status_code == 401


def test_an_access_token_is_no_refresh_token_nor_the_other_way_round(client, call):
    tokens = call.login(client).json
    assert_refused(refresh(client, tokens["access_token"]))
    assert_refused(call.protected(client, tokens["refresh_token"]), "Not enough segments")


@pytest.mark.parametrize("token", [None, 1, [], {}, "", "x" * 5000, "\ud800", "\x00", "é"])
def test_refresh_tokens_that_are_none(client, token):
    assert_refused(refresh(client, token))


def test_a_body_without_a_refresh_token(client):
    assert_refused(client.post("/auth/refresh", json={}))
    assert client.post("/auth/refresh", data="x").status_code == 400


def test_a_deleted_user_cannot_refresh(app, client, call):
    tokens = call.login(client).json
    app.extensions["jwt"].identity_handler(lambda payload: None)
    assert_refused(refresh(client, tokens["refresh_token"]))


def test_a_session_ends_in_time(keyed, call, signers, tmp_path):
    settings = {"JWT_STORE_PATH": tmp_path / "s.sqlite3", "JWT_REFRESH_EXPIRATION_DELTA": 1}
    client = keyed(signers["EdDSA"], **settings).test_client()
    first = call.login(client).json["refresh_token"]
    time.sleep(1.1)
    assert_refused(refresh(client, first))


def test_a_token_that_cannot_be_revoked_is_refused(client, call, signers):
    assert_refused(
        call.protected(client, signers["EdDSA"].token()), 'Token is missing the "jti" claim'
    )
    assert call.protected(client, signers["EdDSA"].token(jti="\ud800")).status_code == 200


def test_refresh_tokens_are_not_stored_as_they_are(client, call, tmp_path):
    tokens = call.login(client).json
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert tokens["refresh_token"].encode() not in stored
    assert tokens["access_token"].encode() not in stored
    assert stat.S_IMODE((tmp_path / "data" / "sessions.sqlite3").stat().st_mode) == 0o600


def test_sessions_survive_a_new_signing_key(keyed, call, signers, tmp_path):
    path = tmp_path / "s.sqlite3"
    old = keyed(signers["EdDSA"], JWT_STORE_PATH=path).test_client()
    tokens = call.login(old).json
    new = keyed(signers["ES256"], JWT_STORE_PATH=path).test_client()
    assert call.protected(new, tokens["access_token"]).status_code == 401
    renewed = refresh(new, tokens["refresh_token"])
    assert call.protected(new, renewed.json["access_token"]).status_code == 200


def test_routes_appear_with_a_store_only(keyed, signers):
    client = keyed(signers["EdDSA"]).test_client()
    assert client.post("/auth/refresh").status_code == 404
    assert client.post("/auth/logout").status_code == 404


def test_routes_can_be_switched_off(keyed, signers, tmp_path):
    off = {"JWT_REFRESH_URL_RULE": None, "JWT_LOGOUT_URL_RULE": None, "JWT_JWKS_URL_RULE": None}
    client = keyed(signers["EdDSA"], JWT_STORE_PATH=tmp_path / "s", **off).test_client()
    assert client.post("/auth/refresh").status_code == 404
    assert client.post("/auth/logout").status_code == 404
    assert client.get("/.well-known/jwks.json").status_code == 404


def test_a_file_is_refused_for_several_hosts(keyed, signers, tmp_path):
    with pytest.raises(ConfigError, match="JWT_HOSTS is 2, but the session store is a file"):
        keyed(signers["EdDSA"], JWT_STORE_PATH=tmp_path / "s", JWT_HOSTS=2)
    keyed(signers["EdDSA"], JWT_STORE_PATH=None, JWT_HOSTS=2)


def test_a_shared_store_is_taken_for_several_hosts(build, call, store):
    store.shared = True
    client = build(JWT(store=store), SECRET_KEY="s" * 32, JWT_HOSTS=2).test_client()
    assert "refresh_token" in call.login(client).json


# The store


def test_what_is_added_is_found(store):
    store.add(grant(claims={"identity": "ü\ud800", "n": 1}, jti="j\ud800"))
    found = store.find(grant().digest)
    assert (found.claims, found.jti, found.used) == (
        {"identity": "ü\ud800", "n": 1},
        "j\ud800",
        False,
    )
    assert store.find(b"x" * 32) is None


def test_a_grant_is_exchanged_once(store):
    store.add(grant(1))
    assert store.rotate(grant(1).digest, grant(2))
    assert not store.rotate(grant(1).digest, grant(3))
    assert store.find(grant(1).digest).used
    assert store.find(grant(3).digest) is None
    assert not store.rotate(b"x" * 32, grant(4))


def test_ending_reaches_the_session_and_no_other(store):
    store.add(grant(1))
    store.rotate(grant(1).digest, grant(2))
    store.add(grant(3, session="other"))
    store.end("j2", int(time.time()) + 300)
    assert store.ended("j1") and store.ended("j2") and not store.ended("j3")
    assert store.find(grant(1).digest) is None and store.find(grant(2).digest) is None
    assert store.find(grant(3).digest)
    store.end("unknown", int(time.time()) + 300)
    assert store.ended("unknown")


def test_what_is_long_over_is_deleted(store, tmp_path):
    store.add(grant(1, until=1))
    store.end("old", 1)
    store.add(grant(2, session="new"))
    with sqlite3.connect(tmp_path / "sessions.sqlite3") as connection:
        rows = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("grants", "revoked")
        ]
    connection.close()
    assert rows == [1, 0]


def test_a_session_that_was_written_survives_a_power_loss(tmp_path, monkeypatch):
    """Each connection flushes at each commit, whatever this build of SQLite does by itself."""

    class Careless(sqlite3.Connection):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.execute("PRAGMA synchronous = OFF")

    class Keeping(SQLiteStore):
        def levels(self):
            with self._connection() as connection:
                return connection.execute("PRAGMA synchronous").fetchone()[0]

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *a, **options: connect(*a, factory=Careless, **options)
    )
    assert Keeping(tmp_path / "sessions.sqlite3").levels() == 2, "FULL"


def test_connections_are_closed_before_they_are_collected(tmp_path):
    """With the store in a ring of an older generation, the collector meets its connection first."""
    holder = {"store": SQLiteStore(tmp_path / "sessions.sqlite3")}
    holder["ring"] = holder
    gc.collect(0)
    holder["store"].ended("j1")
    del holder
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()
    assert not warned


def test_only_one_of_many_threads_exchanges_a_grant(store):
    store.add(grant(1))
    won = []

    def exchange(number):
        if store.rotate(grant(1).digest, grant(number)):
            won.append(number)

    threads = [threading.Thread(target=exchange, args=(number,)) for number in range(2, 14)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_processes_share_the_file(store, tmp_path):
    store.add(grant(1))
    code = (
        "import sys; from flask_jwt_keys import SQLiteStore\n"
        "store = SQLiteStore(sys.argv[1]); store.end('j1', 2**40)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "sessions.sqlite3"], check=True, cwd=APP)
    assert store.ended("j1")
    assert store.find(grant(1).digest) is None


@pytest.mark.parametrize("path", ["/auth", "/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize(
    "body", ["[" * 16_000, '{"refresh_token":' * 900, '{"username":' + "[" * 16_000]
)
def test_a_body_that_is_nested_too_deeply_is_a_bad_request(client, path, body):
    assert client.post(path, data=body, content_type="application/json").status_code == 400
