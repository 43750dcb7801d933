"""Apps written for Flask-JWT, whose handlers and settings are their own: they start and log in."""

from __future__ import annotations

import importlib
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from flask_jwt_keys import JWT, ConfigError

SECRET = "s" * 64


@pytest.fixture
def extension():
    return JWT()


@pytest.fixture
def start(build, extension):
    def started(**config):
        return build(extension, **{"SECRET_KEY": SECRET, **config}).test_client()

    return started


def payload(**changes):
    now = datetime.now(UTC)
    times = {"iat": now, "nbf": now, "exp": now + timedelta(days=1), "identity": 1}
    return {name: value for name, value in {**times, **changes}.items() if value is not ...}


def in_and_through(client, call):
    """The header and claims of the token of a login, which opens the protected route."""
    answer = call.login(client)
    assert answer.status_code == 200
    token = answer.json["access_token"]
    assert call.protected(client, token).status_code == 200
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_every_shared_secret_signs(start, call, algorithm):
    client = start(JWT_ALGORITHM=algorithm)
    assert in_and_through(client, call)[0]["alg"] == algorithm
    assert client.get("/.well-known/jwks.json").status_code == 404
    for other in {"HS256", "HS384", "HS512"} - {algorithm}:
        forged = jwt.encode(payload(exp=int(time.time()) + 60), SECRET, other)
        assert call.protected(client, forged).status_code == 401


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "none", 7])
def test_another_algorithm_is_refused_with_what_to_write(start, algorithm):
    with pytest.raises(ConfigError, match=r"JWT_ALGORITHM is .*; expected RS256, ES256, EdDSA"):
        start(JWT_ALGORITHM=algorithm)


def test_a_shared_algorithm_without_a_secret_is_refused(build, signers):
    with pytest.raises(ConfigError, match="but the key is for RS256"):
        build(JWT_ALGORITHM="HS512", JWT_PUBLIC_KEY=signers["RS256"].public_pem)


OWN = [
    {},  # lives a day
    {"sub": 7, "jti": 9},
    {"sub": "7", "iss": 5},
]


@pytest.mark.parametrize("claims", OWN)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_own_payload_is_the_apps_choice(start, call, extension, claims, when):
    def handler(identity):
        return payload(**claims)

    if when == "before":
        extension.jwt_payload_handler(handler)
    client = start()
    if when == "after":
        extension.jwt_payload_handler(handler)
    seen = in_and_through(client, call)[1]
    written = {**claims, "iss": "5"} if "iss" in claims else claims
    assert written.items() <= seen.items() and seen["exp"] - seen["iat"] == 86400


def test_an_own_payload_without_an_end(start, call, extension):
    extension.jwt_payload_handler(lambda identity: payload(exp=...))
    assert "exp" not in in_and_through(start(JWT_REQUIRED_CLAIMS=[]), call)[1]


def test_an_own_token_of_a_day(start, call, extension):
    @extension.jwt_encode_handler
    def encode(identity):
        return jwt.encode(payload(), SECRET, "HS256")

    in_and_through(start(), call)


def test_a_limit_that_the_app_set_shortens_its_tokens(start, call, extension, caplog):
    extension.jwt_payload_handler(lambda identity: payload())
    claims = in_and_through(start(JWT_MAX_LIFETIME=600), call)[1]
    assert claims["exp"] - claims["iat"] == 600
    assert "see JWT_MAX_LIFETIME" in caplog.text


def test_one_extension_relaxes_each_of_its_apps(build, extension):
    extension.jwt_payload_handler(lambda identity: payload())
    first, second = (build(extension, SECRET_KEY=SECRET, **more) for more in ({}, {"A": 1}))
    strict = build(extension, SECRET_KEY=SECRET, JWT_MAX_LIFETIME=60, JWT_VERIFY_SUB=True)
    for app in (first, second):
        assert app.config["JWT_MAX_LIFETIME"] is None and not app.config["JWT_VERIFY_SUB"]
    assert strict.config["JWT_MAX_LIFETIME"] == 60 and strict.config["JWT_VERIFY_SUB"]
    plain = build(SECRET_KEY=SECRET)
    assert plain.config["JWT_MAX_LIFETIME"] == timedelta(hours=1) and plain.config["JWT_VERIFY_SUB"]


