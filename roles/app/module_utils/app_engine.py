"""The Docker engine, asked through its own client: what is done here can be typed by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import suppress


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
    """Count the connections to a unix socket that the processes of a container hold.

    A connection lies in the network namespace of who asked, which is nginx's, or on older kernels of who answers;
    its path is what the container calls it, the same for every release: what tells them apart is who holds it.
    Source: unix_stream_connect and unix_seq_show in Linux's net/unix/af_unix.c; column St is 03 once connected.

    :param pid: process of the container, as the host sees it.
    """
    held, connected = _sockets(pid), set()
    for owner in ("self", pid):
        try:
            with open(f"/proc/{owner}/net/unix", encoding="utf-8") as file:
                rows = [line.split() for line in file]
        except (FileNotFoundError, ProcessLookupError):
            continue
        connected |= {row[6] for row in rows if row[-1] == socket and row[5] in ("02", "03")}
    return len(held & connected)


def _sockets(pid):
    """Return the inodes of all sockets that processes in a process's container have open (proc(5), fd)."""
    found = set()
    with suppress(OSError):
        container = os.readlink(f"/proc/{pid}/ns/pid")
        for process in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):  # it ended meanwhile
                if os.readlink(f"/proc/{process}/ns/pid") == container:
                    found |= {_link(f"/proc/{process}/fd/{number}") for number in os.listdir(f"/proc/{process}/fd")}
    return {name[8:-1] for name in found if name.startswith("socket:[")}


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def remove_container(name):
    """Remove a container, running or not; one that does not exist is fine."""
    if inspect("container", name) is not None:
        docker("rm", "-f", name)
