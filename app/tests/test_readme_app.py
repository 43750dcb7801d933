"""The application of Flask-JWT's README runs as it is, with its short secret."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

README_APP = Path(__file__).with_name("readme_app.py")

pytestmark = pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")


@pytest.fixture
def client():
    spec = importlib.util.spec_from_file_location("readme_app", README_APP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app.test_client()


@pytest.mark.parametrize(("name", "number"), [("user1", 1), ("user2", 2)])
def test_login_and_protected_route(client, name, number):
    answer = client.post("/auth", json={"username": name, "password": "abcxyz"})
    token = answer.json["access_token"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    protected = client.get("/protected", headers={"Authorization": f"JWT {token}"})
    assert (protected.status_code, protected.text) == (200, f"User(id='{number}')")


def test_a_token_that_flask_jwt_made_is_still_good(client):
    import time

    now = int(time.time())
    claims = {"identity": 1, "iat": now, "nbf": now, "exp": now + 300}
    token = jwt.encode(claims, "super-secret", algorithm="HS256")
    protected = client.get("/protected", headers={"Authorization": f"JWT {token}"})
    assert protected.text == "User(id='1')"


def test_wrong_password(client):
    answer = client.post("/auth", json={"username": "user1", "password": "wrong"})
    assert (answer.status_code, answer.json["description"]) == (401, "Invalid credentials")


def test_the_extension_knows_nothing_of_the_bundled_app():
    code = "import sys, flask_jwt_keys; assert 'flask_app' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=README_APP.parents[1])
    sources = (README_APP.parents[1] / "flask_jwt_keys").glob("*.py")
    assert not [path.name for path in sources if "flask_app" in path.read_text()]
