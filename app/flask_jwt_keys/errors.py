"""What the extension raises."""

from __future__ import annotations

from collections.abc import Mapping


class JWTError(Exception):
    """A request that is refused; the error handler turns it into the answer.

    :param error: the kind of refusal, shown to the client
    :param description: what exactly is wrong, shown to the client
    :param status_code: the HTTP status
    :param headers: additional response headers
    """

    def __init__(
        self,
        error: str,
        description: str,
        status_code: int = 401,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description
        self.status_code = status_code
        self.headers = headers

    def __repr__(self) -> str:
        return f"JWTError: {self.error}"

    def __str__(self) -> str:
        return f"{self.error}. {self.description}"


class NoAuthorizationError(JWTError):
    """The request has no token."""


class InvalidHeaderError(JWTError):
    """The header Authorization holds no token that can be read."""


class JWTDecodeError(JWTError):
    """The token does not count; ``__cause__`` is PyJWT's error."""


class RevokedTokenError(JWTError):
    """The token was logged out, or its session has ended."""


class UserLookupError(JWTError):
    """The token is good, but its user is gone."""


class FreshTokenRequired(JWTError):
    """The token is good, but its user logged in too long ago.

    :param max_age: how long ago the login may be, in seconds
    """

    def __init__(self, max_age: float) -> None:
        super().__init__("Fresh token required", f"The login is older than {max_age:g} seconds")
        self.max_age = max_age


class ConfigError(RuntimeError):
    """The app cannot work with what it was configured with; the message says what to do."""


class UnavailableError(JWTError):
    """What an answer needs cannot be read now: 503, and the client may try again.

    :param reason: for the log and for those who run the app; the client does not see it
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            "Service Unavailable", "Try again in a moment", 503, headers={"Retry-After": "1"}
        )
        self.reason = reason


class StoreError(UnavailableError):
    """The session store cannot answer now."""
