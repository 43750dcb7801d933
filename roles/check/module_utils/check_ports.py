"""What a host says to the addresses and ports on which a deploy would listen, before anything changes."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

from ansible.module_utils.flask_deploy.host import command, files

# Who holds a port for a container, and whom to ask for which.
FORWARDERS = {"docker-proxy": "docker", "dockerd": "docker", "conmon": "podman", "rootlessport": "podman"}
ALL = {"0.0.0.0", "*", "[::]"}  # noqa: S104 - what ss(8) calls every address
LOCAL = "127.0.0.1"


def taken_web() -> list[str]:
    """Return one line for each process but nginx that holds a port of the web."""
    held = {(port, name, pid) for _at, port, name, pid in _listening() if port in ("80", "443") and name != "nginx"}
    return sorted(f"port {port} is held by {name} (pid {pid}){way_out(name, pid, port)}" for port, name, pid in held)


def taken_metrics(address: str = "", port: int = 0) -> list[str]:
    """Return what keeps metrics from being read at an address: it is not this host's, or a port is somebody's.

    :param port: the first of three, as role metrics says.
    """
    if not address:
        return []
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as tried:
            tried.bind((address, 0))
    except OSError:
        return [f"metrics_address: {address} is no address of this host; type there: ip -brief address"]
    ours = f"[{address}]" if ":" in address else address
    exporters, figures = (str(port), str(port + 1)), str(port + 2)
    held = {
        (at, name, pid)
        for place, at, name, pid in _listening()
        if (at in exporters and place in {ours, *ALL} and "/flask-deploy-metrics-" not in group_of(pid))
        or (at == figures and place in {LOCAL, *ALL} and name != "nginx")
    }
    return sorted(
        f"metrics_port: port {at} is held by {name} (pid {pid}); choose another, of which the next two are free as well"
        for at, name, pid in held
    )


def _listening() -> Iterator[tuple[str, str, str, str]]:
    """Yield (address, port, process, its number) of all that listens, as ss(8) prints it."""
    try:
        listed = command.attempt("ss", "-Hltnp", limit=10).out.decode(errors="replace")
    except FileNotFoundError:
        return
    for line in listed.splitlines():
        address, _, port = line.split()[3].rpartition(":")
        holder = re.search(r'\(\("([^"]+)",pid=(\d+)', line)
        if holder:
            yield address, port, holder[1], holder[2]


def way_out(name: str, pid: str, port: str) -> str:
    """Return what to type where a process holds a port: by its container, by its unit, or as what it is."""
    if name in FORWARDERS:
        return f"; type there: sudo {FORWARDERS[name]} ps --filter publish={port}"
    if pid == "1":
        return " for one of its sockets; type there: systemctl list-sockets"
    group = group_of(pid).removeprefix(group_of("1").removesuffix("/init.scope"))  # a host may be a container
    # What somebody began from these lies in their group too; nobody should be told to stop them.
    unit = re.search(r"^/system\.slice/(?:.*/)?((?!sshd?[.@]|cron\.)[^/]+\.service)$", group)
    if unit:
        return f"; type there: sudo systemctl disable --now {unit[1]}"
    return f", which is no unit of systemd; type there: ps -fp {pid}, and if nothing needs it: sudo kill {pid}"


def group_of(pid: str) -> str:
    """Return the control group of a process (cgroups(7), /proc/[pid]/cgroup)."""
    return (files.read(f"/proc/{pid}/cgroup") or b"").decode(errors="replace").strip().rpartition("::")[2]
