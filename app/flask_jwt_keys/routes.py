"""The routes: login, renewal, logout, and the public keys."""

from __future__ import annotations

from flask import Flask, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from .bound import Bound
from .callbacks import Callbacks
from .config import seconds
from .current import bound as current_bound
from .current import claims
from .errors import JWTError, StoreError
from .handlers import issue, json_object, respond
from .keys import SECRET_ALGORITHMS
from .required import _jwt_required, looked_up


def register(app: Flask, jwt: Callbacks, bound: Bound) -> None:
    """Add those routes that the settings ask for."""
    config = bound.config
    if config["JWT_AUTH_URL_RULE"]:
        options = dict(config.get("JWT_AUTH_URL_OPTIONS") or {"methods": ["POST"]})
        options.setdefault("view_func", jwt.auth_request_callback)
        app.add_url_rule(config["JWT_AUTH_URL_RULE"], **options)
    if config["JWT_JWKS_URL_RULE"] and config["JWT_ALGORITHM"] not in SECRET_ALGORITHMS:
        app.add_url_rule(config["JWT_JWKS_URL_RULE"], view_func=jwt_key_set)
    if bound.sessions and config["JWT_REFRESH_URL_RULE"]:
        app.add_url_rule(config["JWT_REFRESH_URL_RULE"], view_func=jwt_refresh, methods=["POST"])
    if bound.sessions and config["JWT_LOGOUT_URL_RULE"]:
        app.add_url_rule(config["JWT_LOGOUT_URL_RULE"], view_func=jwt_logout, methods=["POST"])


def jwt_key_set() -> ResponseReturnValue:
    """The public keys as a JWK set (RFC 7517), for those who verify tokens themselves."""
    response = jsonify(current_bound().keys.jwks)
    response.cache_control.public = True
    response.cache_control.max_age = int(seconds(current_app.config["JWT_JWKS_MAX_AGE"]))
    response.add_etag()
    return response.make_conditional(request)


def jwt_refresh() -> ResponseReturnValue:
    """A new access token and a new refresh token for a refresh token, which counts once."""
    identity, token = current_bound().kept.renew(
        json_object().get("refresh_token"), looked_up, issue
    )
    return respond(token, identity)


def jwt_logout() -> ResponseReturnValue:
    """End the session of the refresh token in the body, and that of the access token sent.

    One of them is enough. A refresh token that finds no session is no error: RFC 7009, section 2.2.
    """
    sent = json_object(empty=True).get("refresh_token") if request.is_json else None
    is_named = isinstance(sent, str) and sent != ""
    if is_named:
        current_bound().kept.end_by_refresh_token(sent)
    try:
        _jwt_required(current_app.config["JWT_DEFAULT_REALM"])
        current_bound().kept.end(claims())
    except JWTError as error:
        if not is_named or isinstance(error, StoreError):
            raise
    return "", 204
