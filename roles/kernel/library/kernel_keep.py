#!/usr/bin/python
"""Set what a host's kernel lets others do, and tell what keeps its clock and its containers."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from glob import glob
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: kernel_keep
short_description: Set what a host's kernel lets others do, and tell what keeps its clock and its containers
description:
  - Owns one file of sysctl.d(5), and sets what it says at once. What another file of the host sets stays as that says.
  - A container has the kernel of its host. There it sets the network alone, and tells no clock and no AppArmor.
options:
  settings: {type: bool, default: true, description: Whether the kernel is to be closed to what nobody needs.}
  core_dumps: {type: bool, default: false, description: Whether programs that crash leave their memory on the disk.}
  clock: {type: bool, default: true, description: Whether something is to keep the clock.}
  apparmor: {type: bool, default: true, description: "Whether what loads AppArmor's profiles is to be there."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Set the kernel
  kernel_keep:
    core_dumps: true
"""

RETURN = r"""
told: {type: list, returned: success, description: One line for each setting that the kernel does not take.}
packages: {type: list, returned: success, description: What is to be installed.}
unit: {type: str, returned: success, description: The unit that is to keep the clock and does not; empty if one does.}
dest: {type: str, returned: success, description: The file that it owns, where that differed.}
"""

FILE = "/etc/sysctl.d/60-flask-deploy.conf"  # behind Debian's own, in /usr/lib
OTHERS = ("/etc/sysctl.conf", "/etc/sysctl.d/*.conf", "/run/sysctl.d/*.conf", "/usr/local/lib/sysctl.d/*.conf")
ROOT = "/proc/sys"
HEAD = "# Managed by Ansible: flask-deploy. What another file in /etc/sysctl.d names is left to that file.\n"
# Reason, and settings as paths below ROOT. Docker's forwarding, bridges and NAT need none of them, nor does a database.
NETWORK = {
    "Nobody beside the host sends its packets another way: redirects of ICMP can be forged.": {
        "net/ipv4/conf/*/accept_redirects": "0",
        "net/ipv6/conf/*/accept_redirects": "0",
    },
    "The host tells nobody another way: that is for routers.": {"net/ipv4/conf/*/send_redirects": "0"},
    "A sender does not choose the way of its packets, past a firewall: RFC 7126 section 4.3.": {
        "net/ipv4/conf/*/accept_source_route": "0"
    },
    "A flood of half-open connections keeps nobody out: RFC 4987 section 3.6.": {"net/ipv4/tcp_syncookies": "1"},
}
KERNEL = {
    "Addresses of the kernel would help those who attack it; root alone reads them.": {"kernel/kptr_restrict": "1"},
    "So would its log.": {"kernel/dmesg_restrict": "1"},
    "A process reads the memory of those that it began, not of all of its user.": {"kernel/yama/ptrace_scope": "1"},
    "Drivers for old terminals had holes, and load for root alone.": {"dev/tty/ldisc_autoload": "0"},
    "A kernel that stops starts again after 10 s; nobody stands beside a server.": {"kernel/panic": "10"},
}
DUMPS = {
    "A program that crashes leaves no copy of its memory, which holds passwords and keys, and fills no disk.": {
        "kernel/core_pattern": "|/bin/false",
        "fs/suid_dumpable": "0",
    }
}
CLOCKS = {
    "systemd-timesyncd": "systemd-timesyncd.service",
    "chrony": "chrony.service",
    "ntpsec": "ntpsec.service",
    "openntpd": "openntpd.service",
}


def run(*words: str) -> tuple[int | None, str]:
    """Return (exit code, what a program printed); 127 where there is no such program."""
    try:
        done = command.attempt(*words, limit=30, environment={"LC_ALL": "C"})
    except OSError:
        return 127, ""
    return done.code, done.out.decode(errors="replace")


def path_of(key: str) -> str:
    """Return a key of sysctl.d(5) as a path: where a dot comes first, dots and slashes change places."""
    slash = key.find("/")
    return key if slash >= 0 and "." not in key[:slash] else key.translate(str.maketrans("./", "/."))


def key_of(path: str) -> str:
    return path.translate(str.maketrans("./", "/."))


def of_others() -> list[str]:
    """Return the settings that other files of the host name, as paths; a path may be a pattern."""
    found = []
    for path in sorted({path for pattern in OTHERS for path in glob(pattern)} - {FILE}):
        for line in (files.read(path) or b"").decode(errors="replace").splitlines():
            key = line.partition("=")[0].strip().removeprefix("-").strip()
            if key and key[0] not in "#;":
                found.append(path_of(key))
    return found


