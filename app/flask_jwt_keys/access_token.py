"""An access token as the app gets it."""

from __future__ import annotations


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
