"""gunicorn's settings lie in a file of the release: part of its id, shown in its plan, needed to serve again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.switch import steps

from tests.deploys import SITE, deploy, options

PLAIN = (Path(__file__).parents[3] / "roles/app/files/gunicorn.conf.py").read_text()
FILES = {
    "site.conf": SITE,
    "gunicorn.conf.py": PLAIN,
    "output.py": "",
    "exec.py": "",
    "gunicorn.json": '{\n"a": 1\n}\n',
}
OTHER = {**FILES, "gunicorn.json": '{\n"a": 2\n}\n'}
EARLIER = {"site.conf": SITE, "gunicorn.conf.py": "workers = 2\n", "exec.py": ""}  # it had its numbers in itself


def test_other_settings_are_another_release_and_its_plan_says_so(app):
    first = deploy(app, files=FILES)
    planned = steps.prepare(app, options(files=OTHER), dry=True)[2]
    assert "gunicorn.json: 1 lines more, 1 less; see them: --check --diff" in planned["lines"]
    (shown,) = [each for each in planned["diff"] if each["after_header"] == "gunicorn.json"]
    assert (shown["before"], shown["after"]) == (FILES["gunicorn.json"], OTHER["gunicorn.json"])
    assert deploy(app, files=OTHER) != first


@pytest.mark.parametrize("name", ["gunicorn.json", "output.py"])
def test_a_release_without_its_settings_is_not_gone_back_to(app, name):
    old = deploy(app, files=FILES)
    deploy(app, files=OTHER)
    os.unlink(app.path(old, name))
    with pytest.raises(steps.ReleaseError, match=rf"its directory is damaged, it lacks {name};"):
        steps.restore(app, options(release=old), dry=False)


def test_a_release_of_an_earlier_version_is_gone_back_to(app):
    old = deploy(app, files=EARLIER)
    deploy(app, files=FILES)
    assert not os.path.exists(app.path(old, "gunicorn.json"))
    assert steps.restore(app, options(release=old), dry=False)[0] == old
