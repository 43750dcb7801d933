#!/usr/bin/python
"""Give an app a database of PostgreSQL on this host."""

from __future__ import annotations

import os
import re
from typing import Any

from ansible.module_utils.flask_deploy.host import account, files, locks, postgres, systemd
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.postgres import database, network
from ansible.module_utils.flask_deploy.postgres.cluster import Cluster, PostgresError, claim

DOCUMENTATION = r"""
module: postgres_app
short_description: Give an app a database of PostgreSQL on this host
description:
  - C(claimed) says which cluster is flask-deploy's, before apt makes it. One of somebody else's is refused.
  - C(present) sets the cluster up, lets the app's system user in, and makes its role, database and extensions.
  - C(absent) drops that database and that role, with all data.
  - C(asked) tells by which address this host comes to another; C(told) tells what an app of other hosts comes in with.
options:
  state: {type: str, required: true, choices: [claimed, present, absent, asked, told], description: How far to go.}
  version: {type: str, default: "", description: Major version that this Debian has; empty to look.}
  app: {type: str, required: true, description: "Name of the app, its role and its database."}
  uid: {type: int, required: true, description: User id the app runs as.}
  settings: {type: dict, default: {}, description: Settings of PostgreSQL that win over those of the role.}
  extensions: {type: list, elements: str, default: [], description: Extensions of the app's database.}
  address: {type: str, default: "", description: "Name or address of this host, for its certificate; of the other one."}
  clients: {type: list, elements: str, default: [], description: Addresses of the app's hosts; none where it is here.}
  whole: {type: bool, default: false, description: "Whether those are all, so that others come no more."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Give the app its database
  postgres_app:
    state: present
    version: "17"
    app: shop
    uid: 10001
"""

RETURN = r"""
version: {type: str, returned: always, description: Major version of the cluster that is used.}
source: {type: str, returned: with asked, description: Address of this host.}
password: {type: str, returned: with told, description: Password of the app.}
missing: {type: str, returned: with told, description: What to do where the app was not set up yet.}
ca: {type: str, returned: with told, description: Certificate of the CA that signed this host's.}
actions: {type: list, returned: always, description: "What was, or would be, done."}
"""


STEP = 512  # MB; a kernel that takes a little more or less of the memory changes nothing
HEAD = "# Managed by Ansible: flask-deploy. Your own settings: postgres_settings.\n"
ARCHIVED = "/etc/flask-deploy/archive/pgbackrest.conf"
ARCHIVE = f'test ! -e {ARCHIVED} || exec nice -n 19 pgbackrest --config={ARCHIVED} --stanza=postgres archive-push "%p"'


