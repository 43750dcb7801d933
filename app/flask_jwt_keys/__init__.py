"""Log in and protect routes with JSON Web Tokens: Flask-JWT's interface, keys that can rotate."""

from .current import current_identity
from .errors import ConfigError, JWTError, StoreError
from .extension import JWT
from .handlers import encode_token
from .required import _jwt_required, jwt_required
from .sqlite import SQLiteStore
from .store import Session, Store

__all__ = [
    "JWT",
    "ConfigError",
    "JWTError",
    "SQLiteStore",
    "Session",
    "Store",
    "StoreError",
    "_jwt_required",
    "current_identity",
    "encode_token",
    "jwt_required",
]
