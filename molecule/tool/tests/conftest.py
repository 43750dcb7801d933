"""A machine beside the server, on which somebody types: what a user sees, and nothing of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.terminal import Terminal

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
SUITE = os.environ.get("MOLECULE_SUITE", "trixie")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# What a server needs that reaches no registry of images; no user of a usual network writes these.
WITHOUT_A_REGISTRY = {
    "build_base_image": f"flask-deploy/python:{SUITE}",
    "build_base_image_archive": "/srv/base-image.tar.gz",
    "build_ca_file": CERTIFICATES,
}


class Desk:
    """The user's machine."""

    place = "/home/deploy"
    settings = WITHOUT_A_REGISTRY

    def __init__(self, container):
        self.container = container

    def command(self, line, *options, place=None, user="deploy"):
        """Return how a login shell there is told a line."""
        where = ["--user", user, "--workdir", place or self.place]
        return ["docker", "exec", *where, *options, self.container, "bash", "-lc", line]

    def type(self, line, **where):
        """Run a line with its output in a pipe; return its exit code and what it said."""
        command = self.command(f"exec 2>&1; {line}", **where)  # docker would bring the two apart, in any order
        piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True}
        done = subprocess.run(command, **piped, check=False, timeout=900)
        return done.returncode, done.stdout

    def must(self, line, **where):
        code, said = self.type(line, **where)
        assert code == 0, f"{line}\n{said}"
        return said

    def terminal(self, line, **where):
        """Run a line on a terminal."""
        return Terminal(self.command(line, "--interactive", "--tty", **where), ROOT)

    def put(self, text, path, user="deploy"):
        """Write a file; its path begins in the user's home."""
        command = self.command(f"cat >{path}", "--interactive", user=user, place=f"/home/{user}")
        subprocess.run(command, input=text, text=True, check=True)

    def received(self):
        """Return the bytes that its network brought since it started."""
        return int(self.must("cat /sys/class/net/eth0/statistics/rx_bytes"))


@pytest.fixture(scope="session")
def server():
    """Return the server's container, to be counted and looked at."""
    return Desk(containers()["host"])


def containers():
    known = yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())
    return {each["instance"]: each["container"] for each in known}


@pytest.fixture(scope="session")
def desk(address, tmp_path_factory):
    """Make a machine as a user has it: Debian with pipx and git, a key that the server knows, an app in git."""
    made = Desk(containers()["desk"])
    if made.type("test -e shop/.git")[0] == 0:  # a kept host, tried again
        return made
    work = tmp_path_factory.mktemp("desk")
    subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, work / "flask-deploy.git"], check=True)
    shutil.copytree(ROOT / "molecule/schema/app", work / "shop")
    key = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "id_ed25519")
    authorities = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or CERTIFICATES
    into = {
        work / "flask-deploy.git": "/srv/flask-deploy.git",
        work / "shop": "/home/deploy/shop",
        key: "/home/deploy/.ssh/id_ed25519",
        ROOT / f"build/base-image-{SUITE}.tar.gz": "/srv/base-image.tar.gz",
        Path(authorities): CERTIFICATES,
    }
    made.must("install -d -m 0700 ~/.ssh")
    for what, where in into.items():
        subprocess.run(["docker", "cp", "--quiet", what.resolve(), f"{made.container}:{where}"], check=True)
    made.must(
        f"printf '[global]\\ncert = {CERTIFICATES}\\n' >/etc/pip.conf && echo '{address()} app.test' >>/etc/hosts"
        " && useradd --create-home --shell /bin/bash git && install -d -m 0700 -o git ~git/.ssh"
        " && install -m 0600 -o git ~deploy/.ssh/authorized_keys ~git/.ssh && chown -R git: /srv/flask-deploy.git"
        " && chown -R deploy: /home/deploy && chmod 0644 /srv/base-image.tar.gz"
        " && apt-get -qq update"
        " && apt-get -qq install --yes --no-install-recommends pipx git openssh-client >/dev/null",
        user="root",
    )
    made.must(
        "ssh-keyscan -t ed25519 app.test localhost >~/.ssh/known_hosts 2>/dev/null"
        " && git config --global user.email ann@example.com && git config --global user.name Ann"
        " && git config --global init.defaultBranch main && cd shop && git init --quiet && git add --all"
        " && git commit --quiet --message 'A shop'"
    )
    return made