def rounded(kilobytes: int) -> int:
    """Return a host's memory (MemTotal of proc(5), meminfo) in MB, as it is sold."""
    return -(-kilobytes // (STEP << 10)) * STEP


def table(memory: int) -> list[tuple[str, str, str]]:
    """Return (setting, value, reason) for a host of so many MB."""
    return [
        ("listen_addresses", "", "no network: apps come by the socket, and are known by their user id"),
        (
            "shared_buffers",
            f"{within(memory // 8, 64, 2048)}MB",
            "an eighth of the memory; the apps have theirs beside",
        ),
        ("effective_cache_size", f"{memory // 2}MB", "what the kernel caches of its files; takes no memory"),
        ("work_mem", f"{within(memory // 512, 4, 32)}MB", "for each sort of each connection, so it stays small"),
        ("maintenance_work_mem", f"{within(memory // 32, 32, 512)}MB", "for an index that a migration builds"),
        ("max_connections", "100", "two releases serve at once in a switch, each with a pool for each worker"),
        ("random_page_cost", "1.1", "the disks of servers have no heads that move"),
        ("log_lock_waits", "on", "a migration that waits for a lock is told in the log"),
        ("archive_mode", "on", "backups begin, and end, without a restart"),
        ("archive_command", ARCHIVE, "where role archive has set nothing up, nothing is kept"),
        ("idle_in_transaction_session_timeout", "10min", "a forgotten transaction ends, which locks a migration out"),
    ]


def within(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def settings(memory: int, wanted: dict[str, Any], more: list[tuple[str, str, str]] | None = None) -> str:
    """Return the file of settings.

    :param wanted: the user's own, which win.
    :param more: others of the role's, as table has them, in the place of those.
    """
    rows = [row for row in table(memory) if row[0] not in {name for name, *_ in more or []}] + (more or [])
    rows = [row for row in rows if row[0] not in wanted]
    rows += [(name, written(value), "postgres_settings") for name, value in sorted(wanted.items())]
    lines = [f"{name} = {quoted(value)}  # {reason}\n" for name, value, reason in rows]
    return HEAD + "".join(lines)


def written(value: Any) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def quoted(value: str) -> str:
    """Return a value as the file has it (postgresql.org, Setting Parameters: a quote is doubled)."""
    return "'{}'".format(value.replace("\\", "\\\\").replace("'", "''"))


def set_up(version: str, options: dict[str, Any], dry: bool) -> list[str]:
    """Set the cluster up for an app; return what was, or would be, done."""
    app, uid, cluster = options["app"], options["uid"], Cluster(version)
    if dry and not os.path.exists(f"{cluster.etc}/postgresql.conf"):
        return [f"cluster {version}/main", f"role {app}", f"database {app}"]
    kilobytes = next(int(line.split()[1]) for line in (files.read("/proc/meminfo") or b"").decode().splitlines())
    beside = not options.get("clients")
    done = account.ensure(app, uid, dry) if beside else []
    done += [] if dry else cluster.ensure_there()
    done += [] if beside else come_in(app, options, dry)
    text = settings(rounded(kilobytes), options["settings"], network.SETTINGS if network.known() else None)
    users = cluster.users(app, uid) if beside else cluster.users()
    done += cluster.ensure(text, users, dry, network.hba(network.known()), bool(done))
    if dry and not cluster.answers():
        return [*done, f"{cluster.unit} started"]
    done += database.ensure(app, options["extensions"], dry)
    return done if beside else done + network.ensure_password(app, dry)


def come_in(app: str, options: dict[str, Any], dry: bool) -> list[str]:
    """Let an app come from its hosts; return what was, or would be, done."""
    made = network.ensure_certificate(options["address"], dry)
    before = network.known().get(app, [])
    wanted = sorted(set(options["clients"]) | (set() if options["whole"] else set(before)))
    if wanted != before and not dry:
        network.note(app, wanted)
    return made + ([f"{app} comes from {', '.join(wanted)}"] if wanted != before else [])


def take_away(app: str, dry: bool) -> list[str]:
    """Drop what an app has in the cluster that is ours; return what was, or would be, done."""
    if not (postgres.has_database(app) or app in network.known()):
        return []
    cluster = Cluster(postgres.ours().partition("/")[0])
    done = database.drop(app, dry)
    if not dry:
        network.forget(app)
        cluster.write(f"{cluster.etc}/pg_ident.conf", cluster.without(app), dry)
        cluster.write(f"{cluster.etc}/pg_hba.conf", network.hba(network.known()), dry)
        cluster.take_effect(True)
    return done


def act(options: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Do what is wanted; return what Ansible is told of it."""
    if options["state"] == "asked":
        return {"actions": [], "source": network.source(options["address"])}
    if options["state"] == "told":
        return {"actions": [], **network.told(options["app"])}
    with locks.locked(f"{locks.RUN}/postgres.lock"):  # two apps may be set up at once
        if options["state"] == "absent":
            return {"actions": take_away(options["app"], dry)}
        version, claimed = claim(options["version"] or debian_has(), dry)
        actions = [f"cluster {version}/main is flask-deploy's"] if claimed else []
        if options["state"] == "present":
            actions += set_up(version, options, dry)
    return {"actions": actions, "version": version}


def debian_has() -> str:
    """Return the major version of PostgreSQL that this Debian has."""
    found = re.search(rb'^VERSION_ID="?(\d+)', files.read("/etc/os-release") or b"", re.MULTILINE)
    return "15" if found and int(found[1]) < 13 else "17"


def main() -> None:
    module = QuietModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["claimed", "present", "absent", "asked", "told"]},
            "version": {"type": "str", "default": ""},
            "app": {"type": "str", "required": True},
            "uid": {"type": "int", "required": True},
            "settings": {"type": "dict", "default": {}},
            "extensions": {"type": "list", "elements": "str", "default": []},
            "address": {"type": "str", "default": ""},
            "clients": {"type": "list", "elements": "str", "default": []},
            "whole": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        result = act(module.params, module.check_mode)
    except (PostgresError, account.AccountError, systemd.UnitError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(result["actions"]), **{"version": module.params["version"], **result})


if __name__ == "__main__":
    main()
