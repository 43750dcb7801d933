"""For the tests of an app: requests with a token, without a login."""

from __future__ import annotations

from typing import Any

from flask import Flask

from .api import create_access_token
from .handlers import schemes


def auth_headers(app: Flask, identity: Any, **asked: Any) -> dict[str, str]:
    """Headers of a request by a user: ``client.get("/", headers=auth_headers(app, user))``.

    :param identity: the user, as the payload handler takes it
    :param asked: what :func:`create_access_token` takes beside, such as ``additional_claims``
    """
    with app.test_request_context():
        return {"Authorization": f"{schemes()[0].title()} {create_access_token(identity, **asked)}"}
