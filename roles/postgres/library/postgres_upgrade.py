#!/usr/bin/python
"""Move this host's PostgreSQL to the major version of its Debian, or back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ansible.module_utils.flask_deploy.host import files, locks, postgres
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.postgres import hurdles, moves
from ansible.module_utils.flask_deploy.postgres.majors import Major, UpgradeError, keep_archive, moment, written
from ansible.module_utils.flask_deploy.switch import lease as leases

DOCUMENTATION = r"""
module: postgres_upgrade
short_description: Move this host's PostgreSQL to the major version of its Debian, or back
description:
  - C(claimed) looks whether anything stands in the way, before apt brings the newer version's programs.
  - C(upgrade) backs up, lets the apps rest, copies the cluster with Debian's pg_upgradecluster, and opens the apps once
    all of them answer. If one does not, the version of before serves again. Its cluster stays, stopped.
  - C(back) lets the cluster of before serve again, without what was written since.
  - C(drop) removes the cluster that is kept.
options:
  state: {type: str, required: true, choices: [claimed, upgrade, back, drop], description: What to do.}
  version: {type: str, required: true, description: Major version that this Debian has.}
  over: {type: str, default: "", description: "What would be lost, in the word that the refusal names."}
  timeout: {type: int, default: 60, description: Seconds that each app has to answer again.}
  owner: {type: dict, description: "Who runs this, as app_lock told."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Move PostgreSQL
  postgres_upgrade:
    state: upgrade
    version: "17"
"""

RETURN = r"""
lines: {type: list, returned: success, description: "What was, or would be, done, for people."}
needed: {type: bool, returned: success, description: Whether there is anything to move.}
"""

TYPE = "to {}: ansible-playbook playbooks/upgrade_postgres.yml -e postgres_upgrade={}"
BACKUP_WAIT = 900  # seconds for a backup that is under way
NONE = "flask-deploy has set up no PostgreSQL on this host"
NOTHING = "PostgreSQL {} is what this Debian has; there is nothing to move"
NO_WAY = "there is no PostgreSQL of before on this host to go back to"
NO_KEPT = "there is no PostgreSQL on this host that is kept beside the one that serves"
LOSES = (
    "going back to PostgreSQL {} loses what was written since {} UTC. Counted since then, or since PostgreSQL was last "
    "cut off:\n{}\n  If that is meant, type: -e postgres_upgrade_over={}"
)


def claimed(options: dict[str, Any], dry: bool) -> tuple[list[str], bool]:
    """See that nothing stands in the way; return (lines, whether there is anything to move)."""
    if moves.known():
        return [], True
    old, new = Major(serving()), Major(options["version"])
    if int(old.version) >= int(new.version):
        return [NOTHING.format(old.version)], False
    if lines := hurdles.before(old, new, options["over"]):
        raise UpgradeError("nothing was changed; to be mended:\n  " + "\n  ".join(lines))
    if not dry:  # apt makes an empty cluster, which is ours then
        moves.note({"from": old.version, "to": new.version, "way": moves.UP, "step": moves.CLAIMED})
    return [f"would move {old.name} to {new.name}, {old.bytes() >> 20} MB"], True


def serving() -> str:
    """Return the major version that serves.

    :raises UpgradeError: none of ours does.
    """
    known = postgres.ours()
    if not known:
        raise UpgradeError(NONE)
    return known.partition("/")[0]


def upgrade(options: dict[str, Any]) -> list[str]:
    lines = moves.settle(options["timeout"])
    old, new = Major(serving()), Major(options["version"])
    if int(old.version) >= int(new.version):
        return lines or [NOTHING.format(old.version)]
    if new.there():
        if not new.is_empty():
            raise UpgradeError(hurdles.IN_THE_WAY.format(new.name, new.version))
        new.remove()
    if hurdle := hurdles.before(old, new, options["over"]) + hurdles.after(old, new):
        moves.done()
        raise UpgradeError("no app was touched; to be mended:\n  " + "\n  ".join(hurdle))
    without = options["over"] == hurdles.WITHOUT
    if not without:
        keep_archive("full")
    with backups_rest():
        move = {"from": old.version, "to": new.version, "way": moves.UP, "without": without}
        made = moves.exchange(move, options["timeout"])
    ways = [TYPE.format("go back", "back"), TYPE.format(f"remove {old.version} once all is well", "drop")]
    return [*lines, *made, *moves.archive(move), *ways]


def back(options: dict[str, Any], dry: bool) -> list[str]:
    """Let the version of before serve again.

    :raises UpgradeError: there is none, or the word is missing.
    """
    lines = [] if dry else moves.settle(options["timeout"])
    record, version = files.read_json(postgres.RECORD) or {}, serving()
    kept = record.get("kept", "").partition("/")[0]
    if not kept or int(kept) > int(version) or not Major(kept).there():
        raise UpgradeError(NO_WAY)
    if not Major(kept).installed():
        raise UpgradeError(hurdles.GONE.format(kept, version))
    word = f"postgres-since-{moment(record['since'])}"
    if options["over"] != word:
        counted = "\n".join(f"  {line}" for line in written())
        raise UpgradeError(LOSES.format(kept, moment(record["since"]), counted, word))
    if dry:
        return [f"would let PostgreSQL {kept} serve again, as it was at {moment(record['since'])} UTC"]
    with backups_rest():
        move = {"from": version, "to": kept, "way": moves.BACK}
        lines += moves.exchange(move, options["timeout"])
    return [*lines, *moves.archive(move), TYPE.format(f"remove {version}", "drop")]


def drop(options: dict[str, Any], dry: bool) -> list[str]:
    """Remove the cluster that is kept.

    :raises UpgradeError: there is none.
    """
    if not dry:
        moves.settle(options["timeout"])
    record = files.read_json(postgres.RECORD) or {}
    if not record.get("kept"):
        raise UpgradeError(NO_KEPT)
    kept = Major(record["kept"].partition("/")[0])
    size = f"{kept.name}, {kept.bytes() >> 20} MB" if kept.there() else kept.name
    if dry:
        return [f"would remove {size}"]
    kept.remove()
    stays = {name: value for name, value in record.items() if name not in ("kept", "since")}
    files.write_json(postgres.RECORD, stays)
    return [
        f"removed {size}",
        f"its programs are still there; to remove them, on the host: sudo apt purge postgresql-{kept.version}",
    ]


@contextmanager
def backups_rest() -> Iterator[None]:
    """Let no backup or drill begin."""
    keeper = files.read_json(postgres.ARCHIVE, {}).get("app")
    with ExitStack() as stack:
        if keeper:
            stack.enter_context(locks.locked(f"{locks.RUN}/backup-{keeper}.lock", BACKUP_WAIT))
        yield


@contextmanager
def alone(owner: dict[str, Any] | None) -> Iterator[None]:
    """Let nobody deploy an app that has a database here, or set one up."""
    with ExitStack() as stack:
        stack.enter_context(locks.locked(f"{locks.RUN}/postgres.lock"))
        for app, _uid in postgres.apps() if owner else []:
            lease = leases.Lease(app, owner)
            lease.take()
            stack.callback(lease.release)
            stack.enter_context(lease.held())
        yield


def run(options: dict[str, Any], dry: bool) -> tuple[list[str], bool]:
    """Do what is wanted; return (lines for people, whether there is anything to move)."""
    if options["state"] == "claimed":
        return claimed(options, dry)
    with alone(None if dry else options["owner"]):
        if options["state"] == "upgrade":
            return (claimed(options, True)[0] if dry else upgrade(options)), True
        return {"back": back, "drop": drop}[options["state"]](options, dry), True


def main() -> None:
    module = QuietModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["claimed", "upgrade", "back", "drop"]},
            "version": {"type": "str", "required": True},
            "over": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 60},
            "owner": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    options, dry = module.params, module.check_mode
    try:
        lines, needed = run(options, dry)
    except moves.ERRORS as error:
        module.fail_json(msg=str(error))
    changed = needed and not dry and options["state"] != "claimed"
    module.exit_json(changed=changed, lines=lines, needed=needed)


if __name__ == "__main__":
    main()
