"""gunicorn's settings lie in a file of the release: part of its id, shown in its plan, needed to serve again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils import app_deploy as deploys
from ansible.module_utils import app_engine
from ansible.module_utils import app_retire as retire

from tests.modules.test_app_releases import SITE, deploy, options

PLAIN = (Path(__file__).parents[2] / "roles/app/files/gunicorn.conf.py").read_text()
FILES = {
    "site.conf": SITE,
    "gunicorn.conf.py": PLAIN,
    "output.py": "",
    "exec.py": "",
    "gunicorn.json": '{\n"a": 1\n}\n',
}
OTHER = {**FILES, "gunicorn.json": '{\n"a": 2\n}\n'}
EARLIER = {"site.conf": SITE, "gunicorn.conf.py": "workers = 2\n", "exec.py": ""}  # it had its numbers in itself


@pytest.fixture
def app(host, engine, monkeypatch):
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(app_engine, "in_flight", lambda pid, path: 0)
    return host()


def test_other_settings_are_another_release_and_its_plan_says_so(app):
    first = deploy(app, files=FILES)
    planned = deploys.prepare(app, options(files=OTHER), dry=True)[2]
    assert "gunicorn.json: 1 lines more, 1 less; see them: --check --diff" in planned["lines"]
    (shown,) = [each for each in planned["diff"] if each["after_header"] == "gunicorn.json"]
    assert (shown["before"], shown["after"]) == (FILES["gunicorn.json"], OTHER["gunicorn.json"])
    assert deploy(app, files=OTHER) != first


@pytest.mark.parametrize("name", ["gunicorn.json", "output.py"])
def test_a_release_without_its_settings_is_not_gone_back_to(app, name):
    old = deploy(app, files=FILES)
    deploy(app, files=OTHER)
    os.unlink(app.path(old, name))
    with pytest.raises(deploys.ReleaseError, match=rf"its directory is damaged, it lacks {name};"):
        deploys.restore(app, options(release=old), dry=False)


def test_a_release_of_an_earlier_version_is_gone_back_to(app):
    old = deploy(app, files=EARLIER)
    deploy(app, files=FILES)
    assert not os.path.exists(app.path(old, "gunicorn.json"))
    assert deploys.restore(app, options(release=old), dry=False)[0] == old
