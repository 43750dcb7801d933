"""The steps of a deploy and of a rollback on one host, in their order."""

from __future__ import annotations

import base64
import time
from contextlib import nullcontext, suppress
from typing import Any

from ansible.module_utils.flask_deploy.host import certificate, engine, files, nginx, systemd
from ansible.module_utils.flask_deploy.release import (
    ahead,
    containers,
    inside,
    placed,
    processes,
    release_command,
    schema,
    secrets,
    writable,
    writing,
)
from ansible.module_utils.flask_deploy.release import plan as plans
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError
from ansible.module_utils.flask_deploy.switch import discarding, progress, retire, settling, unit, ways, workers


def text(values: dict[str, Any] | None) -> dict[str, str]:
    """Return an environment: strings as they are, other values as JSON."""
    return {
        name: value if isinstance(value, str) else files.canonical(value).decode()
        for name, value in (values or {}).items()
    }


def release_id(
    app: App, options: dict[str, Any], environment: dict[str, str], secret: dict[str, str], dry: bool
) -> str:
    """Return the id that all inputs of a release decide; of secrets it tells only whether they changed."""
    inputs = [options[name] for name in ("build", "wsgi", "static", "container", "files", "uid")]
    inputs.append(containers.start_digest(options["container"], options["wsgi"]))
    if asked := processes.wanted(options["processes"], options["container"]):
        inputs.append(processes.start_digest(options["container"], asked))
    hidden = [secret, options["secret_files"] or {}, *filter(None, [options["placed"]])]
    key = base64.b64decode(options.get("renewed") or "") or secrets.digest_key(app, dry)
    return files.digest(inputs, environment, files.keyed_digest(key, hidden))[:12]


def write(app: App, options: dict[str, Any], dry: bool) -> tuple[str, list[str], dict[str, Any]]:
    """Write the release's directory beside the others; return (id, what was done, plan).

    A plan is what changes against the release that serves: {"lines", "diff"}.
    """
    environment, secret = text(options["environment"]), text(options["secrets"])
    secret_files, given = text(options["secret_files"]), text(options["placed"])
    actions = writing.ensure_places(app, dry, options["files"]["site.conf"])
    actions += settling.settle(app, dry)
    actions += secrets.ensure_digest_key(app, options["release_key"] or secrets.renewed(app), dry)
    release = release_id(app, options, environment, secret, dry)
    refuse_rejected(app, release, options)
    record = describe(app, release, options, dry)
    made = plans.of_options(release, record, options["files"], environment)
    planned = foretell(app, made, (secret, secret_files, given))
    actions += secrets.ensure(app, secret, secret_files, dry)
    actions += writable.ensure(app, release, record, dry)
    rows = writing.rows(app, {**options["files"], **inside.contents(record["found"])}, environment)
    rows += placed.rows(app, given)
    repaired = []
    if not dry:
        discarding.let_go_of_image(app, options)
    with nullcontext() if dry else discarding.failing(app, release, record, options["drain_timeout"]):
        if release in app.known():
            repaired = writing.repair(app, release, rows, record, dry)
            planned["lines"] += [f"repairs: {path}" for path in repaired]
        else:
            actions.append(f"release {release}")
            if not dry:
                writing.write(app, release, rows, record)
        repaired += [] if dry else writing.let_nginx_read(app)
    return release, actions + repaired, planned


def describe(app: App, release: str, options: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Return the record of a release that is to be written."""
    names = ("domain", "health_path", "start_timeout", "build", "image", "source", "by", "wsgi", "container")
    made = {"id": release, "app": app.name, "created": time.time(), "static": {"path": options["static"]}}
    made |= {name: options[name] for name in names}
    made["found"] = inside.found(app, release, made, dry)
    asked = processes.wanted(options["processes"], options["container"])
    made["processes"] = processes.recorded(app, release, made, asked)
    return made | {"arguments": containers.create_arguments(app, release, made)}


def foretell(
    app: App, made: dict[str, Any], secret: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the plan of letting a release serve."""
    given = placed.held(app, app.serving())
    if secret:
        names = ("app_secrets", "app_secret_files", "app_files")
        hidden = list(zip(names, (*secrets.held(app), given), secret, strict=True))
    else:
        hidden = [("app_files", given, placed.held(app, made["id"]))]
    lines, diff = plans.compare(app, plans.of_release(app, app.serving()), made, hidden)
    return {"lines": lines, "diff": diff}


def prepare(app: App, options: dict[str, Any], dry: bool) -> tuple[str, list[str], dict[str, Any]]:
    """Write the release where that is due, start it and hold it at the gates; return (id, what was done, plan)."""
    release, actions, planned = write(app, options, dry)
    with nullcontext() if dry else discarding.failing(app, release, app.record(release), options["drain_timeout"]):
        if options["commanded"] and not dry:
            release_command.record_outcome(app, release, options["commanded"])
        if writing.ensure_include(app, dry):
            actions.append(app.include)
        actions += [] if dry else writing.let_nginx_read(app) + start(app, release, options)
    if dry and engine.installed() and release in app.known() and not containers.running(app, release):
        actions.append(f"container {app.container(release)}")
        planned["lines"].append(f"starts: {app.container(release)}")
    if release != app.serving() and options["command"]:
        planned["lines"].append(f"app_release_command: {options['command']!r} runs, unless it did for this release")
    return release, actions, planned


def refuse_rejected(app: App, release: str, options: dict[str, Any]) -> None:
    """A release that was rolled back from, or failed its watch, comes back only when that is said."""
    state = app.state(release)
    if state.get("state") == "rejected" and not options["accept_rejected"]:
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(state.get("since", 0)))
        why = f" ({state['reason']})" if state.get("reason") else ""
        raise ReleaseError(
            f"release {release} was rolled back from at {at}{why}; change what was wrong with it, "
            "or let it serve again: -e app_accept_rejected=true"
        )


