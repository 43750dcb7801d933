"""The app that `make bench` puts on each side: that of the recipe, with its login, and a handler that is slow."""

from __future__ import annotations

import os
import time

from argon2 import PasswordHasher
from flask import Flask
from flask_jwt_keys import JWT, current_identity, jwt_required
from flask_jwt_keys.passwords import Passwords, hash_password

USERS = {
    "demo": hash_password("demo"),
    "quick": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("quick"),
}
passwords = Passwords(USERS.values())

app = Flask(__name__)
app.config["JWT_ALGORITHM"] = "RS256"
app.config["JWT_KEY_DIR"] = os.environ.get("JWT_KEY_DIR", "keys")
app.config["JWT_AUTH_HEADER_PREFIX"] = "Bearer"


def authenticate(username, password):
    return {"id": username} if passwords.matches(USERS.get(username), password) else None


def identity(claims):
    return {"id": claims["identity"]} if claims["identity"] in USERS else None


JWT(app, authenticate, identity)


@app.route("/")
def hello_world():
    return "Hello, World!"


@app.route("/protected")
@jwt_required()
def protected():
    return f"Hello, {current_identity['id']}!"


@app.route("/slow")
def slow():
    """Wait for a second, as for a database."""
    time.sleep(1)
    return "done"
