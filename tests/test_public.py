"""The public applications of the trial are each at one commit, with settings that the check knows."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible.plugins.action import check_inventory

from bench import browser, public
from tests.conftest import ROOT

APPS = yaml.safe_load((ROOT / "bench/public.yml").read_text())


@pytest.mark.parametrize("name", APPS)
def test_an_application_is_at_one_commit_and_its_settings_are_variables(name):
    app = APPS[name]
    assert re.fullmatch("[0-9a-f]{40}", app["commit"]) and app["settings"].keys() <= check_inventory.load_specs().keys()
    assert app["ask"] and app["see"]


def test_a_form_is_sent_with_its_hidden_fields():
    page = "<form><input type=hidden name=csrf_token value='a&amp;b'><input type=text name=title value=x></form>"
    assert browser.Form(page).hidden == {"csrf_token": "a&b"}


def test_a_variable_that_new_writes_is_not_counted():
    settings = {"app_wsgi": "shop:app", "app_secrets": {"SECRET_KEY": "x"}}
    assert public.written(settings) == ["app_wsgi"]
    assert public.written({"app_secrets": {"SECRET_KEY": "x", "TOKEN": "y"}}) == ["app_secrets"]
