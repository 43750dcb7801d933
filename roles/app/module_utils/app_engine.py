"""The Docker engine, asked through its own client: what is done here can be typed by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess


class EngineError(Exception):
    """A docker command failed; the message holds the command and what it said."""


def installed():
    return shutil.which("docker") is not None


def docker(*arguments, stdin=None, environment=None, timeout=600):
    """Run a docker command and return what it printed.

    :raises EngineError: it ended with another code than 0, or took longer than ``timeout`` seconds.
    """
    try:
        done = subprocess.run(
            ["docker", *arguments],
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, **(environment or {})},
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"docker {arguments[0]} took longer than {timeout} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        if "Cannot connect to the Docker daemon" in said:
            said += "\n  what to do: ansible-playbook site.yml starts it; why it ended: journalctl -u docker"
        raise EngineError(f"docker {' '.join(arguments[:2])}: {said[-3000:]}")
    return done.stdout.decode(errors="replace")


def inspect(kind, name):
    """Return what the engine knows of a container, image or network; None where it does not exist."""
    try:
        return json.loads(docker(kind, "inspect", name))[0]
    except EngineError as error:
        if "no such" in str(error).lower() or "not found" in str(error).lower():
            return None
        raise


def containers(app):
    """Return {name: state} of an app's release containers; state is docker's word, such as "running"."""
    listed = docker("ps", "-a", "--filter", f"label=flask-deploy.app={app}", "--format", "{{.Names}} {{.State}}")
    return dict(line.split() for line in listed.splitlines())


def logs(name, lines=20):
    """Return the last lines that a container wrote."""
    try:
        done = subprocess.run(
            ["docker", "logs", "--tail", str(lines), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=30,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return []
    return done.stdout.decode(errors="replace").splitlines()


def in_flight(pid, socket):
    """Count connections to a unix socket, waiting ones included, inside the network namespace of a process.

    Source: unix_seq_show in Linux's net/unix/af_unix.c; column St is 03 once accepted, 02 before.
    """
    try:
        with open(f"/proc/{pid}/net/unix", encoding="utf-8") as file:
            rows = [line.split() for line in file]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(1 for row in rows if row[-1] == socket and row[5] in ("02", "03"))


def remove_container(name):
    """Remove a container, running or not; one that does not exist is fine."""
    if inspect("container", name) is not None:
        docker("rm", "-f", name)
