"""Whose the PostgreSQL of a host is, and whom it lets in."""

from __future__ import annotations

import glob
import os
import re
import time

from ansible.module_utils.flask_deploy.host import account, command, files

# {"cluster": "17/main"}: which one is ours; {"kept": "15/main", "since"}: the one that served before, and until when
RECORD = "/var/lib/flask-deploy/postgres.json"
ETC = "/etc/postgresql"
SOCKETS = "/run/postgresql"
ARCHIVE = "/etc/flask-deploy/archive/settings.json"  # there where its log is kept, see role archive
PATIENCE = 60  # seconds for a restore point
MAP = "flask-deploy"  # in pg_ident.conf
FOREIGN = (
    "app_needs: PostgreSQL {} is on this host already, and flask-deploy did not set it up, so it is left alone; give "
    "the app its address in app_secrets (DATABASE_URL), and take postgres out of app_needs; or, where nothing uses it, "
    "type there: sudo pg_dropcluster --stop {}"
)


def here() -> list[str]:
    """Return the clusters on this host, as "17/main"."""
    return sorted("/".join(path.split("/")[-3:-1]) for path in glob.glob(f"{ETC}/*/*/postgresql.conf"))


def ours() -> str | None:
    """Return the cluster that is flask-deploy's."""
    return (files.read_json(RECORD) or {}).get("cluster")


def foreign() -> str | None:
    """Return what to say where a cluster here is somebody else's; None where there is none."""
    others = [] if ours() else here()
    return FOREIGN.format(others[0], others[0].replace("/", " ")) if others else None


def apps() -> list[tuple[str, int]]:
    """Return (name, user id) of each app that PostgreSQL lets in."""
    text = (files.read(f"{ETC}/{ours()}/pg_ident.conf") or b"").decode()
    found = re.findall(rf'^{MAP} {account.name(0)[:-1]}(\d+) "([^"]+)"$', text, re.MULTILINE)
    return sorted((app, int(uid)) for uid, app in found)


def row(app: str, uid: int) -> str:
    """Return the line of pg_ident.conf that lets an app's user in as the app's role."""
    return f'{MAP} {account.name(uid)} "{app}"'


def has_database(app: str) -> bool:
    """Tell whether PostgreSQL was set up for an app here."""
    text = files.read(f"{ETC}/{ours()}/pg_ident.conf") or b""
    return any(line.startswith(f"{MAP} ") and line.endswith(f' "{app}"') for line in text.decode().splitlines())


def lets_in(app: str, uid: int) -> bool:
    text = files.read(f"{ETC}/{ours()}/pg_ident.conf") or b""
    return row(app, uid) in text.decode().splitlines()


def restore_point(app: str, release: str, error: type[Exception]) -> str | None:
    """Name this moment in PostgreSQL's log, so that the database can go back to it; return the name.

    :return: None where the app has no database here, or its log is not kept.
    :raises error: PostgreSQL does not do it.
    """
    if not (os.path.exists(ARCHIVE) and has_database(app)):
        return None
    name = f"{app}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{release}"[:63]
    as_postgres = ("env", "-C", "/", "runuser", "-u", "postgres", "--", "psql", "-XAtq", "-h", SOCKETS)
    statement = f"SELECT pg_create_restore_point('{name}')"
    called = "no restore point can be made before app_release_command"
    command.run(*as_postgres, "-c", statement, error=error, limit=PATIENCE, called=called)
    return name
