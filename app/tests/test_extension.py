"""The extension at its edges: challenges, async views, old handlers, settings that cannot work."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from functools import partial

import jwt
import pytest
from flask import Flask

from flask_jwt_keys import JWT, ConfigError, current_identity, jwt_required


@pytest.mark.parametrize(
    "described", ['"quoted"', "back\\slash", "two\nlines", "snow \u2603", "nul \0"]
)
def test_a_challenge_holds_only_what_a_header_may(build, described):
    """RFC 6750, section 3, names the characters of a description."""
    extension = JWT()

    @extension.jwt_decode_handler
    def refuse(_token):
        raise jwt.InvalidTokenError(described)

    app = build(
        extension, SECRET_KEY="s" * 32, JWT_AUTH_HEADER_PREFIX="Bearer", JWT_DEFAULT_REALM=described
    )
    answer = app.test_client().get("/protected", headers={"Authorization": "Bearer a.b.c"})
    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    text = r'"([ !#-\[\]-~]*)"'
    form = rf'Bearer realm={text}, error="invalid_token", error_description={text}'
    assert re.fullmatch(form, challenge), challenge


def test_an_async_view_is_protected_like_any_other(build, call):
    class AsyncFlask(Flask):
        def async_to_sync(self, function):  # Flask's own needs asgiref
            return lambda *args, **kwargs: asyncio.run(function(*args, **kwargs))

    app = build(app=AsyncFlask("tested"), SECRET_KEY="s" * 32)

    @app.get("/later/<int:number>")
    @jwt_required()
    async def later(number):
        await asyncio.sleep(0)
        return f"{current_identity.username} {number}"

    client = app.test_client()
    assert client.get("/later/7").status_code == 401
    token = call.login(client).json["access_token"]
    assert client.get("/later/7", headers={"Authorization": f"JWT {token}"}).text == "joe 7"


def test_a_decode_handler_that_demands_claims_in_vain_is_told(build):
    """Flask-JWT's own, which apps copied: PyJWT has not known these options since 2.0."""
    extension = JWT()

    def copied(token):
        options = {"verify_" + claim: True for claim in ("exp",)}
        options.update({"require_" + claim: True for claim in ("exp", "iat")})
        return jwt.decode(token, "s" * 32, options=options, algorithms=["HS256"])

    def demanding(token):
        return jwt.decode(token, "s" * 32, options={"require_exp": True}, algorithms=["HS256"])

    def right(token):
        return jwt.decode(token, "s" * 32, options={"require": ["exp"]}, algorithms=["HS256"])

    for handler in (copied, demanding):
        with pytest.warns(UserWarning, match="JWT_REQUIRED_CLAIMS does it"):
            extension.jwt_decode_handler(handler)
    extension.jwt_decode_handler(right)  # warnings are errors here
    extension.jwt_decode_handler(partial(right))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_AUDIENCE", []),
        ("JWT_AUDIENCE", ["a", 1]),
        ("JWT_ISSUER", [""]),
        ("JWT_VERIFY_SUB", 0),
        ("JWT_MAX_TOKEN_SIZE", "8192"),
        ("JWT_MAX_TOKEN_SIZE", 1023),
        ("JWT_EXPIRATION_DELTA", timedelta(days=400 * 365)),
        ("JWT_NOT_BEFORE_DELTA", -(10**9) - 1),
        ("JWT_AUTH_HEADER_PREFIX", "My scheme"),
        ("JWT_AUTH_HEADER_PREFIX", ["Bearer", "JWT\n"]),
        ("JWT_AUTH_HEADER_PREFIX", []),
        ("JWT_AUTH_HEADER_PREFIX", ["Bearer", 1]),
        ("JWT_LEEWAY", None),
        ("JWT_LEEWAY", "10"),
        ("JWT_EXPIRATION_DELTA", float("inf")),
        ("JWT_EXPIRATION_DELTA", timedelta(seconds=-1)),
        ("JWT_MAX_LIFETIME", True),
        ("JWT_REQUIRED_CLAIMS", "exp"),
        ("JWT_AUTH_URL_RULE", "auth"),
        ("JWT_HOSTS", 0),
        ("JWT_TYPE", None),
        ("JWT_STORE_PATH", 1),
    ],
)
def test_a_setting_that_cannot_work_stops_the_start(build, name, value):
    with pytest.raises(ConfigError, match=rf"{name} is {re.escape(repr(value))}; expected "):
        build(SECRET_KEY="s" * 32, **{name: value})


def test_all_settings_that_cannot_work_are_named(build):
    with pytest.raises(ConfigError, match=r"(?s)JWT_HOSTS is 0.*JWT_TYPE is ''"):
        build(SECRET_KEY="s" * 32, JWT_HOSTS=0, JWT_TYPE="")


@pytest.mark.parametrize("name", ["JWT_SECRET_KEY", "JWT_PUBLIC_KEY", "SECRET_KEY"])
@pytest.mark.parametrize("value", [20261128, 2.5, ["s"], {"k": "s"}])
def test_a_secret_that_is_no_text_stops_the_start_and_is_not_shown(build, name, value):
    """``FLASK_JWT_SECRET_KEY=20261128`` is a number for ``from_prefixed_env``."""
    with pytest.raises(ConfigError, match=name) as caught:
        build(**{name: value})
    assert "quotes" in str(caught.value) and str(value) not in str(caught.value)


@pytest.mark.parametrize("name", ["JWT_SECRET_KEY", "JWT_PUBLIC_KEY", "SECRET_KEY"])
def test_bytes_of_an_environment_that_are_no_text_stop_the_start(build, name):
    """Python reads ``SECRET_KEY=$(head -c 32 /dev/urandom)`` as surrogates."""
    value = (b"bytes \xff\xfe" + b"s" * 32).decode(errors="surrogateescape")
    with pytest.raises(ConfigError, match=rf"{name}.* no text in UTF-8") as caught:
        build(**{name: value})
    assert "bytes" not in str(caught.value) and "token_urlsafe" in str(caught.value)
