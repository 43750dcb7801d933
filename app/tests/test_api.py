"""What an app calls: tokens and sessions of its own, claims, fresh logins, async handlers."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import jwt
import pytest
from flask import jsonify, request

import flask_jwt_keys as keys
from flask_jwt_keys import (
    JWT,
    ConfigError,
    JWTError,
    begin_session,
    create_access_token,
    current_claims,
    current_identity,
    decode_token,
    encode_token,
    end_session,
    end_sessions_of,
    jwt_required,
    verify_jwt_in_request,
)
from flask_jwt_keys.testing import auth_headers

APP = Path(__file__).parents[1]


@pytest.fixture
def extension():
    return JWT()


@pytest.fixture
def make(build, extension, tmp_path):
    """An app with sessions, or without; the test's user is joe, with id 1."""

    def made(sessions=True, **config):
        path = tmp_path / "s.sqlite3" if sessions else None
        return build(extension, SECRET_KEY="s" * 32, JWT_STORE_PATH=path, **config)

    return made


@pytest.fixture
def app(make):
    return make()


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def headers(token, scheme="JWT"):
    return {"Authorization": f"{scheme} {token}"}


def refresh(client, token):
    return client.post("/auth/refresh", json={"refresh_token": token})


# Access tokens


def test_a_token_without_a_login(make, user, call):
    app = make(sessions=False)
    with app.app_context():
        token = create_access_token(user, {"role": "a"}, 60, {"for": "x"}, auth_time=5.5)
    claims = claims_of(token)
    assert claims["exp"] - claims["iat"] == 60
    assert (claims["role"], claims["auth_time"], claims["identity"]) == ("a", 5, 1)
    assert jwt.get_unverified_header(token)["for"] == "x"
    assert isinstance(token, str) and token.refresh_token is None
    assert call.protected(app.test_client(), token).status_code == 200
    with app.app_context():
        assert list(claims_of(create_access_token(user))) == ["exp", "iat", "nbf", "identity"]


def test_what_is_asked_of_one_token_does_not_reach_the_next(app, user, extension):
    @extension.jwt_payload_handler
    def payload(identity):
        inner = create_access_token if identity is user else None
        nested = inner(SimpleNamespace(id=2), expires_delta=5) if inner else None
        made = keys._default_jwt_payload_handler(identity)
        return {**made, "nested": nested} if nested else made

    with app.app_context():
        outer = claims_of(create_access_token(user, {"role": "a"}))
        inner = claims_of(outer["nested"])
        assert outer["role"] == "a" and outer["exp"] - outer["iat"] == 300
        assert "role" not in inner and inner["exp"] - inner["iat"] == 5
        assert "role" not in claims_of(create_access_token(SimpleNamespace(id=3)))


@pytest.mark.parametrize("delta", [3601, timedelta(days=1)])
def test_a_lifetime_beyond_the_limit_is_refused_with_what_to_write(app, user, delta):
    with app.app_context(), pytest.raises(ConfigError, match="set JWT_MAX_LIFETIME higher"):
        create_access_token(user, expires_delta=delta)
    app.config["JWT_MAX_LIFETIME"] = timedelta(days=1)
    with app.app_context():
        assert decode_token(create_access_token(user, expires_delta=delta))


def test_an_own_encoder_cannot_be_asked(app, user, extension):
    extension.jwt_encode_handler(lambda identity: "x.y.z")
    with app.app_context():
        assert create_access_token(user) == "x.y.z"
        for asked in ({"additional_claims": {"a": 1}}, {"expires_delta": 5}, {"auth_time": 1}):
            with pytest.raises(ConfigError, match="use a jwt_payload_handler"):
                create_access_token(user, **asked)


