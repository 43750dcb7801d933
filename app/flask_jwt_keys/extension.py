"""The Flask extension: handlers, settings, routes."""

from __future__ import annotations

import re
import warnings
from functools import wraps
from inspect import iscoroutinefunction
from types import CodeType
from typing import Any

from flask import Flask

from . import handlers, routes
from .bound import NAME, Bound
from .callbacks import Handler
from .current import settled
from .errors import ConfigError, JWTError
from .store import Store


class JWT:
    """Log in with a password, then prove it with a signed token.

    :param app: the application; None to call :meth:`init_app` later
    :param authentication_handler: (username, password) → identity, or None to refuse
    :param identity_handler: (claims of a token) → identity, or None if there is no such user
    :param store: where sessions are kept; None for ``JWT_STORE_URL`` or ``JWT_STORE_PATH``, and
        without those no refresh tokens and no logout
    """

    def __init__(
        self,
        app: Flask | None = None,
        authentication_handler: Handler | None = None,
        identity_handler: Handler | None = None,
        store: Store | None = None,
    ) -> None:
        self.authentication_callback = authentication_handler
        self.identity_callback = identity_handler
        self.auth_response_callback: Handler = handlers._default_auth_response_handler
        self.auth_request_callback: Handler = handlers._default_auth_request_handler
        self.jwt_encode_callback: Handler = handlers._default_jwt_encode_handler
        self.jwt_decode_callback: Handler = handlers._default_jwt_decode_handler
        self.jwt_headers_callback: Handler = handlers._default_jwt_headers_handler
        self.jwt_payload_callback: Handler = handlers._default_jwt_payload_handler
        self.jwt_error_callback: Handler = handlers._default_jwt_error_handler
        self.request_callback: Handler = handlers._default_request_handler
        self._store = store
        self._apps: list[Bound] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Give an application its settings, keys and routes.

        :raises ConfigError: if keys or settings cannot work; the message says what to do
        """
        app.extensions[NAME] = bound = Bound(app, self._store)
        app.extensions["jwt"] = self
        self._apps.append(bound)
        self._relax()
        self._check_login(bound)
        routes.register(app, self, bound)
        app.register_error_handler(JWTError, lambda error: self.jwt_error_callback(error))

    def _check_login(self, bound: Bound) -> None:
        if not bound.config["JWT_AUTH_URL_RULE"]:
            return
        if self.auth_request_callback is not handlers._default_auth_request_handler:
            return
        if self.authentication_callback is None:
            raise AssertionError(
                "an authentication_handler function must be defined when using the built in "
                "authentication resource: give it to JWT(app, …), or call init_app(app) after it "
                "is defined. For a login route of your own, set JWT_AUTH_URL_RULE to None"
            )
        if not bound.can_sign and self.jwt_encode_callback is handlers._default_jwt_encode_handler:
            raise ConfigError(
                "no key signs the tokens of JWT_AUTH_URL_RULE: set JWT_KEY_DIR to a directory "
                "with a private key, or JWT_SECRET_KEY to one, or SECRET_KEY for HS256"
            )

    def _relax(self) -> None:
        """An app that writes its claims itself is not told at a login that they are wrong."""
        if (self.jwt_payload_callback, self.jwt_encode_callback) != (
            handlers._default_jwt_payload_handler,
            handlers._default_jwt_encode_handler,
        ):
            for bound in self._apps:
                bound.relax()

    def authentication_handler(self, callback: Handler) -> Handler:
        """Use a function (username, password) → identity or None to check a login."""
        self.authentication_callback = callback
        return callback

    def identity_handler(self, callback: Handler) -> Handler:
        """Use a function (claims) → identity or None to find the user of a token."""
        self.identity_callback = callback
        return callback

    def jwt_error_handler(self, callback: Handler) -> Handler:
        """Use a function (JWTError) → response for every refusal."""
        self.jwt_error_callback = _settling(callback)
        return callback

    def auth_response_handler(self, callback: Handler) -> Handler:
        """Use a function (access token, identity) → response for a login that succeeded."""
        self.auth_response_callback = callback
        return callback

    def auth_request_handler(self, callback: Handler) -> Handler:
        """Use a function () → response for the login route.

        Deprecated, as it was: set ``JWT_AUTH_URL_RULE = None`` and add a route of your own.
        """
        warnings.warn(
            "auth_request_handler is deprecated: set JWT_AUTH_URL_RULE=None and register your "
            "own authentication resource directly on your application.",
            DeprecationWarning,
            stacklevel=2,
        )
        self.auth_request_callback = callback
        return callback

    def request_handler(self, callback: Handler) -> Handler:
        """Use a function () → token or None to take the token from the request."""
        self.request_callback = _settling(callback)
        return callback

    def jwt_encode_handler(self, callback: Handler) -> Handler:
        """Use a function (identity) → token to make tokens.

        Unless the settings name them, ``JWT_MAX_LIFETIME`` and ``JWT_VERIFY_SUB`` are then off.
        """
        self.jwt_encode_callback = _settling(callback)
        self._relax()
        return callback

    def jwt_decode_handler(self, callback: Handler) -> Handler:
        """Use a function (token) → claims to check tokens; it raises jwt.InvalidTokenError."""
        if _demands_in_vain(getattr(callback, "__code__", None)):
            warnings.warn(
                "this jwt_decode_handler demands claims by options that PyJWT has not had since "
                "2.0 (require_exp, …), so it accepts tokens without them. Remove the handler: "
                "JWT_REQUIRED_CLAIMS does it",
                stacklevel=2,
            )
        self.jwt_decode_callback = _settling(callback)
        return callback

    def jwt_payload_handler(self, callback: Handler) -> Handler:
        """Use a function (identity) → claims to choose what a token says.

        Unless the settings name them, ``JWT_MAX_LIFETIME`` and ``JWT_VERIFY_SUB`` are then off.
        """
        self.jwt_payload_callback = _settling(callback)
        self._relax()
        return callback

    def jwt_headers_handler(self, callback: Handler) -> Handler:
        """Use a function (identity) → headers or None for additional token headers."""
        self.jwt_headers_callback = _settling(callback)
        return callback


def _settling(callback: Handler) -> Handler:
    """The handler, or what waits for it if it is an ``async def``."""
    if not (iscoroutinefunction(callback) or iscoroutinefunction(type(callback).__call__)):
        return callback

    @wraps(callback)
    def wait(*args: Any) -> Any:
        return settled(callback(*args))

    return wait


def _demands_in_vain(code: Any) -> bool:
    """Whether a function names options such as ``require_exp``, as the handler of Flask-JWT did."""
    if isinstance(code, CodeType):
        return any(map(_demands_in_vain, code.co_consts))
    if isinstance(code, tuple | frozenset):
        return any(map(_demands_in_vain, code))
    return isinstance(code, str) and bool(re.fullmatch("require_(exp|iat|nbf|aud|iss)?", code))
