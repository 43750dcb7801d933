"""ansible-core alone puts the app on a bare host, deploys and rolls back: no collection is there."""

from __future__ import annotations

import json
import os

import pytest

from tests import cores

URL = "https://app.test/"


@pytest.fixture(scope="module", params=cores.CORES, ids=lambda core: f"ansible-core {core}")
def core(request, tmp_path_factory):
    """Run a playbook with such a core on the scenario's host; the oldest begins."""
    run = cores.make(request.param, tmp_path_factory.mktemp("core") / "venv")

    def play(playbook, **environment):
        words = ["-i", os.environ["MOLECULE_INVENTORY_FILE"], "-e", json.dumps({"app_env": environment})]
        done, said = run("ansible-playbook", playbook, *words)
        assert done == 0, said
        assert "WARNING" not in said, said
        return said

    assert run("python", "-c", "import ansible_collections")[0] != 0
    play.core = request.param
    return play


def test_an_app_is_deployed_and_rolled_back(core, get, release):
    core("site.yml", CORE=core.core, NUMBER="1")
    one = release()
    assert get(URL).headers["x-release"] == one
    said = core("site.yml", CORE=core.core, NUMBER="1")
    assert ", changed" not in said, said
    core("playbooks/app.yml", CORE=core.core, NUMBER="2")
    assert release() != one
    core("playbooks/rollback.yml")
    assert get(URL).headers["x-release"] == release() == one
    for playbook in ("playbooks/status.yml", "playbooks/releases.yml"):
        assert one in core(playbook)
