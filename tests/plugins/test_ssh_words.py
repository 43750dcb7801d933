"""A command that logs in can be pasted: it reaches the host as the inventory does."""

from __future__ import annotations

import pytest
import ssh_words


@pytest.mark.parametrize(
    ("host", "typed"),
    [
        ({}, "ssh web1"),
        ({"ansible_host": "192.0.2.7", "ansible_user": "deploy"}, "ssh deploy@192.0.2.7"),
        ({"ansible_port": 2222, "ansible_ssh_user": "deploy"}, "ssh -p 2222 deploy@web1"),
        ({"ansible_port": "22", "ansible_ssh_private_key_file": "~/.ssh/shop"}, "ssh -i '~/.ssh/shop' web1"),
        ({"ansible_ssh_common_args": "-F build/demo/ssh_config"}, "ssh -F build/demo/ssh_config web1"),
        (
            {"ansible_ssh_common_args": '-o ProxyCommand="ssh -W %h:%p jump"', "ansible_ssh_extra_args": "-4"},
            "ssh -o 'ProxyCommand=ssh -W %h:%p jump' -4 web1",
        ),
    ],
)
def test_it_has_what_the_inventory_says(host, typed):
    assert ssh_words.line({"inventory_hostname": "web1", **host}) == typed


def test_options_come_first():
    assert ssh_words.line({"inventory_hostname": "web1", "ansible_user": "deploy"}, "-t") == "ssh -t deploy@web1"


def test_a_path_below_this_directory_is_short(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = {"inventory_hostname": "demo", "ansible_ssh_common_args": f"-F {tmp_path}/inventories/local/../../build/x"}
    assert ssh_words.line(told) == "ssh -F build/x demo"
    monkeypatch.chdir("/usr")
    assert ssh_words.line(told) == f"ssh -F {tmp_path}/inventories/local/../../build/x demo"