def wanted(settings: bool, core_dumps: bool, inside: bool) -> dict[str, dict[str, str]]:
    """Return {reason: {path: value}} of what is to be set, without what others set.

    :param inside: whether the host is a container.
    """
    chosen = {**(NETWORK if settings else {}), **(KERNEL if settings and not inside else {})}
    chosen |= DUMPS if not (core_dumps or inside) else {}
    theirs = of_others()
    left = {
        reason: {
            path: value for path, value in entries.items() if not any(fnmatchcase(path, their) for their in theirs)
        }
        for reason, entries in chosen.items()
    }
    return {reason: entries for reason, entries in left.items() if entries}


def text(chosen: dict[str, dict[str, str]]) -> str:
    """Return the file; a setting that a kernel does not have is no error (sysctl.d(5))."""
    lines = []
    for reason, entries in chosen.items():
        lines += [f"# {reason}", *(f"-{key_of(path)} = {value}" for path, value in entries.items())]
    return HEAD + "\n".join(lines) + "\n" if lines else ""


def different(chosen: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return {path: value to have} of what the kernel has otherwise; one interface may be another file's."""
    theirs, found = of_others(), {}
    for pattern, value in ((path, value) for entries in chosen.values() for path, value in entries.items()):
        for place in glob(f"{ROOT}/{pattern}"):
            named = place.removeprefix(f"{ROOT}/")
            if value_of(place) not in (value, None) and not any(fnmatchcase(named, their) for their in theirs):
                found[place] = value
    return found


def value_of(place: str) -> str | None:
    """Return what the kernel has; None where it does not tell."""
    try:
        with open(place, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def write(chosen: dict[str, dict[str, str]], dry: bool) -> bool:
    """Write the file, or remove it where it would say nothing; return whether it differed."""
    new = text(chosen).encode()
    changed = files.read(FILE, b"") != new
    if changed and new and not dry:
        files.write(FILE, new)
    elif changed and not dry:
        files.remove(FILE)
    return changed


def put(chosen: dict[str, dict[str, str]], dry: bool) -> tuple[bool, list[str]]:
    """Set what the kernel has otherwise; return (whether anything changed, what the kernel does not take)."""
    wrong = different(chosen)
    if dry:
        return any(os.access(place, os.W_OK) for place in wrong), []
    for place, value in wrong.items():
        try:
            with open(place, "w", encoding="utf-8") as file:
                file.write(value)
        except OSError:
            continue  # that is seen below
    left = different(chosen)
    told = [f"the kernel does not take {place.removeprefix(f'{ROOT}/')} = {value}" for place, value in left.items()]
    return bool(wrong.keys() - left.keys()), told


def clock() -> tuple[list[str], str]:
    """Return (packages to install, the unit to start) so that something keeps the clock: whatever is there does."""
    _code, out = run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\\n", *CLOCKS)
    there = {line.split()[1] for line in out.splitlines() if line.startswith("installed ")}
    package = next((each for each in CLOCKS if each in there), "")
    if not package:
        return ["systemd-timesyncd"], CLOCKS["systemd-timesyncd"]
    unit = CLOCKS[package]
    runs = run("systemctl", "is-active", "--quiet", unit)[0] == 0
    starts = run("systemctl", "is-enabled", "--quiet", unit)[0] == 0
    return [], "" if runs and starts else unit


def apparmor() -> list[str]:
    """Return what is to be installed so that profiles are loaded; nothing where the kernel has no AppArmor."""
    if (files.read("/sys/module/apparmor/parameters/enabled") or b"").strip() != b"Y":
        return []
    return [] if os.path.exists("/sbin/apparmor_parser") else ["apparmor"]


def keep(params: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Return what the module says."""
    # Where nobody tells, it may be one: what is set there is set for all that share the kernel.
    inside = run("systemd-detect-virt", "--container", "--quiet")[0] in (0, 127, None)
    chosen = wanted(params["settings"], params["core_dumps"], inside)
    written = write(chosen, dry)
    changed, told = put(chosen, dry)
    packages, unit = clock() if params["clock"] and not inside else ([], "")
    packages += apparmor() if params["apparmor"] and not inside else []
    said = {"told": told, "packages": packages, "unit": unit, "dest": FILE if written else ""}
    return {"changed": written or changed, **said}


def main() -> None:
    module = QuietModule(
        argument_spec={
            "settings": {"type": "bool", "default": True},
            "core_dumps": {"type": "bool", "default": False},
            "clock": {"type": "bool", "default": True},
            "apparmor": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    result = keep(module.params, module.check_mode)
    for line in result["told"]:
        module.warn(line)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
