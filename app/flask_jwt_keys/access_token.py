"""An access token as the app gets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt


class Token(str):
    """An access token: a str that also has ``decode``, for code written when tokens were bytes."""

    was_asked = False  # for its refresh token
    _refresh_token: str | None = None

    @property
    def refresh_token(self) -> str | None:
        """What renews it; None outside sessions."""
        self.was_asked = self._refresh_token is not None
        return self._refresh_token

    def with_refresh_token(self, refresh_token: str) -> Token:
        """The same, with what renews it."""
        token = Token(self)
        token._refresh_token = refresh_token
        return token

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The token as plain text."""
        return str(self)


def claims_of(access_token: str) -> dict[str, Any]:
    """What a token of the app's own says."""
    return jwt.decode(access_token, options={"verify_signature": False})


def jti_of(claims: Mapping[str, Any]) -> str | None:
    """What a logout knows a token by; None if it has nothing such."""
    jti = claims.get("jti")
    return str(jti) if type(jti) in (str, int) else None
