"""A strict umask on the host changes nothing: nginx and the app read what they must, whoever deploys."""

from __future__ import annotations

import ast
import base64
import os
import re
import stat
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.module_utils import build_repositories, build_run
from ansible.module_utils.flask_deploy.certificates import acme, keeper, leading, store
from ansible.module_utils.flask_deploy.host import files
from ansible.modules import nginx_certificate

from tests.conftest import ROOT
from tests.deploys import prepare
from tests.roles.nginx.test_keep_certificates import ASKED, NAMES

# Makes directories that nobody but its own user has to read: on the controller, below a directory that is closed,
# or in a container of its own.
PRIVATE = {"tokens_vault.py", "build_repositories.py", "nginx.py", "prepare.py"}


@pytest.fixture(params=[0o077, 0o027], ids=oct)
def strict(request):
    """Return a function that lets something run under this umask."""

    def under(function, *arguments):
        before = os.umask(request.param)
        try:
            return function(*arguments)
        finally:
            os.umask(before)

    return under


def modes(root):
    """Return {path: mode} of what lies below a directory."""
    return {
        str(path.relative_to(root)): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in sorted(Path(root).rglob("*"))
        if not path.is_symlink()
    }


def closed(root, top):
    """Return what others may not read, from ``top`` down to ``root`` and below it."""
    between = [path for path in [root, *root.parents] if path.is_relative_to(top)]
    paths = [*between, *(path for path in root.rglob("*"))]
    return [str(path) for path in paths if not path.stat().st_mode & (0o001 if path.is_dir() else 0o004)]


def test_a_release_has_the_same_modes_under_each_umask(host, engine, tmp_path, strict):
    engine.public("css/deep/site.css", "a { color: red }\n" * 200)
    app = host()
    key = base64.b64encode(b"k" * 32).decode()
    release = prepare(app, release_key=key)
    usual = {part: modes(f"{tmp_path}{part}") for part in (f"/srv/shop/releases/{release}", "/etc/shop")}
    subprocess.run(["rm", "-rf", tmp_path / "srv", tmp_path / "etc/shop"], check=True)
    assert strict(lambda: prepare(app, release_key=key)) == release
    assert {part: modes(f"{tmp_path}{part}") for part in usual} == usual
    assert closed(tmp_path / "srv/shop/releases" / release / "static", tmp_path / "srv") == []


def test_a_directory_s_parents_are_open_too(tmp_path, owners, strict):
    strict(files.ensure_directory, str(tmp_path / "a/b/c"))
    assert set(modes(tmp_path).values()) == {"0o755"}


def test_an_app_s_source_is_unpacked_for_the_app_s_user(tmp_path, strict):
    """A tar of files alone, as the controller sends it: the directories between are made by who unpacks."""
    (tmp_path / "app.py").write_text("")
    with tarfile.open(tmp_path / "source.tar", "w") as packed:
        packed.add(tmp_path / "app.py", "shop/templates/app.py")
    (tmp_path / "context").mkdir()
    strict(build_run.unpack, str(tmp_path / "source.tar"), str(tmp_path / "context"))
    found = modes(tmp_path / "context")
    assert found == {"shop": "0o755", "shop/templates": "0o755", "shop/templates/app.py": "0o644"}


def test_a_repository_s_files_are_packed_alike_under_each_umask(checkout, repository, tmp_path, git, strict):
    (checkout / "run.sh").write_text("#!/bin/sh")
    (checkout / "run.sh").chmod(0o755)
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "two")
    copy = repository(f"file://{checkout}")
    commit = copy.commit("main")

    def pack(name):
        with build_repositories.Checkout(copy, commit, "", "Dockerfile") as part:
            digest, _text, _told = part.look()
            part.pack(str(tmp_path / name))
        os.unlink(part.known)
        return digest, (tmp_path / name).read_bytes()

    assert strict(pack, "strict") == pack("usual")


