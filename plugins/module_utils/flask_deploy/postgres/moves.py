"""PostgreSQL moves to another major version while its apps rest, and apps are asked before anybody writes to it.

What is under way is written down first. A run that is killed is put back by the next one, until each app has answered;
from then on the next one goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ansible.module_utils.flask_deploy.host import command, engine, files, postgres, systemd
from ansible.module_utils.flask_deploy.postgres.cluster import PostgresError, sql
from ansible.module_utils.flask_deploy.postgres.majors import (
    ASIDE,
    LIMIT,
    Major,
    UpgradeError,
    as_postgres,
    databases,
    keep_archive,
    serve,
)
from ansible.module_utils.flask_deploy.release import containers, places
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.module_utils.flask_deploy.switch import pausing

JOURNAL = "/var/lib/flask-deploy/postgres-upgrade.json"
PAGE = "This site's database is being moved. Please come back in a few minutes."
CLAIMED, PAUSED, SERVES = "claimed", "paused", "serves"  # how far a move came
UP, BACK = "up", "back"
ERRORS = (
    *(UpgradeError, PostgresError, OSError, engine.EngineError, systemd.UnitError, containers.NotReady),
    *(places.ReleaseError, leases.LeaseError),
)
UNARCHIVED = (
    "PostgreSQL {} serves, and its backups do not follow: {}\n  mend that, and type the same command again; until "
    "then what is written waits on the host for its backup"
)


def known() -> dict[str, Any]:
    """Return what is under way: {"from", "to", "way", "step", "record", "apps": [[name, uid, what runs]], "point"}."""
    return files.read_json(JOURNAL, {})


def note(move: dict[str, Any], **more: Any) -> None:
    move.update(more)
    files.write_json(JOURNAL, move, 0o600)


def done() -> None:
    with suppress(FileNotFoundError):
        files.remove(JOURNAL)


def apps(move: dict[str, Any]) -> list[tuple[places.App, dict[str, Any]]]:
    return [(places.App(name, uid), running) for name, uid, running in move["apps"]]


def settle(timeout: float) -> list[str]:
    """Put back, or end, what a run that was cut off left; return that in lines for people."""
    move = known()
    if move.get("step") == SERVES:
        return ["went on with a move that was cut off", *finish(move, timeout), *archive(move)]
    if move.get("step") == PAUSED:
        put_back(move, timeout)
        return [f"put back a move that was cut off: PostgreSQL {move['from']} served again"]
    return []


def put_back(move: dict[str, Any], timeout: float) -> None:
    """Let the version of before serve, with all that it had: nobody has written to the other one."""
    for app, running in apps(move):
        pausing.stop(app, running, PAGE)
    Major(move["to"]).halt()
    Major(move["from"]).halt()
    if move["way"] == UP:
        Major(move["to"]).remove()
    else:
        Major(move["to"]).set_up(ASIDE, "manual")
    serve(move["from"], move["record"])
    for app, running in apps(move):
        pausing.start(app, running, timeout)
    done()


def exchange(move: dict[str, Any], timeout: float) -> list[str]:
    """Let the other version serve; return lines for people.

    :raises UpgradeError: it does not serve here, and the one of before does again.
    """
    began = time.monotonic()
    move["apps"] = [[name, uid, pausing.look(places.App(name, uid))] for name, uid in postgres.apps()]
    move["record"] = files.read_json(postgres.RECORD)
    note(move, step=PAUSED)
    try:
        _over(move, timeout)
    except BaseException as error:
        put_back(move, timeout)
        if isinstance(error, ERRORS):
            said = f"{error}\n  all is as it was before: PostgreSQL {move['from']} serves"
            raise UpgradeError(said) from error
        raise
    note(move, step=SERVES, away=round(time.monotonic() - began))
    return finish(move, timeout)


def _over(move: dict[str, Any], timeout: float) -> None:
    for app, running in apps(move):
        pausing.stop(app, running, PAGE)
    if files.read_json(postgres.ARCHIVE):
        note(move, point=f"upgrade-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{move['to']}")
        sql(f"SELECT pg_create_restore_point('{move['point']}')")
    WAYS[move["way"]](Major(move["from"]), Major(move["to"]))
    record = {"cluster": f"{move['to']}/main", "kept": f"{move['from']}/main", "since": time.time()}
    serve(move["to"], {**move["record"], **record})
    if move["way"] == UP:
        look_after()
    for app, running in apps(move):
        pausing.answer(app, running, timeout)


def up(old: Major, new: Major) -> None:
    """Let Debian's program copy a cluster to a newer version, and bring our settings after it.

    :raises UpgradeError: it does not; its message has the program's last words.
    """
    words = ("pg_upgradecluster", "--method=upgrade", "--no-start", "-v", new.version, old.version, "main")
    done = command.attempt(*words, limit=LIMIT, together=True)
    if done.code != 0:
        said = "; ".join(command.whole_lines(done.out.decode(errors="replace"))[-8:]) or done.said
        raise UpgradeError(f"pg_upgradecluster: {said}")
    new.take_files(old)


def back(old: Major, _new: Major) -> None:
    """Let a cluster rest whose place the one of before takes."""
    old.halt()


WAYS: dict[str, Callable[[Major, Major], None]] = {UP: up, BACK: back}


def look_after() -> None:
    """Bring extensions to the newer version, and tables' statistics to what the first queries need.

    pg_upgrade carries over neither (PostgreSQL, pg_upgrade, Post-Upgrade Processing).
    """
    older = "extversion <> default_version"
    join = f"SELECT extname FROM pg_extension JOIN pg_available_extensions ON name = extname WHERE {older}"  # noqa: S608
    for name in databases():
        for (extension,) in sql(join, name):
            sql(f'ALTER EXTENSION "{extension}" UPDATE', name)
    analyze("-c default_statistics_target=1 -c vacuum_cost_delay=0")


def analyze(options: str) -> None:
    as_postgres(
        *("vacuumdb", "-h", postgres.SOCKETS, "--all", "--analyze-only", "--quiet"),
        environment={"PGOPTIONS": options},
        called="vacuumdb --analyze-only",
    )


def finish(move: dict[str, Any], timeout: float) -> list[str]:
    """Open the apps; return lines for people."""
    for app, running in apps(move):
        pausing.start(app, running, timeout)
    if move["way"] == UP:
        analyze("")
    names = ", ".join(name for name, *_ in move["apps"])
    lines = [f"PostgreSQL {move['to']} serves; away for {move['away']} s behind a maintenance page: {names}"]
    if move.get("point"):
        lines.append(f"restore point in the backups of PostgreSQL {move['from']}: {move['point']}")
    return [*lines, f"PostgreSQL {move['from']} is kept, stopped, with what it held then"]


def archive(move: dict[str, Any]) -> list[str]:
    """Let backups follow; return lines for people.

    :raises UpgradeError: they do not; the same command goes on with them.
    """
    lines = []
    if files.read_json(postgres.ARCHIVE):
        try:
            for verb in ("open", "full"):
                keep_archive(verb)
            lines.append(f"a full backup of PostgreSQL {move['to']} is made")
        except UpgradeError as error:
            said = UNARCHIVED.format(move["to"], error)
            if not move.get("without"):
                raise UpgradeError(said) from error
            lines.append(f"warning: {said}")
    done()
    return lines
