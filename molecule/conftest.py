"""What all host tests share: the doors a user has, which are ansible-playbook, HTTP and the host's own shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import testinfra
import yaml

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
DOMAIN = "app.test"


@dataclass
class Run:
    """One ansible-playbook run."""

    rc: int
    output: str

    @property
    def changed(self) -> int:
        return sum(map(int, re.findall(r"changed=(\d+)", self.output)))

    @property
    def changed_tasks(self) -> list[str]:
        """Names of the tasks that changed something, handlers included."""
        names, name = [], ""
        for line in self.output.splitlines():
            if found := re.match(r"(?:TASK|RUNNING HANDLER) \[(?:\w+ : )?(.*?)\] \*", line):
                name = found[1]
            elif line.startswith("changed:") and name not in names:
                names.append(name)
        return names


@dataclass
class Answer:
    """One HTTP answer, as curl saw it."""

    status: int
    headers: dict[str, str]
    body: str
    protocol: str = ""


@pytest.fixture(scope="session")
def play():
    """Run a playbook against the scenario's host; return what it said, in Ansible's own words: tests count in them."""

    def run(playbook: str, *arguments: str, succeed: bool = True) -> Run:
        command = ["ansible-playbook", playbook, "-i", os.environ["MOLECULE_INVENTORY_FILE"], *arguments]
        plain = {"ANSIBLE_STDOUT_CALLBACK": "default", **os.environ, "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1"}
        done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=False, timeout=900)
        result = Run(done.returncode, done.stdout + done.stderr)
        assert not succeed or result.rc == 0, result.output
        return result

    return run


@pytest.fixture(scope="session")
def container() -> str:
    """Return the name of the container that is the host."""
    return yaml.safe_load(Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).read_text())[0]["container"]


@pytest.fixture(scope="session")
def sh(container):
    """Run a command on the host as root, round the network; return (exit code, all that it printed)."""

    def run(command):
        done = subprocess.run(["docker", "exec", container, "sh", "-c", command], capture_output=True, check=False)
        return done.returncode, (done.stdout + done.stderr).decode().strip()

    return run


@pytest.fixture(scope="session")
def address(container):
    """Return the host's address now; a reboot may change it."""

    def ask() -> str:
        template = "{{.NetworkSettings.IPAddress}}"
        command = ["docker", "container", "inspect", "--format", template, container]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return ask


@pytest.fixture(scope="session")
def host(address):
    """The host by testinfra, over the SSH that users have; molecule's own would go through ansible for each command."""
    options = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    key = str(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "id_ed25519"))
    return testinfra.get_host(f"ssh://deploy@{address()}", sudo=True, ssh_identity_file=key, ssh_extra_args=options)


@pytest.fixture(scope="session")
def get(address):
    """Ask the host, from outside, for a URL of any of its names; nothing is followed or tried again."""

    def ask(url: str, *arguments: str) -> Answer:
        names = [DOMAIN, f"www.{DOMAIN}"]
        at = address()
        where = [part for name in names for port in (80, 443) for part in ("--resolve", f"{name}:{port}:{at}")]
        command = ["curl", "-sSk", "-i", "--max-time", "30", *where]
        done = subprocess.run([*command, *arguments, url], capture_output=True, check=False)
        if done.returncode:
            return Answer(0, {}, done.stderr.decode())
        head, _, body = done.stdout.decode().partition("\r\n\r\n")
        lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        protocol, status = lines[0].split()[:2]
        return Answer(int(status), headers, body, protocol)

    return ask


@pytest.fixture(scope="session")
def metrics(host):
    """Measure, and return {sample: value} of what both exporters give."""

    def scrape() -> dict[str, float]:
        host.check_output("/usr/local/lib/flask-deploy/metrics write")
        text = "".join(host.check_output(f"curl -sf http://127.0.0.1:{port}/metrics") + "\n" for port in (9180, 9181))
        rows = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
        return {name: float(value) for name, _, value in rows}

    return scrape


@pytest.fixture
def release(host):
    """Return the id of the release that serves."""
    return lambda: os.path.basename(host.check_output("readlink /srv/app/current"))


@pytest.fixture
def source(tmp_path) -> Path:
    """A copy of the bundled app, to be edited."""
    return Path(
        shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    )


@pytest.fixture
def snapshot(host):
    """Return a digest of what a deploy could change: packages, /etc, /srv, users and units."""
    command = (
        "{ dpkg-query -W; find /etc /srv -printf '%p %m %u %g %s %l\\n' | sort;"
        " find /etc /srv -type f -exec sha256sum {} + | sort; } | sha256sum"
    )
    return lambda: host.check_output(command)


@pytest.fixture(scope="session")
def until():
    """Wait for a claim to become true and return its value; fail when it does not within so many seconds."""

    def wait(claim, seconds: float):
        end = time.monotonic() + seconds
        while not (value := claim()):
            assert time.monotonic() < end, f"not true within {seconds} s"
            time.sleep(0.3)
        return value

    return wait