def test_the_build_context_is_open(engine, tmp_path, strict, monkeypatch):
    monkeypatch.setattr(build_run.tempfile, "mkdtemp", lambda **place: str(tmp_path))
    monkeypatch.setattr(build_run.shutil, "rmtree", lambda folder: None)
    with tarfile.open(tmp_path / "source.tar", "w"):
        pass
    options = {
        "ca": "",
        "build_args": {},
        "rebuild": False,
        "secrets": {},
        "git_key": None,
        "target": "",
        "progress": "",
    }
    strict(build_run.build, options, "tag", "FROM scratch\n", "", str(tmp_path / "source.tar"), {})
    assert modes(tmp_path)["context"] == "0o755"


def test_nginx_reads_the_answers_for_the_ca(tmp_path, monkeypatch, strict):
    state = tmp_path / "var/flask-deploy"
    state.parent.mkdir()
    monkeypatch.setattr(leading, "WEBROOT", str(state / "acme"))
    seen = []

    def asked(address, name, path):
        seen.append(closed(Path(leading.WEBROOT + path), state))
        return (Path(leading.WEBROOT) / path.strip("/")).read_text()

    monkeypatch.setattr(leading, "fetch", asked)
    strict(leading.check_names, ["localhost"])
    assert seen and not any(seen)


def test_nginx_reads_the_answers_where_an_earlier_run_closed_them(tmp_path, monkeypatch, strict):
    webroot = tmp_path / "flask-deploy/acme"
    monkeypatch.setattr(leading, "WEBROOT", str(webroot))
    monkeypatch.setattr(leading, "check_names", lambda *arguments: None)
    for name in ("check_directory", "run_certbot"):
        monkeypatch.setattr(acme, name, lambda *arguments: None)
    monkeypatch.setattr(files, "read", lambda path: b"")
    (webroot / ".well-known").mkdir(parents=True)
    for folder in (webroot / ".well-known", webroot, webroot.parent):
        folder.chmod(0o700)
    strict(acme.obtain, "shop", NAMES, ASKED, str(tmp_path))
    assert closed(webroot / leading.CHALLENGES.strip("/"), webroot.parent) == []


def test_a_certificate_has_the_same_modes_under_each_umask(tmp_path, owners, monkeypatch, strict):
    monkeypatch.setattr(store, "test", lambda _server: None)
    monkeypatch.setattr(store, "reload", lambda _server: None)
    monkeypatch.setitem(store.SERVERS, "nginx", replace(store.SERVERS["nginx"], lock=str(tmp_path / "lock")))

    def keep(name):
        root = tmp_path / name
        settings = {"app": "shop", "kind": "selfsigned", "names": NAMES, "ca": ""}
        store.directory(f"{root}/etc/shop/tls")
        keeper.Keeper(settings, f"{root}/etc", f"{root}/flask-deploy/certificates").keep()
        return {re.sub("selfsigned-[0-9a-f]+", "pair", path): mode for path, mode in modes(root).items()}

    for name in ("usual", "strict"):
        (tmp_path / name / "etc").mkdir(parents=True)
    usual = keep("usual")
    assert strict(keep, "strict") == usual
    assert closed(tmp_path / "strict/flask-deploy/certificates", tmp_path / "strict/flask-deploy") == []


def test_the_program_that_keeps_certificates_is_open(tmp_path, strict):
    class Module:
        check_mode = False
        set_mode_if_different = staticmethod(lambda path, mode, changed: os.chmod(path, int(mode, 8)))
        atomic_move = staticmethod(os.replace)

    strict(nginx_certificate.write, Module, f"{tmp_path}/lib/flask-deploy/keep", {"__main__.py": ""})
    assert closed(tmp_path / "lib/flask-deploy", tmp_path / "lib") == []


def test_who_makes_a_directory_sets_its_mode():
    """mkdir(2) and open(2) take the umask off a mode; chmod(2) does not."""
    loose = []
    for path in sorted([*ROOT.glob("roles/**/*.py"), *ROOT.glob("plugins/**/*.py")]):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and path.name not in PRIVATE:
                called = {node.func.attr for node in ast.walk(function) if _is_call_of_os(node)}
                if called & {"mkdir", "makedirs"} and "chmod" not in called:
                    loose.append(f"{path.name}: {function.name}")
    assert loose == []


def _is_call_of_os(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "os"
