"""The steps of a deploy and of a rollback on one host, in their order."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext

from ansible.module_utils.flask_deploy.host import certificate, engine, files, leftovers, nginx, systemd
from ansible.module_utils.flask_deploy.release import (
    ahead,
    containers,
    failures,
    release_command,
    schema,
    secrets,
    writing,
)
from ansible.module_utils.flask_deploy.release import plan as plans
from ansible.module_utils.flask_deploy.release.places import ReleaseError
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.module_utils.flask_deploy.switch import progress, retire, settling, switch, unit, ways

ROLLBACK = "ansible-playbook playbooks/rollback.yml -i inventories/..."
OUTCOME_MARGIN = 60  # seconds a watch may take longer than it should
HEARD_IN = 10  # seconds in which a switch reads what it is told


def text(values):
    """Return an environment: strings as they are, other values as JSON."""
    return {
        name: value if isinstance(value, str) else files.canonical(value).decode()
        for name, value in (values or {}).items()
    }


def release_id(app, options, environment, secret, dry):
    """Return the id that all inputs of a release decide; of secrets it tells only whether they changed."""
    inputs = [options[name] for name in ("build", "wsgi", "static", "container", "files", "uid")]
    inputs.append(containers.start_digest(options["container"], options["wsgi"]))
    hidden = files.keyed_digest(secrets.digest_key(app, dry), [secret, options["secret_files"] or {}])
    return files.digest(inputs, environment, hidden)[:12]


def write(app, options, dry):
    """Write the release's directory beside the others; return (id, what was done, plan).

    A plan is what changes against the release that serves: {"lines", "diff"}.
    """
    environment, secret = text(options["environment"]), text(options["secrets"])
    secret_files = text(options["secret_files"])
    actions = writing.ensure_places(app, dry)
    actions += secrets.ensure_digest_key(app, options["release_key"], dry)
    actions += settling.settle(app, dry)
    release = release_id(app, options, environment, secret, dry)
    refuse_rejected(app, release, options)
    record = describe(app, release, options)
    planned = foretell(app, plans.of_options(release, record, options["files"], environment), (secret, secret_files))
    actions += secrets.ensure(app, secret, secret_files, dry)
    rows = writing.rows(app, options["files"], environment)
    repaired = []
    if not dry:
        let_go_of_image(app, options)
    with nullcontext() if dry else failing(app, release, record):
        if release in app.known():
            repaired = writing.repair(app, release, rows, record, dry)
            planned["lines"] += [f"repairs: {path}" for path in repaired]
        else:
            actions.append(f"release {release}")
            if not dry:
                writing.write(app, release, rows, record)
    return release, actions + repaired, planned


@contextmanager
def failing(app, release, record):
    """Do a step towards serving; a release that fails in it goes, unless it serves or did once."""
    try:
        yield
    except Exception as error:
        discard(app, release, record, str(error))
        raise


def discard(app, release, record, reason):
    """Take away a release that does not get to serve; what serves stays, whatever failed.

    One that never served goes whole, with its image where no other needs it: what it was and why it failed is kept.
    """
    if release == app.serving():
        return
    if "switched" in app.state(release):
        with leftovers.Leftovers().unless_gone("why it failed", "df"):  # what failed is told all the same
            retire.leave(app, release, reason)
        return
    with leftovers.Leftovers().unless_gone("why it failed", "df"):  # a full disk, perhaps: the rest makes room
        failures.remember(app, release, record, reason)
    retire.remove(app, release)


def let_go_of_image(app, options):
    if options["build"]:
        leases.let_go_of_image(app.name, options["build"], (options["owner"] or {}).get("id", ""))


def discarded(app, options, dry):
    """Take away what a run made ready, here or on another host, and will not let serve; return what went.

    The run holds the image no longer: where no release needs it and no other run holds it, it goes too.
    """
    release = options["release"]
    made = release in app.known() and release != app.serving() and progress.pending(app) is None
    if not dry:
        let_go_of_image(app, options)
        if made and "switched" in app.state(release):  # it may have run before, with requests in flight
            with leftovers.Leftovers().unless_gone("its container", "systemctl status docker"):
                retire.retire(app, options["drain_timeout"], options["drain_timeout"] + 10)
        elif made:
            discard(app, release, app.record(release), options["reason"])
        elif options["build"]:
            with leftovers.Leftovers().unless_gone("its image", "systemctl status docker"):
                retire.prune_images(app, leftovers.Leftovers())
    return [f"release {release}"] if made else []


def describe(app, release, options):
    """Return the record of a release that is to be written."""
    names = ("domain", "health_path", "start_timeout", "build", "image", "source", "by", "wsgi", "container")
    made = {"id": release, "app": app.name, "created": time.time(), "static": {"path": options["static"]}}
    made |= {name: options[name] for name in names}
    return made | {"arguments": containers.create_arguments(app, release, made)}


def foretell(app, made, secret=None):
    """Return the plan of letting a release serve."""
    hidden = []
    if secret:
        hidden = list(zip(("app_secrets", "app_secret_files"), secrets.held(app), secret, strict=True))
    lines, diff = plans.compare(app, plans.of_release(app, app.serving()), made, hidden)
    return {"lines": lines, "diff": diff}


def prepare(app, options, dry):
    """Write the release where that is due, start it and hold it at the gates; return (id, what was done, plan)."""
    release, actions, planned = write(app, options, dry)
    with nullcontext() if dry else failing(app, release, app.record(release)):
        if options["commanded"] and not dry:
            release_command.record_outcome(app, release, options["commanded"])
        include = writing.ensure_include(app, dry)
        if include:
            actions.append(app.include)
        reload = include or app.path(release, "site.conf") in actions
        actions += [] if dry else start(app, release, options, reload)
    if dry and engine.installed() and release in app.known() and not containers.running(app, release):
        actions.append(f"container {app.container(release)}")
        planned["lines"].append(f"starts: {app.container(release)}")
    if release != app.serving() and options["command"]:
        planned["lines"].append(f"app_release_command: {options['command']!r} runs, unless it did for this release")
    return release, actions, planned


def refuse_rejected(app, release, options):
    """A release that was rolled back from, or failed its watch, comes back only when that is said."""
    state = app.state(release)
    if state.get("state") == "rejected" and not options["accept_rejected"]:
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(state.get("since", 0)))
        why = f" ({state['reason']})" if state.get("reason") else ""
        raise ReleaseError(
            f"release {release} was rolled back from at {at}{why}; change what was wrong with it, "
            "or let it serve again: -e app_accept_rejected=true"
        )


def start(app, release, options, reload):
    """Start a release and hold it at the gates."""
    actions, record = [], app.record(release)
    if release != app.serving():
        certificate.demand(options["files"]["site.conf"])
    if containers.ensure_running(app, release, record):
        actions.append(f"container {app.container(release)}")
    containers.wait_ready(app, release, options["domain"], options["health_path"], options["start_timeout"])
    nginx.test_staged(app.name, options["files"]["site.conf"].encode())
    if reload and release == app.serving():
        with nginx.lock():
            nginx.reload()
        actions.append("nginx reloaded")
    return actions


def command(app, options):
    """Run the release command, once for a release, on the new code; return (its outcome, whether it ran).

    :raises ReleaseError: it failed; the release is not started.
    """
    release, then = options["release"], schema.ran_with(app, options["release"])
    with failing(app, release, app.record(release)):
        outcome, ran = release_command.bring(app, options)
        if reason := release_command.failure(outcome):
            raise ReleaseError(reason)
    if release != app.serving() and "switched" in app.state(release):
        refuse_old_code(app, release, then, outcome, options)
    return outcome, ran


def refuse_old_code(app, release, then, outcome, options):
    """A deploy of what served before is a way back too: its code must know the schema that its command left."""
    if not then or outcome.get("after") in (None, then["state"]) or options["accept_schema_ahead"]:
        return
    schema.served_with(app, release, then["state"], then["schema_command"])
    seen = {"state": outcome["after"], "how": "now", "schema_command": outcome["schema_command"]}
    why, _ = ahead.judge(app, release, seen)
    if why:
        raise ReleaseError(ahead.refusal(release, why))


def restore(app, options, dry):
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
    staged = (app.site(wanted) or b"").decode()
    with failing(app, wanted, record):
        actions += start(app, wanted, {**gates, "files": {"site.conf": staged}}, False)
    return wanted, actions, planned, said


def refuse_schema_ahead(app, release, options, dry):
    """Code that never ran with the database as it is may not know it; return lines to be said where it may go on."""
    why, said = ahead.judge(app, release, ahead.now(app, options, dry))
    if why and not options["accept_schema_ahead"]:
        raise ReleaseError(ahead.refusal(release, why))
    return [f"release {release}: {each}" for each in (why, said) if each]


def begin_switch(app, options, dry):
    """Begin to let a prepared release serve; return (id of the switch or None, what was done)."""
    release = options["release"]
    if release not in app.known() and not dry:
        raise ReleaseError(f"there is no release {release}; known are: {', '.join(app.known()) or 'none'}")
    if app.serving() == release:
        return None, []
    if not dry:
        nginx.refuse_false_socket(app.socket(release))
        leaving = "rejected" if options["reject"] else "retired"
        begun = progress.begin(app, release, leaving, options["watch"], options["drain_timeout"], options["confirm"])
        try:
            unit.start(app)
        except systemd.UnitError as error:
            progress.give_up(app, str(error))
    return None if dry else begun, [f"current -> {release}"]


def watched(app, release, begun, seconds):
    """Wait until a switch was watched; return {"well", "reason", "reject", "seen"}."""
    if begun is None:
        well = app.serving() == release and progress.pending(app) is None
        reason = None if well else "whether its switch began is not known"
        return {"well": well, "reason": reason, "reject": False, "seen": None}
    end = time.monotonic() + seconds + OUTCOME_MARGIN
    while time.monotonic() < end:
        ended = progress.outcome(app, release, begun)
        known = progress.pending(app) or {}
        if ended:
            return {"well": False, "reason": ended["reason"], "reject": False, "seen": ended["watch"]}
        if waiting := progress.hear(app, begun):
            return {"well": True, "reason": None, "reject": False, "seen": waiting["seen"]}
        if known.get("id") == begun and known["phase"] in ("reverting", "draining"):
            return {"well": False, **{name: known.get(name) for name in ("reason", "reject", "seen")}}
        time.sleep(switch.POLL)
    reason = f"the switch gave no sign; look at: journalctl -u {unit.name(app)}"
    return {"well": False, "reason": reason, "reject": False, "seen": None}


def tell(app, release, begun, outcomes):
    """Confirm a switch where all hosts are well, or take it back on this one, and wait until it has heard that.

    Nothing drains here: the hosts whose turn comes later hear it in time.

    :param outcomes: {host: what `watched` told there, or anything else for a host that was lost}.
    :return: why it is taken back, or None.
    """
    why = "; ".join(_lost(host, told) for host, told in outcomes.items() if not told.get("well")) or None
    if begun and progress.pending(app):
        rejected = any(told.get("reject") for told in outcomes.values())
        progress.decide(app, begun, why is None, why or "", rejected)
        end = time.monotonic() + HEARD_IN
        while (progress.pending(app) or {}).get("phase") == "waiting" and time.monotonic() < end:
            time.sleep(switch.POLL)
    return why


def _lost(host, told):
    reason = told.get("reason") or "it was lost; if it switched, it goes back by itself"
    return f"{host}: {reason}"


def conclude(app, release, begun, outcomes):
    """Tell a switch what becomes of it and wait for its end; return its outcome.

    :raises ReleaseError: it was taken back.
    """
    why = tell(app, release, begun, outcomes)
    if begun:
        known = progress.pending(app)
        if known:
            unit.wait_for_end(app, settling.patience(known))
        progress.forget_decision(app)  # a switch that had gone back by itself has not read it
    ended = progress.outcome(app, release, begun) if begun else None
    if why or (begun and (ended or {}).get("result") not in ("confirmed", "kept")):
        why = why or (ended or {}).get("reason") or "the switch gave no sign"
        raise ReleaseError(
            f"release {release} does not serve: {why}\n  {app.serving() or 'nothing'} serves here\n"
            "  what serves on each host: ansible-playbook playbooks/status.yml -i inventories/..."
        )
    return ended


def confirmed(app, options):
    """Give a switch the word, and do nothing that takes long."""
    return tell(app, options["release"], options["switch"], options["outcomes"])


def retired(app, options, dry):
    """Conclude a switch, end what no longer serves and clear up; return (what was done, record, summary)."""
    release, begun = options["release"], options["switch"]
    if dry:
        return [], {}, []
    ended = conclude(app, release, begun, options["outcomes"])
    units = unit.ensure(app)
    retired, pruned, left = clear_up(app, options)
    actions = units + [f"stopped {each['container']}" for each in retired] + [f"removed {gone}" for gone in pruned]
    record = {
        "release": release,
        "switched": bool(ended),
        "previous": ended and ended["from"],
        "watch": ended and ended["watch"],
        "retired": retired,
        "removed": pruned,
        "stays": left,
        "by": options["by"],
        "at": time.time(),
        "seconds": {name: float(spent) for name, spent in options["steps"].items()},
    }
    told = app.schema() if app.schema().get("release") == release else {}
    record["schema"] = release_command.line(told)
    record["back"] = way_back(app) if begun else None
    record["seconds"]["retire"] = sum(each["seconds"] for each in retired)
    if begun:
        files.write_json(app.path(release, "deploy.json"), record)
    return actions, record, summarise(record)


def clear_up(app, options):
    """End what no longer serves, remove what is no longer kept; return (what was stopped, what went, what stays).

    The release serves: what does not go is said, and tried again by the next deploy.
    """
    retired, pruned, left = [], [], leftovers.Leftovers()
    with left.unless_gone("what served before", "systemctl status docker"):
        retired = retire.retire(app, options["drain_timeout"], options["drain_timeout"] + 10, left)
        pruned = retire.prune(app, options["keep"], left)
    return retired, pruned, left.lines


def way_back(app):
    """Return the line that tells how to roll back from the release that serves, or what stands in the way."""
    try:
        release = next(iter(retire.targets(app, cause=False)), None)
        left = retire.targets(app) if release is None else []
    except engine.EngineError as error:  # the release serves all the same
        return f"whether there is a release to roll back to is not known: {' '.join(str(error).split())}"
    if left:
        words = f"-e app_rollback_to={left[0]} -e app_accept_rejected=true"
        return f"no release to roll back to, but for one that was left for a cause: {ROLLBACK} {words}"
    if release is None:
        return "no release to roll back to is left on this host"
    refused, _ = certificate.judge((app.site(release) or b"").decode(errors="replace"))
    if refused:
        return f"a rollback to {release} is refused: {refused}"
    why, said = ahead.judge(app, release, ahead.recorded(app, "nothing asked now"))
    if why:
        may = f"If that code can work with the database as it is: {ROLLBACK} {ahead.ACCEPT}"
        return f"a rollback to {release} is refused without a word: {why}. {may}"
    return f"roll back: {ROLLBACK}" + (f" ({said})" if said == ahead.NOT_LOOKED_AT else "")


def summarise(record):
    """Return a deploy's record in lines for people."""
    release, previous, seen = record["release"], record["previous"], record["watch"]
    stays = [f"warning: {line}" for line in record["stays"]]
    if not record["switched"]:
        return [f"release {release} serves, as before", *_spent(record), *stays]
    lines = [f"release {previous or 'none'} -> {release}", *_spent(record)]
    if seen and seen["seconds"]:
        new, old = seen["watched"], seen["before"]
        lines.append(
            f"watched {new['requests']} requests, failed {new['failed']} "
            f"({old['failed']} of {old['requests']} with the release before); "
            f"p99 {_milliseconds(old)} -> {_milliseconds(new)}; "
            f"asked {seen['probes']} times, failed {seen['probes_failed']}"
        )
    cut = sum(each["cut"] for each in record["retired"])
    if cut:
        lines.append(f"{cut} requests lasted longer than the drain and were cut: raise app_drain_timeout for them")
    lines += [record["schema"]] if record["schema"] else []
    if previous:
        lines.append(record["back"])
    return lines + stays


def _spent(record):
    spent = [f"{name} {seconds:.1f}" for name, seconds in record["seconds"].items() if seconds >= 0.05]
    return [f"seconds: {', '.join(spent)}"] if spent else []


def _milliseconds(tally):
    return "-" if tally["p99"] is None else f"{tally['p99'] * 1000:.0f} ms"
