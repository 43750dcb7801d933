"""Refresh tokens that count once, logout, revocation, and the store on one host."""

from __future__ import annotations

import secrets
import sqlite3
import stat
import time
from types import SimpleNamespace

import jwt
import pytest

from flask_jwt_keys import JWT, ConfigError, SQLiteStore, turning


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


def test_using_an_outdated_refresh_token_ends_the_session(client, call):
    first = call.login(client).json
    other = call.login(client).json
    second = refresh(client, first["refresh_token"]).json
    third = refresh(client, second["refresh_token"]).json
    assert_refused(refresh(client, first["refresh_token"]))
    assert_refused(refresh(client, third["refresh_token"]))
    for token in (first, second, third):
        assert_refused(call.protected(client, token["access_token"]), "Token has been revoked")
    assert call.protected(client, other["access_token"]).status_code == 200
    assert refresh(client, other["refresh_token"]).status_code == 200


def test_a_refresh_repeated_after_a_lost_answer_gives_the_same_successor(client, call):
    first = call.login(client).json
    lost = refresh(client, first["refresh_token"]).json
    again = refresh(client, first["refresh_token"]).json
    assert again["refresh_token"] == lost["refresh_token"]
    for token in (lost, again):
        assert call.protected(client, token["access_token"]).status_code == 200
    assert refresh(client, again["refresh_token"]).status_code == 200
    assert_refused(refresh(client, first["refresh_token"]))


@pytest.fixture
def two_hosts(keyed, signers, tmp_path, monkeypatch):
    """A client, and what sets the clock of the next refreshes so many seconds off."""
    clock = SimpleNamespace(time=time.time)
    monkeypatch.setattr(turning, "time", clock)
    settings = {"JWT_STORE_PATH": tmp_path / "s.sqlite3", "JWT_LEEWAY": 3, "JWT_REFRESH_GRACE": 5}

    def begin(**changes):
        client = keyed(signers["EdDSA"], **{**settings, **changes}).test_client()
        return client, lambda off: setattr(clock, "time", lambda: time.time() + off)

    return begin


@pytest.mark.parametrize(
    ("off", "counts"), [(-2.5, True), (7.5, True), (-3.5, False), (8.5, False)]
)
def test_a_refresh_is_repeated_on_a_host_whose_clock_is_off(two_hosts, call, off, counts):
    client, set_clock = two_hosts()
    first = call.login(client).json
    second = refresh(client, first["refresh_token"]).json
    set_clock(off)
    again = refresh(client, first["refresh_token"])
    set_clock(0)
    assert again.status_code == (200 if counts else 401)
    assert refresh(client, second["refresh_token"]).status_code == again.status_code


def test_without_a_grace_no_clock_lets_a_refresh_be_repeated(two_hosts, call):
    client, set_clock = two_hosts(JWT_REFRESH_GRACE=0)
    first = call.login(client).json
    refresh(client, first["refresh_token"])
    set_clock(-1)
    assert_refused(refresh(client, first["refresh_token"]))


@pytest.mark.parametrize("grace", [0, 0.2])
def test_after_the_grace_a_second_use_ends_the_session(keyed, call, signers, tmp_path, grace):
    settings = {"JWT_STORE_PATH": tmp_path / "s.sqlite3", "JWT_REFRESH_GRACE": grace}
    settings["JWT_LEEWAY"] = 0
    client = keyed(signers["EdDSA"], **settings).test_client()
    first = call.login(client).json
    second = refresh(client, first["refresh_token"]).json
    time.sleep(grace + 0.1)
    assert_refused(refresh(client, first["refresh_token"]))
    assert_refused(refresh(client, second["refresh_token"]))
    assert_refused(call.protected(client, second["access_token"]), "Token has been revoked")


