"""What a deploy came to, in lines for people."""

from __future__ import annotations

import os
import re
from typing import Any

from ansible.module_utils.flask_deploy.host import certificate, engine, nginx
from ansible.module_utils.flask_deploy.release import ahead
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import retire, watch

ROLLBACK = "ansible-playbook playbooks/rollback.yml -i inventories/..."
RISKS = {  # by the words of gunicorn.conf.py
    "secret": "warning: {name} is one that others know or can guess, so they can sign in its name. Make one: "
    "openssl rand -hex 32; into app_secrets, where the app reads {name} from its environment",
    "debug": "warning: DEBUG is on: errors show the app's code. Set FLASK_DEBUG: '0' in app_env, or DEBUG in the app",
    "testing": "warning: TESTING is on: errors are not handled, and extensions check less. Turn it off in the app",
    "database": "warning: the database of {name} lies in /tmp or in memory, and goes with its release. Name a place "
    "below /data, example: sqlite:////data/app.db",
    "apart": "warning: the database of {name} is a file, and each host has its own: what a user stores on one, the "
    "others do not know. Name a database that they share, such as PostgreSQL's address",
}
NAME = re.compile("[A-Z][A-Z0-9_]{0,40}")
CLOSED = (
    "visitors see the maintenance page; to show the app: "
    "ansible-playbook playbooks/maintenance.yml -i inventories/... -e site_maintenance=off"
)


def way_back(app: App) -> str:
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
        return f"a rollback to {release} is refused, unless you accept the schema: {why}. {may}"
    return f"roll back: {ROLLBACK}" + (f" ({said})" if said == ahead.NOT_LOOKED_AT else "")


def remarks(app: App, release: str) -> list[str]:
    """Return lines on what the release that serves says of its own settings, and on what visitors see instead of it."""
    closed = [CLOSED] if os.path.exists(f"{app.root}/maintenance/html") else []
    try:
        told = nginx.ask_socket(app.socket(release), watch.PULSE, app.record(release)["domain"])
        words = told.get("risks", [])
        known = [(str(kind), str(name)) for kind, name in words[: len(RISKS) * 4]]
    except Exception:  # whatever an app may answer with; a server of its own tells nothing
        known = []
    return [RISKS[kind].format(name=name) for kind, name in known if kind in RISKS and NAME.fullmatch(name)] + closed


def summarise(record: dict[str, Any]) -> list[str]:
    """Return a deploy's record in lines for people."""
    release, previous, seen = record["release"], record["previous"], record["watch"]
    stays = [*record.get("remarks", []), *(f"warning: {line}" for line in record["stays"])]
    if not record["switched"]:
        return [f"release {release} serves, as before", *_spent(record), *stays]
    lines = [f"release {previous or 'none'} -> {release}", *_spent(record)]
    if seen and seen["seconds"]:
        lines.append(
            f"watched {_watched(seen['watched'], seen['before'])}; "
            f"asked {seen['probes']} times, failed {seen['probes_failed']}"
        )
    cut = sum(each["cut"] for each in record["retired"])
    if cut:
        lines.append(f"{cut} requests lasted longer than the drain and were cut: raise app_drain_timeout for them")
    lines += [each for each in (record.get("unused"), record["schema"]) if each]
    if previous:
        lines.append(record["back"])
    return lines + stays


def _spent(record: dict[str, Any]) -> list[str]:
    spent = [f"{name} {seconds:.1f}" for name, seconds in record["seconds"].items() if seconds >= 0.05]
    return [f"seconds: {', '.join(spent)}"] if spent else []


def _watched(new: dict[str, Any], old: dict[str, Any]) -> str:
    """Return what was seen of both releases' requests; in words where nobody asked one of them."""
    if not new["requests"]:
        before = f"the release before had {old['requests']}, failed {old['failed']}"
        return f"no request ({before if old['requests'] else 'nobody asked the release before either'})"
    said = f"{new['requests']} requests, failed {new['failed']}"
    took = "" if new["p99"] is None else f"{new['p99'] * 1000:.0f} ms"
    if not old["requests"]:
        return f"{said}{f'; p99 {took}' if took else ''} (nobody asked the release before)"
    took = f"{old['p99'] * 1000:.0f} -> {took}" if took and old["p99"] is not None else took
    return f"{said} ({old['failed']} of {old['requests']} with the release before){f'; p99 {took}' if took else ''}"
