"""The bundled app: greeting, login, health, errors, settings, users."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

from flask_app import create_app
from flask_app import users as users_module
from flask_app.config import check
from flask_app.users import UserFile
from flask_jwt_keys import ConfigError
from flask_jwt_keys.passwords import hash_password

APP = Path(__file__).parents[1]
NAME, PASSWORD = "ann", "pässwörd"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def encoded():
    return hash_password(PASSWORD)


@pytest.fixture
def place(tmp_path, signers, encoded):
    """What a host has: keys, users, a place for data."""
    for name in ("jwt", "secrets", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "jwt" / "a.pem").write_text(signers["RS256"].pem)
    (tmp_path / "secrets" / "users.json").write_text(json.dumps({NAME: encoded}))
    return tmp_path


@pytest.fixture
def environment(place, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("FLASK_", "APP_", "JWT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("JWT_KEY_DIR", str(place / "jwt"))
    monkeypatch.setenv("APP_SECRETS_DIR", str(place / "secrets"))
    monkeypatch.setenv("APP_DATA_DIR", str(place / "data"))
    monkeypatch.setattr(users_module, "LOOK_EVERY", 0)
    monkeypatch.setattr("flask_jwt_keys.keydir.LOOK_EVERY", 0)
    return monkeypatch


@pytest.fixture
def app(environment):
    return create_app()


@pytest.fixture
def client(app):
    return app.test_client()


def login(client, **changes):
    return client.post("/auth", json={"username": NAME, "password": PASSWORD, **changes})


def protected(client, token, scheme="Bearer"):
    return client.get("/protected", headers={"Authorization": f"{scheme} {token}"})


def command(*arguments, stdin="", **environment):
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "flask_app", *arguments],
        cwd=APP,
        input=stdin,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
    )


# Pages


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        ("application/json", "application/json"),
        (HTML["Accept"], "text/html"),
        ("image/png", "text/plain"),
    ],
)
def test_hello_in_the_form_asked_for(client, accept, mimetype):
    response = client.get("/", headers={"Accept": accept} if accept else {})
    assert (response.status_code, response.mimetype) == (200, mimetype)
    assert "Hello" in response.text
    assert "Accept" in response.headers["Vary"]


def test_the_page_runs_no_script_but_its_own(client):
    response = client.get("/", headers=HTML)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "style=" not in response.text and "<script>" not in response.text
    assert " onclick" not in response.text and "http://" not in response.text


def test_static_files_are_served_where_there_is_no_nginx(client):
    with client.get("/static/hello-world.txt") as response:
        assert response.text == "Hello World!\n"


@pytest.mark.parametrize("release", ["20260102-abc", None])
def test_answers_name_the_release(environment, release):
    if release:
        environment.setenv("APP_RELEASE", release)
    client = create_app().test_client()
    for path in ("/", "/healthz", "/nothing", "/protected"):
        assert client.get(path).headers.get("X-Release") == release


# Login


@pytest.mark.parametrize("scheme", ["Bearer", "JWT"])
def test_login_opens_the_protected_route(client, scheme):
    tokens = login(client).json
    response = protected(client, tokens["access_token"], scheme)
    assert response.json == {"identity": NAME, "message": f"Hello, {NAME}!"}


def test_tokens_are_rs256_and_verify_with_the_published_key(client):
    token = login(client).json["access_token"]
    keys = jwt.PyJWKSet.from_dict(client.get("/.well-known/jwks.json").json)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, ["RS256"], audience="flask-app", issuer="flask-app")
    assert (claims["identity"], claims["exp"] - claims["iat"]) == (NAME, 300)


def test_refresh_and_logout(client):
    tokens = login(client).json
    body = {"refresh_token": tokens["refresh_token"]}
    renewed = client.post("/auth/refresh", json=body).json
    assert protected(client, renewed["access_token"]).status_code == 200
    body = {"refresh_token": renewed["refresh_token"]}
    assert client.post("/auth/logout", json=body).status_code == 204
    assert protected(client, renewed["access_token"]).status_code == 401


def test_unknown_user_and_wrong_password_get_the_same_answer(client):
    wrong, unknown = login(client, password="x"), login(client, username="x")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.data == unknown.data
    assert list(wrong.headers) == list(unknown.headers)


@pytest.mark.parametrize("name", ["\x00", "ann\x00", "ANN", "' OR 1=1", "x" * 5000, "\ud800"])
def test_hostile_names(client, name):
    data = json.dumps({"username": name, "password": PASSWORD})
    response = client.post("/auth", data=data, content_type="application/json")
    assert response.status_code == 401


def test_ten_megabytes_are_413(client):
    data = b'{"username": "' + b"x" * 10_000_000 + b'"}'
    response = client.post("/auth", data=data, content_type="application/json")
    assert response.status_code == 413


@pytest.mark.parametrize("path", ["/auth", "/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize(("size", "refused"), [(16 * 1024, False), (16 * 1024 + 1, True)])
def test_credentials_of_more_than_16_kib_are_413(client, path, size, refused):
    """Far below what the app takes elsewhere: a login needs no more."""
    begin, end = b'{"username": "', b'"}'
    data = begin + b"x" * (size - len(begin + end)) + end
    response = client.post(path, data=data, content_type="application/json")
    assert (response.status_code == 413) is refused


def test_numbers_are_nobodys_name_or_password(app):
    users = app.extensions["users"]
    assert users.authenticate(NAME, PASSWORD)
    assert users.authenticate(NAME, 1) is None and users.authenticate(1, PASSWORD) is None


def test_sessions_are_on_the_server_of_redis_url(environment, place):
    environment.setenv("REDIS_URL", f"unix://{place}/nobody-listens")
    client = create_app().test_client()
    assert login(client).status_code == 503
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json["reasons"][0].startswith("sessions: the Valkey store cannot answer")
    assert not (place / "data" / "sessions.sqlite3").exists()


def test_a_changed_password_ends_tokens_and_sessions(client, place):
    tokens = login(client).json
    users = place / "secrets" / "users.json"
    users.write_text(json.dumps({NAME: hash_password("new")}))
    assert protected(client, tokens["access_token"]).json["description"] == "User does not exist"
    body = {"refresh_token": tokens["refresh_token"]}
    assert client.post("/auth/refresh", json=body).status_code == 401
    assert login(client, password="new").status_code == 200


def test_a_users_file_that_cannot_be_read_for_a_moment_logs_nobody_out(client, place):
    tokens = login(client).json
    refresh = {"refresh_token": tokens["refresh_token"]}
    users = place / "secrets" / "users.json"
    content = users.read_text()
    users.write_text(content[:20])  # half written
    for answer in (
        login(client),
        login(client, username="nobody"),
        protected(client, tokens["access_token"]),
        client.post("/auth/refresh", json=refresh),
    ):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert str(place) not in answer.text
    users.write_text(content)
    assert protected(client, tokens["access_token"]).status_code == 200
    assert client.post("/auth/refresh", json=refresh).status_code == 200
    assert login(client).status_code == 200


def test_a_deleted_user_is_out(client, place, encoded):
    token = login(client).json["access_token"]
    (place / "secrets" / "users.json").write_text(json.dumps({"bob": encoded}))
    assert protected(client, token).status_code == 401
    assert login(client).status_code == 401


def test_a_token_of_one_release_is_good_on_another(environment):
    environment.setenv("APP_RELEASE", "blue")
    token = login(create_app().test_client()).json["access_token"]
    for release in ("green", "blue"):
        environment.setenv("APP_RELEASE", release)
        assert protected(create_app().test_client(), token).status_code == 200


# Health


def test_health(client):
    for path in ("/healthz", "/readyz"):
        response = client.get(path)
        assert (response.status_code, response.json) == (200, {"status": "pass"})
        assert response.cache_control.no_store


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda place: (place / "secrets" / "users.json").unlink(), "users cannot be read"),
        (lambda place: (place / "secrets" / "users.json").write_text("{"), "users cannot be read"),
        (lambda place: (place / "secrets" / "users.json").write_text('{"a": "x"}'), "hash of 'a'"),
        (lambda place: (place / "secrets" / "users.json").write_text("[]"), "a JSON object"),
        (lambda place: (place / "jwt" / "a.pem").unlink(), "signing keys: no usable key"),
        (lambda place: (place / "jwt" / "a.pem").write_text("x"), "signing keys: a.pem"),
        (lambda place: (place / "jwt" / "signing").write_text("b"), "signing keys: 'signing'"),
        (lambda place: (place / "jwt").rename(place / "away"), "directory cannot be read"),
    ],
)
def test_no_traffic_without_keys_and_users(client, place, damage, reason):
    damage(place)
    response = client.get("/readyz")
    assert (response.status_code, response.json["status"]) == (503, "fail")
    assert reason in " ".join(response.json["reasons"])
    assert client.get("/healthz").status_code == 200


def test_ready_again_when_the_files_are_back(client, place):
    users = place / "secrets" / "users.json"
    content = users.read_text()
    users.unlink()
    assert client.get("/readyz").status_code == 503
    users.write_text(content)
    assert client.get("/readyz").status_code == 200


def test_readiness_looks_at_the_sessions(client, place):
    data = place / "data"
    (data / "sessions.sqlite3").write_bytes(b"noise" * 2000)
    assert client.get("/readyz").status_code == 200, "set aside and made again"
    assert list(data.glob("sessions.sqlite3.unreadable-*"))
    for file in data.iterdir():
        file.unlink()
    data.rmdir()
    data.write_text("no directory")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json["reasons"][0].startswith("sessions: ")


# Errors


def test_errors_are_problem_details_for_programs(client):
    response = client.get("/nothing")
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert response.json["title"] == "Not Found"
    assert response.json["status"] == 404
    assert response.json["instance"] == "/nothing"
    assert sorted(response.json) == ["detail", "instance", "status", "title", "type"]


def test_errors_keep_their_headers(client):
    response = client.get("/auth")
    assert (response.status_code, response.mimetype) == (405, "application/problem+json")
    assert "POST" in response.headers["Allow"]


def test_errors_are_pages_for_browsers(client):
    response = client.get("/<script>", headers=HTML)
    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert "404 Not Found" in response.text and "<script>" not in response.text


def test_a_fault_is_a_500_that_tells_nothing(app):
    @app.get("/fault")
    def fault():
        raise RuntimeError("a secret")

    response = app.test_client().get("/fault")
    assert (response.status_code, response.mimetype) == (500, "application/problem+json")
    assert "a secret" not in response.text


def test_redirects_are_no_errors(app):
    app.add_url_rule("/slash/", view_func=lambda: "", endpoint="slash")
    assert app.test_client().get("/slash").status_code in (301, 308)


# Settings


def test_every_wrong_setting_is_named(environment):
    environment.setenv("FLASK_JWT_LEEWAY", "soon")
    environment.setenv("FLASK_JWT_EXPIRATION_DELTA", "-5")
    environment.setenv("FLASK_JWT_HOSTS", "0")
    environment.setenv("FLASK_JWT_AUTH_URL_RULE", "auth")
    environment.setenv("FLASK_JWT_EXPIRATON_DELTA", "300")
    environment.setenv("FLASK_MAX_CONTENT_LENGTH", "true")
    environment.delenv("JWT_KEY_DIR")
    with pytest.raises(ConfigError) as raised:
        create_app()
    lines = str(raised.value).splitlines()[1:]
    assert len(lines) == 7
    for part in (
        "FLASK_JWT_LEEWAY is 'soon'",
        "FLASK_JWT_EXPIRATION_DELTA is -5; expected a number of seconds",
        "FLASK_JWT_HOSTS is 0; expected a whole number",
        "FLASK_JWT_AUTH_URL_RULE is 'auth'; expected a path",
        "did you mean FLASK_JWT_EXPIRATION_DELTA?",
        "FLASK_MAX_CONTENT_LENGTH is True",
        "JWT_KEY_DIR is not set. Make a signing key: mkdir",
    ):
        assert part in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("USERS_FILE", "5", "FLASK_USERS_FILE is 5; expected the path"),
        ("USERS_FILE", "null", "FLASK_USERS_FILE is None; expected the path"),
        ("JWT_AUTH_URL_OPTIONS", "5", "FLASK_JWT_AUTH_URL_OPTIONS is 5; expected a dictionary"),
        ("JWT_LOGOUT_URL_RULE", "/x<", "FLASK_JWT_LOGOUT_URL_RULE is '/x<'; expected a path"),
        ("JWT_AUTH_URL_RULE", "/<no:x>", "FLASK_JWT_AUTH_URL_RULE is '/<no:x>'; expected a path"),
    ],
)
def test_a_setting_of_another_kind_is_named(environment, name, value, said):
    environment.setenv(f"FLASK_{name}", value)
    with pytest.raises(ConfigError, match=re.escape(said)):
        create_app()


@pytest.mark.parametrize("secret", ["1" * 40, "true", "0", '["' + "s" * 40 + '"]'])
def test_a_secret_that_is_no_text_is_named_and_not_shown(environment, secret):
    environment.delenv("JWT_KEY_DIR")
    environment.setenv("FLASK_JWT_SECRET_KEY", secret)
    with pytest.raises(ConfigError, match="FLASK_JWT_SECRET_KEY is a value of type") as caught:
        create_app()
    assert "double quotes" in str(caught.value) and "1111" not in str(caught.value)
    assert "ssss" not in str(caught.value)


@pytest.mark.parametrize("size", [3, 31])
def test_a_secret_that_can_be_found_is_refused(environment, size):
    environment.delenv("JWT_KEY_DIR")
    with pytest.raises(
        ConfigError, match=f"FLASK_JWT_SECRET_KEY has {size} characters; expected 32"
    ):
        create_app({"JWT_SECRET_KEY": "s" * size})


def test_a_secret_that_is_long_enough_is_taken(environment):
    environment.delenv("JWT_KEY_DIR")
    assert login(create_app({"JWT_SECRET_KEY": "s" * 32}).test_client()).status_code == 200


def test_settings_from_the_environment_count(environment):
    environment.setenv("FLASK_JWT_EXPIRATION_DELTA", "60")
    environment.setenv("FLASK_JWT_ISSUER", "https://a.example")
    token = login(create_app().test_client()).json["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["exp"] - claims["iat"], claims["iss"]) == (60, "https://a.example")


def test_settings_given_in_code_win(environment):
    environment.setenv("FLASK_JWT_HOSTS", "7")
    app = create_app({"JWT_HOSTS": 1, "TESTING": True})
    assert app.testing and app.config["JWT_HOSTS"] == 1


def test_several_hosts_need_a_shared_store(environment):
    environment.setenv("FLASK_JWT_HOSTS", "2")
    with pytest.raises(ConfigError, match="each host would have a session store of its own"):
        create_app()
    environment.setenv("FLASK_JWT_STORE_PATH", "")
    assert "refresh_token" not in login(create_app().test_client()).json


def test_the_defaults_are_right(app):
    assert check(app.config) == []


# Commands


def test_without_a_key_the_start_says_what_to_type():
    done = command("routes")
    assert done.returncode != 0
    assert "openssl genpkey" in done.stderr


def test_hash_password_needs_no_settings(tmp_path):
    done = command("hash-password", stdin=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    users = tmp_path / "users.json"
    users.write_text(json.dumps({NAME: done.stdout.strip()}))
    file = UserFile(users)
    assert file.authenticate(NAME, PASSWORD).id == NAME
    assert file.authenticate(NAME, "x") is None


def test_hash_password_refuses_an_empty_one():
    done = command("hash-password", stdin="\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "empty" in done.stderr
