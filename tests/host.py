"""A host in a directory: real files, an engine that remembers, no root."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils import build_repositories
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files, locks, nginx, untrusted
from ansible.module_utils.flask_deploy.release import places
from ansible.module_utils.flask_deploy.switch import log, retire, watch

STAND_INS = Path(__file__).parent / "stand-ins"


class Owner(int):
    """Whoever is asked for."""

    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class Unprivileged:
    """Stands for module os where files get owners: that takes root, and so does to write where the mode forbids it."""

    def __init__(self):
        self.closed = {}

    def __getattr__(self, name):
        return getattr(os, name)

    def chown(self, path, uid, gid):
        pass

    def fchown(self, handle, uid, gid):
        pass

    def chmod(self, path, mode):
        if os.path.isdir(path) and not mode & 0o200:
            self.closed[path] = mode
        else:
            os.chmod(path, mode)

    def lstat(self, path):
        info = os.lstat(path)
        mode = stat.S_IFMT(info.st_mode) | self.closed.get(path, stat.S_IMODE(info.st_mode))
        return SimpleNamespace(st_mode=mode, st_uid=Owner(), st_gid=Owner())

    stat = lstat


class Engine:
    """What the stand-in for docker was told and holds."""

    def __init__(self, place):
        self.place = place

    def calls(self, *begin):
        """Return the commands so far that begin so."""
        lines = (self.place / "calls").read_text().splitlines() if (self.place / "calls").exists() else []
        return [line for line in lines if line.startswith(" ".join(begin))]

    def forget(self):
        (self.place / "calls").unlink(missing_ok=True)

    def restart(self, name):
        return (self.place / "containers" / name / "restart").read_text().strip()

    def volumes(self):
        return sorted(path.name for path in self.place.glob("volumes/*"))

    def running(self):
        return sorted(path.parent.name for path in self.place.glob("containers/*/running"))

    def schema(self, now=None, after=None):
        """Let the database's schema be this one, and the next release command make it another."""
        for name, text in {"schema": now, "next": after}.items():
            if text is not None:
                (self.place / name).write_text(text)

    def reboot(self):
        """Leave running what is to come back by itself."""
        for container in self.place.glob("containers/*"):
            (container / "running").unlink(missing_ok=True)
            if self.restart(container.name) != "no":
                (container / "running").touch()

    def public(self, name, text="hello", directory="/app/static"):
        """Put a public file into the image."""
        path = Path(f"{self.place}/image{directory}") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def engine(tmp_path, monkeypatch):
    place = tmp_path / "engine"
    for folder in ("containers", "networks", "volumes", "bin"):
        (place / folder).mkdir(parents=True)
    for program in STAND_INS.iterdir():
        shutil.copy(program, place / "bin")
    known = {"images": "sha256:one\n", "tags": "", "offers": "", "pools": "null\n"}
    inside = {"passwd": "root:x:0:0:root:/root:/bin/bash\n", "instance": "/app/instance", "gunicorn": True}
    known["inside"] = json.dumps(inside)
    for name, text in known.items():
        (place / name).write_text(text)
    monkeypatch.setenv("PATH", f"{place / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("ENGINE", str(place))
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))
    return Engine(place)


@pytest.fixture
def owners(monkeypatch):
    """Let those who are not root run the tests too."""
    if os.getuid() != 0:
        monkeypatch.setattr(files, "os", Unprivileged())


@pytest.fixture
def host(tmp_path, monkeypatch, engine, owners):
    """Return a function that makes an app's view of the host; its root is a directory."""
    conf = tmp_path / "etc" / "nginx"
    (conf / "conf.d").mkdir(parents=True)
    (conf / "nginx.conf").write_text(f"http {{ include {conf}/conf.d/*.conf; }}\n")
    www_data = SimpleNamespace(pw_uid=33, pw_gid=33)
    monkeypatch.setattr(places, "pwd", SimpleNamespace(getpwnam=lambda name: www_data))
    monkeypatch.setattr(nginx, "CONF", str(conf))
    monkeypatch.setattr(nginx, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(nginx, "tempfile", SimpleNamespace(mkdtemp=lambda **place: _stage(tmp_path)))
    monkeypatch.setattr(untrusted, "PROTECTION", str(tmp_path / "protected_symlinks"))
    monkeypatch.setattr(untrusted, "SETTING", str(tmp_path / "sysctl.conf"))
    (tmp_path / "protected_symlinks").write_text("1\n")
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 200)
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: 200)
    monkeypatch.setattr(log, "LOG", str(tmp_path / "access.log"))
    monkeypatch.setattr(watch, "LOG_DELAY", 0)
    assert engines.installed()

    def app(name="shop"):
        app = places.App(name)
        for key, value in vars(app).items():
            if str(value).startswith(("/srv/", "/etc/")):
                setattr(app, key, f"{tmp_path}{value}")
        return app

    return app


@pytest.fixture
def app(host, monkeypatch):
    """Return an app of which nothing is in flight, so that what no longer serves is stopped at once."""
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 0)
    return host()


@pytest.fixture
def two_images(engine):
    (engine.place / "images").write_text("sha256:one\nsha256:two\n")


def _stage(tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    return str(stage)


@pytest.fixture
def git():
    def run(folder, *arguments):
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def checkout(tmp_path, git):
    """Return a git checkout with tracked, untracked, ignored and deleted files."""
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    texts = {"app.py": "1", "sub/a.txt": "a", "gone.txt": "x", ".gitignore": "*.pyc\n.cache/\n", "ü b": "space"}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "kept.pyc").write_text("tracked, although ignored")
    git(folder, "add", "-f", ".")
    git(folder, "commit", "-qm", "one")
    (folder / "gone.txt").unlink()
    (folder / "new.txt").write_text("untracked")
    (folder / "app.pyc").write_text("ignored")
    return folder


@pytest.fixture
def repository(tmp_path, owners):
    """Return a function that makes a host's copy of a repository."""
    kind = build_repositories.Repository

    def make(address, key=None):
        copy = kind("shop", str(address), key)
        copy.path = str(tmp_path / "srv" / "source.git")
        return copy

    return make