def test_nobody_ends_a_session_by_guessing(client, call):
    tokens = call.login(client).json
    sid = claims_of(tokens["access_token"])["sid"]
    for guess in (sid, f"{sid}.x", "." + tokens["refresh_token"].partition(".")[2]):
        assert_refused(refresh(client, guess))
    assert call.protected(client, tokens["access_token"]).status_code == 200
    assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_all_access_tokens_of_a_session_end_with_it(client, call):
    tokens = [call.login(client).json]
    for _ in range(5):
        tokens.append(refresh(client, tokens[-1]["refresh_token"]).json)
    assert logout(client, tokens[2]["access_token"]).status_code == 204
    for token in tokens:
        assert_refused(call.protected(client, token["access_token"]), "Token has been revoked")
    assert_refused(refresh(client, tokens[-1]["refresh_token"]))


def test_all_access_tokens_of_an_own_encoder_end_with_their_session(app, client, call, signers):
    @app.extensions["jwt"].jwt_encode_handler
    def encode(identity):
        return signers["EdDSA"].token(jti=secrets.token_hex(8))

    tokens = [call.login(client).json]
    for _ in range(3):
        tokens.append(refresh(client, tokens[-1]["refresh_token"]).json)
    assert logout(client, tokens[-1]["access_token"]).status_code == 204
    for token in tokens:
        assert_refused(call.protected(client, token["access_token"]), "Token has been revoked")


def test_a_token_that_no_logout_could_end_is_not_given(app, client, call, signers):
    """Neither at a login nor later."""
    app.testing, tokens = True, call.login(client).json
    app.extensions["jwt"].jwt_encode_handler(lambda identity: signers["EdDSA"].token())
    app.extensions["jwt"].jwt_decode_handler(claims_of)
    for ask in (lambda: call.login(client), lambda: refresh(client, tokens["refresh_token"])):
        with pytest.raises(RuntimeError, match=r"has no jti.* jwt_encode_handler"):
            ask()
    assert call.protected(client, tokens["access_token"]).status_code == 200


