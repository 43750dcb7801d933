"""Who may do more on a host than others should: by id, without a password, as a user of the system, by sudo."""

from __future__ import annotations

import grp
import json
import os
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.flask_deploy.host import connection
from ansible.module_utils.flask_deploy.host.condition import run, text

FIRST = 1000  # user id of people: adduser.conf(5)
OF_DEBIAN = {"root", "sync", "postgres"}  # whose packages give them a shell


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
