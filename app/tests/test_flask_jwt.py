"""Flask-JWT 0.3.2's behaviour: its own tests anew, and the rows that were measured on it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from flask import Flask, jsonify

import flask_jwt_keys
from flask_jwt_keys import JWT, JWTError, current_identity, encode_token, jwt_required

SECRET = "a secret of thirty-two characters"


@pytest.fixture
def extension():
    return JWT()


@pytest.fixture
def app(build, extension):
    return build(extension, SECRET_KEY=SECRET, DEBUG=True)


@pytest.fixture
def client(app):
    return app.test_client()


def assert_refused(response, error, description):
    assert response.status_code == 401
    assert response.json == {"status_code": 401, "error": error, "description": description}


def signed(key=SECRET, algorithm="HS256", **changes):
    now = int(time.time())
    claims = {"exp": now + 300, "iat": now, "nbf": now, "identity": 1, **changes}
    return jwt.encode({k: v for k, v in claims.items() if v is not ...}, key, algorithm)


# Flask-JWT's own tests


def test_adds_one_route():
    app = Flask(__name__)
    app.config["SECRET_KEY"] = SECRET
    assert isinstance(JWT(app, lambda: None, lambda: None), JWT)
    assert sorted(map(str, app.url_map.iter_rules())) == ["/auth", "/static/<path:filename>"]


def test_adds_the_route_that_is_configured():
    app = Flask(__name__)
    app.config.update(SECRET_KEY=SECRET, JWT_AUTH_URL_RULE="/in", JWT_AUTH_ENDPOINT="jwt_auth")
    JWT(app, lambda: None, lambda: None)
    rule = next(rule for rule in app.url_map.iter_rules() if str(rule) == "/in")
    assert rule.endpoint == "_default_auth_request_handler"


def test_login_gives_an_access_token(client, call):
    response = call.login(client)
    assert response.status_code == 200
    assert list(response.json) == ["access_token"]


def test_names_of_the_credentials_can_change_later(app, client):
    app.config.update(JWT_AUTH_USERNAME_KEY="email", JWT_AUTH_PASSWORD_KEY="pass")
    response = client.post("/auth", json={"email": "joe", "pass": "pass"})
    assert response.status_code == 200


def test_wrong_credentials_are_refused(client, call):
    assert_refused(
        call.login(client, username="bogus", password="bogus"), "Bad Request", "Invalid credentials"
    )


def test_a_token_opens_the_door(client, call):
    response = call.protected(client, call.login(client).json["access_token"])
    assert (response.status_code, response.data) == (200, b"hello joe")


def test_current_identity_in_and_after_the_request(client, call, user):
    token = call.login(client).json["access_token"]
    with client:
        call.protected(client, token)
        assert current_identity == user
    with client:
        call.protected(client, "bogus")
        assert current_identity._get_current_object() is None
    assert current_identity._get_current_object() is None


@pytest.mark.parametrize(
    ("header", "error", "description"),
    [
        ("Bogus xxx", "Invalid JWT header", "Unsupported authorization type"),
        ("JWT", "Invalid JWT header", "Token missing"),
        ("JWT xxx xxx", "Invalid JWT header", "Token contains spaces"),
        ("JWT xxx", "Invalid token", "Not enough segments"),
    ],
)
def test_wrong_authorization_headers(client, header, error, description):
    response = client.get("/protected", headers={"Authorization": header})
    assert_refused(response, error, description)
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "   "}])
def test_a_missing_token_is_challenged(client, headers):
    response = client.get("/protected", headers=headers)
    assert_refused(response, "Authorization Required", "Request does not contain an access token")
    assert response.headers["WWW-Authenticate"] == 'JWT realm="Login Required"'


def test_the_scheme_is_compared_without_case(client, call):
    token = call.login(client).json["access_token"]
    assert call.protected(client, token, "jwt").status_code == 200


def test_a_changed_token_and_an_old_token_are_refused(app, client, call):
    app.config.update(JWT_LEEWAY=timedelta(0), JWT_EXPIRATION_DELTA=timedelta(milliseconds=200))
    token = call.login(client).json["access_token"]
    response = call.protected(client, token + "X")
    assert_refused(response, "Invalid token", "Signature verification failed")
    time.sleep(1.2)
    assert_refused(call.protected(client, token), "Invalid token", "Signature has expired")


def test_a_missing_user_is_refused(client, extension, call):
    token = call.login(client).json["access_token"]
    extension.identity_handler(lambda payload: None)
    assert_refused(call.protected(client, token), "Invalid JWT", "User does not exist")


def test_custom_error_handler(client, extension):
    extension.jwt_error_handler(lambda error: "custom")
    assert client.get("/protected").data == b"custom"


def test_custom_response_handler_gets_a_token_that_decodes(client, extension, call):
    @extension.auth_response_handler
    def answer(access_token, identity):
        return jsonify(mytoken=access_token.decode("utf-8"), who=identity.id)

    token = call.login(client).json["mytoken"]
    assert call.protected(client, token).status_code == 200


@pytest.mark.parametrize("kind", [str, str.encode])
def test_custom_encode_handler(client, extension, call, kind):
    extension.jwt_encode_handler(lambda identity: kind(jwt.encode({"hello": "world"}, SECRET)))
    token = call.login(client).json["access_token"]
    assert jwt.decode(token, SECRET, algorithms=["HS256"]) == {"hello": "world"}


def test_custom_decode_handler(client, extension, call, user):
    seen = []
    extension.identity_handler(lambda payload: seen.append(payload) or user)
    extension.jwt_decode_handler(lambda token: {"user_id": user.id, "token": token})
    assert call.protected(client, "anything").status_code == 200
    assert seen == [{"user_id": user.id, "token": "anything"}]


def test_custom_decode_handler_refuses_with_any_error_of_pyjwt(client, extension, call):
    @extension.jwt_decode_handler
    def decode(token):
        raise jwt.InvalidKeyError("not this key")

    assert_refused(call.protected(client, "x"), "Invalid token", "not this key")


def test_custom_payload_handler_with_naive_times(client, extension, call, user):
    extension.identity_handler(lambda payload: user if payload["id"] == user.id else None)

    @extension.jwt_payload_handler
    def payload(identity):
        now = datetime.now(UTC).replace(tzinfo=None)
        return {"iat": now, "exp": now + timedelta(seconds=60), "nbf": now, "id": identity.id}

    token = call.login(client).json["access_token"]
    assert call.protected(client, token).status_code == 200


def test_custom_headers_handler(client, extension, call):
    extension.jwt_headers_handler(lambda identity: {"for": identity.username, "alg": "none"})
    header = jwt.get_unverified_header(call.login(client).json["access_token"])
    assert header == {"alg": "HS256", "for": "joe", "typ": "JWT"}


def test_custom_request_handler(client, extension, call):
    token = call.login(client).json["access_token"]
    extension.request_handler(lambda: token)
    assert client.get("/protected").status_code == 200


def test_custom_scheme(app, client, call):
    app.config["JWT_AUTH_HEADER_PREFIX"] = "Bearer"
    token = call.login(client).json["access_token"]
    assert call.protected(client, token, "Bearer").status_code == 200
    response = call.protected(client, token, "JWT")
    assert response.json["description"] == "Unsupported authorization type"


def test_custom_auth_handler_needs_no_key():
    extension = JWT()
    with pytest.deprecated_call():
        extension.auth_request_handler(lambda: jsonify(hello="world"))
    app = Flask(__name__)
    extension.init_app(app)
    assert app.test_client().post("/auth", json={}).json == {"hello": "world"}


# Settings


def test_every_setting_has_flask_jwts_default(app):
    expected = {
        "JWT_DEFAULT_REALM": "Login Required",
        "JWT_AUTH_URL_RULE": "/auth",
        "JWT_AUTH_ENDPOINT": "jwt",
        "JWT_AUTH_USERNAME_KEY": "username",
        "JWT_AUTH_PASSWORD_KEY": "password",
        "JWT_ALGORITHM": "HS256",
        "JWT_SECRET_KEY": SECRET,
        "JWT_LEEWAY": timedelta(seconds=10),
        "JWT_EXPIRATION_DELTA": timedelta(seconds=300),
        "JWT_NOT_BEFORE_DELTA": timedelta(0),
        "JWT_AUTH_HEADER_PREFIX": "JWT",
        "JWT_VERIFY_CLAIMS": ["signature", "exp", "nbf", "iat"],
        "JWT_REQUIRED_CLAIMS": ["exp", "iat", "nbf"],
    }
    assert {name: app.config[name] for name in expected} == expected


def test_without_a_rule_there_is_no_route(build, call):
    app = build(SECRET_KEY=SECRET, JWT_AUTH_URL_RULE=None)
    assert call.login(app.test_client()).status_code == 404


def test_url_options(build, call):
    options = {"methods": ["PUT"], "endpoint": "login"}
    client = build(SECRET_KEY=SECRET, JWT_AUTH_URL_OPTIONS=options).test_client()
    body = {"username": "joe", "password": "pass"}
    assert client.put("/auth", json=body).status_code == 200
    assert client.post("/auth", json=body).status_code == 405


def test_the_login_route_needs_an_authentication_handler():
    app = Flask(__name__)
    app.config["SECRET_KEY"] = SECRET
    with pytest.raises(AssertionError, match="authentication_handler"):
        JWT(app)


def test_realms(app, client):
    app.config["JWT_DEFAULT_REALM"] = "Here"
    app.add_url_rule("/own", view_func=jwt_required("There")(lambda: ""), endpoint="own")
    assert client.get("/protected").headers["WWW-Authenticate"] == 'JWT realm="Here"'
    assert client.get("/own").headers["WWW-Authenticate"] == 'JWT realm="There"'


@pytest.mark.parametrize("delta", [60, timedelta(seconds=60)])
def test_lifetimes_in_seconds_or_as_timedelta(build, call, delta):
    app = build(SECRET_KEY=SECRET, JWT_EXPIRATION_DELTA=delta, JWT_NOT_BEFORE_DELTA=delta)
    token = call.login(app.test_client()).json["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert list(claims) == ["exp", "iat", "nbf", "identity"]
    assert claims["exp"] - claims["iat"] == claims["nbf"] - claims["iat"] == 60


def test_a_payload_without_a_required_claim_is_an_error(app, client, extension, call):
    extension.jwt_payload_handler(lambda identity: {"exp": datetime.now(UTC)})
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(RuntimeError, match="Payload is missing required claims: iat, nbf"):
        call.login(client)


def test_settings_that_never_worked_do_no_harm(build, call):
    app = build(SECRET_KEY=SECRET, JWT_VERIFY=False, JWT_VERIFY_EXPIRATION=False)
    assert call.protected(app.test_client(), signed(exp=1, iat=0)).status_code == 401


def test_no_list_of_claims_switches_the_signature_off(build, call):
    client = build(SECRET_KEY=SECRET, JWT_VERIFY_CLAIMS=[]).test_client()
    assert call.protected(client, signed(SECRET + "?")).status_code == 401


# The login route


@pytest.mark.parametrize(
    "body",
    [
        {"username": "joe"},
        {"username": "", "password": ""},
        {"username": "joe", "password": "pass", "more": 1},
        {"username": "joe", "password": 1},
        {"username": ["joe"], "password": {"a": 1}},
        {},
        [],
        [["username", "joe"], ["password", "pass"]],
        None,
        7,
        "joe",
    ],
)
def test_a_body_that_is_no_login_is_refused(client, body):
    response = client.post("/auth", data=json.dumps(body), content_type="application/json")
    assert_refused(response, "Bad Request", "Invalid credentials")


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b'{"username": "joe"', "application/json"),
        (b"\xff", "application/json"),
        (b'{"username": "joe", "password": "pass"}', "text/plain"),
        (b"username=joe&password=pass", "application/x-www-form-urlencoded"),
        (b"", None),
    ],
)
def test_a_body_that_is_no_json_is_400_in_html(client, data, content_type):
    response = client.post("/auth", data=data, content_type=content_type)
    assert (response.status_code, response.mimetype) == (400, "text/html")


def test_get_is_405_in_html(client):
    response = client.get("/auth")
    assert (response.status_code, response.mimetype) == (405, "text/html")


# Tokens


@pytest.mark.parametrize(
    ("token", "description"),
    [
        (lambda: "a.b", "Not enough segments"),
        (lambda: signed(SECRET + "?"), "Signature verification failed"),
        (lambda: signed(exp=1, iat=0), "Signature has expired"),
        (lambda: signed(nbf=int(time.time()) + 999), "The token is not yet valid (nbf)"),
        (
            lambda: signed(iat=int(time.time()) + 200, exp=int(time.time()) + 300),
            "Issued At claim (iat) cannot be in the future.",
        ),
        (lambda: signed(exp=...), 'Token is missing the "exp" claim'),
        (lambda: signed(iat=...), 'Token is missing the "iat" claim'),
        (lambda: signed(nbf=...), 'Token is missing the "nbf" claim'),
        (lambda: signed(SECRET * 2, "HS512"), "The specified alg value is not allowed"),
        (lambda: signed(aud="someone"), "Invalid audience"),
    ],
)
def test_bad_tokens_are_described_in_flask_jwts_words(client, call, token, description):
    assert_refused(call.protected(client, token()), "Invalid token", description)


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), ValueError("x")])
def test_an_identity_handler_that_fails_means_nobody(client, extension, call, error):
    @extension.identity_handler
    def identify(payload):
        raise error

    assert_refused(call.protected(client, signed()), "Invalid JWT", "User does not exist")


def test_identities_may_be_dicts(client, extension, call):
    extension.authentication_handler(lambda username, password: {"id": 1})
    token = call.login(client).json["access_token"]
    assert call.protected(client, token).status_code == 200


def test_an_id_of_zero_is_an_id(client, extension, call, user):
    extension.authentication_handler(lambda username, password: type("U", (), {"id": 0}))
    token = call.login(client).json["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["identity"] == 0


# The rest of the interface


def test_errors_have_the_same_attributes():
    error = JWTError("Kind", "what is wrong", 418, {"A": "b"})
    assert (repr(error), str(error)) == ("JWTError: Kind", "Kind. what is wrong")
    assert (error.error, error.status_code, error.headers) == ("Kind", 418, {"A": "b"})
    assert JWTError("Kind", "text").status_code == 401


def test_an_apps_own_jwt_error_is_answered_with_its_status_and_headers(app, client):
    @app.route("/teapot")
    def teapot():
        raise JWTError("Teapot", "short and stout", 418, {"X-Spout": "here"})

    response = client.get("/teapot")
    assert (response.status_code, response.headers["X-Spout"]) == (418, "here")
    assert response.json["error"] == "Teapot"


def test_the_check_can_be_called_by_hand(app, client, call):
    @app.route("/by-hand")
    def by_hand():
        flask_jwt_keys._jwt_required("By hand")
        return current_identity.username

    assert client.get("/by-hand").headers["WWW-Authenticate"] == 'JWT realm="By hand"'
    headers = {"Authorization": f"JWT {signed()}"}
    assert client.get("/by-hand", headers=headers).text == "joe"


def test_the_extension_is_where_it_was(app, extension):
    assert app.extensions["jwt"] is extension


def test_encode_token_works_at_last(app, client, call):
    app.add_url_rule("/again", view_func=jwt_required()(lambda: encode_token()), endpoint="again")
    token = client.get("/again", headers={"Authorization": f"JWT {signed()}"}).text
    assert call.protected(client, token).status_code == 200


# Beside it


def test_optional_lets_requests_without_a_token_pass(app, client):
    @app.route("/maybe")
    @jwt_required(optional=True)
    def maybe():
        return current_identity.username if current_identity else "nobody"

    assert client.get("/maybe").text == "nobody"
    assert client.get("/maybe", headers={"Authorization": f"JWT {signed()}"}).text == "joe"
    assert client.get("/maybe", headers={"Authorization": "JWT x"}).status_code == 401


def test_bearer_is_challenged_as_rfc_6750_says(app, client, call):
    app.config["JWT_AUTH_HEADER_PREFIX"] = ["Bearer", "JWT"]
    assert call.protected(client, signed(), "JWT").status_code == 200
    assert call.protected(client, signed(), "Bearer").status_code == 200
    assert client.get("/protected").headers["WWW-Authenticate"] == 'Bearer realm="Login Required"'
    assert call.protected(client, "x", "Bearer").headers["WWW-Authenticate"] == (
        'Bearer realm="Login Required", error="invalid_token", '
        'error_description="Not enough segments"'
    )
    assert (
        'error="invalid_request"'
        in (
            client.get("/protected", headers={"Authorization": "Bearer"}).headers[
                "WWW-Authenticate"
            ]
        )
    )
