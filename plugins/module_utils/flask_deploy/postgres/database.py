"""An app's role and its database: whose they are is written on them, and what is somebody else's stays as it is."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.postgres.cluster import PostgresError, sql

OURS = "app {} of flask-deploy"  # the comment on a role
MORE = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls OR NOT rolcanlogin"
PLAIN = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
OTHERS = (
    "app_needs: PostgreSQL on this host has a {0} {1} that flask-deploy did not make{2}, so it is left alone; choose "
    'another app_name, or give it another name, on the host: sudo -u postgres psql -c \'ALTER {3} "{1}" RENAME TO '
    '"{1}-old"\''
)
MISSING = (
    "postgres_extensions: {0} is not on this host; type there: apt-cache search --names-only '^postgresql-.*{0}', "
    "install the package that brings it, and run the same command again"
)


def ensure(app: str, extensions: list[str], dry: bool) -> list[str]:
    """Let an app have its role, its database and its extensions; return what was, or would be, done.

    :raises PostgresError: a name is somebody else's, or there is no such extension here.
    """
    done = ensure_role(app, dry) + ensure_closed("postgres", dry) + ensure_closed("template1", dry)
    made = ensure_database(app, dry)
    if made and dry:
        return done + made + [f"extension {name}" for name in extensions]
    return done + made + ensure_closed(app, dry) + ensure_extensions(app, extensions, dry)


def ensure_role(app: str, dry: bool) -> list[str]:
    said = OURS.format(app)
    found = sql(
        f"SELECT {MORE}, coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = '{app}'"  # noqa: S608
    )
    if found and found[0][1] != said:
        raise PostgresError(OTHERS.format("role", app, "", "ROLE"))
    if found and found[0][0] == "f":
        return []
    if not dry:
        verb = "ALTER" if found else "CREATE"
        sql(f'BEGIN; {verb} ROLE "{app}" {PLAIN}; COMMENT ON ROLE "{app}" IS \'{said}\'; COMMIT')
    return [f"role {app}"]


def ensure_database(app: str, dry: bool) -> list[str]:
    owner = sql(f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{app}'")  # noqa: S608
    if owner and owner[0][0] != app:
        raise PostgresError(OTHERS.format("database", app, f" ({owner[0][0]} owns it)", "DATABASE"))
    if owner:
        return []
    if not dry:  # C.UTF-8 sorts alike in every version of libc: no upgrade of the host damages an index
        way = "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"
        sql(f'CREATE DATABASE "{app}" OWNER "{app}" {way}')
    return [f"database {app}"]


def ensure_closed(database: str, dry: bool) -> list[str]:
    """Let nobody into a database but its owner and the superuser."""
    open_to_all = sql(f"SELECT has_database_privilege('public', '{database}', 'CONNECT')")[0][0] == "t"
    if open_to_all and not dry:
        sql(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
    return [f"database {database} closed to others"] if open_to_all else []


def drop(app: str, dry: bool) -> list[str]:
    """Drop an app's database and its role, where they are its own; return what was, or would be, done."""
    said = OURS.format(app)
    role = sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{app}' AND shobj_description(oid, 'pg_authid') = '{said}'")  # noqa: S608
    owned = f"SELECT 1 FROM pg_database WHERE datname = '{app}' AND pg_get_userbyid(datdba) = '{app}'"  # noqa: S608
    database = bool(role and sql(owned))
    if database and not dry:
        sql(f'DROP DATABASE "{app}" WITH (FORCE)')
    if role and not dry:
        sql(f'DROP ROLE "{app}"')
    return [f"dropped database {app}"] * database + [f"dropped role {app}"] * bool(role)


def ensure_extensions(app: str, wanted: list[str], dry: bool) -> list[str]:
    there = {row[0] for row in sql("SELECT name FROM pg_available_extensions")}
    if missing := [name for name in wanted if name not in there]:
        raise PostgresError(MISSING.format(missing[0]))
    known = {row[0] for row in sql("SELECT extname FROM pg_extension", app)}
    new = [name for name in wanted if name not in known]
    for name in [] if dry else new:
        sql(f'CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE', app)
    return [f"extension {name}" for name in new]
