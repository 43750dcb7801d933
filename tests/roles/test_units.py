"""systemd knows of what a role wrote, also where the run that wrote it was killed."""

from __future__ import annotations

import pytest
import yaml

from tests.conftest import ROOT


@pytest.mark.parametrize("path", ["host/tasks/updates.yml", "host/tasks/firewall.yml", "nginx/tasks/main.yml"])
def test_systemd_reads_units_anew_in_each_run(path):
    """That a file changed is known to the run alone that changed it."""
    tasks = yaml.safe_load((ROOT / "roles" / path).read_text())
    services = [task.get("ansible.builtin.systemd_service", {}) for task in tasks]
    assert [each["daemon_reload"] for each in services if "daemon_reload" in each] == [True]


def test_no_task_reads_units_anew_only_if_it_changed_them():
    found = [path for path in ROOT.glob("roles/*/tasks/*.yml") if 'daemon_reload: "{{' in path.read_text()]
    assert found == []
