"""The file of the release before: its sessions go on here, and it can work with the file again."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import jwt
import pytest
from release_1_0.sqlite import SQLiteStore as OldStore
from release_1_0.store import Grant

from flask_jwt_keys import SQLiteStore, end_sessions_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.sqlite3"


@pytest.fixture
def old(path):
    return OldStore(path)


@pytest.fixture
def client(keyed, signers, old, path):
    return keyed(signers["EdDSA"], JWT_STORE_PATH=path).test_client()


def grant(session="s", jti="j1"):
    """A refresh token of the release before, and what it kept of it."""
    token, now = secrets.token_urlsafe(32), int(time.time())
    digest = hashlib.sha256(token.encode()).digest()
    return token, Grant(digest, session, {"identity": 1}, jti, now + 300, now + 3600)


def begin(old, count=1):
    """Refresh tokens of one session, the newest last."""
    tokens = []
    for number in range(count):
        token, made = grant(jti=f"j{number}")
        if tokens:
            assert old.rotate(hashlib.sha256(tokens[-1].encode()).digest(), made)
        else:
            old.add(made)
        tokens.append(token)
    return tokens


def refresh(client, token):
    return client.post("/auth/refresh", json={"refresh_token": token})


def test_a_session_goes_on(client, old, call):
    token = begin(old, 2)[-1]
    first = refresh(client, token)
    assert first.status_code == 200
    assert call.protected(client, first.json["access_token"]).status_code == 200
    again = refresh(client, token)
    assert again.json["refresh_token"] == first.json["refresh_token"]
    assert refresh(client, again.json["refresh_token"]).status_code == 200
    assert refresh(client, token).status_code == 401


@pytest.mark.parametrize("refreshed", [False, True])
def test_an_outdated_token_of_a_session_ends_it(client, old, call, refreshed):
    tokens = begin(old, 3)
    newest = refresh(client, tokens[-1]).json if refreshed else {"refresh_token": tokens[-1]}
    assert refresh(client, tokens[0]).status_code == 401
    assert refresh(client, newest["refresh_token"]).status_code == 401
    assert old.ended("j0") and old.ended("j2")
    if refreshed:
        assert call.protected(client, newest["access_token"]).status_code == 401


@pytest.mark.parametrize("refreshed", [False, True])
def test_logging_out_with_an_access_token_of_before_ends_the_session(
    client, old, call, signers, refreshed
):
    tokens = begin(old, 2)
    newest = refresh(client, tokens[-1]).json if refreshed else {"refresh_token": tokens[-1]}
    headers = {"Authorization": f"JWT {signers['EdDSA'].token(jti='j0')}"}
    assert client.post("/auth/logout", headers=headers).status_code == 204
    assert refresh(client, newest["refresh_token"]).status_code == 401
    assert call.protected(client, signers["EdDSA"].token(jti="j1")).status_code == 401


def test_all_sessions_of_a_user_end(client, old, call):
    tokens = [begin(old)[-1], begin(old, 2)[-1]]
    other, made = grant("other", "j9")
    old.add(replace(made, claims={"identity": 2}))
    tokens[1] = refresh(client, tokens[1]).json["refresh_token"]
    with client.application.app_context():
        assert end_sessions_of({"id": 1}) == 1, "all of them are of one session"
    assert [refresh(client, token).status_code for token in tokens] == [401, 401]
    assert old.ended("j0") and old.ended("j1") and not old.ended("j9")
    assert old.find(hashlib.sha256(other.encode()).digest())


def test_the_release_before_works_beside_and_after(client, old, call, path):
    tokens = call.login(client).json
    token, made = grant("later")
    old.add(made)
    assert refresh(client, token).status_code == 200
    assert old.find(made.digest).used
    other = grant("other", "j9")[1]
    old.add(other)
    assert old.find(other.digest) and not old.ended("j9")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (2,)
    assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_who_logs_out_here_is_out_there(client, old, call):
    tokens = call.login(client).json
    renewed = refresh(client, tokens["refresh_token"]).json
    headers = {"Authorization": f"JWT {renewed['access_token']}"}
    assert client.post("/auth/logout", headers=headers).status_code == 204
    for each in (tokens, renewed):
        claims = jwt.decode(each["access_token"], options={"verify_signature": False})
        assert old.ended(claims["jti"])


def test_who_logs_out_after_a_rollback_is_out_when_this_release_comes_back(client, old, call):
    tokens = call.login(client).json
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    old.end(claims["jti"], claims["exp"])
    assert call.protected(client, tokens["access_token"]).status_code == 401
    assert refresh(client, tokens["refresh_token"]).status_code == 401


def test_many_rows_of_before_slow_no_write(old, path):
    store = SQLiteStore(path)
    with closing(sqlite3.connect(path)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT digest FROM grants WHERE until < 1 ORDER BY until LIMIT 9"
        ).fetchall()
    assert "USING INDEX grants_until" in str(plan) or "COVERING INDEX" in str(plan)
    store.close()