def test_a_store_that_cannot_answer_is_a_503(app, client, call, tmp_path, monkeypatch):
    tokens = call.login(client).json
    monkeypatch.setattr("flask_jwt_keys.sqlite_file._BUSY", 0.1)
    app.extensions["flask_jwt_keys"].sessions.store.close()
    locking = sqlite3.connect(tmp_path / "data" / "sessions.sqlite3", isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    for answer in (call.login(client), refresh(client, tokens["refresh_token"])):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json["error"] == "Service Unavailable"
    locking.rollback()
    locking.close()
    assert call.login(client).status_code == 200
    assert refresh(client, tokens["refresh_token"]).status_code == 200


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


@pytest.mark.parametrize("sent", [None, "", 5, [], "stale.x", "\ud800"])
def test_logout_with_an_access_token_and_a_refresh_token_that_finds_nothing(client, call, sent):
    tokens = call.login(client).json
    headers, body = {"Authorization": f"JWT {tokens['access_token']}"}, {"refresh_token": sent}
    assert client.post("/auth/logout", headers=headers, json=body).status_code == 204
    assert_refused(call.protected(client, tokens["access_token"]), "Token has been revoked")
    assert_refused(refresh(client, tokens["refresh_token"]))
    again = client.post("/auth/logout", headers=headers, json=body).status_code
    assert again == (204 if isinstance(sent, str) and sent else 401)


def test_logout_with_tokens_of_two_sessions_ends_both(client, call):
    one, two = call.login(client).json, call.login(client).json
    headers = {"Authorization": f"JWT {one['access_token']}"}
    body = {"refresh_token": two["refresh_token"]}
    assert client.post("/auth/logout", headers=headers, json=body).status_code == 204
    for tokens in (one, two):
        assert_refused(refresh(client, tokens["refresh_token"]))


def test_logout_with_a_refresh_token_and_a_header_that_does_not_count(client, call):
    tokens = call.login(client).json
    body = {"refresh_token": tokens["refresh_token"]}
    for header in ("JWT a.b.c", "JWT", "Other x"):
        answer = client.post("/auth/logout", headers={"Authorization": header}, json=body)
        assert answer.status_code == 204
    assert_refused(call.protected(client, tokens["access_token"]), "Token has been revoked")


def test_logout_with_the_access_token_by_a_client_that_names_json_and_sends_none(client, call):
    token = call.login(client).json["access_token"]
    headers = {"Authorization": f"JWT {token}", "Content-Type": "application/json"}
    assert client.post("/auth/logout", headers=headers).status_code == 204
    assert_refused(call.protected(client, token), "Token has been revoked")
    assert client.post("/auth/logout", headers=headers, data="{").status_code == 400


def test_a_logout_lasts_as_long_as_the_leeway_lets_the_token_count(keyed, call, signers, tmp_path):
    settings = {"JWT_STORE_PATH": tmp_path / "s.sqlite3", "JWT_LEEWAY": 10 * 24 * 3600}
    client = keyed(signers["EdDSA"], **settings).test_client()
    then = int(time.time()) - 5 * 24 * 3600
    token = signers["EdDSA"].token(jti="j", iat=then, nbf=then, exp=then + 300)
    assert logout(client, token).status_code == 204
    call.login(client)
    assert_refused(call.protected(client, token), "Token has been revoked")


def test_logout_needs_a_token(client):
    assert client.post("/auth/logout").status_code == 401
    for body in ({}, {"refresh_token": None}, {"refresh_token": ""}, {"refresh_token": 5}):
        assert client.post("/auth/logout", json=body).status_code == 401


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


@pytest.mark.parametrize("error", [KeyError, AttributeError, TypeError, ValueError, OSError])
def test_an_identity_handler_that_fails_ends_no_session(app, client, call, error):
    """It did not say that the user is gone."""
    tokens, known = call.login(client).json, app.extensions["jwt"].identity_callback

    def fail(claims):
        raise error("such as a header that one request lacks")

    app.extensions["jwt"].identity_handler(fail)
    answer = refresh(client, tokens["refresh_token"])
    if error is OSError:
        assert answer.status_code == 500
    else:
        assert_refused(answer)
    app.extensions["jwt"].identity_handler(known)
    assert call.protected(client, tokens["access_token"]).status_code == 200
    assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_an_identity_handler_sees_at_a_refresh_what_lasts(app, client, call, user):
    seen = []
    app.extensions["jwt"].identity_handler(lambda claims: seen.append(claims) or user)
    first = call.login(client).json
    second = refresh(client, first["refresh_token"]).json
    refresh(client, second["refresh_token"])
    login = claims_of(first["access_token"])
    lasting = {name: login[name] for name in login if name not in ("exp", "nbf", "jti")}
    assert {"identity", "iat", "iss", "aud", "sid", "auth_time"} == lasting.keys()
    began = lasting.pop("iat")
    assert all(claims.pop("iat") in (began, began - 1) for claims in seen)
    assert seen == [lasting, lasting]


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
    with pytest.raises(ConfigError, match="JWT_HOSTS is 2, but each host would have"):
        keyed(signers["EdDSA"], JWT_STORE_PATH=tmp_path / "s", JWT_HOSTS=2)
    keyed(signers["EdDSA"], JWT_STORE_PATH=None, JWT_HOSTS=2)


def test_a_shared_store_is_taken_for_several_hosts(build, call, store):
    store.shared = True
    client = build(JWT(store=store), SECRET_KEY="s" * 32, JWT_HOSTS=2).test_client()
    assert "refresh_token" in call.login(client).json


@pytest.mark.parametrize("path", ["/auth", "/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize(
    "body", ["[" * 16_000, '{"refresh_token":' * 900, '{"username":' + "[" * 16_000]
)
def test_a_body_that_is_nested_too_deeply_is_a_bad_request(client, path, body):
    assert client.post(path, data=body, content_type="application/json").status_code == 400
