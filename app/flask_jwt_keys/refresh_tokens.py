"""The text of a refresh token: a lasting part, a changing part, and what follows from them."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Any


def parts(refresh_token: Any) -> tuple[str, str]:
    """The lasting and the changing part; a token of before 2.0 has no changing one."""
    family, _, secret = (refresh_token if isinstance(refresh_token, str) else "").partition(".")
    return family, secret


def successor(secret: str, seed: bytes) -> str:
    """The changing part that comes after this one."""
    made = hmac.digest(seed, secret.encode("utf-8", "surrogatepass"), "sha256")
    return urlsafe_b64encode(made).decode().rstrip("=")


def id_of(family: str) -> str:
    """The id of the session whose tokens have this lasting part."""
    return urlsafe_b64encode(digest(family)[:16]).decode().rstrip("=")


def digest(text: str) -> bytes:
    """What a store keeps of a changing part."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
