"""The Docker engine, asked through its own client: what is done here can be typed by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from typing import IO, Any

from ansible.module_utils.flask_deploy.host import command

SAID = 3000  # characters of what docker said that a message holds: the command, and the end
SAID_BEGIN = 200
ROOT = "/var/lib/docker"  # unless data-root in daemon.json says otherwise
QUERY = 60  # seconds that the engine may take to tell what it knows
MANY = 100  # things that are inspected at once: a container with a hundred mounts takes 60 KB
GONE = re.compile(r"no such (container|image|network)|not found|removal .* is already in progress", re.IGNORECASE)
NO_REASON = re.compile(r"exit status \d+|Status: .*, Code: \d+")  # how some versions end what they said
PURPOSES = ("command", "copy", "look", "schema", "static")  # of containers beside that of a release, in their names


class EngineError(Exception):
    """A docker command failed; the message holds the command, what it said at the end, and what to do.

    :ivar whole: all that it said.
    """

    def __init__(self, said: str) -> None:
        self.whole = said
        said = said if len(said) <= SAID else f"{said[:SAID_BEGIN]}\n ...\n{said[SAID_BEGIN - SAID :]}"
        if "Cannot connect to the Docker daemon" in said:
            said += "\n  what to do: ansible-playbook site.yml starts it; why it ended: sudo journalctl -u docker"
        super().__init__(said)


def mountable(path: str) -> bool:
    """Tell whether the engine takes a path as one: it reads what is mounted as CSV, in which the last word wins."""
    return path.isprintable() and not set(path) & {",", '"'}


def bind(source: str, target: str, fixed: bool = False) -> list[str]:
    """Return docker's arguments that mount a path of the host into a container (docker-run(1), --mount).

    :param fixed: nothing in the container can change it.
    :raises EngineError: a path would say more than where it is.
    """
    if odd := [path for path in (source, target) if not mountable(path)]:
        raise EngineError(f"{odd[0]!r} cannot be mounted: a path must have no comma, quote or control character")
    return ["--mount", f"type=bind,source={source},target={target}{',readonly' if fixed else ''}"]


def installed() -> bool:
    return shutil.which("docker") is not None


def docker(
    *arguments: str,
    stdin: IO[bytes] | None = None,
    environment: Mapping[str, str | None] | None = None,
    timeout: float = 600,
    copy: IO[bytes] | None = None,
) -> str:
    """Run a docker command and return what it printed.

    :raises EngineError: it ended with another code than 0, or took longer than ``timeout`` seconds.
    """
    words = ("docker", *arguments)
    printed = command.run(*words, error=EngineError, limit=timeout, stdin=stdin, environment=environment, copy=copy)
    return printed.decode(errors="replace")


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """Return what the engine knows of a container, image or network; None where it does not exist."""
    return next((found for found in _inspect(kind, [name]) if _bears(kind, found, name)), None)


def inspect_all(kind: str, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return {name: what the engine knows} of those containers, networks or images (by id) that exist.

    It is asked once for many, and not for all at once: an answer that is larger than can be held would be none.
    """
    wanted = sorted(names := set(names))
    found = [each for start in range(0, len(wanted), MANY) for each in _inspect(kind, wanted[start : start + MANY])]
    return {_name(kind, each): each for each in found if _name(kind, each) in names}


