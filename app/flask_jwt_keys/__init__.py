"""Log in and protect routes with JSON Web Tokens: Flask-JWT's interface, keys that can rotate."""

from .config import CONFIG_DEFAULTS
from .current import current_identity
from .errors import ConfigError, JWTError, StoreError
from .extension import JWT
from .handlers import (
    _default_auth_request_handler,
    _default_auth_response_handler,
    _default_jwt_decode_handler,
    _default_jwt_encode_handler,
    _default_jwt_error_handler,
    _default_jwt_headers_handler,
    _default_jwt_payload_handler,
    _default_request_handler,
    encode_token,
)
from .required import _jwt_required, jwt_required
from .sqlite import SQLiteStore
from .store import Session, Store

__all__ = [
    "CONFIG_DEFAULTS",
    "JWT",
    "ConfigError",
    "JWTError",
    "SQLiteStore",
    "Session",
    "Store",
    "StoreError",
    "_default_auth_request_handler",
    "_default_auth_response_handler",
    "_default_jwt_decode_handler",
    "_default_jwt_encode_handler",
    "_default_jwt_error_handler",
    "_default_jwt_headers_handler",
    "_default_jwt_payload_handler",
    "_default_request_handler",
    "_jwt_required",
    "current_identity",
    "encode_token",
    "jwt_required",
]