def test_decoding_by_hand(app, user, call):
    client = app.test_client()
    with app.app_context():
        assert decode_token(create_access_token(user))["identity"] == 1
        with pytest.raises(keys.JWTDecodeError) as caught:
            decode_token("x")
        assert isinstance(caught.value.__cause__, jwt.DecodeError)
    token = call.login(client).json["access_token"]
    client.post("/auth/logout", headers=headers(token))
    with app.app_context(), pytest.raises(keys.RevokedTokenError):
        decode_token(token)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({}, "NoAuthorizationError"),
        (headers("x", "Basic"), "InvalidHeaderError"),
        (headers("x"), "JWTDecodeError"),
    ],
)
def test_errors_have_kinds(app, sent, kind):
    with app.test_request_context(headers=sent), pytest.raises(JWTError) as caught:
        verify_jwt_in_request()
    assert type(caught.value) is getattr(keys, kind)


def test_a_user_who_is_gone_is_an_error_of_its_own(app, extension, user):
    with app.app_context():
        token = create_access_token(user)
    extension.identity_handler(lambda claims: None)
    with app.test_request_context(headers=headers(token)), pytest.raises(keys.UserLookupError):
        verify_jwt_in_request()


def test_current_claims(app, user):
    with app.app_context():
        token = create_access_token(user, {"role": "a"})
    assert dict(current_claims) == {}
    with app.test_request_context(headers=headers(token)):
        assert current_claims.get("role") is None
        verify_jwt_in_request()
        assert current_claims["role"] == "a" and current_identity.id == 1
    with app.test_request_context():
        verify_jwt_in_request(optional=True)
        assert not current_claims


# Sessions


def test_an_own_login_route_opens_a_session(app, user):
    @app.post("/login")
    def login():
        token = begin_session(user, {"scope": "read"}, timedelta(hours=2))
        return jsonify(access_token=token, refresh_token=token.refresh_token)

    client = app.test_client()
    first = client.post("/login").json
    begun = claims_of(first["access_token"])
    assert begun["scope"] == "read" and abs(begun["auth_time"] - time.time()) < 5
    second = refresh(client, first["refresh_token"]).json
    third = claims_of(refresh(client, second["refresh_token"]).json["access_token"])
    assert (third["scope"], third["auth_time"]) == ("read", begun["auth_time"])
    store = app.extensions["flask_jwt_keys"].kept.store
    assert abs(store.find(begun["sid"]).until - time.time() - 7200) < 5


def test_a_claim_that_the_payload_no_longer_has_is_gone_after_a_refresh(app, extension, user, call):
    rights = [{"admin": True}, {}, {}]

    @extension.jwt_payload_handler
    def payload(identity):
        return {**keys._default_jwt_payload_handler(identity), **rights.pop(0)}

    seen = []

    @extension.identity_handler
    def identify(claims):
        seen.append(dict(claims))
        return user

    client = app.test_client()
    first = call.login(client).json
    assert claims_of(first["access_token"])["admin"]
    second = refresh(client, first["refresh_token"]).json
    assert "admin" not in claims_of(second["access_token"])
    assert set(seen[0]) == {"identity", "admin", "auth_time", "iat", "sid"}


def test_ending_the_own_session(app, call):
    app.add_url_rule("/bye", view_func=jwt_required()(lambda: end_session() or "bye"))
    client = app.test_client()
    tokens = call.login(client).json
    assert client.get("/bye", headers=headers(tokens["access_token"])).text == "bye"
    assert call.protected(client, tokens["access_token"]).status_code == 401
    assert refresh(client, tokens["refresh_token"]).status_code == 401


def test_ending_a_session_by_its_tokens(app, call):
    client = app.test_client()
    for name, shown in (("refresh_token", lambda t: t), ("access_token", claims_of)):
        tokens = call.login(client).json
        with app.app_context():
            end_session(shown(tokens[name]))
        assert call.protected(client, tokens["access_token"]).status_code == 401


