"""What the extension does unless an app supplies its own handler; Flask-JWT's behaviour."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any

from flask import abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from jwt import MissingRequiredClaimError
from werkzeug.local import LocalProxy

from . import tokens
from .access_token import Token
from .callbacks import Handler
from .config import seconds
from .current import bound, extension, settled
from .errors import InvalidHeaderError, JWTError, UnavailableError
from .making import asked

logger = logging.getLogger(__name__)

LARGEST_CREDENTIALS = 16 * 1024  # bytes: a login needs no more, whatever the app allows elsewhere


def json_object(empty: bool = False) -> dict[str, Any]:
    """The request's JSON object; 400 if the body is no JSON, {} if it is JSON of another kind.

    :param empty: whether nothing is {} too: many clients name JSON and send none
    """
    request.max_content_length = LARGEST_CREDENTIALS
    if empty and not request.get_data():
        return {}
    if not request.is_json:
        abort(400, "The request's Content-Type is not application/json.")
    try:
        data = request.get_json()
    except RecursionError:
        abort(400, "The request's JSON is nested too deeply.")
    return data if isinstance(data, dict) else {}


def issue(identity: Any) -> Token:
    """A new access token, by whichever encode handler is in place."""
    if isinstance(identity, LocalProxy):  # current_identity: handlers look at types
        identity = identity._get_current_object()
    encoded = extension().jwt_encode_callback(identity)
    return Token(encoded.decode() if isinstance(encoded, bytes) else encoded)


def _default_auth_request_handler() -> ResponseReturnValue:
    data = json_object()
    username = data.get(current_app.config["JWT_AUTH_USERNAME_KEY"])
    password = data.get(current_app.config["JWT_AUTH_PASSWORD_KEY"])
    if not (len(data) == 2 and _is_credential(username) and _is_credential(password)):
        raise JWTError("Bad Request", "Invalid credentials")
    identity = _authenticate(username, password)
    if not identity:
        raise JWTError("Bad Request", "Invalid credentials")
    sessions = bound().sessions
    token = sessions.begin(lambda: issue(identity)) if sessions else issue(identity)
    return respond(token, identity)


def respond(token: Token, identity: Any) -> ResponseReturnValue:
    """The answer to a login or a refresh, by whichever response handler is in place."""
    answer: ResponseReturnValue = settled(extension().auth_response_callback(token, identity))
    if not token.was_asked and token.refresh_token:
        logger.warning(
            "the app's own auth_response_handler does not send access_token.refresh_token, so "
            "nobody can use it: send it, or set JWT_STORE_PATH to nothing"
        )
    return answer


def _authenticate(username: Any, password: Any) -> Any:
    handler: Handler | None = extension().authentication_callback
    if handler is None:
        return None
    try:
        return settled(handler(username, password))
    except (AttributeError, LookupError, TypeError, ValueError):
        if isinstance(username, str) and isinstance(password, str):
            raise
        return None  # a handler that expects texts got a number from a client


def _is_credential(value: Any) -> bool:
    """Whether a value is a number but 0, or a text, not empty, that can be written as UTF-8."""
    if type(value) is int:
        return value != 0
    if not isinstance(value, str) or not value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _default_auth_response_handler(access_token: Token, identity: Any) -> ResponseReturnValue:
    answer = {"access_token": access_token.decode("utf-8")}
    if access_token.refresh_token:
        answer["refresh_token"] = access_token.refresh_token
    response = jsonify(answer)
    response.cache_control.no_store = True
    return response


def _default_jwt_headers_handler(identity: Any) -> Mapping[str, Any] | None:
    return None


def _default_jwt_payload_handler(identity: Any) -> dict[str, Any]:
    config = bound().config
    now = time.time()
    return {
        "exp": int(now + seconds(config["JWT_EXPIRATION_DELTA"])),
        "iat": int(now),
        "nbf": int(now + seconds(config["JWT_NOT_BEFORE_DELTA"])),
        "identity": _id_of(identity),
    }


def _id_of(identity: Any) -> Any:
    if hasattr(identity, "id"):
        return identity.id
    if isinstance(identity, str) or type(identity) is int:
        return identity
    try:
        return identity["id"]
    except (LookupError, TypeError):
        raise TypeError(
            f"an identity of type {type(identity).__name__} has no id: let it be the id, or have "
            "an attribute or a key id, or write a jwt_payload_handler"
        ) from None


def _default_jwt_encode_handler(identity: Any) -> str:
    jwt, app = extension(), bound()
    payload, making = dict(jwt.jwt_payload_callback(identity)), asked()
    if making.lifetime is not None:
        payload["exp"] = int(time.time() + making.lifetime)
    payload.update(making.claims)
    missing = [name for name in app.config["JWT_REQUIRED_CLAIMS"] if payload.get(name) is None]
    if missing:
        raise RuntimeError(f"Payload is missing required claims: {', '.join(missing)}")
    if app.sessions:
        payload.setdefault("jti", secrets.token_urlsafe(16))
        payload.pop("sid", None)
        if making.sid:
            payload["sid"] = making.sid
    keys, rules = app.current()
    if keys.signer is None and app.can_sign:
        raise UnavailableError("no key signs now; the log says what is wrong with the keys")
    headers = {**(jwt.jwt_headers_callback(identity) or {}), **making.headers}
    return tokens.mint(tokens.shortened(payload, rules), headers, keys, rules)


def _default_jwt_decode_handler(token: str) -> dict[str, Any]:
    app = bound()
    payload = tokens.verify(token, *app.current())
    if app.sessions and "jti" not in payload:
        raise MissingRequiredClaimError("jti")
    return payload


def _default_request_handler() -> str | None:
    parts = request.headers.get("Authorization", "").split()
    if not parts:
        return None
    if parts[0].lower() not in schemes():
        raise InvalidHeaderError("Invalid JWT header", "Unsupported authorization type")
    if len(parts) == 1:
        raise InvalidHeaderError("Invalid JWT header", "Token missing")
    if len(parts) > 2:
        raise InvalidHeaderError("Invalid JWT header", "Token contains spaces")
    return parts[1]


def schemes() -> list[str]:
    """The authorization schemes that are accepted, in lower case, the preferred one first."""
    prefix = current_app.config["JWT_AUTH_HEADER_PREFIX"]
    return [scheme.lower() for scheme in ([prefix] if isinstance(prefix, str) else prefix)]


def _default_jwt_error_handler(error: JWTError) -> ResponseReturnValue:
    logger.info(error)
    body = {
        "status_code": error.status_code,
        "error": error.error,
        "description": error.description,
    }
    return jsonify(body), error.status_code, dict(error.headers or {})
