"""What a module is told is not written to the host's log: environments, files, build files, keys."""

from __future__ import annotations

import importlib.util
import json

import pytest
from ansible.module_utils import basic

from tests.conftest import ROOT

MODULES = sorted(ROOT.glob("roles/*/library/*.py"))
MARK = "h5-Xq-sentinel"


class Begun(BaseException):
    """A module has been made and would begin its work."""


def argument(spec):
    """Return a value of an option's type, with the mark in it where it can be."""
    listed = [{MARK: MARK}] if spec.get("elements") == "dict" else [MARK]
    values = {"dict": {MARK: [MARK]}, "list": listed, "int": 1, "float": 1.0, "bool": True}
    return spec["choices"][0] if "choices" in spec else values.get(spec.get("type", "str"), MARK)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_logs_that_it_ran_and_not_with_what(path, monkeypatch):
    lines, made = [], basic.AnsibleModule.__init__

    def begin(self, argument_spec, **options):
        told = {name: argument(spec) for name, spec in argument_spec.items()}
        told |= {"_ansible_no_log": False, "_ansible_module_name": path.stem}  # as the executor says
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": told}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        made(self, argument_spec, **options)
        raise Begun

    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.syslog, "syslog", lambda _level, text: lines.append(text))
    monkeypatch.setattr(basic.AnsibleModule, "__init__", begin)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(Begun):
        module.main()
    assert lines == ["Invoked"]
