"""Apps as their authors wrote them for Flask-JWT, and what they answer, as JSON.

flows_app.py flask_jwt|flask_jwt_keys: Python 3.8 runs it with the one, Python 3.10 with the other.
"""

from __future__ import annotations

import base64
import importlib
import json
import logging
import sys
import time
import warnings
from datetime import datetime, timedelta

import jwt as pyjwt
from flask import Flask, jsonify, request

library = importlib.import_module(sys.argv[1])
JWT, JWTError = library.JWT, library.JWTError
current_identity, jwt_required = library.current_identity, library.jwt_required

SECRET = "s" * 64
LOGIN = {"username": "joe", "password": "pass"}
FLOWS = {}


class User:
    def __init__(self, number):
        self.id = number


class Flow:
    """An app with a user and a protected route, whose answers are kept."""

    def __init__(self, **config):
        self.app = Flask(__name__)
        self.app.config.update({"SECRET_KEY": SECRET, **config})
        self.jwt = JWT(self.app, self.authenticate, self.identify)
        self.app.add_url_rule("/protected", "protected", jwt_required()(self.protected))
        self.answers = []

    @staticmethod
    def authenticate(username, password):
        return User(1) if (username, password) == ("joe", "pass") else None

    @staticmethod
    def identify(claims):
        return User(1) if claims["identity"] == 1 else None

    @staticmethod
    def protected():
        return f"hello {current_identity.id}"

    def ask(self, path, method="GET", data=None, content_type=None, headers=None):
        """Ask, keep the answer, and return its access token if it has one."""
        client = self.app.test_client()
        answer = client.open(
            path, method=method, data=data, content_type=content_type, headers=headers
        )
        text = answer.get_data(as_text=True)
        is_json = answer.mimetype == "application/json"
        body = json.loads(text) if is_json else text if answer.status_code == 200 else None
        token = body.get("access_token") if isinstance(body, dict) else None
        if token:
            body["access_token"] = [told(part) for part in token.split(".")[:2]]
        challenge = answer.headers.get("WWW-Authenticate")
        self.answers.append([answer.status_code, answer.mimetype, body, challenge])
        return token

    def login(self, path="/auth", method="POST", **body):
        return self.ask(path, method, json.dumps(body or LOGIN), "application/json")

    def get(self, token, scheme="JWT", path="/protected"):
        self.ask(path, headers={"Authorization": f"{scheme} {token}"})

    def through(self, **body):
        self.get(self.login(**body))
        return self


def told(part):
    """A header, or claims with times by what they are from now."""
    values = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    for name in ("exp", "iat", "nbf"):
        if isinstance(values.get(name), (int, float)):
            values[name] = round((values[name] - time.time()) / 20.0) * 20
    return values


def made(algorithm="HS256", secret=SECRET, **changes):
    now = int(time.time())
    claims = {"identity": 1, "iat": now, "nbf": now, "exp": now + 300}
    claims.update(changes)
    claims = {name: value for name, value in claims.items() if value is not ...}
    token = pyjwt.encode(claims, secret, algorithm)
    return token.decode() if isinstance(token, bytes) else token


def payload(**changes):
    now = datetime.utcnow()
    claims = {"identity": 1, "iat": now, "nbf": now, "exp": now + timedelta(days=1)}
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not ...}


def flow(function):
    FLOWS[function.__name__] = function
    return function


# As the README has it


@flow
def login_and_a_protected_route():
    return Flow().through()


@flow
def a_wrong_password_or_name():
    app = Flow()
    for change in ({"password": "x"}, {"username": "x"}, {"password": ""}):
        app.login(**dict(LOGIN, **change))
    return app


@flow
def a_login_that_is_none():
    app = Flow()
    for body in ({"username": "joe"}, dict(LOGIN, more=1), {"a": 1}):
        app.login(**body)
    for data, kind in (("{", "application/json"), ("", "application/json")):
        app.ask("/auth", "POST", data, kind)
    app.ask("/auth")
    return app


@flow
def a_login_body_that_is_a_list():
    app = Flow()
    app.ask("/auth", "POST", "[]", "application/json")
    return app


