"""Rules for a host: its room, limits, units, packages, and what runs there that is nobody's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from . import BROKEN, NOTE, SETUP, SOON, Finding

DEPLOYS = 1 << 30  # bytes without which the check refuses a deploy (roles/check/library/check_host.py)
INODES = 20_000  # the same
MEMORY = 192 << 20  # the same
SMALL = 256 << 20  # bytes; a smaller file system holds no release
LATE = 7 * 86400  # seconds after which lists of packages are old
OURS = ("sshd", "sshd-session", "nginx", "docker-proxy")  # a port of a container is told with its container
# What asks for an address or the time, and is not asked.
CLIENTS = ("dhclient", "dhcpcd", "systemd-network", "NetworkManager", "chronyd", "ntpd", "systemd-timesyn")
FULL = {BROKEN: 0.95, SOON: 0.85}  # shares of what there is


def judge(facts: dict[str, Any], told: dict[str, Any]) -> list[Finding]:
    """Return findings of a host.

    :param facts: what module doctor_look told.
    :param told: what the inventory says of it: host_firewall, host_updates, host_ports.
    """
    rules = (room, short, limits, units, packages, reboot, settings, people, engine, apparmor, strangers, ports, sites)
    return [finding for rule in rules for finding in rule(facts, told)]


def level(share: float) -> str | None:
    return next((severity for severity, most in FULL.items() if share >= most), None)


def room(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    for disk in facts.get("disks", []):
        path, small = disk["path"], disk["used"] + disk["free"] < SMALL
        if disk["read_only"] and path != "/boot":
            yield Finding(BROKEN, f"{path} can only be read", path, "sudo dmesg --level=err,warn | tail")
        for what, used, free, least, unit in (
            ("full", disk["used"], disk["free"], DEPLOYS, 1 << 20),
            ("out of inodes", disk["inodes_used"], disk["inodes_free"], INODES, 1),
        ):
            share = used / (used + free) if used + free else 0.0
            held = path in ("/", "/srv", "/var", "/var/lib/docker")  # where the check looks
            severity = BROKEN if held and not small and free < least and used + free else level(share)
            if severity:
                left = f"{free // unit:,} {'MB' if unit > 1 else 'inodes'} left".replace(",", " ")
                command = f"sudo du -x{'' if unit > 1 else ' --inodes'} -d 2 {path} | sort -n | tail"
                yield Finding(severity, f"{path} is {share:.0%} {what}, {left}", path, command)


def short(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    memory = facts.get("memory") or {}
    if memory.get("total") and memory["free"] < max(MEMORY, memory["total"] // 20):
        severity = BROKEN if memory["free"] < MEMORY else SOON
        left = f"{memory['free'] >> 20} MB of memory are free; a release that starts needs {MEMORY >> 20}"
        yield Finding(severity, left, "memory", "ps aux --sort=-rss | head")


def limits(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    for what, (used, most) in (facts.get("limits") or {}).items():
        severity = level(used / most) if most else None
        if severity:
            yield Finding(severity, f"{used} of {most} {what} are in use", what, "ss -s")


def units(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    known = facts.get("units") or {}
    for unit in known.get("failed", []):
        name = unit["name"]
        look = f"systemctl status {name}" if not name.endswith(".service") else f"sudo journalctl -n 50 -u {name}"
        yield Finding(BROKEN, f"{name} failed ({unit['result']})", name, look, unit["since"])
    for unit in known.get("auto-restart", []):
        what = f"{unit['name']} ends and is started again and again, {unit['restarts']} times so far"
        yield Finding(BROKEN, what, unit["name"], f"sudo journalctl -n 50 -u {unit['name']}")


def packages(facts: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    known = facts.get("packages")
    if known is None:
        return
    if known["broken"]:
        what = f"dpkg was interrupted in {', '.join(known['broken'][:5])}"
        yield Finding(BROKEN, what, "dpkg", "sudo dpkg --configure -a")
    age = None if known["asked"] is None else facts["now"] - known["asked"]  # negative: the clock went back
    daily = "systemctl status apt-daily.timer" if told.get("host_updates") else "sudo apt update"
    if age is None or abs(age) > LATE:
        what = "nobody ever asked Debian for updates" if age is None else "Debian was not asked for updates"
        yield Finding(SOON, what, "apt", daily, known["asked"] if age and age > 0 else None)
    if known["security"]:
        number, names = len(known["security"]), ", ".join(known["security"][:3])
        more = f" and {number - 3} more" if number > 3 else ""
        way = "sudo unattended-upgrade" if told.get("host_updates") else "sudo apt upgrade"
        yield Finding(
            SOON, f"{number} security update{'s wait' if number > 1 else ' waits'}: {names}{more}", "apt", way
        )
    if known["held"]:
        names = " ".join(known["held"])
        yield Finding(NOTE, f"packages are held back from updates: {names}", "apt", f"sudo apt-mark unhold {names}")


def reboot(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    known = facts.get("reboot")
    if known:
        why = f" for {', '.join(known['packages'][:3])}" if known["packages"] else ""
        yield Finding(SOON, f"the host waits for a reboot{why}", "/run/reboot-required", "sudo reboot", known["since"])


def settings(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    """What was changed by hand, and no role looks at."""
    if not facts.get("clock", {}).get("kept", True):
        yield Finding(SOON, "nothing sets the clock", "clock", "sudo timedatectl set-ntp true")
    elif not facts.get("clock", {}).get("in_step", True):
        yield Finding(SOON, "the clock is not in step with any time server", "clock", "timedatectl timesync-status")
    if facts.get("sshd"):
        what = f"sshd refuses its settings, and does not start again: {facts['sshd']}"
        yield Finding(BROKEN, what, "/etc/ssh", "sudo sshd -t")


def people(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    accounts = facts.get("accounts") or {}
    enter = accounts.get("enter", [])
    for name in accounts.get("root", []):
        yield Finding(BROKEN, f"the user {name} has root's id 0", "/etc/passwd", f"getent passwd {name}; last {name}")
    for name in accounts.get("open", []):
        yield Finding(
            BROKEN, f"the user {name} has no password and needs none", "/etc/shadow", f"sudo passwd --lock {name}"
        )
    for name in enter:
        what = f"{name}, a user of the system, can log in by a password or a key"
        yield Finding(NOTE, what, "/etc/passwd", f"getent passwd {name}; last {name}")
    for name in accounts.get("shell", []):
        if name not in enter:
            what = f"{name}, a user of the system, has a shell to log in with"
            yield Finding(NOTE, what, "/etc/passwd", f"sudo usermod --shell /usr/sbin/nologin {name}")
    for name in accounts.get("sudo", []):
        what = f"the user {name} becomes root without a password, and is not the one who deploys"
        yield Finding(NOTE, what, "/etc/sudoers", f"sudo -l -U {name}")


def engine(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    known = facts.get("engine") or {}
    if not known.get("installed", True):
        yield Finding(BROKEN, "there is no Docker engine; the host is not set up", "docker", SETUP)
    elif known.get("error"):
        yield Finding(
            BROKEN,
            f"the Docker engine does not answer: {known['error']}",
            "docker.service",
            "sudo systemctl restart docker",
        )


def apparmor(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    known, engine = facts.get("apparmor"), facts.get("engine") or {}
    if not known or not engine.get("installed") or engine.get("error"):
        return
    if not known["kernel"]:
        what = "the kernel has no AppArmor; capabilities and seccomp alone hold containers"
        yield Finding(NOTE, what, "AppArmor", "cat /sys/kernel/security/lsm")
    elif not known["docker"]:
        what = "containers run without AppArmor, because Docker's profile is not loaded"
        yield Finding(SOON, what, "AppArmor", "sudo apt install apparmor && sudo systemctl restart docker")


def strangers(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    known = facts.get("engine") or {}
    for each in known.get("containers", []):
        if each["app"] or known.get("adopted") or not (each["runs"] or each["policy"] not in ("", "no")):
            continue
        name, published = each["name"], each["published"]
        opened = f", and publishes port {', '.join(published)}" if published else ""
        state = "runs" if each["runs"] else "would start with the engine"
        what = f"the container {name} ({each['image'].removeprefix('sha256:')[:40]}) is no app's, and {state}{opened}"
        since = each["since"] if each["runs"] else None
        yield Finding(SOON if published else NOTE, what, name, f"sudo docker inspect {name}", since)


def ports(facts: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """Sockets that others can reach, and nobody wrote into host_ports."""
    for each in facts.get("listening", []):
        protocol, port, program = each["protocol"], each["port"], each["program"]
        if program in OURS or program.startswith(CLIENTS) or (protocol, port) in (("udp", 68), ("udp", 546)):
            continue
        if (protocol, port) == ("tcp", 22) or opened(protocol, port, told.get("host_ports") or {}):
            continue
        closed = ", behind the firewall" if told.get("host_firewall") else ""
        program = "a program" if program == "?" else program
        whose = f"{program} of {each['unit']}" if each["unit"] else f"{program}, which is no service,"
        look = f"systemctl status {each['unit']}" if each["unit"] else f"sudo ss -Hltunp sport = :{port}"
        what = f"{whose} listens on {protocol} port {port}{closed}"
        yield Finding(NOTE if closed else SOON, what, f"{port}/{protocol}", look)


def opened(protocol: str, port: int, entries: dict[str, Any]) -> bool:
    """Tell whether host_ports names a port."""
    named = [entry["port"] for entry in entries.values() if entry.get("protocol", "tcp") == protocol]
    ranges = [str(each) for one in named for each in (one if isinstance(one, list) else [one])]
    ends = [re.fullmatch(r"(\d+)(?:-(\d+))?", each) for each in ranges]
    return any(each and int(each[1]) <= port <= int(each[2] or each[1]) for each in ends)


def sites(facts: dict[str, Any], _told: dict[str, Any]) -> Iterator[Finding]:
    known = facts.get("sites") or {}
    if known.get("refused"):
        yield Finding(BROKEN, f"nginx refuses its configuration: {known['refused']}", "/etc/nginx", "sudo nginx -t")
    for path in known.get("left_out", []):
        what = f"a site was broken when nginx started, and is left out: {path}"
        yield Finding(BROKEN, what, path, "sudo journalctl -u nginx | grep 'left out'")
    for path in known.get("strangers", []) if not known.get("adopted") else []:
        yield Finding(SOON, f"{path} is no app's, and nginx serves it", path, f"sudo cat {path}")