def _inspect(kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    try:
        done = command.attempt("docker", kind, "inspect", *names, limit=QUERY)
    except OSError as error:
        raise EngineError(f"docker {kind} inspect: {error}; type: ansible-playbook site.yml") from error
    if done.code is None:
        raise EngineError(command.late(("docker", kind, "inspect"), QUERY))
    odd = done.code and [line for line in command.whole_lines(done.said) if not GONE.search(line)]
    if odd or done.lost:
        raise EngineError(f"docker {kind} inspect: {done.said if odd else 'it told more than can be held'}")
    return json.loads(done.out or "[]")


def _name(kind: str, found: dict[str, Any]) -> str:
    return found["Id"] if kind == "image" else found["Name"].removeprefix("/")


def _bears(kind: str, found: dict[str, Any], name: str) -> bool:
    """Tell whether a thing is called so: the engine takes the beginning of an id for a name too."""
    if kind != "image":
        return name in (_name(kind, found), found.get("Id"))
    begin = name.removeprefix("sha256:")
    by_id = re.fullmatch("[0-9a-f]+", begin) and found["Id"].removeprefix("sha256:").startswith(begin)
    return not by_id or name == found["Id"] or f"{name}:latest" in (found.get("RepoTags") or [])


@contextmanager
def perhaps_gone() -> Iterator[None]:
    """Do something to what was there a moment ago: that it is gone by now is no error."""
    try:
        yield
    except EngineError as error:
        lines = [line for line in str(error).splitlines() if not NO_REASON.fullmatch(line)]
        if not lines or not all(GONE.search(line) for line in lines):
            raise


def root() -> str:
    """Return the directory where the engine keeps images, also where it does not run or is not there yet."""
    try:
        told = docker("info", "--format", "{{.DockerRootDir}}", timeout=QUERY).strip() if installed() else ""
    except EngineError:
        told = ""
    return told if told.startswith("/") else ROOT


def containers(app: str) -> dict[str, str]:
    """Return {name: state} of the containers that this role made for an app; state is docker's word, as "running".

    A container that somebody made from the app's image by hand inherits its label; its name is another.
    """
    form = '{{.Names}}\t{{.State}}\t{{.Label "flask-deploy.release"}}\t{{.Label "flask-deploy.process"}}'
    listed = docker("ps", "-a", "--filter", f"label=flask-deploy.app={app}", "--format", form, timeout=QUERY)
    rows = [line.split("\t") for line in listed.splitlines()]
    aside = re.compile(rf"{app}-[0-9a-f]+-({'|'.join(PURPOSES)})")
    return {name: state for name, state, *of in rows if _is_of(name, f"{app}-{of[0]}", of[1]) or aside.fullmatch(name)}


def _is_of(name: str, web: str, process: str) -> bool:
    """Tell whether a container is a release's own: its web, or one of its other processes, which have numbers."""
    return bool(re.fullmatch(rf"{web}-{process}-[0-9]+", name)) if process else name == web


def set_restarts(policies: Mapping[str, str]) -> list[str]:
    """Tell the engine which containers start with it; return those of which that is a change.

    :param policies: {container: docker's word, such as "no"}; those that do not exist are none of its business.
    """
    found = inspect_all("container", policies)
    now = {name: each["HostConfig"]["RestartPolicy"]["Name"] for name, each in found.items()}
    changed = [name for name in policies if now.get(name, policies[name]) != policies[name]]
    for policy in sorted({policies[name] for name in changed}):
        with perhaps_gone():
            docker("update", "--restart", policy, *(name for name in changed if policies[name] == policy))
    return changed


def remove(*names: str) -> None:
    """Remove containers, running or not, with the volumes that their images gave them; one that is gone is fine."""
    if not names:
        return
    with perhaps_gone():
        docker("rm", "-f", "-v", *names)


def logs(name: str, lines: int = 20) -> list[str]:
    """Return the last lines that a container wrote; of one that never ends, its first and its last part."""
    with suppress(OSError):  # what is on its way to the journal, where an engine before 23 does not wait for it
        command.attempt("journalctl", "--sync", limit=10)
    try:
        done = command.attempt("docker", "logs", "--tail", str(lines), name, limit=30, together=True)
    except OSError:
        return []
    return done.out.decode(errors="replace").splitlines()[-lines:]


@contextmanager
def copied(source: str, timeout: float = 600) -> Iterator[BufferedReader | None]:
    """Give what lies in a container as a tar stream; None where there is no such path.

    :param source: CONTAINER:PATH.
    :raises EngineError: it ended with another code than 0, or took longer than ``timeout`` seconds.
    """
    missing = False
    try:
        with command.reading("docker", "cp", source, "-", error=EngineError, limit=timeout) as stream:
            missing = not stream.peek(1)
            yield None if missing else stream
    except EngineError as error:
        if not missing or not re.search("could not find|no such", str(error), re.IGNORECASE):
            raise


def in_flight(pid: int, socket: str) -> int:
    """Count the connections to a unix socket that the processes of a container hold.

    A connection lies in the network namespace of who asked, which is nginx's, or on older kernels of who answers;
    its path is what the container calls it, the same for every release: what tells them apart is who holds it.
    Source: unix_stream_connect and unix_seq_show in Linux's net/unix/af_unix.c; column St is 03 once connected.

    :param pid: process of the container, as the host sees it.
    """
    held, connected = _sockets(pid), set()
    for owner in ("self", pid):
        try:
            with open(f"/proc/{owner}/net/unix", "rb") as file:  # an app names its sockets as it likes
                rows = [line.split() for line in file.read().split(b"\n")]
        except (FileNotFoundError, ProcessLookupError):
            continue
        connected |= {
            row[6].decode(errors="replace")
            for row in rows
            if len(row) == 8 and row[7] == os.fsencode(socket) and row[5] in (b"02", b"03")
        }
    return len(held & connected)


def _sockets(pid: int) -> set[str]:
    """Return the inodes of all sockets that processes in a process's container have open (proc(5), fd)."""
    found = set()
    with suppress(OSError):
        container = os.readlink(f"/proc/{pid}/ns/pid")
        for process in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):  # it ended meanwhile
                if os.readlink(f"/proc/{process}/ns/pid") == container:
                    found |= {_link(f"/proc/{process}/fd/{number}") for number in os.listdir(f"/proc/{process}/fd")}
    return {name[8:-1] for name in found if name.startswith("socket:[")}


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
