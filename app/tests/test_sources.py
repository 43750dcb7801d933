"""From settings to keys."""

from __future__ import annotations

import jwt
import pytest
from flask import Flask

from flask_jwt_keys import JWT, ConfigError

ASYMMETRIC = ["RS256", "ES256", "EdDSA"]


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_pair_of_pem_texts(build, call, signer, algorithm, given, public, kind):
    settings = {"JWT_SECRET_KEY": kind(signer.pem)}
    settings |= {"JWT_ALGORITHM": algorithm} if given else {}
    settings |= {"JWT_PUBLIC_KEY": kind(signer.public_pem)} if public else {}
    app = build(**settings)
    token = call.login(app.test_client()).json["access_token"]
    assert jwt.decode(token, signer.public_pem, [algorithm])["identity"] == 1
    assert call.protected(app.test_client(), token).status_code == 200
    assert app.config["JWT_ALGORITHM"] == algorithm


def test_a_public_key_alone_verifies(build, call, signers):
    signer = signers["ES256"]
    app = build(JWT_PUBLIC_KEY=signer.public_pem, JWT_AUTH_URL_RULE=None, SECRET_KEY="s" * 32)
    token = signer.token(iss=..., aud=...)
    assert call.protected(app.test_client(), token).status_code == 200


def test_settings_may_change_after_the_start(build, call, signers, strangers):
    app = build(JWT_SECRET_KEY=signers["EdDSA"].pem)
    app.config["JWT_SECRET_KEY"] = strangers["EdDSA"].pem
    token = call.login(app.test_client()).json["access_token"]
    assert jwt.decode(token, strangers["EdDSA"].public_pem, ["EdDSA"])
    source = app.extensions["flask_jwt_keys"].source
    assert source is app.extensions["flask_jwt_keys"].source


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (lambda s: {}, "no key signs"),
        (lambda s: {"JWT_PUBLIC_KEY": s["RS256"].public_pem}, "no key signs"),
        (lambda s: {"JWT_SECRET_KEY": s["RS256"].public_pem}, "no key signs"),
        (
            lambda s: {"JWT_ALGORITHM": "HS256", "JWT_SECRET_KEY": s["RS256"].pem},
            "HS256 needs a shared secret",
        ),
        (lambda s: {"JWT_ALGORITHM": "RS256", "SECRET_KEY": "text"}, "JWT_SECRET_KEY: not a PEM"),
        (lambda s: {"JWT_ALGORITHM": "RS256", "JWT_SECRET_KEY": s["ES256"].pem}, "is for ES256"),
        (lambda s: {"JWT_ALGORITHM": "none", "JWT_SECRET_KEY": s["ES256"].pem}, "JWT_ALGORITHM"),
        (
            lambda s: {
                "JWT_SECRET_KEY": s["RS256"].pem,
                "JWT_PUBLIC_KEY": s["ES256"].public_pem,
            },
            "not the public key",
        ),
        (lambda s: {"JWT_PUBLIC_KEY": '{"kty":"RSA","use":"enc"}'}, "JWT_PUBLIC_KEY: not a PEM"),
        (lambda s: {"JWT_KEY_DIR": "/nowhere/keys"}, "/nowhere/keys: the directory cannot be read"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(build, signers, settings, reason):
    with pytest.raises(ConfigError, match=reason):
        build(**settings(signers))


def test_without_a_login_route_missing_keys_are_named_at_first_use(call):
    app = Flask(__name__)
    app.config.update(JWT_AUTH_URL_RULE=None)
    JWT(app)
    with pytest.raises(ConfigError, match="no key: set JWT_KEY_DIR"):
        assert app.extensions["flask_jwt_keys"].keys


def test_one_extension_serves_several_apps(build, call, signers):
    extension = JWT()
    first = build(extension, JWT_SECRET_KEY=signers["EdDSA"].pem)
    second = build(extension, JWT_SECRET_KEY=signers["ES256"].pem)
    for app, algorithm in ((first, "EdDSA"), (second, "ES256")):
        token = call.login(app.test_client()).json["access_token"]
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        assert call.protected(app.test_client(), token).status_code == 200
    assert call.protected(first.test_client(), token).status_code == 401
