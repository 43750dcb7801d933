"""Releases that an earlier commit made are upgraded over, and rolled back to, without a lost request.

BEFORE=<commit> chooses the earlier one; without it, what was before the newest change of what is deployed with.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from bench.judge import Judge

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
URL = "https://app.test/"
SET = "\n".join(path.read_text() for path in (ROOT / "molecule/default/inventory/group_vars/web").glob("*.yml"))
RENAMED = runpy.run_path(str(ROOT / "roles/check/plugin_utils/inventory_check/renamed.py"))["RENAMED"]
ROOMS = ("roles", "plugins", "playbooks", "site.yml", "ansible.cfg")


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """Return a checkout of the earlier commit."""
    newest = git("log", "-1", "--format=%H", "--", *ROOMS)
    commit = os.environ.get("BEFORE") or git("rev-parse", "--verify", f"{newest}^")
    place = tmp_path_factory.mktemp("before") / "checkout"
    git("worktree", "add", "--detach", str(place), commit)
    yield place
    git("worktree", "remove", "--force", str(place))


@pytest.fixture(scope="module")
def earlier(before):
    """Run a playbook as it was then, with the inventory of now; its variables have their names of then too."""
    old = {old: f"{{{{ {new} }}}}" for old, new in RENAMED.items() if re.search(rf"^{new}:", SET, re.MULTILINE)}
    known = "".join(path.read_text() for path in before.glob("roles/*/meta/argument_specs.yml"))
    names = {name: value for name, value in old.items() if re.search(rf"^ +{name}:", known, re.MULTILINE)}

    def run(playbook, **environment):
        command = ["ansible-playbook", playbook, "-i", os.environ["MOLECULE_INVENTORY_FILE"]]
        command += ["-e", json.dumps({**names, "app_env": environment})]
        plain = {**os.environ, "ANSIBLE_CONFIG": str(before / "ansible.cfg")}
        done = subprocess.run(command, cwd=before, env=plain, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_releases_of_an_earlier_commit_roll_back_under_these_roles(earlier, play, host, get, address, release):
    served = []
    for number in ("1", "2"):
        earlier("site.yml" if number == "1" else "playbooks/app.yml", NUMBER=number)
        served.append(release())
    assert served[0] != served[1]
    with Judge(address(), "app.test") as load:
        play("playbooks/rollback.yml")
        assert release() == served[0]
    verdict = load.verdict()
    assert verdict.failed == 0, str(verdict)
    play("site.yml", "-e", '{"app_env": {"NUMBER": "3"}}')
    upgraded = release()
    assert upgraded not in served
    host.check_output(f"docker rm -f -v app-{served[0]}")
    with Judge(
        address(), "app.test", kinds={"new-page": 2, "http2-page": 4}
    ) as load:  # a site that differs reloads nginx
        run = play("playbooks/rollback.yml", "-e", f"app_rollback_to={served[0]}")
    verdict = load.verdict()
    assert verdict.failed == 0, str(verdict)
    assert f"release {upgraded} -> {served[0]}" in run.output
    assert release() == served[0] == get(URL).headers["x-release"]
    assert play("playbooks/status.yml").changed == 0


def test_an_inventory_of_then_gets_its_new_names_all_at_once(play, release):
    serving = release()
    old = {"app_domain": "app.test", "app_cors_origins": [], "app_jwt_algorithm": "RS256"}
    run = play("site.yml", "-e", json.dumps(old), succeed=False)
    for name in old:
        assert f"{name} is now {RENAMED[name]}" in run.output
    assert run.changed == 0 and release() == serving


def test_the_next_deploy_goes_on_from_there(play, release):
    deploy = ["site.yml", "-e", '{"app_env": {"NUMBER": "4"}}']
    play(*deploy)
    assert play(*deploy).changed == 0
