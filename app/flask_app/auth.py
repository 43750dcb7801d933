"""Who is who: users for the JWT extension, and the protected route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, jsonify
from flask.typing import ResponseReturnValue

from flask_jwt_keys import JWT, _default_jwt_payload_handler, current_identity, jwt_required

from .slowing import Slowing
from .users import User, UserFile

blueprint = Blueprint("auth", __name__)


def init_app(app: Flask) -> None:
    """Add login, renewal, logout, the public keys and the protected route."""
    users, slowing = UserFile(app.config["USERS_FILE"]), Slowing()
    jwt = JWT()

    @jwt.authentication_handler
    def authenticate(name: Any, password: Any) -> User | None:
        if not isinstance(name, str):
            return None  # the extension lets numbers through: a PIN may be one
        return slowing.look(name, lambda: users.authenticate(name, password))

    @jwt.jwt_payload_handler
    def payload(user: User) -> dict[str, Any]:
        return {**_default_jwt_payload_handler(user), "stamp": user.stamp}

    @jwt.identity_handler
    def identify(claims: Mapping[str, Any]) -> User | None:
        user = users.find(claims["identity"])
        return user if user and user.stamp == claims["stamp"] else None

    jwt.init_app(app)
    app.extensions["users"] = users
    app.register_blueprint(blueprint)


@blueprint.get("/protected")
@jwt_required()
def protected() -> ResponseReturnValue:
    """What only those who are logged in may see."""
    return jsonify(message=f"Hello, {current_identity.id}!", identity=current_identity.id)