def test_ending_all_sessions_of_a_user(app, call, user):
    client = app.test_client()
    with app.app_context():
        other = begin_session(SimpleNamespace(id=2))
        similar = begin_session(SimpleNamespace(id="1"))
    tokens = [call.login(client).json for _ in range(3)]
    tokens[0] = refresh(client, tokens[0]["refresh_token"]).json
    with app.app_context():
        assert end_sessions_of(user) == 3
        assert end_sessions_of(user) == 0
    for each in tokens:
        assert call.protected(client, each["access_token"]).status_code == 401
        assert refresh(client, each["refresh_token"]).status_code == 401
    with app.app_context():
        assert decode_token(other) and decode_token(similar)


def owned(app, extension, name):
    """Sessions of users 1 and 2, who stand in a claim of this name."""

    @extension.jwt_payload_handler
    def payload(identity):
        now = int(time.time())
        return {name: identity, "iat": now, "nbf": now, "exp": now + 300}

    extension.identity_handler(lambda claims: claims[name])
    with app.app_context():
        return begin_session("1").refresh_token, begin_session("2").refresh_token


def test_sessions_of_a_user_whom_no_claim_names_do_not_end(app, extension):
    tokens = owned(app, extension, "uid")
    with app.app_context(), pytest.raises(ConfigError, match="neither identity nor sub"):
        end_sessions_of("1")
    assert all(refresh(app.test_client(), token).status_code == 200 for token in tokens)


def test_sessions_of_a_user_end_by_sub_if_identity_is_null(app, extension):
    one, two = owned(app, extension, "sub")
    payload = extension.jwt_payload_callback
    extension.jwt_payload_handler(lambda user: {"identity": None, **payload(user)})
    with app.app_context():
        three = begin_session("1").refresh_token
        assert end_sessions_of("1") == 2
    left = [refresh(app.test_client(), token).status_code for token in (one, two, three)]
    assert left == [401, 200, 401]


def test_without_a_store_there_are_no_sessions(make, user):
    with make(sessions=False).app_context():
        for call in (lambda: begin_session(user), end_session, lambda: end_sessions_of(user)):
            with pytest.raises(ConfigError, match="set JWT_STORE_PATH"):
                call()


def test_a_token_in_a_session_ends_with_it(app, call, user):
    @app.get("/more")
    @jwt_required()
    def more():
        return jsonify([create_access_token(user, in_session=True), keys.encode_token()])

    client = app.test_client()
    tokens = call.login(client).json
    answer = client.get("/more", headers=headers(tokens["access_token"]))
    for token in answer.json:
        assert claims_of(token)["sid"] == claims_of(tokens["access_token"])["sid"]
        assert call.protected(client, token).status_code == 200
    client.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    for token in answer.json:
        assert call.protected(client, token).status_code == 401


@pytest.mark.parametrize(
    "found", [int, str, lambda key: {"id": key}, lambda key: SimpleNamespace(id=key)]
)
def test_the_current_identity_may_be_given_whatever_it_is(app, user, extension, found):
    extension.identity_handler(lambda claims: found(claims["identity"]))

    @app.get("/calls")
    @jwt_required()
    def calls():
        made = [
            create_access_token(current_identity, in_session=True),
            begin_session(current_identity),
            encode_token(),
        ]
        assert {str(claims_of(token)["identity"]) for token in made} == {"1"}
        return str(end_sessions_of(current_identity))

    with app.app_context():
        token = begin_session(found(1))
    assert app.test_client().get("/calls", headers=headers(token)).text == "2"


def test_a_payload_cannot_put_a_token_into_a_session(app, user, extension):
    extension.jwt_payload_handler(
        lambda identity: {**keys._default_jwt_payload_handler(identity), "sid": "x"}
    )
    with app.app_context():
        assert "sid" not in claims_of(create_access_token(user))


def test_an_answer_without_the_refresh_token_is_named_in_the_log(app, call, extension, caplog):
    client = app.test_client()
    call.login(client)
    assert "auth_response_handler" not in caplog.text
    extension.auth_response_handler(lambda token, identity: jsonify(token=token.decode("utf-8")))
    assert call.login(client).status_code == 200
    assert "does not send access_token.refresh_token" in caplog.text


# A fresh login


