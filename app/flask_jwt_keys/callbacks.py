"""The steps that an app may put a function of its own in the place of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Handler = Callable[..., Any]


class Callbacks(Protocol):
    """What an app's handlers are found under: names of Flask-JWT's, which apps use too."""

    authentication_callback: Handler | None
    identity_callback: Handler | None
    auth_response_callback: Handler
    auth_request_callback: Handler
    jwt_encode_callback: Handler
    jwt_decode_callback: Handler
    jwt_headers_callback: Handler
    jwt_payload_callback: Handler
    jwt_error_callback: Handler
    request_callback: Handler
