"""Two apps that keep their sessions in one place: neither takes nor ends those of the other."""

from __future__ import annotations

import jwt
import pytest
from flask import Flask

from flask_jwt_keys import ConfigError, begin_session, end_session, end_sessions_of


@pytest.fixture(params=["file", "Valkey"])
def place(request, tmp_path):
    if request.param == "file":
        return {"JWT_STORE_PATH": tmp_path / "s.sqlite3"}
    server = request.getfixturevalue("server")
    server.client.flushall()
    return {"JWT_STORE_URL": server.url}


@pytest.fixture
def made(build, place):
    def make(name="tested", **settings):
        return build(app=Flask(name), SECRET_KEY=name * 32, **place, **settings)

    return make


def begun(app, user):
    with app.app_context():
        return begin_session(user).refresh_token


def is_refreshed(app, token):
    answer = app.test_client().post("/auth/refresh", json={"refresh_token": token})
    return answer.status_code == 200


APPS = {
    "issuers": ({"JWT_ISSUER": "shop"}, {"JWT_ISSUER": "admin"}),
    "an issuer and none": ({"JWT_ISSUER": "shop"}, {}),
    "audiences": (
        {"JWT_ISSUER": "us", "JWT_AUDIENCE": "shop"},
        {"JWT_ISSUER": "us", "JWT_AUDIENCE": ["admin", "desk"]},
    ),
    "names of apps": ({}, {"name": "admin"}),
    "names of stores": ({"JWT_STORE_NAME": "shop"}, {"JWT_STORE_NAME": "admin"}),
}


@pytest.mark.parametrize("pair", APPS.values(), ids=APPS)
def test_a_session_is_of_one_app(made, user, pair):
    shop, admin = (made(**settings) for settings in pair)
    token = begun(shop, user)
    assert not is_refreshed(admin, token)
    with admin.app_context():
        end_session(token)
        assert end_sessions_of(user) == 0
    assert is_refreshed(shop, token), "and it goes on after another app was shown its token"
    with shop.app_context():
        assert end_sessions_of(user) == 1
    assert not is_refreshed(shop, token)


def test_all_sessions_of_a_user_end_in_one_app(made, user):
    shop, admin = made(JWT_ISSUER="shop"), made(JWT_ISSUER="admin")
    ours, theirs = [begun(shop, user) for _ in range(2)], begun(admin, user)
    with shop.app_context():
        assert end_sessions_of(user) == 2
    assert not any(is_refreshed(shop, token) for token in ours)
    assert is_refreshed(admin, theirs)


@pytest.mark.parametrize("setting", ["JWT_ISSUER", "JWT_AUDIENCE", "JWT_STORE_NAME"])
def test_an_app_that_changes_its_name_lists_both(made, user, setting):
    before, after = made(**{setting: "old"}), made(**{setting: ["new", "old"]})
    token = begun(before, user)
    assert is_refreshed(after, token) and not is_refreshed(before, begun(after, user))
    with after.app_context():
        assert end_sessions_of(user) == 2


def test_an_app_that_gets_an_issuer_can_take_its_sessions_along(made, user):
    token = begun(made(), user)
    assert is_refreshed(made(JWT_ISSUER="shop", JWT_STORE_NAME=["shop", "tested"]), token)


def test_sessions_of_a_release_before_are_taken_and_then_kept(made, user, monkeypatch):
    shop, admin = made(JWT_ISSUER="shop"), made(JWT_ISSUER="admin")
    with monkeypatch.context() as patch:  # it gave them no name
        patch.setattr(shop.extensions["flask_jwt_keys"].kept, "_names", tuple)
        tokens = [begun(shop, user) for _ in range(3)]
    assert is_refreshed(shop, tokens[0])
    assert not is_refreshed(admin, tokens[0]) and is_refreshed(admin, tokens[1])
    with shop.app_context():
        assert end_sessions_of(user) == 2, "its own, and the one that has no name yet"


def test_a_second_factor_keeps_the_name(made, user):
    shop = made(JWT_ISSUER="shop")
    with shop.app_context():
        sessions = shop.extensions["flask_jwt_keys"].kept
        token = begin_session(user)
        sid = claims_of(token)["sid"]
        sessions.join(sid, lambda: token, at=1)
        assert sessions.store.find(sid).name == '["shop", null]'
        assert "flask_jwt_keys.name" not in claims_of(token)


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


@pytest.mark.parametrize("name", ["", 1, [], [""]])
def test_a_name_that_is_none_stops_the_start(made, name):
    with pytest.raises(ConfigError, match=r"JWT_STORE_NAME is .*; expected a text"):
        made(JWT_STORE_NAME=name)
