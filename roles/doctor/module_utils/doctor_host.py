"""What a host tells of itself: room, limits, packages, and who may do more than others. Nothing here changes it."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ansible.module_utils.flask_deploy.host import condition, connection, files
from ansible.module_utils.flask_deploy.host.condition import run, text

PLACES = ("/", "/var", "/srv", "/boot", "/tmp", "/run", "/var/log", "/var/lib/docker", "/var/lib/postgresql")  # noqa: S108
REBOOT = "/run/reboot-required"
LISTS = "/var/lib/apt/lists"
STAMP = "/var/lib/apt/periodic/update-success-stamp"
UNFINISHED = re.compile(r"in a mess|not yet|half (configured|installed)")  # of the reasons that dpkg(1) --audit gives
FIRST = 1000  # user id of people: adduser.conf(5)
OF_DEBIAN = {"root", "sync", "postgres"}  # whose packages give them a shell


def disks(places: Iterable[str] = PLACES) -> list[dict[str, Any]]:
    """Return each file system that some places lie on, and disks mounted below, with its room as df(1) counts it."""
    found: dict[int, dict[str, Any]] = {}
    for path in (*places, *condition.mounted()):
        try:
            state, device = os.statvfs(path), os.stat(path).st_dev
        except OSError:
            continue
        if state.f_blocks:
            found.setdefault(
                device,
                {
                    "path": path,
                    "used": (state.f_blocks - state.f_bfree) * state.f_frsize,
                    "free": state.f_bavail * state.f_frsize,
                    "inodes_used": state.f_files - state.f_ffree,
                    "inodes_free": state.f_favail,
                    "read_only": bool(state.f_flag & os.ST_RDONLY),
                },
            )
    return list(found.values())


def memory() -> dict[str, int]:
    """Return bytes of memory in all, and those that a process could have: proc(5), meminfo."""
    lines = [line.split() for line in text("/proc/meminfo").splitlines()]
    known = {words[0]: int(words[1]) << 10 for words in lines if words[2:] == ["kB"]}
    return {
        "total": known.get("MemTotal:", 0),
        "free": known.get("MemAvailable:", 0) + known.get("SwapFree:", 0),
    }


def limits() -> dict[str, list[int]]:
    """Return {what: [in use, limit]} of what a host can run out of beside room."""
    found = {}
    numbers = text("/proc/sys/fs/file-nr").split()
    if len(numbers) == 3:
        found["open files"] = [int(numbers[0]), int(numbers[2])]
    tracked = [text(f"/proc/sys/net/netfilter/nf_conntrack_{end}").strip() for end in ("count", "max")]
    if all(each.isdigit() for each in tracked):
        found["connections that the kernel tracks"] = [int(each) for each in tracked]
    each = re.search(r"^\s*worker_connections\s+(\d+)", text("/etc/nginx/nginx.conf"), re.MULTILINE)
    workers = run("pgrep", "-cf", "^nginx: worker process$")[1].strip()
    if each and workers.isdigit() and int(workers):
        clients = run("ss", "-Htn", "state", "established", "( sport = :80 or sport = :443 )")[1]
        # A request that is passed on takes two: one to the client, one to the app.
        found["connections of nginx"] = [2 * len(clients.splitlines()), int(each[1]) * int(workers)]
    return found


def packages() -> dict[str, Any]:
    """Return security updates that wait, when Debian was last asked, and packages that are broken or held."""
    told = run("apt-get", "--simulate", "-o", "Debug::NoLocking=1", "dist-upgrade", limit=120)[1]
    return {
        "security": sorted(set(re.findall(r"^Inst (\S+) .*-[Ss]ecurity\b", told, re.MULTILINE))),
        "asked": asked(),
        "broken": list(unfinished(run("dpkg", "--audit")[1])),
        "held": run("apt-mark", "showhold")[1].split(),
    }


def unfinished(audit: str) -> Iterator[str]:
    """Yield packages that dpkg did not finish with; what it only misses of others is no matter."""
    reason, listing = "", False
    for line in audit.splitlines():
        if line.startswith(" "):
            listing = True
            if UNFINISHED.search(reason):
                yield line.split()[0]
        else:
            reason, listing = line if listing or not line else f"{reason} {line}", False


def asked() -> float | None:
    """Return when apt last fetched its lists, in seconds since 1970; None where it has none."""
    try:
        lists = [name for name in os.listdir(LISTS) if name.endswith("Release")]
    except OSError:
        return None
    # The lists themselves bear the archive's time.
    times = [os.stat(path).st_mtime for path in (STAMP, LISTS, f"{LISTS}/partial") if os.path.exists(path)]
    return max(times) if lists else None


def reboot() -> dict[str, Any] | None:
    """Return since when an update waits for a restart of the host, and which; None where none does."""
    try:
        since = os.stat(REBOOT).st_mtime
    except OSError:
        return None
    return {"since": since, "packages": sorted(set(text(f"{REBOOT}.pkgs").split()))}


def apparmor() -> dict[str, bool] | None:
    """Return whether the kernel has AppArmor, and the profile that Docker gives containers; None in a container."""
    if condition.inside_container():
        return None
    kernel = text("/sys/module/apparmor/parameters/enabled").strip() == "Y"
    profiles = text("/sys/kernel/security/apparmor/profiles")
    return {"kernel": kernel, "docker": bool(re.search(r"^docker-default \(enforce\)$", profiles, re.MULTILINE))}


def accounts() -> dict[str, list[str]]:
    """Return users by what is odd: root's id, no password, of the system but can log in or has a shell, sudo alone."""
    users = [line.split(":") for line in text("/etc/passwd").splitlines()]
    users = [user for user in users if len(user) > 6 and user[2].isdigit()]
    passwords = {entry[0]: entry[1] for entry in _fields("/etc/shadow") if len(entry) > 1}
    shells = {line.strip() for line in text("/etc/shells").splitlines() if line.startswith("/")}
    system = [user for user in users if 0 < int(user[2]) < FIRST and user[6] in shells]
    return {
        "root": [user[0] for user in users if user[2] == "0" and user[0] != "root"],
        "open": [name for name, password in passwords.items() if not password],
        "enter": [user[0] for user in system if _has_password(passwords, user[0]) or _has_keys(user[5])],
        "shell": [user[0] for user in system if user[0] not in OF_DEBIAN],
        "sudo": sorted(_without_password() - {"root", _me()}),
    }


