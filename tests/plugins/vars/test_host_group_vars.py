"""A file of settings that cannot be read is told with its place."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.conftest import ROOT

HOSTS = "web:\n  hosts:\n    web1: {ansible_connection: local}\n"
PLAY = "- hosts: web\n  gather_facts: false\n  tasks:\n    - debug: {var: app_wsgi}\n"


@pytest.fixture
def run(tmp_path):
    """Return what a play says and its exit code, with the text of a file of settings."""

    def play(text, path="group_vars/web.yml"):
        for name, content in {"hosts.yml": HOSTS, "play.yml": PLAY, path: text}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        known = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        command = ["ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "play.yml"]
        done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr, done.returncode

    return play


@pytest.mark.parametrize("path", ["group_vars/web.yml", "group_vars/all.yml", "host_vars/web1.yml"])
@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("app_name: shop\napp_wsgi: shop: app\n", "Colons in unquoted values", 2),
        ("app_name: shop\n\tapp_wsgi: x\n", "Tabs are usually invalid in YAML", 2),
        ('app_name: shop\napp_wsgi: "shop:app\n', "found unexpected end of stream", 3),
    ],
)
def test_an_error_in_a_file_of_settings_has_its_file_and_line(run, tmp_path, text, said, line, path):
    printed, code = run(text, path)
    assert code
    assert said in printed
    assert f"Origin: {tmp_path}/{path}:{line}:" in printed


def test_settings_are_read_as_ever(run):
    printed, code = run("app_wsgi: shop:app\n")
    assert (code, "shop:app" in printed) == (0, True)
