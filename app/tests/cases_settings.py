"""Cases of settings: an app refuses to start, and says why, or it works."""

from __future__ import annotations

import secrets
from datetime import timedelta

from cases_tokens import scalars, values
from flask import Flask
from hypothesis import strategies as st
from signers import make_signer
from verdicts import modest

from flask_jwt_keys import JWT, ConfigError, jwt_required
from flask_jwt_keys.config import DEFAULTS

# An app says where its own files, servers and routes are.
_NAMES = sorted(
    {*DEFAULTS, "JWT_SECRET_KEY", "SECRET_KEY"}
    - {"JWT_KEY_DIR", "JWT_STORE_PATH", "JWT_STORE_URL", "JWT_AUTH_ENDPOINT"}
    - {"JWT_AUTH_URL_RULE", "JWT_JWKS_URL_RULE", "JWT_REFRESH_URL_RULE", "JWT_LOGOUT_URL_RULE"}
)
_CLAIMS = {"exp", "iat", "nbf", "identity"}
_SIGNERS = [make_signer(algorithm) for algorithm in ("ES256", "EdDSA")]
_PEMS = [pem for signer in _SIGNERS for pem in (signer.pem, signer.public_pem)]
_durations = st.integers(-10, 10**6) | st.integers(-10, 10**6).map(lambda s: timedelta(seconds=s))
_texts = st.sampled_from(["JWT", "Bearer", "HS256", "HS384", "ES256", "EdDSA", "exp", "iat", "a"])
_several = st.lists(_texts, max_size=3) | st.sets(_texts, max_size=3)
_secrets = st.sampled_from([*_PEMS, *(pem.encode() for pem in _PEMS), secrets.token_hex(32)])
_likely = {
    "JWT_ALGORITHM": st.sampled_from(["HS256", "HS384", "HS512", "ES256", "EdDSA", None]),
    "JWT_REQUIRED_CLAIMS": st.lists(st.sampled_from(sorted(_CLAIMS)), max_size=3),
    "JWT_MAX_TOKEN_SIZE": st.sampled_from([0, 1, 300, 1023, 2048, 10**6]),
    "JWT_HOSTS": st.integers(0, 3),
    "JWT_VERIFY_SUB": st.booleans(),
    **dict.fromkeys(("JWT_SECRET_KEY", "JWT_PUBLIC_KEY", "SECRET_KEY"), _secrets),
}
_any = (scalars | values).map(lambda value: value)  # one choice beside the likely ones


def _value(name):
    number = isinstance(DEFAULTS.get(name), int | timedelta)
    likely = _likely.get(name, _durations if number else _texts | _several)
    return st.tuples(st.just(name), st.one_of(likely, likely, likely, _any))


settings = st.lists(st.sampled_from(_NAMES).flatmap(_value), max_size=4).map(dict)


def app_of(config):
    """A small app with these settings; None if it refuses to start."""
    app = Flask("tested")
    app.config |= {"SECRET_KEY": "s" * 32, **config}
    try:
        JWT(app, lambda name, password: {"id": 1}, lambda claims: claims["identity"])
    except ConfigError:
        return None
    except AssertionError as error:
        assert "authentication_handler" in str(error)
        return None
    app.add_url_rule("/protected", view_func=jwt_required()(lambda: "hello"))
    return app


def an_app_refuses_or_works(_, config):
    app = app_of(config)
    if app is None or not set(app.config["JWT_REQUIRED_CLAIMS"]) <= _CLAIMS:
        return  # a payload handler may come later, so Flask-JWT and this say at a login what lacks
    client = app.test_client()
    name, password = (app.config[f"JWT_AUTH_{each}_KEY"] for each in ("USERNAME", "PASSWORD"))
    answer = client.post("/auth", json={name: "joe", password: "pass"})
    assert modest(answer) in (200, 401)
    prefix = app.config["JWT_AUTH_HEADER_PREFIX"]
    scheme = prefix if isinstance(prefix, str) else prefix[0]
    headers = {"Authorization": f"{scheme} {(answer.json or {}).get('access_token')}"}
    assert modest(client.get("/protected", headers=headers)) in (200, 401)
    assert modest(client.get("/.well-known/jwks.json")) in (200, 404)


PROPERTIES = {an_app_refuses_or_works: settings}