@pytest.mark.parametrize("limit", [600, timedelta(hours=1)])
def test_a_limit_that_is_set_after_the_start_stays_too(build, extension, limit):
    app = build(extension, SECRET_KEY=SECRET)
    app.config["JWT_MAX_LIFETIME"] = limit
    extension.jwt_payload_handler(lambda identity: payload())
    assert app.config["JWT_MAX_LIFETIME"] is limit and not app.config["JWT_VERIFY_SUB"]


def test_a_list_of_one_app_is_not_that_of_another(build):
    first, second = build(SECRET_KEY=SECRET), build(SECRET_KEY=SECRET)
    first.config["JWT_REQUIRED_CLAIMS"].clear()
    assert second.config["JWT_REQUIRED_CLAIMS"] == ["exp", "iat", "nbf"]
    assert build(SECRET_KEY=SECRET).config["JWT_REQUIRED_CLAIMS"] == ["exp", "iat", "nbf"]


def test_a_token_without_an_end_stays_logged_out(start, call, extension, tmp_path):
    extension.jwt_payload_handler(lambda identity: payload(exp=...))
    client = start(JWT_REQUIRED_CLAIMS=[], JWT_STORE_PATH=tmp_path / "s.sqlite3")
    token = call.login(client).json["access_token"]
    client.post("/auth/logout", headers={"Authorization": f"JWT {token}"})
    assert call.protected(client, token).status_code == 401
    import sqlite3

    connection = sqlite3.connect(tmp_path / "s.sqlite3")
    ends = [until for (until,) in connection.execute("SELECT until FROM revoked")]
    connection.close()
    assert min(ends) > time.time() + 100 * 365 * 86400


def test_headers_that_would_refuse_the_token_are_left_out(start, call, extension):
    extension.jwt_headers_handler(lambda identity: {"cty": "JWT", "jku": "https://x", "for": "joe"})
    assert in_and_through(start(), call)[0] == {"alg": "HS256", "typ": "JWT", "for": "joe"}


@pytest.mark.parametrize("token", [b"x", b"\xff.\xff.\xff"])
def test_a_request_handler_may_give_bytes(start, call, extension, token):
    client = start()
    good = call.login(client).json["access_token"].encode()
    extension.request_handler(lambda: good)
    assert client.get("/protected").status_code == 200
    extension.request_handler(lambda: token)
    assert client.get("/protected").status_code == 401


def test_credentials_may_be_numbers(start, call, extension, user):
    client = start()
    extension.authentication_handler(lambda name, pin: user if (name, pin) == (7, 1234) else None)
    body = {"username": 7, "password": 1234}
    assert client.post("/auth", json=body).status_code == 200
    for wrong in (0, 1235, -1, True, 1234.0, [1234]):
        assert client.post("/auth", json={**body, "password": wrong}).status_code == 401


def test_numbers_for_a_handler_that_expects_texts_are_refused(start, extension, user):
    client = start(PROPAGATE_EXCEPTIONS=True)
    extension.authentication_handler(lambda name, password: user if password.encode() else None)
    assert client.post("/auth", json={"username": "joe", "password": 1}).status_code == 401

    @extension.authentication_handler
    def broken(name, password):
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        client.post("/auth", json={"username": "joe", "password": "1"})


def test_what_flask_jwt_has_at_its_top_is_here():
    module = importlib.import_module("flask_jwt_keys")
    assert module.CONFIG_DEFAULTS["JWT_ALGORITHM"] == "HS256"
    for name in (
        "_default_jwt_headers_handler",
        "_default_jwt_payload_handler",
        "_default_jwt_encode_handler",
        "_default_jwt_decode_handler",
        "_default_request_handler",
        "_default_auth_request_handler",
        "_default_auth_response_handler",
        "_default_jwt_error_handler",
    ):
        assert callable(getattr(module, name))
