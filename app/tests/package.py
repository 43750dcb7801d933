"""The package on its own: built, installed into empty environments, on each Python that is here.

It takes minutes and an index of packages, so `make test-all` runs it: pytest app/tests/package.py
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

APP = Path(__file__).parents[1]
PACKAGE = APP / "flask_jwt_keys"
README = (PACKAGE / "README.md").read_text()
OWN_TESTS = (
    "conftest.py",
    "signers.py",
    "test_api.py",
    "test_sessions.py",
    "test_sources.py",
    "test_store.py",
    "test_stumbles.py",
    "test_valkey.py",
    "valkey_server.py",
)
UV = {
    **os.environ,
    "UV_NATIVE_TLS": "1",
    "UV_INDEX_URL": os.environ.get("UV_INDEX_URL") or os.environ.get("PIP_INDEX_URL", ""),
}


def pythons():
    """Every Python here that the package promises to run on."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(10, 15):
        name = f"python3.{minor}"
        for candidate in (*sorted(pyenv.glob(f"3.{minor}.*/bin/{name}")), shutil.which(name)):
            if candidate and not subprocess.call([candidate, "-c", "import ssl, sqlite3"]):
                found[f"3.{minor}"] = candidate
                break
    return found


PYTHONS = pythons()
RUNS = [(version, "highest") for version in PYTHONS]
RUNS += [(version, "lowest-direct") for version in (min(PYTHONS), max(PYTHONS))]


def run(*command, cwd=None, env=UV):
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    directory = tmp_path_factory.mktemp("dist")
    run("uv", "build", "--quiet", "--out-dir", directory, PACKAGE)
    (sdist,), (wheel,) = directory.glob("*.tar.gz"), directory.glob("*.whl")
    return sdist, wheel


def test_the_wheel_has_all_that_runs_and_nothing_else(built):
    kept = {file.name for file in PACKAGE.iterdir() if file.suffix in (".py", ".lua", ".typed")}
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
        info = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        assert {name for name in names if not name.startswith(info)} == {
            f"flask_jwt_keys/{name}" for name in kept
        }
        metadata = message_from_bytes(wheel.read(f"{info}/METADATA"))
        assert f"{info}/licenses/LICENSE" in names
    assert metadata["Name"] == "flask-jwt-keys" and metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert {"flask<4,>=3.1", "pyjwt<3,>=2.14"} <= set(metadata.get_all("Requires-Dist"))
    assert metadata["Version"] in (PACKAGE / "CHANGELOG.md").read_text()


def test_the_sdist_has_what_a_packager_needs(built):
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "py.typed"} <= names


@pytest.fixture(params=RUNS, ids=["-".join(each) for each in RUNS], scope="module")
def environment(request, built, tmp_path_factory):
    """A fresh environment with the wheel, its newest or its lowest dependencies, and its extras."""
    version, resolution = request.param
    directory = tmp_path_factory.mktemp("venv")
    run("uv", "venv", "--quiet", "--python", PYTHONS[version], directory)
    install = ["uv", "pip", "install", "--quiet", "--python", directory / "bin/python"]
    extras = ["--all-extras", "--resolution", resolution]
    run(*install, *extras, "--requirements", PACKAGE / "pyproject.toml")
    run(*install, "--no-deps", built[1])
    return directory / "bin"


def test_its_own_tests_pass(environment, tmp_path):
    run("uv", "pip", "install", "--quiet", "--python", environment / "python", "pytest")
    for name in OWN_TESTS:
        target = tmp_path / "tests" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(APP / "tests" / name, target)
    command = [environment / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    out = run(*command, "-k", "not typed_throughout", tmp_path, cwd=tmp_path)
    assert int(re.search(r"(\d+) passed", out)[1]) > 150 and "failed" not in out


# What the README shows


@pytest.fixture
def shop(environment, tmp_path):
    """The README's app, started by the README's commands; what it answers to a request."""
    title, source = re.search(r'```python title="(.*?)"\n(.*?)```', README, re.DOTALL).groups()
    (tmp_path / title).write_text(source)
    make, start = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[-1].splitlines()
    env = {"PATH": f"{environment}:{os.environ['PATH']}"}
    run("sh", "-c", make, cwd=tmp_path, env=env)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["sh", "-c", f"{start.replace('flask ', 'exec flask ')} --port {port}"]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log)

    def ask(path, data=None, token=None):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
        request.method = "GET" if data is None else "POST"
        request.data = None if data is None else json.dumps(data).encode()
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
    yield ask
    process.terminate()
    process.wait(10)
    log.close()


def test_the_app_of_the_readme_runs(shop):
    body = {"username": "alice", "password": "correct horse battery staple"}
    assert shop("/hello")[0] == 401
    assert shop("/auth", {**body, "password": "x"})[0] == 401
    status, first = shop("/auth", body)
    assert status == 200
    assert shop("/hello", token=first["access_token"]) == (200, {"hello": "alice"})
    status, second = shop("/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert status == 200
    assert shop("/.well-known/jwks.json")[1]["keys"][0]["alg"] == "RS256"
    assert shop("/auth/logout", {}, second["access_token"])[0] == 204
    assert shop("/hello", token=second["access_token"])[0] == 401


def test_the_bundled_app_runs_with_the_package_from_outside(environment, tmp_path):
    """As a stranger's app would: its folder has no copy of the extension."""
    for name in ("flask_app", "static"):
        shutil.copytree(APP / name, tmp_path / name)
    (tmp_path / "keys").mkdir()
    run("openssl", "genrsa", "-out", tmp_path / "keys/a.pem", "2048")
    code = """
import json, flask_jwt_keys
from flask_app import create_app
from flask_jwt_keys.passwords import hash_password
open("users.json", "w").write(json.dumps({"joe": hash_password("pass")}))
client = create_app({"USERS_FILE": "users.json", "JWT_STORE_PATH": "s.sqlite3"}).test_client()
token = client.post("/auth", json={"username": "joe", "password": "pass"}).json["access_token"]
print(client.get("/protected", headers={"Authorization": f"Bearer {token}"}).json["message"])
print(client.get("/readyz").json["status"], flask_jwt_keys.__file__)
"""
    python = environment / "python"
    env = {"JWT_KEY_DIR": str(tmp_path / "keys"), "PATH": os.environ["PATH"]}
    hello, ready = run(python, "-c", code, cwd=tmp_path, env=env).splitlines()
    assert hello == "Hello, joe!"
    assert ready.startswith(f"pass {environment.parent}/lib")
