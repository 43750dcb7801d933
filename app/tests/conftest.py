"""Keys, apps and tokens for the tests. Every key and secret is made when the tests run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

APP = Path(__file__).parents[1]
sys.path[:0] = [str(APP), str(APP / "tests")]

from signers import ALGORITHMS, AUDIENCE, ISSUER, Signer, good_claims, make_signer  # noqa: E402

from flask_jwt_keys import JWT, current_identity, jwt_required  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium and its driver")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Valkey or Redis of the module's own; imported here, as most tests need none."""
    from valkey_server import Server

    server = Server(tmp_path_factory.mktemp("v"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(name="good_claims")
def good_claims_fixture() -> Callable[[], dict[str, Any]]:
    return good_claims


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
