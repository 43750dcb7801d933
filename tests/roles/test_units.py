"""systemd and nginx know of what a role wrote, also where the run that wrote it was killed."""

from __future__ import annotations

import shlex
import subprocess

import pytest
import yaml
from ansible.modules import host_nginx

from tests.conftest import ROOT

NGINX = ROOT / "roles/nginx"


@pytest.mark.parametrize("path", ["host/tasks/updates.yml", "host/tasks/firewall.yml", "nginx/tasks/main.yml"])
def test_systemd_reads_units_anew_in_each_run(path):
    """That a file changed is known to the run alone that changed it."""
    tasks = yaml.safe_load((ROOT / "roles" / path).read_text())
    services = [task.get("ansible.builtin.systemd_service", {}) for task in tasks]
    assert [each["daemon_reload"] for each in services if "daemon_reload" in each] == [True]


def test_no_task_reads_units_anew_only_if_it_changed_them():
    found = [path for path in ROOT.glob("roles/*/tasks/*.yml") if 'daemon_reload: "{{' in path.read_text()]
    assert found == []


def test_nginx_takes_its_configuration_before_another_host_can_end_the_run():
    """Where one host fails, no other runs the handlers that it was notified of."""
    tasks = yaml.safe_load((NGINX / "tasks/main.yml").read_text())
    names = [task.get("ansible.builtin.meta") or task["name"] for task in tasks]
    assert names.index("flush_handlers") == names.index("Start nginx now and at boot") + 1


@pytest.mark.parametrize("good", [True, False])
def test_that_nginx_is_to_be_reloaded_is_written_before_its_configuration_is(variables, tmp_path, good):
    """Ansible validates what differs, and then writes it."""
    known = variables()
    assert known["__nginx_owed"] == host_nginx.OWED
    (tmp_path / "etc/nginx").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "nginx").write_text(f"#!/bin/sh\nexit {0 if good else 1}\n")
    (tmp_path / "nginx").chmod(0o755)
    (tmp_path / "new").write_text("events {}\n")
    command = known["__nginx_validate"].replace("{{ __nginx_owed }}", known["__nginx_owed"])
    for place in ("/etc/nginx", "/run/flask-deploy"):
        command = command.replace(place, f"{tmp_path}{place}")
    command = command.replace("nginx -t", f"{tmp_path}/nginx -t") % f"{tmp_path}/new"
    assert (subprocess.run(shlex.split(command), check=False).returncode == 0) == good
    assert (tmp_path / "run/flask-deploy/nginx.conf.owed").exists() == good
    assert list((tmp_path / "etc/nginx").iterdir()) == []


def test_that_nginx_is_to_be_reloaded_is_forgotten_when_it_was():
    look = yaml.safe_load((NGINX / "tasks/look.yml").read_text())
    notified = [task["notify"] for task in look if "host_nginx" in task]
    reload, forget = yaml.safe_load((NGINX / "handlers/main.yml").read_text())
    assert notified == [reload["name"]] and reload["ansible.builtin.systemd_service"]["state"] == "reloaded"
    assert reload["notify"] == forget["name"]
    assert forget["ansible.builtin.file"] == {"path": "{{ __nginx_owed }}", "state": "absent"}
