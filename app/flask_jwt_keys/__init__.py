"""Log in and protect routes with JSON Web Tokens: Flask-JWT's interface, keys that can rotate."""

from .access_token import Token
from .api import (
    begin_session,
    create_access_token,
    decode_token,
    encode_token,
    end_session,
    end_sessions_of,
    verify_jwt_in_request,
)
from .config import CONFIG_DEFAULTS
from .current import current_claims, current_identity
from .errors import (
    ConfigError,
    FreshTokenRequired,
    InvalidHeaderError,
    JWTDecodeError,
    JWTError,
    NoAuthorizationError,
    RevokedTokenError,
    StoreError,
    UnavailableError,
    UserLookupError,
)
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
)
from .required import _jwt_required, jwt_required
from .sqlite import SQLiteStore
from .store import Session, Store
from .valkey import ValkeyStore

__all__ = [
    "CONFIG_DEFAULTS",
    "JWT",
    "ConfigError",
    "FreshTokenRequired",
    "InvalidHeaderError",
    "JWTDecodeError",
    "JWTError",
    "NoAuthorizationError",
    "RevokedTokenError",
    "SQLiteStore",
    "Session",
    "Store",
    "StoreError",
    "Token",
    "UnavailableError",
    "UserLookupError",
    "ValkeyStore",
    "_default_auth_request_handler",
    "_default_auth_response_handler",
    "_default_jwt_decode_handler",
    "_default_jwt_encode_handler",
    "_default_jwt_error_handler",
    "_default_jwt_headers_handler",
    "_default_jwt_payload_handler",
    "_default_request_handler",
    "_jwt_required",
    "begin_session",
    "create_access_token",
    "current_claims",
    "current_identity",
    "decode_token",
    "encode_token",
    "end_session",
    "end_sessions_of",
    "jwt_required",
    "verify_jwt_in_request",
]
