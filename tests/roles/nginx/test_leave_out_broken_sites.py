"""The guard before nginx starts; nginx itself is a stand-in here, the real one is tried on the test host."""

from __future__ import annotations

import importlib.util
import os

import pytest

from tests.conftest import ROOT

# Refuses a configuration that, with all it includes, holds the word BAD or two lines "zone x".
NGINX = """#!/bin/sh
while [ "$1" != -c ]; do shift; done
all=$(cat "$2"; sed -n 's/^ *include "*\\([^";]*\\)"*;.*/cat \\1 2>\\/dev\\/null/p' "$2" | sh)
case "$all" in *BAD*) echo "emerg: BAD in $2" >&2; exit 1 ;; esac
[ "$(echo "$all" | grep -c 'zone x')" -lt 2 ] || { echo "emerg: zone twice" >&2; exit 1; }
"""


@pytest.fixture
def guard():
    path = ROOT / "roles" / "nginx" / "files" / "leave_out_broken_sites.py"
    specification = importlib.util.spec_from_file_location("leave_out_broken_sites", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def conf(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nginx").write_text(NGINX)
    (tmp_path / "bin" / "nginx").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    folder = tmp_path / "nginx"
    (folder / "conf.d").mkdir(parents=True)
    (folder / "nginx.conf").write_bytes(f"main # \xff\ninclude {folder}/conf.d/*.conf;\n".encode("latin-1"))
    return folder


def sites(conf):
    return sorted(path.name for path in (conf / "conf.d").iterdir())


def test_good_sites_are_left_alone(guard, conf, capsys):
    (conf / "conf.d" / "a.conf").write_text("good\n")
    assert guard.main(str(conf)) == 0
    assert (sites(conf), capsys.readouterr().err) == (["a.conf"], "")


def test_a_broken_site_is_left_out_with_an_error(guard, conf, capsys):
    for name, text in (("a", "good"), ("b", "BAD"), ("c", "good")):
        (conf / "conf.d" / f"{name}.conf").write_text(f"{text}\n")
    assert guard.main(str(conf)) == 0
    assert sites(conf) == ["a.conf", "b.conf.left-out", "c.conf"]
    said = capsys.readouterr().err
    assert said.startswith("<3>SITE LEFT OUT: b ") and "emerg: BAD" in said and said.count("\n") == 1
    assert sorted(path.name for path in conf.iterdir()) == ["conf.d", "nginx.conf"]


def test_of_two_sites_that_do_not_go_together_the_first_serves(guard, conf):
    for name in "ab":
        (conf / "conf.d" / f"{name}.conf").write_text("zone x\n")
    assert guard.main(str(conf)) == 0
    assert sites(conf) == ["a.conf", "b.conf.left-out"]


def test_a_mended_site_comes_back_at_the_next_start(guard, conf):
    (conf / "conf.d" / "a.conf.left-out").write_text("good\n")
    assert guard.main(str(conf)) == 0
    assert sites(conf) == ["a.conf"]


def test_what_a_deploy_wrote_anew_wins(guard, conf):
    (conf / "conf.d" / "a.conf.left-out").write_text("BAD\n")
    (conf / "conf.d" / "a.conf").write_text("good\n")
    assert guard.main(str(conf)) == 0
    assert sites(conf) == ["a.conf"] and (conf / "conf.d" / "a.conf").read_text() == "good\n"


def test_a_broken_main_file_is_not_a_site_s_fault(guard, conf, capsys):
    (conf / "conf.d" / "a.conf").write_text("good\n")
    (conf / "nginx.conf").write_text("BAD\n")
    assert guard.main(str(conf)) == 1
    assert sites(conf) == ["a.conf"] and "own configuration" in capsys.readouterr().err


def test_a_broken_site_of_others_is_left_out_too_and_comes_back(guard, conf):
    main = (conf / "nginx.conf").read_text(errors="replace")
    (conf / "nginx.conf").write_text(f'{main}include "{conf}/sites-enabled/blo[g]"; # theirs\nend\n')
    (conf / "sites-enabled").mkdir()
    for path, text in (("conf.d/shop.conf", "good\n"), ("sites-enabled/blog", "BAD\n"), ("sites-enabled/off", "BAD\n")):
        (conf / path).write_text(text)
    assert guard.main(str(conf)) == 0
    assert sites(conf) == ["shop.conf"]
    assert sorted(path.name for path in (conf / "sites-enabled").iterdir()) == ["blog.left-out", "off"]
    (conf / "sites-enabled/blog.left-out").write_text("good\n")
    assert guard.main(str(conf)) == 0
    assert sorted(path.name for path in (conf / "sites-enabled").iterdir()) == ["blog", "off"]
