"""The page in a real browser: light and dark, on a phone and on a screen."""

from __future__ import annotations

import shutil

import pytest
from html_page import page
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.conftest import ROOT
from tests.roles.report.example import known

STYLE = (ROOT / "roles/report/files/report.css").read_text()
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
# What reaches over the edge of the page; a table that is wider scrolls by itself.
OVER = """
const width = document.documentElement.clientWidth;
return [...document.body.querySelectorAll("*")].filter(each => !each.closest(".wide, .skip"))
  .filter(each => each.getBoundingClientRect().right > width + 1).map(each => each.outerHTML.slice(0, 80));
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for option in (*OPTIONS, "--disable-component-update", "--disable-sync"):
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or "chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def shown(chromium, tmp_path):
    """Show a page in a scheme of colours, on a screen so many pixels wide."""

    def show(told, scheme="light", width=390):
        (tmp_path / "report.html").write_text(page(told, STYLE))
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        chromium.get((tmp_path / "report.html").as_uri())
        return chromium

    return show


@pytest.mark.parametrize("width", [390, 1100])
def test_it_fits_the_screen(shown, width):
    browser = shown(known(), width=width)
    assert browser.execute_script(OVER) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []


def test_it_follows_light_and_dark(shown):
    ask = "return getComputedStyle(document.body).backgroundColor"
    assert shown(known(), "light").execute_script(ask) == "rgb(255, 255, 255)"
    assert shown(known(), "dark").execute_script(ask) == "rgb(18, 23, 30)"


def test_a_reader_of_the_screen_is_told_what_charts_and_parts_are(shown):
    browser = shown(known())
    charts = browser.find_elements(By.CSS_SELECTOR, "svg[role=img]")
    assert [each.accessible_name for each in charts][:2] == ["Releases that served (UTC)", "Requests by hour (UTC)"]
    parts = browser.find_elements(By.CSS_SELECTOR, "section")
    assert [(each.aria_role, each.accessible_name) for each in parts][:2] == [
        ("region", "Findings"),
        ("region", "Hosts"),
    ]


def test_what_a_visitor_asked_for_is_text(shown):
    told = known()
    path = "/<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
    told["told"]["web1"]["traffic"]["errors"][0][1] = told["told"]["web1"]["failures"][0]["reason"] = path
    browser = shown(told)
    assert browser.title == "shop in production"
    assert browser.execute_script("return document.querySelectorAll('script, img').length") == 0
    assert browser.find_element(By.XPATH, "//th[contains(., 'onerror')]").text == path
