"""The page in a real browser. Run with ``-m browser``; without Chromium these fail."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from flask import Response
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from flask_app import create_app
from flask_app.users import User
from flask_jwt_keys import end_sessions_of
from flask_jwt_keys.passwords import hash_password

pytestmark = pytest.mark.browser
LIFETIME = 3600  # seconds: no test takes so long, on whatever machine
PATIENCE = 60  # seconds until a page that shows something else is wrong
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,1400",
)


class Silent(WSGIRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module", params=["RS256", "ES256"])
def app(request, tmp_path_factory, signers):
    path = tmp_path_factory.mktemp("page")
    (path / "jwt").mkdir()
    (path / "jwt" / "a.pem").write_text(signers[request.param].pem)
    (path / "users.json").write_text(json.dumps({"ann": hash_password("geheim")}))
    return create_app(
        {
            "JWT_KEY_DIR": path / "jwt",
            "USERS_FILE": path / "users.json",
            "JWT_STORE_PATH": path / "sessions.sqlite3",
            "JWT_EXPIRATION_DELTA": LIFETIME,
            "JWT_LEEWAY": 0,
        }
    )


@pytest.fixture(scope="module")
def address(app):
    with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(shutil.which("chromedriver") or "chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


class Page:
    """The page as its user sees it."""

    def __init__(self, driver):
        self.driver = driver

    def text(self, name):
        return self.driver.find_element(By.ID, name).text

    def field(self, name):
        return self.driver.find_element(By.ID, name)

    def token(self):
        return self.field("token").get_property("value")

    def press(self, name):
        self.field(name).click()

    def sees(self, name, text):
        WebDriverWait(self.driver, PATIENCE, 0.05).until(
            lambda _: text in self.text(name), f"{name} shows {self.text(name)!r}, not {text!r}"
        )

    def log_in(self, password="geheim"):
        self.field("username").clear()
        self.field("username").send_keys("ann")
        self.field("password").send_keys(password)
        self.driver.find_element(By.CSS_SELECTOR, "#login-form button").click()

    def type_token(self, token):
        self.driver.execute_script(
            "const field = document.getElementById('token'); field.value = arguments[0];"
            "field.dispatchEvent(new Event('input'));",
            token,
        )


@pytest.fixture
def page(chromium, address):
    chromium.get(address)
    yield Page(chromium)
    severe = [entry for entry in chromium.get_log("browser") if "401" not in entry["message"]]
    assert severe == []


def test_right_password(page):
    page.log_in()
    page.sees("message", "Logged in as ann.")
    page.sees("signature", "valid")
    page.sees("life", "left")
    assert re.fullmatch(r"(60:00|[1-5]?\d:[0-5]\d) left", page.text("life"))
    assert '"identity": "ann"' in page.text("claims")
    assert '"kid"' in page.text("header")
    assert not page.field("login").is_displayed()
    page.press("call")
    page.sees("answer", "Hello, ann!")


def test_wrong_password(page):
    page.log_in("wrong")
    page.sees("message", "Name or password is wrong.")
    assert not page.field("session").is_displayed()
    assert page.field("password").get_property("value") == ""
    page.log_in()
    page.sees("message", "Logged in as ann.")


def test_a_tampered_token_is_shown_as_invalid(page):
    page.log_in()
    page.sees("signature", "valid")
    token = page.token()
    head, body, signature = token.split(".")
    for changed in (
        f"{head}.{body}.{'A' * 8}{signature[8:]}",
        f"{head}.{body[:-4]}{'AAAA' if body[-4:] != 'AAAA' else 'BBBB'}.{signature}",
        f"{head}.{body}",
        f"{token}=",
        "",
    ):
        page.type_token(changed)
        page.sees("signature", "invalid")
    page.press("call")
    page.sees("answer", "401")
    page.type_token(token)
    page.sees("signature", "valid")
    assert "invalid" not in page.text("signature")


def test_expiry_and_refresh(page, app):
    page.log_in()
    page.sees("life", "left")
    first = page.token()
    app.config["JWT_EXPIRATION_DELTA"] = 0  # what it makes now is over at once
    try:
        page.press("refresh")
        page.sees("life", "expired")
        page.press("call")
        page.sees("answer", "Signature has expired")
    finally:
        app.config["JWT_EXPIRATION_DELTA"] = LIFETIME
    page.press("refresh")
    page.sees("message", "A new token")
    page.sees("life", "left")
    assert page.token() != first
    page.sees("signature", "valid")
    page.press("call")
    page.sees("answer", "Hello, ann!")


def test_a_token_expires_before_the_user_s_eyes(page):
    """By the clock of the browser, which stands an hour later from now on."""
    page.log_in()
    page.sees("life", "left")
    page.driver.execute_script(
        "const now = Date.now; Date.now = () => now() + 1000 * arguments[0];", LIFETIME
    )
    page.sees("life", "expired")


def test_logout(page):
    page.log_in()
    page.sees("signature", "valid")
    token = page.token()
    page.press("logout")
    page.sees("message", "Logged out")
    assert page.field("login").is_displayed() and page.token() == ""
    page.log_in()
    page.sees("signature", "valid")
    page.type_token(token)
    page.press("call")
    page.sees("answer", "Token has been revoked")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, "<html>Too Many Requests</html>"),  # of nginx
        (502, "<html>Bad Gateway</html>"),
        (503, '{"status_code": 503}'),
    ],
)
@pytest.mark.parametrize(("button", "done"), [("refresh", "A new token"), ("logout", "Logged out")])
def test_a_server_that_cannot_answer_now_ends_no_session(
    page, app, monkeypatch, button, done, status, body
):
    page.log_in()
    page.sees("signature", "valid")
    token = page.token()
    with monkeypatch.context() as fault:
        fault.setattr(app, "wsgi_app", Response(body, status))
        page.press(button)
        page.sees("message", f"The server answered {status}. You are still logged in: try again.")
    assert page.field("session").is_displayed() and page.token() == token
    assert all(str(status) in entry["message"] for entry in page.driver.get_log("browser"))
    page.press(button)
    page.sees("message", done)


def test_a_login_that_cannot_be_answered_now(page, app, monkeypatch):
    with monkeypatch.context() as fault:
        fault.setattr(app, "wsgi_app", Response("<html>Bad Gateway</html>", 502))
        page.log_in()
        page.sees("message", "The server answered 502.")
    assert all("502" in entry["message"] for entry in page.driver.get_log("browser"))


@pytest.mark.parametrize(
    ("button", "said"), [("refresh", "The session is over."), ("logout", "Logged out")]
)
def test_a_session_that_ended_elsewhere_is_over_here(page, app, button, said):
    page.log_in()
    page.sees("signature", "valid")
    with app.app_context():
        end_sessions_of(User("ann", ""))
    page.press(button)
    page.sees("message", said)
    assert page.field("login").is_displayed() and page.token() == ""


def test_a_phone_shows_it_without_scrolling_sideways(page):
    page.driver.set_window_size(500, 900)
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        page.log_in()
        page.sees("signature", "valid")
        width = "return document.documentElement.scrollWidth"
        assert page.driver.execute_script(width) <= 360
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_field_has_a_name_and_the_keyboard_is_enough(page):
    active = page.driver.switch_to
    for name in ("username", "password"):
        label = page.driver.find_element(By.CSS_SELECTOR, f"label[for={name}]")
        assert label.text
    page.field("username").send_keys("ann\tgeheim\n")
    page.sees("message", "Logged in")
    WebDriverWait(page.driver, PATIENCE).until(
        lambda _: active.active_element.get_attribute("id") == "session"
    )
    assert page.field("token").accessible_name
    assert page.field("message").get_attribute("role") == "status"


def test_nothing_but_the_pages_own_script_runs(page):
    page.driver.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.evil = 1';"
        "document.body.append(script)"
    )
    time.sleep(0.2)
    assert page.driver.execute_script("return window.evil") is None
    assert any("Content Security Policy" in e["message"] for e in page.driver.get_log("browser"))
