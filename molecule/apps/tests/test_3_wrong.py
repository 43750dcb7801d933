"""What a user got wrong stops at its gate: cause and next step are what is last on the screen, the old release serves.

What needs no host is in tests/plugins/release/test_advice.py, tests/roles/build/test_build_advice.py and
tests/roles/check/test_check_inventory.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from wrong import APP, APPS, WRONG

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
URL = "https://app.test/"
LAST = 15  # lines


@pytest.fixture
def deploy(tmp_path):
    """Deploy a source by settings alone; return the code and the screen, errors in their place."""

    def run(files=(), **settings):
        for name, text in {"shop.py": APP, "requirements.txt": "flask\n", **dict(files)}.items():
            if text is not None:
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).write_text(text)
        known = {"build_source": str(tmp_path), "app_wsgi": "shop:app", "site_static": "", **settings}
        command = ["ansible-playbook", "playbooks/app.yml", "-i", os.environ["MOLECULE_INVENTORY_FILE"]]
        plain = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1"}
        command += ["-e", json.dumps(known)]
        done = subprocess.run(
            command, cwd=ROOT, env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900
        )
        return done.returncode, done.stdout

    return run


def test_a_release_serves(play, get):
    settings = {"build_source": str(APPS / "recipe"), "app_wsgi": "app:app"}
    play("playbooks/app.yml", "-e", json.dumps(settings))
    assert get(URL).body == "Hello, World!"


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_the_last_that_is_said_and_the_old_release_serves(deploy, get, release, wrong):
    files, settings, cause, advice = WRONG[wrong]
    before = release()
    code, said = deploy(files, **settings)
    last = [line for line in said.splitlines() if line.strip()][-LAST:]
    seen = " ".join(" ".join(last).split())
    assert code != 0
    assert cause in seen and advice in seen, said
    assert "HaltServer" not in said
    assert last[-2].startswith("PLAY RECAP"), "nothing follows but the count of tasks"
    assert release() == before and get(URL).body == "Hello, World!"


def test_what_failed_to_start_is_among_the_releases_with_its_cause(play):
    words = " ".join(re.findall(r"\w+", play("playbooks/releases.yml").output))
    assert "OperationalError unable to open database file what to do the database is where the app may not" in words


def test_settings_that_no_app_should_serve_with_are_warned_of(deploy, get):
    text = APP.replace("__name__)\n", "__name__)\napp.config.update(SECRET_KEY='super-secret-key', DEBUG=True)\n", 1)
    code, said = deploy({"shop.py": text})
    seen = " ".join(said.split())
    assert code == 0 and get(URL).body == "wrong"
    assert "warning: SECRET_KEY is one that others know or can guess" in seen and "warning: DEBUG is on" in seen
    assert "super-secret-key" not in said
