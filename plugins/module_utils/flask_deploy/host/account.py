"""The account of an app on its host: services beside the app know it by its user id, and an id needs a name for that.

The name comes from the id, so that no app's name meets one of the system's, such as backup.
"""

from __future__ import annotations

import grp
import pwd
from contextlib import suppress

from ansible.module_utils.flask_deploy.host import command

PATIENCE = 60  # seconds
OF_APP = "app {} of flask-deploy"  # its comment in /etc/passwd: whose it is


class AccountError(Exception):
    """A user id is somebody else's on this host; the message says what to write."""


def name(uid: int) -> str:
    return f"flask-{uid}"


def entry(uid: int) -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwuid(uid)
    return None


def taken(app: str, uid: int) -> str | None:
    """Return who else has an app's user id on this host, and the line to write; None where nobody has."""
    found = entry(uid)
    if found is None or (found.pw_name, found.pw_gecos) == (name(uid), OF_APP.format(app)):
        return None
    whose = found.pw_gecos if found.pw_name == name(uid) else f"user {found.pw_name}"
    free = next(other for other in range(max(uid, 10000) + 1, 1 << 16) if entry(other) is None)
    return f"app_uid: {uid} belongs to {whose} on this host, and services know an app by it; write app_uid: {free}"


def ensure(app: str, uid: int, dry: bool = False) -> list[str]:
    """Let an app's user id, and its group, have a name on this host; nobody logs in by it. Return what was made.

    :raises AccountError: somebody else has that id.
    """
    if said := taken(app, uid):
        raise AccountError(said)
    if entry(uid):
        return []
    if not dry:
        if not any(group.gr_gid == uid for group in grp.getgrall()):
            _run("groupadd", "--gid", str(uid), name(uid))
        nowhere = ("--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")
        _run(
            *("useradd", "--system", "--uid", str(uid), "--gid", str(uid), *nowhere),
            *("--comment", OF_APP.format(app), name(uid)),
        )
    return [f"user {name(uid)}"]


def remove(app: str) -> list[str]:
    """Take an app's names away from its user ids; return which."""
    gone = [each.pw_name for each in pwd.getpwall() if each.pw_gecos == OF_APP.format(app)]
    for each in gone:
        _run("userdel", each)  # and its group, which has the same name (USERGROUPS_ENAB in login.defs(5))
    return [f"removed user {each}" for each in gone]


def _run(*words: str) -> None:
    command.run(*words, error=AccountError, limit=PATIENCE)
