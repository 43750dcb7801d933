"""Keys, apps and tokens for the tests. Every key and secret is made when the tests run."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from flask import Flask
from flask.testing import FlaskClient
from jwt.utils import base64url_encode

APP = Path(__file__).parents[1]
sys.path[:0] = [str(APP), str(APP / "tests")]

from flask_jwt_keys import JWT, current_identity, jwt_required  # noqa: E402

ALGORITHMS = ("RS256", "ES256", "EdDSA", "HS256")
ISSUER, AUDIENCE = "https://issuer.example", "https://audience.example"
MAKERS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium and its driver")


@dataclass
class Signer:
    """A key outside the extension: what an issuer or a forger holds."""

    algorithm: str
    private: Any

    @property
    def pem(self) -> str:
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.private.private_bytes(*form).decode()

    @property
    def public_pem(self) -> str:
        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return self.private.public_key().public_bytes(*form).decode()

    @property
    def public_der(self) -> bytes:
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return self.private.public_key().public_bytes(*form)

    def sign(self, data: bytes) -> bytes:
        return jwt.get_algorithm_by_name(self.algorithm).sign(data, self.private)

    def raw(self, header: bytes, payload: bytes) -> str:
        """A token of any bytes, signed."""
        signing_input = base64url_encode(header) + b"." + base64url_encode(payload)
        return (signing_input + b"." + base64url_encode(self.sign(signing_input))).decode()

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A good token save for what is given; a claim or header ... (Ellipsis) is left out."""
        head = {"alg": self.algorithm, "typ": "JWT", **(header or {})}
        return self.raw(_json(head), _json({**good_claims(), **claims}))


@pytest.fixture(name="good_claims")
def good_claims_fixture() -> Callable[[], dict[str, Any]]:
    return good_claims


def good_claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "exp": now + 300,
        "iat": now,
        "nbf": now,
        "identity": 1,
        "iss": ISSUER,
        "aud": AUDIENCE,
    }


def _json(members: dict[str, Any]) -> bytes:
    return json.dumps({k: v for k, v in members.items() if v is not ...}).encode()


def make_signer(algorithm: str) -> Signer:
    if algorithm == "HS256":
        return Signer(algorithm, secrets.token_bytes(32))
    return Signer(algorithm, MAKERS[algorithm]())


@pytest.fixture(scope="session")
def signers() -> dict[str, Signer]:
    """The app's key for each algorithm."""
    return {algorithm: make_signer(algorithm) for algorithm in ALGORITHMS}


@pytest.fixture(scope="session")
def strangers() -> dict[str, Signer]:
    """A key for each algorithm that no app knows."""
    return {algorithm: make_signer(algorithm) for algorithm in ALGORITHMS}


@pytest.fixture(scope="session")
def new_signer() -> Callable[[str], Signer]:
    return make_signer


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def signer(signers: dict[str, Signer], algorithm: str) -> Signer:
    return signers[algorithm]


@pytest.fixture
def stranger(strangers: dict[str, Signer], algorithm: str) -> Signer:
    return strangers[algorithm]


@dataclass
class User:
    id: Any
    username: str
    password: str

    def __str__(self) -> str:
        return f"User(id='{self.id}')"


JOE = User(1, "joe", "pass")
Build = Callable[..., Flask]


@pytest.fixture
def user() -> User:
    return JOE


@pytest.fixture
def build() -> Build:
    """An app with one user and one protected route; keyword arguments are its settings."""

    def make(jwt_extension: JWT | None = None, app: Flask | None = None, **config: Any) -> Flask:
        app = app or Flask("tested")
        app.config.update(config)
        extension = jwt_extension or JWT()

        @extension.authentication_handler
        def authenticate(username: str, password: str) -> User | None:
            return JOE if (username, password) == (JOE.username, JOE.password) else None

        @extension.identity_handler
        def identify(payload: dict[str, Any]) -> User | None:
            return JOE if payload["identity"] == JOE.id else None

        extension.init_app(app)

        @app.route("/protected")
        @jwt_required()
        def protected() -> str:
            return f"hello {current_identity.username}"

        return app

    return make


@pytest.fixture
def keyed(build: Build, tmp_path: Path) -> Callable[..., Flask]:
    """An app with the key of a signer, issuer and audience."""

    def make(signer: Signer, **config: Any) -> Flask:
        settings = {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE, **config}
        if signer.algorithm == "HS256":
            return build(SECRET_KEY=signer.private, **settings)
        keys = tmp_path / "keys"
        keys.mkdir(exist_ok=True)
        (keys / "a.pem").write_text(signer.pem)
        return build(JWT_KEY_DIR=keys, **settings)

    return make


@pytest.fixture
def client(keyed: Callable[..., Flask], signer: Signer) -> Iterator[FlaskClient]:
    """A client of an app with the signer's key, once for each algorithm."""
    return keyed(signer).test_client()


class Call:
    """The requests that nearly every test makes."""

    @staticmethod
    def login(client: FlaskClient, **changes: str) -> Any:
        return client.post("/auth", json={"username": "joe", "password": "pass", **changes})

    @staticmethod
    def protected(client: FlaskClient, token: str, scheme: str = "JWT") -> Any:
        return client.get("/protected", headers={"Authorization": f"{scheme} {token}"})


@pytest.fixture(scope="session")
def call() -> Call:
    return Call()
