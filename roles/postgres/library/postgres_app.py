#!/usr/bin/python
"""Give an app a database of PostgreSQL on this host."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.flask_deploy.host import account, files, locks, postgres, systemd
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.postgres import database
from ansible.module_utils.flask_deploy.postgres.cluster import Cluster, PostgresError, claim

DOCUMENTATION = r"""
module: postgres_app
short_description: Give an app a database of PostgreSQL on this host
description:
  - C(claimed) says which cluster is flask-deploy's, before apt makes it. One of somebody else's is refused.
  - C(present) sets the cluster up, lets the app's system user in, and makes its role, database and extensions.
  - C(absent) drops that database and that role, with all data.
options:
  state: {type: str, required: true, choices: [claimed, present, absent], description: How far to go.}
  version: {type: str, required: true, description: Major version that this Debian has.}
  app: {type: str, required: true, description: "Name of the app, its role and its database."}
  uid: {type: int, required: true, description: User id the app runs as.}
  settings: {type: dict, default: {}, description: Settings of PostgreSQL that win over those of the role.}
  extensions: {type: list, elements: str, default: [], description: Extensions of the app's database.}
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


def settings(memory: int, wanted: dict[str, Any]) -> str:
    """Return the file of settings.

    :param wanted: the user's own, which win.
    """
    rows = [(name, value, reason) for name, value, reason in table(memory) if name not in wanted]
    rows += [(name, written(value), "postgres_settings") for name, value in sorted(wanted.items())]
    lines = [f"{name} = {quoted(value)}  # {reason}\n" for name, value, reason in rows]
    return HEAD + "".join(lines)


def written(value: Any) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def quoted(value: str) -> str:
    """Return a value as the file has it (postgresql.org, Setting Parameters: a quote is doubled)."""
    return "'{}'".format(value.replace("\\", "\\\\").replace("'", "''"))


def set_up(version: str, options: dict[str, object], dry: bool) -> list[str]:
    """Set the cluster up for an app; return what was, or would be, done."""
    app, uid, cluster = options["app"], options["uid"], Cluster(version)
    if dry and not os.path.exists(f"{cluster.etc}/postgresql.conf"):
        return [f"cluster {version}/main", f"role {app}", f"database {app}"]
    kilobytes = next(int(line.split()[1]) for line in (files.read("/proc/meminfo") or b"").decode().splitlines())
    done = account.ensure(app, uid, dry) + ([] if dry else cluster.ensure_there())
    text = settings(rounded(kilobytes), options["settings"])
    done += cluster.ensure(text, cluster.users(app, uid), dry)
    if dry and not cluster.answers():
        return [*done, f"{cluster.unit} started"]
    return done + database.ensure(app, options["extensions"], dry)


def take_away(app: str, dry: bool) -> list[str]:
    """Drop what an app has in the cluster that is ours; return what was, or would be, done."""
    if not postgres.has_database(app):
        return []
    cluster = Cluster(postgres.ours().partition("/")[0])
    done = database.drop(app, dry)
    if not dry:
        cluster.write(f"{cluster.etc}/pg_ident.conf", cluster.without(app), dry)
        cluster.take_effect(True)
    return done


def main() -> None:
    module = QuietModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["claimed", "present", "absent"]},
            "version": {"type": "str", "required": True},
            "app": {"type": "str", "required": True},
            "uid": {"type": "int", "required": True},
            "settings": {"type": "dict", "default": {}},
            "extensions": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    options, dry = module.params, module.check_mode
    try:
        with locks.locked(f"{locks.RUN}/postgres.lock"):  # two apps may be set up at once
            if options["state"] == "absent":
                actions = take_away(options["app"], dry)
                module.exit_json(changed=bool(actions), version=options["version"], actions=actions)
            version, claimed = claim(options["version"], dry)
            actions = [f"cluster {version}/main is flask-deploy's"] if claimed else []
            if options["state"] == "present":
                actions += set_up(version, options, dry)
    except (PostgresError, account.AccountError, systemd.UnitError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(actions), version=version, actions=actions)


if __name__ == "__main__":
    main()