def _fields(path: str) -> list[list[str]]:
    return [line.split(":") for line in text(path).splitlines()]


def _has_password(passwords: dict[str, str], name: str) -> bool:
    return passwords.get(name, "*")[:1] not in ("", "!", "*")


def _has_keys(home: str) -> bool:
    return bool(text(f"{home}/.ssh/authorized_keys").strip())


def _me() -> str:
    """Return who looks: a deploy needs sudo."""
    now = connection.current()
    return now.user if now else os.environ.get("SUDO_USER", "")


def _without_password() -> set[str]:
    """Return the users who may type anything as root and are not asked for a password: sudoers(5)."""
    code, out, _said = run("cvtsudoers", "--expand-aliases", "--output-format=json", "/etc/sudoers")
    if code:
        return set()
    known = json.loads(out)
    entries = [
        {"User_List": each["Binding"], "Options": each.get("Options", []), "Commands": [{"command": "ALL"}]}
        for each in known.get("Defaults", [])
        if "Binding" in each
    ]
    entries += [{**spec, **part} for spec in known.get("User_Specs", []) for part in spec["Cmnd_Specs"]]
    return {name for entry in entries if _asks_nothing(entry) for who in entry["User_List"] for name in _names(who)}


def _asks_nothing(entry: dict[str, Any]) -> bool:
    free = {"authenticate": False} in entry.get("Options", [])
    return free and {"command": "ALL"} in entry["Commands"]


def _names(who: dict[str, Any]) -> Iterator[str]:
    """Yield the users that an entry is about; of a group those that it has."""
    if "username" in who:
        yield str(who["username"])
    try:
        yield from grp.getgrnam(who["usergroup"]).gr_mem if "usergroup" in who else ()
    except KeyError:
        return


def sshd() -> str:
    """Return why sshd refuses its settings; "" where it does not, or there is none."""
    code, _out, said = run("/usr/sbin/sshd", "-t")
    return " ".join(said.split())[:300] if code not in (0, 127) else ""


def changed(paths: Iterable[str]) -> dict[str, dict[str, Any] | None]:
    """Return {path: when it was last changed, and the SHA-256 of a file}; None where there is nothing."""
    return {path: _file(path) if os.path.lexists(path) else None for path in paths}


def _file(path: str) -> dict[str, Any]:
    content = (files.read(path) or b"") if os.path.isfile(path) else b""
    return {"at": os.lstat(path).st_mtime, "digest": hashlib.sha256(content).hexdigest()}