@pytest.fixture
def fresh(app):
    @app.get("/pay")
    @jwt_required(max_age=timedelta(minutes=5))
    def pay():
        return "paid"

    @app.post("/proof")
    @jwt_required()
    def proof():
        at = request.args.get("at", type=float) + time.time()
        return create_access_token(current_identity, auth_time=at, in_session=True)

    return app.test_client()


def test_a_recent_login_may_and_an_old_one_may_not(app, fresh, user, call):
    assert fresh.get("/pay", headers=headers(call.login(fresh).json["access_token"])).text == "paid"
    for at, status in ((time.time() - 290, 200), (time.time() - 310, 401), (None, 401)):
        with app.app_context():
            token = create_access_token(user, auth_time=at)
        answer = fresh.get("/pay", headers=headers(token))
        assert answer.status_code == status
        assert call.protected(fresh, token).status_code == 200
    assert answer.json["error"] == "Fresh token required"


@pytest.mark.parametrize("at", ["now", True, [], -(2.0**60), 10**400, 2.0**33])
def test_a_time_of_login_that_is_none(app, fresh, user, at):
    with app.app_context():
        token = create_access_token(user, {"auth_time": at})
    assert fresh.get("/pay", headers=headers(token)).status_code == 401


def test_a_refresh_makes_no_login_fresh(app, fresh, user):
    with app.app_context():
        first = begin_session(user, auth_time=time.time() - 400)
    second = refresh(fresh, first.refresh_token).json
    assert fresh.get("/pay", headers=headers(second["access_token"])).status_code == 401


def test_a_second_factor_makes_the_session_fresh_again(app, fresh, user):
    @app.post("/second-factor")
    @jwt_required()
    def second_factor():
        claims = {"amr": ["pwd", "otp"]}
        return create_access_token(current_identity, claims, auth_time=time.time(), in_session=True)

    with app.app_context():
        first = begin_session(user, auth_time=time.time() - 400)
    token = fresh.post("/second-factor", headers=headers(first)).text
    assert fresh.get("/pay", headers=headers(token)).text == "paid"
    assert fresh.post("/auth/logout", headers=headers(first)).status_code == 204
    assert fresh.get("/pay", headers=headers(token)).status_code == 401


def test_a_second_factor_outlives_a_refresh(app, fresh, user):
    """OpenID Connect Core, section 2: it is when the user was asked, not when a token was."""
    with app.app_context():
        first = begin_session(user, {"scope": "read"}, auth_time=time.time() - 400)
    proved = fresh.post("/proof?at=-100", headers=headers(first)).text
    second = refresh(fresh, first.refresh_token).json
    assert fresh.get("/pay", headers=headers(second["access_token"])).text == "paid"
    assert claims_of(second["access_token"])["auth_time"] == claims_of(proved)["auth_time"]
    assert claims_of(second["access_token"])["scope"] == claims_of(proved)["scope"] == "read"
    older = fresh.post("/proof?at=-390", headers=headers(first)).text
    assert fresh.get("/pay", headers=headers(older)).status_code == 401
    third = refresh(fresh, second["refresh_token"]).json
    assert claims_of(third["access_token"])["auth_time"] == claims_of(proved)["auth_time"]


def test_a_second_factor_by_a_clock_that_was_ahead_hides_no_later_one(app, fresh, user):
    with app.app_context():
        first = begin_session(user, auth_time=time.time() - 400)
    for at, status in ((9000, 401), (0, 200)):
        fresh.post(f"/proof?at={at}", headers=headers(first))
        tokens = refresh(
            fresh, first.refresh_token
        ).json  # again and again, as if answers were lost
        assert fresh.get("/pay", headers=headers(tokens["access_token"])).status_code == status


