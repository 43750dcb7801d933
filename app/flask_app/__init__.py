"""The bundled app: says hello, logs people in, shows its health."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response

from . import auth, errors, health, pages
from .config import configure
from .users import hash_password_command


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The application, configured from the environment (see :mod:`flask_app.config`).

    :param config: settings that win over the environment
    :raises ConfigError: naming every setting that is wrong
    """
    app = Flask(__name__, static_folder="../static")
    app.cli.add_command(hash_password_command)
    if hash_password_command.name in sys.argv:  # needs neither keys nor users
        return app
    configure(app, config or {})
    auth.init_app(app)
    errors.init_app(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pages.blueprint)
    _name_the_release(app)
    return app


def _name_the_release(app: Flask) -> None:
    release = os.environ.get("APP_RELEASE")

    @app.after_request
    def add_release(response: Response) -> Response:
        if release:
            response.headers["X-Release"] = release
        return response
