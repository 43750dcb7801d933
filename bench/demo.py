"""The demo's host as the judge uses it: its shell, its playbooks, the app under judgement on it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SSH = ROOT / "build/demo/ssh_config"
SCRIPT = ROOT / "molecule/shared/demo"
COUNTS = {"ANSIBLE_STDOUT_CALLBACK": "default"}  # counts what ran and what changed, of earlier commits too
SETTLE = 15  # seconds; nginx may have been told to reload, and its old workers have clients to finish


class RunError(Exception):
    """A command did not do what it should; the message holds its last lines."""


@dataclass
class Play:
    """One ansible-playbook run.

    :ivar began: epoch seconds.
    :ivar tasks: how many ran; ``changed``: how many of them changed things.
    :ivar steps: play and task of each that ran.
    """

    began: float
    seconds: float
    tasks: int = 0
    changed: int = 0
    steps: tuple[tuple[str, str], ...] = ()


def ensure():
    """Make the demo where it does not run, and put the app under judgement on its host."""
    stand()
    play("site.yml")
    time.sleep(SETTLE)


def stand():
    """Make the demo where it does not run."""
    if " Up " not in subprocess.run([SCRIPT, "status"], capture_output=True, text=True, check=True).stdout:
        subprocess.run([SCRIPT, "run"], check=True)


def address():
    """Return the host's own address: no proxy stands between the clients and nginx."""
    return re.search(r"HostName (\S+)", SSH.read_text())[1]


def shell(command, given=b"", ssh=SSH):
    """Run a command as root on the host and return what it prints.

    :param given: bytes of its stdin.
    :param ssh: the file that says how to reach the host, if it is another one.
    :raises RunError: it ended with another code than 0.
    """
    done = subprocess.run(_over_ssh(command, ssh), input=given, capture_output=True, check=False)
    if done.returncode:
        raise RunError(f"{command}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout.decode()


def begin(command):
    """Start a command as root on the host; it is told the end by that of its stdin."""
    return subprocess.Popen(_over_ssh(command), stdin=subprocess.PIPE)


def _over_ssh(command, ssh=SSH):
    return ["ssh", "-F", ssh, "demo", f"sudo sh -c {shlex.quote(command)}"]


def play(playbook, root=ROOT, inventory="inventories/local", **values):
    """Run a playbook for the app under judgement.

    :param root: the checkout that it is of.
    :raises RunError: it failed.
    """
    command = [Path(sys.executable).with_name("ansible-playbook"), playbook, "-i", inventory]
    command += ["-e", "@bench/app.yml", "-e", json.dumps(values)]
    began = time.time()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=root, env={**os.environ, **COUNTS, "PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RunError(f"{playbook} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    ran, changed = re.search(r"ok=(\d+) +changed=(\d+)", done.stdout).groups()
    return Play(began, round(time.time() - began, 2), int(ran), int(changed), steps(done.stdout))


def steps(said):
    """Return (play, task) of each task that ran, as Ansible's default callback printed it; "role : name" is a task."""
    found, play, task = [], "", ""
    for line in said.splitlines():
        if heading := re.match(r"(PLAY|TASK) \[(.*)\] \*+$", line):
            play, task = (heading[2], "") if heading[1] == "PLAY" else (play, heading[2])
        elif task and line.startswith(("ok: [", "changed: [")):
            found.append((play, task))
            task = ""
    return tuple(found)