def test_a_new_token_of_a_session_makes_no_login_fresh(app, fresh, user):
    """And it says what each token of the session says."""
    app.add_url_rule("/new", view_func=jwt_required()(lambda: encode_token()))
    for ago, status in ((400, 401), (100, 200)):
        with app.app_context():
            first = begin_session(user, {"scope": "read"}, auth_time=time.time() - ago)
        token = fresh.get("/new", headers=headers(first)).text
        said = claims_of(token)
        assert (said["auth_time"], said["scope"]) == (claims_of(first)["auth_time"], "read")
        assert fresh.get("/pay", headers=headers(token)).status_code == status


def test_the_challenge_is_that_of_rfc_9470(app, fresh, user):
    app.config["JWT_AUTH_HEADER_PREFIX"] = "Bearer"
    with app.app_context():
        token = create_access_token(user)
    answer = fresh.get("/pay", headers=headers(token, "Bearer"))
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="Login Required", error="insufficient_user_authentication", '
        'error_description="The login is older than 300 seconds", max_age="300"'
    )


# Async


def test_async_handlers_and_views(make, user, extension, call):
    app = make()

    @extension.authentication_handler
    async def authenticate(username, password):
        return user if password == "pass" else None

    @extension.identity_handler
    async def identify(claims):
        return user if claims["identity"] == 1 else None

    @extension.auth_response_handler
    async def answer(token, identity):
        return jsonify(access_token=token, refresh_token=token.refresh_token)

    @app.post("/more")
    @jwt_required()
    async def more():
        return create_access_token(current_identity, {"path": request.path})

    client = app.test_client()
    assert call.login(client, password="wrong").status_code == 401
    tokens = call.login(client).json
    token = client.post("/more", headers=headers(tokens["access_token"])).text
    assert claims_of(token)["path"] == "/more"
    assert call.protected(client, token).status_code == 200
    assert refresh(client, tokens["refresh_token"]).status_code == 200


HANDLERS = {
    "jwt_payload_handler": keys._default_jwt_payload_handler,
    "jwt_headers_handler": lambda identity: {"for": "x"},
    "jwt_encode_handler": keys._default_jwt_encode_handler,
    "jwt_decode_handler": keys._default_jwt_decode_handler,
    "jwt_error_handler": keys._default_jwt_error_handler,
    "request_handler": keys._default_request_handler,
}


@pytest.mark.parametrize("kind", ["function", "object"])
@pytest.mark.parametrize("name", HANDLERS)
def test_each_handler_may_be_async(make, extension, call, name, kind):
    async def handler(*args):
        return HANDLERS[name](*args)

    class Handler:
        async def __call__(self, *args):
            return await handler(*args)

    getattr(extension, name)(handler if kind == "function" else Handler())
    client = make().test_client()
    assert call.login(client, password="wrong").status_code == 401
    tokens = call.login(client).json
    assert call.protected(client, tokens["access_token"]).status_code == 200
    assert call.protected(client, "x").json["error"] == "Invalid token"
    assert refresh(client, tokens["refresh_token"]).status_code == 200
    header = jwt.get_unverified_header(tokens["access_token"])
    assert ("for" in header) == (name == "jwt_headers_handler")


# For the tests of apps


@pytest.mark.parametrize("prefix", ["JWT", "Bearer", ["Bearer", "JWT"]])
def test_a_request_by_a_user_without_a_login(make, user, prefix):
    app = make(JWT_AUTH_HEADER_PREFIX=prefix)
    app.add_url_rule("/role", view_func=jwt_required()(lambda: current_claims["role"]))
    sent = auth_headers(app, user, additional_claims={"role": "a"})
    assert app.test_client().get("/role", headers=sent).text == "a"


def test_the_package_is_typed_throughout(tmp_path):
    used = tmp_path / "shop.py"
    used.write_text(
        "from flask_jwt_keys import create_access_token, current_claims, jwt_required\n"
        "@jwt_required(max_age=60)\n"
        "def view(number: int) -> str:\n"
        "    return create_access_token(number, {'a': 1}).refresh_token or ''\n"
        "reveal_type(view)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache"]
    done = subprocess.run(
        [*command, "flask_jwt_keys", used], cwd=APP, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"def (number: int) -> str"' in done.stdout.replace("builtins.", "")
