"""The tutorial, typed as it stands on the machine of somebody new. CI is played with the lines of the workflow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from tests import cores, typed
from tests.runners import RUNNERS

ROOT = Path(__file__).parents[3]
DOMAIN = "shop.example.com"
SUITE = os.environ.get("MOLECULE_SUITE", "trixie")
SSH = (
    "-F none -o HostName={address} -o HostKeyAlias={domain} -o IdentitiesOnly=yes -o LogLevel=ERROR"
    ' -o IdentityFile="$HOME/.ssh/id_ed25519" -o UserKnownHostsFile="$HOME/.ssh/known_hosts"'
    ' -o StrictHostKeyChecking="${{CHECKING:-accept-new}}"'
)
PATIENCE = 30  # seconds for an answer that a worker has to make true


class Machine:
    """A home, a shell, and programs to which the page's names lead to the test's host and repositories."""

    def __init__(self, place, address):
        self.root, self.home, self.here, self.said = place, place / "home", place, ""
        self.python = cores.python(("3.13", "3.12", "3.11"))
        for directory in ("bin", "home/.ssh", "remotes"):
            (place / directory).mkdir(parents=True)
        for name in ("ssh", "scp", "sftp"):
            self._program(name, SSH.format(address=address, domain=DOMAIN))
        self._program("curl", f"--resolve {DOMAIN}:443:{address}")
        (place / "bin/python3").symlink_to(self.python)
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("ANSIBLE", "MOLECULE", "VIRT"))
            },
            "HOME": str(self.home),
            "PATH": f"{place}/bin:{self.home}/.local/bin:/usr/local/bin:/usr/bin:/bin",
            "PIPX_DEFAULT_PYTHON": self.python,
            "ANSIBLE_NOCOLOR": "1",
            **{f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"url.file://{ROOT}.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://git.example.com/flask-deploy.git",
            "GIT_CONFIG_KEY_1": f"url.{place}/remotes/.insteadOf",
            "GIT_CONFIG_VALUE_1": "git@git.example.com:team/",
        }
        self.run(f"{sys.executable} -m venv pipx && pipx/bin/pip install --quiet pipx && ln -s ../pipx/bin/pipx bin")
        self.run("git init --quiet --bare --initial-branch=main remotes/shop.git")

    def _program(self, name, options):
        (self.root / "bin" / name).write_text(f'#!/bin/sh\nexec /usr/bin/{name} {options} "$@"\n')
        (self.root / "bin" / name).chmod(0o755)

    def run(self, line, place=None, shell=("bash", "-eo", "pipefail"), **environment):
        """Run a line of shell and keep what it says."""
        done = subprocess.run(
            [*shell, "-c", line],
            cwd=place or self.here,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=3000,
            check=False,
        )
        self.said = done.stdout
        assert done.returncode == 0, f"$ {line}\n{done.stdout}"

    def type(self, line):
        """Type a command of the page."""
        if line.startswith("cd "):
            self.here = (self.here / line[3:]).resolve(strict=True)
        else:
            self.run(line)

    def write(self, path, text):
        (self.root / "shop" / path).write_text(text)
        if path.endswith("/group_vars/web/app.yml"):
            own = {
                "build_base_image": f"flask-deploy/python:{SUITE}",
                "build_base_image_archive": str(ROOT / f"build/base-image-{SUITE}.tar.gz"),
                "build_ca_file": os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE", ""),
            }
            (self.root / "shop" / path).with_name("here.yml").write_text(yaml.safe_dump(own))

    def answers(self, line, text):
        """Wait until the command just typed says so; one that changes something is typed once."""
        until = time.monotonic() + PATIENCE
        while self.said.strip() != text and "--request" not in line and time.monotonic() < until:
            time.sleep(1)
            self.run(line)
        assert self.said.strip() == text, line

    def play_ci(self, runner):
        """Do on a machine of its own what a file for CI says of a push."""
        place = Path(tempfile.mkdtemp(dir=self.root))
        self.run(f"git clone --quiet {self.root}/remotes/shop.git {place}/shop && {self.python} -m venv {place}/venv")
        self.run(f"ssh-keygen -F {DOMAIN} -f {self.home}/.ssh/known_hosts")
        secrets = {
            "SSH_KEY": (self.home / ".ssh/id_ed25519").read_text(),
            "SSH_KNOWN_HOSTS": self.said,
            "VAULT_PASSWORD": (self.root / "shop/deploy/.vault-password").read_text().strip(),
        }
        ci = runner((place / "shop" / runner.file).read_text())
        (name,) = ci.environments("deploy")
        for directory, lines in ci.steps("deploy", name):
            self.run(
                lines,
                place / "shop" / directory,
                ci.shell,
                **secrets,
                HOME=str(place),
                PATH=f"{place}/venv/bin:{self.environment['PATH']}",
                CHECKING="yes",
            )


@pytest.fixture(scope="module")
def machine(address):
    place = Path(tempfile.mkdtemp(prefix="t"))  # short: ssh's sockets lie below it
    made = Machine(place, address())
    shutil.copy(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "id_ed25519"), made.home / ".ssh")
    yield made
    shutil.rmtree(place)


def test_the_tutorial_works_as_it_stands(machine, release):
    line, releases = "", []
    for kind, what, content in typed.steps((ROOT / "docs/tutorial/first-app.md").read_text()):
        if kind == "file":
            machine.write(what, content)
        elif kind == "answer":
            machine.answers(line, content)
        else:
            line = what
            machine.type(line)
        if kind == "command" and line.startswith("git push"):
            releases.append(release())
            for runner in RUNNERS:  # what the first one deployed is there already for the second one
                machine.play_ci(runner)
                releases.append(release())
    first, *same, before, second, third = releases
    assert {*same, before} == {first}, "CI deploys what is there already"
    assert second == third != first
