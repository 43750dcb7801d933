"""The bundled page over HTTPS, in a real browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

DOMAIN = "app.test"


@pytest.fixture(scope="module")
def chromium(address, tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for option in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1000,1400"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}", "--ignore-certificate-errors"),
        f"--host-resolver-rules=MAP {DOMAIN} {address()}",
    ):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or "chromedriver"))
    yield driver
    driver.quit()


def test_page_loads_and_logs_in_over_http_2_without_an_error(chromium):
    chromium.get(f"https://{DOMAIN}/")
    chromium.find_element(By.ID, "username").send_keys("demo")
    password = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "password").read_text().strip()
    chromium.find_element(By.ID, "password").send_keys(password)
    chromium.find_element(By.CSS_SELECTOR, "#login-form button").click()
    WebDriverWait(chromium, 30, 0.1).until(lambda _: chromium.find_element(By.ID, "signature").text == "valid")
    loaded = chromium.execute_script(
        "return performance.getEntries().filter(e => e.nextHopProtocol !== undefined)"
        ".map(e => [e.name, e.nextHopProtocol])"
    )
    assert len(loaded) >= 5  # the page, its style, script, login and keys
    assert all(name.startswith(f"https://{DOMAIN}/") and protocol == "h2" for name, protocol in loaded), loaded
    assert chromium.get_log("browser") == []
    chromium.save_screenshot(str(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "page.png")))
