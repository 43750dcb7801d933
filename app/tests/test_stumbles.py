"""What newcomers write first, and what they are told where it cannot work."""

from __future__ import annotations

import time
from datetime import timedelta

import jwt
import pytest
from flask import Flask

import flask_jwt_keys as keys
from flask_jwt_keys import (
    JWT,
    ConfigError,
    JWTDecodeError,
    NoAuthorizationError,
    current_claims,
    current_identity,
    jwt_required,
)

SECRET = "s" * 32


def me():
    assert current_identity == current_claims["identity"]
    return {"me": current_claims["identity"]}


@pytest.fixture
def plain(tmp_path):
    """An app as users of Flask-JWT-Extended write it: its identities are the ids themselves."""
    app = Flask("plain")
    app.config |= {"SECRET_KEY": SECRET, "JWT_STORE_PATH": tmp_path / "s.sqlite3"}
    JWT(app, lambda name, password: name or None, lambda claims: claims["identity"])
    app.add_url_rule("/me", view_func=jwt_required()(me))
    return app


@pytest.mark.parametrize("identity", ["joe", 7])
def test_an_identity_may_be_the_id_itself(plain, identity):
    client = plain.test_client()
    tokens = client.post("/auth", json={"username": identity, "password": "x"}).json
    for _ in range(2):
        headers = {"Authorization": f"JWT {tokens['access_token']}"}
        assert client.get("/me", headers=headers).json == {"me": identity}
        tokens = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json


@pytest.mark.parametrize("identity", [None, {"name": "joe"}, ["joe"], object(), True, 2.5])
def test_an_identity_without_an_id_is_told(plain, identity):
    with plain.app_context(), pytest.raises(TypeError) as caught:
        keys.create_access_token(identity)
    assert f"of type {type(identity).__name__} has no id" in str(caught.value)
    assert "jwt_payload_handler" in str(caught.value)


def test_a_new_token_for_nobody_is_told(plain):
    with plain.test_request_context(), pytest.raises(TypeError, match="of type NoneType has no id"):
        keys.encode_token()


@pytest.mark.parametrize("duration", [False, True, "300", float("nan"), float("inf")])
def test_a_lifetime_that_is_none_is_told(plain, duration):
    """With Flask-JWT-Extended, False is a token that never ends."""
    with plain.app_context():
        for call in (keys.create_access_token, keys.begin_session):
            with pytest.raises(ConfigError, match="expected a number of seconds, such as 300"):
                call("joe", expires_delta=duration)
    with pytest.raises(ConfigError, match="expected a number of seconds, such as 300"):
        jwt_required(max_age=duration)


def test_a_lifetime_may_be_over(plain):
    """For tests of what an app does then."""
    with plain.app_context():
        token = keys.create_access_token("joe", expires_delta=timedelta(seconds=-60))
        with pytest.raises(Exception, match="expired"):
            keys.decode_token(token)


def test_a_decorator_without_parentheses_is_told():
    with pytest.raises(TypeError, match=r"@jwt_required\(\)"):
        jwt_required(lambda: "hello")


def test_an_app_without_the_extension_is_told():
    app = Flask("without")
    app.testing = True
    app.add_url_rule("/", view_func=jwt_required()(lambda: "hello"))
    with pytest.raises(ConfigError, match=r"JWT\(app, …\).*init_app"):
        app.test_client().get("/")
    with app.app_context(), pytest.raises(ConfigError, match=r"JWT\(app, …\).*init_app"):
        keys.create_access_token("joe")


def test_a_login_without_a_handler_is_told():
    app = Flask("plain")
    app.config["SECRET_KEY"] = SECRET
    with pytest.raises(AssertionError, match="JWT_AUTH_URL_RULE to None"):
        JWT(app)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("JWT_ACCESS_TOKEN_EXPIRES", "JWT_EXPIRATION_DELTA"),
        ("JWT_REFRESH_TOKEN_EXPIRES", "JWT_REFRESH_EXPIRATION_DELTA"),
        ("JWT_HEADER_TYPE", "JWT_AUTH_HEADER_PREFIX"),
        ("JWT_TOKEN_LOCATION", "request_handler"),
        ("JWT_COOKIE_SECURE", "request_handler"),
        ("JWT_EXPIRATON_DELTA", "JWT_EXPIRATION_DELTA"),
        ("JWT_HOST", "did you mean JWT_HOSTS?"),
    ],
)
def test_a_setting_of_another_name_is_told(build, caplog, name, advice):
    build(SECRET_KEY=SECRET, **{name: "x"})
    (line,) = (each.getMessage() for each in caplog.records if name in each.getMessage())
    assert advice in line


def test_settings_of_the_app_s_own_are_no_matter(build, caplog):
    build(SECRET_KEY=SECRET, JWT_OWN="x", JWT_AUTH_URL_OPTIONS={"methods": ["PUT"]})
    assert "JWT_" not in caplog.text


def test_a_short_secret_is_warned_of_at_the_login(build, call):
    client = build(SECRET_KEY="short").test_client()
    with pytest.warns(jwt.InsecureKeyLengthWarning, match="5 bytes"):
        call.login(client)


# What the table of docs/reference/jwt.md says in place of Flask-JWT-Extended's names


def test_a_token_that_never_ends(plain):
    extension = plain.extensions["jwt"]
    plain.config["JWT_REQUIRED_CLAIMS"] = ["iat"]
    extension.jwt_payload_handler(lambda user: {"identity": user, "iat": int(time.time())})
    with plain.app_context():
        token = keys.create_access_token("joe")
        assert "exp" not in keys.decode_token(token)
        begun = keys.begin_session("joe")
        assert "exp" not in keys.decode_token(begun)
    client = plain.test_client()
    for each in (token, begun):
        headers = {"Authorization": f"JWT {each}"}
        assert client.get("/me", headers=headers).json == {"me": "joe"}
        assert client.post("/auth/logout", headers=headers).status_code == 204
        assert client.get("/me", headers=headers).status_code == 401


def test_a_login_route_of_the_app_s_own(tmp_path):
    app = Flask("own")
    app.config |= {"SECRET_KEY": SECRET, "JWT_AUTH_URL_RULE": None}
    app.config["JWT_STORE_PATH"] = tmp_path / "s.sqlite3"
    JWT(app, None, lambda claims: claims["identity"])

    @app.post("/login")
    def login():
        token = keys.begin_session("joe", additional_claims={"role": "admin"})
        return {"access_token": token, "refresh_token": token.refresh_token}

    @app.get("/admin")
    @jwt_required(optional=True)
    def admin():
        return {"role": current_claims.get("role"), "known": bool(current_identity)}

    client = app.test_client()
    tokens = client.post("/login").json
    tokens = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json
    headers = {"Authorization": f"JWT {tokens['access_token']}"}
    assert client.get("/admin", headers=headers).json == {"role": "admin", "known": True}
    assert client.get("/admin").json == {"role": None, "known": False}


def test_flask_s_own_error_handlers_for_a_kind(plain):
    plain.register_error_handler(NoAuthorizationError, lambda error: ({"none": 1}, 401))
    plain.register_error_handler(JWTDecodeError, lambda error: ({"wrong": error.description}, 401))
    client = plain.test_client()
    assert client.get("/me").json == {"none": 1}
    wrong = client.get("/me", headers={"Authorization": "JWT a.b.c"}).json
    assert list(wrong) == ["wrong"]
    plain.extensions["jwt"].jwt_error_handler(lambda error: ({"own": error.error}, 418))
    assert client.get("/me", headers={"Authorization": "Basic x"}).json["own"]