@flow
def a_form_as_login():
    app = Flow()
    app.ask("/auth", "POST", "username=joe", "application/x-www-form-urlencoded")
    return app


@flow
def headers_that_hold_no_token():
    app = Flow()
    app.ask("/protected")
    for header in ("", "Bogus x", "JWT", "JWT a b", "JWT x", "JWT a.b", "jwt a.b.c"):
        app.ask("/protected", headers={"Authorization": header})
    return app


@flow
def a_header_of_spaces():
    app = Flow()
    app.ask("/protected", headers={"Authorization": "   "})
    return app


@flow
def tokens_that_do_not_count():
    app, now = Flow(), int(time.time())
    app.get(made(secret=SECRET + "?"))
    app.get(made(exp=now - 60))
    app.get(made(iat=now + 60))
    for name in ("exp", "iat", "nbf"):
        app.get(made(**{name: ...}))
    app.get(made(aud="someone"))
    app.get(made(identity=2))
    return app


@flow
def a_token_that_is_not_valid_yet():
    app = Flow()
    app.get(made(nbf=int(time.time()) + 60))
    return app


@flow
def a_token_of_another_algorithm():
    app = Flow()
    app.get(made("HS512"))
    return app


@flow
def a_token_within_the_leeway():
    app, now = Flow(), int(time.time())
    app.get(made(exp=now - 5))
    app.get(made(nbf=now + 5))
    return app


# Settings


@flow
def hs384():
    return Flow(JWT_ALGORITHM="HS384").through()


@flow
def hs512():
    return Flow(JWT_ALGORITHM="HS512").through()


@flow
def an_algorithm_that_is_none():
    return Flow(JWT_ALGORITHM="HS1").through()


@flow
def another_route_and_other_keys():
    app = Flow(
        JWT_AUTH_URL_RULE="/in",
        JWT_AUTH_URL_OPTIONS={"methods": ["PUT"]},
        JWT_AUTH_USERNAME_KEY="name",
        JWT_AUTH_PASSWORD_KEY="word",
    )
    app.get(app.login("/in", "PUT", name="joe", word="pass"))
    app.login("/in", name="joe", word="pass")
    app.login("/auth")
    return app


@flow
def another_scheme_and_realm():
    app = Flow(JWT_AUTH_HEADER_PREFIX="Token", JWT_DEFAULT_REALM="Here")
    app.get(app.login(), "token")
    app.ask("/protected")
    app.get("x", "JWT")
    return app


@flow
def tokens_of_a_day():
    return Flow(JWT_EXPIRATION_DELTA=timedelta(days=1)).through()


@flow
def tokens_that_count_later():
    return Flow(JWT_NOT_BEFORE_DELTA=timedelta(seconds=60)).through()


@flow
def a_secret_of_its_own():
    return Flow(JWT_SECRET_KEY="another-secret-" * 5).through()


@flow
def no_claims_are_required():
    app = Flow(JWT_REQUIRED_CLAIMS=[])
    app.jwt.jwt_payload_handler(lambda user: payload(exp=..., nbf=..., iat=...))
    app.through()
    app.get(made(exp=...))
    return app


# Handlers


@flow
def a_payload_of_a_day():
    app = Flow()
    app.jwt.jwt_payload_handler(lambda user: payload(role="admin"))
    return app.through()


@flow
def a_payload_with_a_number_as_subject():
    app = Flow()
    app.jwt.jwt_payload_handler(lambda user: payload(sub=user.id, jti=7, identity=...))
    app.jwt.identity_handler(lambda claims: User(claims["sub"]))
    return app.through()


@flow
def a_payload_with_an_audience():
    app = Flow()
    app.jwt.jwt_payload_handler(lambda user: payload(aud="someone"))
    return app.through()


@flow
def a_payload_without_a_required_claim():
    app = Flow()
    app.jwt.jwt_payload_handler(lambda user: payload(exp=...))
    app.login()
    return app