def start(app: App, release: str, options: dict[str, Any]) -> list[str]:
    """Start a release and hold it at the gates."""
    actions, record = [], app.record(release)
    if release != app.serving():
        certificate.demand(options["files"]["site.conf"])
    if containers.ensure_running(app, release, record):
        actions.append(f"container {app.container(release)}")
    containers.wait_ready(app, release, options["domain"], options["health_path"], options["start_timeout"])
    nginx.test_staged(app.name, options["files"]["site.conf"].encode())
    return actions


def command(app: App, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Run the release command, once for a release, on the new code; return (its outcome, whether it ran).

    :raises ReleaseError: it failed; the release is not started.
    """
    release, then = options["release"], schema.ran_with(app, options["release"])
    with discarding.failing(app, release, app.record(release), options["drain_timeout"]):
        outcome, ran = release_command.bring(app, options)
        if reason := release_command.failure(app, outcome):
            raise ReleaseError(reason)
    if release != app.serving() and "switched" in app.state(release):
        refuse_old_code(app, release, then, outcome, options)
    return outcome, ran


def refuse_old_code(
    app: App, release: str, then: dict[str, Any], outcome: dict[str, Any], options: dict[str, Any]
) -> None:
    """A deploy of what served before is a way back too: its code must know the schema that its command left."""
    if not then or outcome.get("after") in (None, then["state"]) or options["accept_schema_ahead"]:
        return
    schema.served_with(app, release, then["state"], then["schema_command"])
    seen = {"state": outcome["after"], "how": "now", "schema_command": outcome["schema_command"]}
    why, _ = ahead.judge(app, release, seen)
    if why:
        raise ReleaseError(ahead.refusal(release, why))


def restore(app: App, options: dict[str, Any], dry: bool) -> tuple[str, list[str], dict[str, Any], list[str]]:
    """Get a release that served before ready to serve again: its own image, files and gates.

    :return: (its id, what was done, plan, lines to be said of it).
    """
    actions = settling.settle(app, dry)
    possible = retire.targets(app)
    wanted = options["release"] or next(iter(retire.targets(app, cause=False)), None)
    if wanted not in possible:
        raise ReleaseError(ways.impossible(app, wanted))
    refuse_rejected(app, wanted, options)
    said = refuse_schema_ahead(app, wanted, options, dry)
    record, planned = app.record(wanted), foretell(app, plans.of_release(app, wanted))
    if dry:
        return wanted, [*actions, f"container {app.container(wanted)}"], planned, said
    gates = {name: record[name] for name in ("domain", "health_path", "start_timeout")}
    staged = (app.site(wanted) or b"").decode(errors="replace")
    with discarding.failing(app, wanted, record, options["drain_timeout"]):
        actions += writing.let_nginx_read(app)
        actions += start(app, wanted, {**gates, "files": {"site.conf": staged}})
    return wanted, actions, planned, said


def refuse_schema_ahead(app: App, release: str, options: dict[str, Any], dry: bool) -> list[str]:
    """Code that never ran with the database as it is may not know it; return lines to be said where it may go on."""
    why, said = ahead.judge(app, release, ahead.now(app, options, dry))
    if why and not options["accept_schema_ahead"]:
        raise ReleaseError(ahead.refusal(release, why))
    return [f"release {release}: {each}" for each in (why, said) if each]


def begin_switch(app: App, options: dict[str, Any], dry: bool) -> tuple[str | None, list[str]]:
    """Begin to let a prepared release serve; return (id of the switch or None, what was done)."""
    release = options["release"]
    if release not in app.known() and not dry:
        raise ReleaseError(f"there is no release {release}; known are: {', '.join(app.known()) or 'none'}")
    ended = [] if dry else workers.be_first(app, options["first"], options["shares"])
    if app.serving() == release:
        return None, ended
    if not dry:
        nginx.refuse_false_socket(app.socket(release))
        leaving = "rejected" if options["reject"] else "retired"
        begun = progress.begin(app, release, leaving, options["watch"], options["drain_timeout"], options["confirm"])
        try:
            unit.start(app)
        except (systemd.UnitError, OSError) as error:
            take_back(app, release, str(error))
    return None if dry else begun, [f"current -> {release}"]


def take_back(app: App, release: str, reason: str) -> None:
    """Let no switch go on of which systemd does not say that it began: it may have, or may begin yet.

    What moved goes back by itself, as it is told; where systemd does not say when, the next run ends it.
    """
    known = progress.pending(app)
    if known is None:  # it went back already, and has said why
        return
    with suppress(OSError):  # a full disk: one that did not begin needs no word
        progress.decide(app, known["id"], False, reason)
    try:
        unit.wait_for_end(app, settling.patience(known))
    except systemd.UnitError:
        return
    if (progress.pending(app) or {}).get("phase") == "moving" and app.serving() != release:
        progress.give_up(app, reason)
