"""Whatever kills a deploy, at any step: the site answers, the next run ends well, and the run after it changes nothing.

EVERY=n looks at each n-th step only.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from zlib import crc32

import pytest

from bench.judge import Judge

DEPLOY = "playbooks/app.yml"
KINDS = {"new-page": 2, "http2-page": 2}  # a reload of nginx cuts kept HTTP/1.1 connections, deploy or not
EVERY = int(os.environ.get("EVERY", "1"))
KILLER = (Path(__file__).parent / "killer.py").read_text()

# What a deploy is made of: each of these must be among the steps that are killed.
STEPS = {
    "module": [
        r"os.rename \S+ /srv/app/releases/\.new-\w+/env\.json",
        r"os.rename /srv/app/releases/\.new-\w+ /srv/app/releases/\w+$",
        r"os.rename \S+ /srv/app/releases/\w+/state\.json",
        r"docker create --name app-\w+",
        r"docker start app-\w+",
        r"nginx -t",
        r"os.rename \S+ /srv/app/switch\.json",
        r"systemd-run",
        r"os.rename \S+ /srv/app/switch\.decision",
        r"docker stop -t",
        r"os.rename \S+ /srv/app/releases/\w+/deploy\.json",
    ],
    "unit": [
        r"docker update --restart unless-stopped app-\w+",
        r"os.remove /srv/app/releases/\w+/run/draining",
        r"os.symlink releases/\w+",
        r"os.rename /srv/app/current\.new /srv/app/current",
        r"os.rename /srv/app/previous\.new /srv/app/previous",
        r"nginx -t",
        r"systemctl reload nginx",
        r"os.rename \S+ /srv/app/releases/\w+/run/draining",
        r"docker update --restart no app-\w+",
        r"os.rename \S+ /srv/app/releases/\w+/state\.json",
        r"os.rename \S+ /srv/app/switch\.json",
        r"os.rename \S+ /srv/app/releases/\w+/switch\.json",
        r"os.remove /srv/app/switch\.json",
        r"os.remove /srv/app/switch\.decision",
    ],
}


def changed(name):
    """Return what makes a new release, in each run of the tests another one, and nginx reload for its site file."""
    number = f"{name} {os.getpid()}"
    return ["-e", f'{{"app_env": {{"NUMBER": "{number}"}}, "app_max_body": "{1 + crc32(number.encode()) % 900}m"}}']


@pytest.fixture(scope="module")
def sh(container):
    """Run a command on the host as root, round the network: its address changes when it loses power."""

    def run(command, stdin=None):
        done = subprocess.run(
            ["docker", "exec", "-i", container, "bash", "-c", command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    return run


@pytest.fixture(scope="module", autouse=True)
def killer(sh):
    """Let python3 on the host read the killer at its start."""
    place = sh("python3 -c 'import sysconfig; print(sysconfig.get_path(\"stdlib\"))'")
    customize = f"{place}/sitecustomize.py"
    sh(f"mkdir -p /run/kill; mv {customize} {customize}.kept; cat > {customize}", stdin=KILLER)
    yield
    sh(f"mv {customize}.kept {customize}; rm -rf /run/kill")


@pytest.fixture
def arm(sh):
    """Choose who is killed, and before which effect."""

    def plan(who, number):
        sh(f"rm -f /run/kill/*; echo '{who} {number}' > /run/kill/plan")

    yield plan
    sh("rm -rf /run/kill/*")


@pytest.fixture
def deploy(play, address):
    """Run a deploy against the host's address of now."""
    return lambda arguments: play(DEPLOY, *arguments, "-e", f"ansible_host={address()}", succeed=False)


@pytest.fixture
def settled(sh):
    """Fail where something of a deploy is left, or where not exactly the serving release runs."""

    def check():
        serving = sh("basename $(readlink /srv/app/current)")
        assert sh("ls /srv/app/switch.json /srv/app/switch.decision 2>/dev/null; true") == ""
        assert sh("docker ps --format '{{.Names}}'") == f"app-{serving}"
        policies = sh("docker ps -aq | xargs docker inspect -f '{{.HostConfig.RestartPolicy.Name}} {{.Name}}'")
        assert re.findall(r"unless-stopped (.*)", policies) == [f"/app-{serving}"]
        marked = sh("cd /srv/app/releases; ls */run/draining 2>/dev/null | cut -d/ -f1; true").split()
        assert sorted([*marked, serving]) == sorted(sh("ls /srv/app/releases").split())

    return check


@pytest.fixture
def heal(deploy, settled):
    """The next run ends well, and the run after it changes nothing."""

    def run(arguments, what):
        healing = deploy(arguments)
        assert healing.rc == 0, f"{what}: the next run failed:\n{healing.output}"
        again = deploy(arguments)
        assert (again.rc, again.changed_tasks) == (0, []), f"{what}: the run after it:\n{again.output}"
        settled()

    return run


@pytest.mark.parametrize("who", ["module", "unit"])
def test_killed_on_the_host_at_any_step(deploy, arm, sh, address, heal, who):
    arm("nobody", 0)
    assert deploy(changed(f"record {who}")).rc == 0
    steps = sh(f"cat /run/kill/{who}").splitlines()
    missing = [step for step in STEPS[who] if not any(re.search(step, line) for line in steps)]
    assert not missing, "\n".join([f"not among the steps that are killed: {missing}", *steps])
    with Judge(address(), "app.test", kinds=KINDS) as load:
        for number in range(0, len(steps), EVERY):
            what, arguments = f"{who} {number}, before {steps[number]}", changed(f"{who} {number}")
            arm(who, number)
            deploy(arguments)
            assert len(sh(f"cat /run/kill/{who}").splitlines()) > number, f"{what}: nothing was killed"
            arm("nobody", 0)
            heal(arguments, what)
    verdict = load.verdict()
    assert verdict.failed == 0, verdict