@flow
def numbers_as_credentials():
    app = Flow()
    app.jwt.authentication_handler(lambda name, pin: User(1) if (name, pin) == (7, 42) else None)
    app.through(username=7, password=42)
    app.login(username=7, password=43)
    return app


@flow
def numbers_for_a_handler_of_texts():
    app = Flow()
    app.jwt.authentication_handler(lambda name, word: User(1) if word.encode() else None)
    app.login(username="joe", password=42)
    return app


@flow
def an_identity_that_is_a_dict():
    app = Flow()
    app.jwt.authentication_handler(lambda name, word: {"id": 1})
    return app.through()


@flow
def additional_headers():
    app = Flow()
    app.jwt.jwt_headers_handler(lambda user: {"for": "joe"})
    return app.through()


@flow
def a_content_type_in_the_header():
    app = Flow()
    app.jwt.jwt_headers_handler(lambda user: {"cty": "JWT"})
    return app.through()


@flow
def a_token_from_a_cookie():
    app = Flow()
    app.jwt.request_handler(lambda: request.cookies.get("token"))
    app.ask("/protected")
    app.ask("/protected", headers={"Cookie": f"token={made()}"})
    return app


@flow
def a_token_as_bytes():
    app, token = Flow(), made().encode()
    app.jwt.request_handler(lambda: token)
    app.ask("/protected")
    return app


@flow
def tokens_that_the_app_makes_itself():
    app = Flow()
    app.jwt.jwt_encode_handler(lambda user: Text(made(exp=int(time.time()) + 86400)))
    return app.through()


class Text(str):
    """What PyJWT 1 gave: it can be decoded."""

    def decode(self, *encoding):
        return str(self)


@flow
def tokens_that_the_app_reads_itself():
    app = Flow()

    @app.jwt.jwt_decode_handler
    def decode(token):
        if token == "bad":
            raise pyjwt.InvalidTokenError("not this one")
        return {"identity": 1}

    app.get("anything")
    app.get("bad")
    return app


@flow
def an_answer_of_its_own():
    app = Flow()

    @app.jwt.auth_response_handler
    def answer(access_token, identity):
        return jsonify({"access_token": access_token.decode("utf-8"), "id": identity.id})

    return app.through()


@flow
def a_login_of_its_own():
    app = Flask(__name__)
    app.config["SECRET_KEY"] = SECRET
    extension = JWT()
    extension.auth_request_handler(lambda: jsonify({"hello": "world"}))
    extension.init_app(app)
    made_app = Flow()
    made_app.app = app
    made_app.login()
    return made_app


@flow
def errors_of_its_own():
    app = Flow()
    app.jwt.jwt_error_handler(lambda error: (error.description, 418))
    app.ask("/protected")

    def teapot():
        raise JWTError("Teapot", "short", 409, {"WWW-Authenticate": "Tea"})

    other = Flow()
    other.app.add_url_rule("/teapot", "teapot", teapot)
    other.ask("/teapot")
    app.answers += other.answers
    return app


@flow
def a_user_who_is_gone():
    app = Flow()
    app.jwt.identity_handler(lambda claims: None)
    return app.through()


@flow
def an_identity_handler_that_fails():
    app = Flow()
    app.jwt.identity_handler(lambda claims: {}[claims["identity"]])
    return app.through()


@flow
def a_check_by_hand():
    app = Flow()

    def by_hand():
        library._jwt_required("By hand")
        return str(current_identity.id)

    app.app.add_url_rule("/by-hand", "by-hand", by_hand)
    app.ask("/by-hand")
    app.get(made(), path="/by-hand")
    return app


@flow
def no_authentication_handler():
    app = Flow()
    JWT(Flask(__name__))
    return app


@flow
def the_default_handlers_from_the_top():
    app = Flow()

    @app.jwt.jwt_payload_handler
    def extended(user):
        return dict(library._default_jwt_payload_handler(user), role="admin")

    app.answers.append(sorted(library.CONFIG_DEFAULTS))
    return app.through()


def answers(function):
    try:
        return function().answers
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    json.dump({name: answers(function) for name, function in FLOWS.items()}, sys.stdout)
