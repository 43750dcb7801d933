"""What a release would change against the one that serves: lines for people, and Ansible's diff.

Of environment and secrets the names alone are told: a value of app_env may be a secret by mistake.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.flask_deploy.host import certificate, command, files
from ansible.module_utils.flask_deploy.release import processes
from ansible.module_utils.flask_deploy.release.places import App

READABLE = (".conf", ".py", "gunicorn.json", "jobs.json")
NOT_BUILT = "not built yet"
SETTINGS = {
    "domain": "site_domain",
    "health_path": "app_health_path",
    "start_timeout": "app_start_timeout",
    "wsgi": "app_wsgi",
    "static": "site_static",
    "memory": "app_memory",
    "cpus": "app_cpus",
    "pids": "app_pids",
    "server": "app_server",
    "writable": "app_writable",
    "needs": "app_needs",
    "stop_timeout": "seconds to stop in",
}


def of_release(app: App, release: str | None) -> dict[str, Any]:
    """Return what a release on this host is made of; of none, nothing."""
    record = app.record(release) if release else {}
    names = [name for name in os.listdir(app.path(release)) if name.endswith(READABLE)] if release else []
    texts = {name: (files.read(app.path(release, name)) or b"").decode(errors="replace") for name in names}
    environment = files.read_json(app.path(release, "env.json"), {}) if release else {}
    return {"id": release, "record": record, "texts": texts, "environment": environment}


def of_options(
    release: str, record: dict[str, Any], contents: dict[str, str], environment: dict[str, Any]
) -> dict[str, Any]:
    """Return what a release that is not here yet will be made of."""
    texts = {name: text for name, text in contents.items() if name.endswith(READABLE)}
    return {"id": release, "record": record, "texts": texts, "environment": environment}


def named(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Return what differs between two environments by name: (new, gone, changed)."""
    both = set(before) & set(after)
    return (
        sorted(set(after) - set(before)),
        sorted(set(before) - set(after)),
        sorted(name for name in both if before[name] != after[name]),
    )


def compare(
    app: App,
    before: dict[str, Any],
    after: dict[str, Any],
    hidden: Iterable[tuple[str, dict[str, Any], dict[str, Any]]] = (),
) -> tuple[list[str], list[dict[str, str]]]:
    """Return (lines, Ansible's diff) of what differs; nothing where nothing does.

    :param hidden: [(variable, before, after)] of secrets.
    """
    told = [("app_env", before["environment"], after["environment"]), *hidden]
    diff = [_shown_names(variable, *pair) for variable, *pair in told if any(named(*pair))]
    for name in sorted(set(before["texts"]) | set(after["texts"])):
        texts = [made["texts"].get(name, "") for made in (before, after)]
        if texts[0] != texts[1]:
            diff.append({"before_header": name, "after_header": name, "before": texts[0], "after": texts[1]})
    if before["id"] == after["id"]:  # what differs is damage, and repaired
        return [], diff
    lines = _release(before, after) + _source(app, before["record"], after["record"])
    lines += [line for variable, *pair in told for line in _names(variable, *pair)]
    lines += _settings(before["record"], after["record"]) + processes.changes(before["record"], after["record"])
    lines += _started(before["record"], after["record"])
    return lines + _texts(before["texts"], after["texts"]), diff


def _release(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    image = after["record"]["image"]
    name = after["id"] if image != NOT_BUILT else "a new one"
    lines = [f"release: {before['id'] or 'none'} -> {name}"]
    if image == NOT_BUILT:
        lines.append("image: is to be built")
    elif image != before["record"].get("image"):
        lines.append("image: another one, built already")
    why, said = certificate.judge(after["texts"].get("site.conf", ""))
    lines += [each for each in (why, said) if each]
    return lines + ([f"stops: {before['id']}, once its requests have ended"] if before["id"] else [])


def _source(app: App, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old, new = before.get("source") or {}, after.get("source") or {}
    if not new or old.get("digest") == new.get("digest"):
        return []
    ends = [source.get("commit", "")[:12] for source in (old, new)]
    if old.get("repository") == new.get("repository") and all(ends):
        changes = ["+changes" if source.get("changes") else "" for source in (old, new)]
        count = _count(app, old["commit"], new["commit"])
        return [f"source: {ends[0]}{changes[0]}..{ends[1]}{changes[1]}{count}"]
    return [f"source: {_origin(old)} -> {_origin(new)}"]


def _origin(source: dict[str, Any]) -> str:
    """Return where code came from, shortly."""
    if not source:
        return "none"
    what = source.get("repository") or "a directory"
    return f"{what} {source.get('commit', source.get('digest', ''))[:12]}".strip()


def _count(app: App, old: str, new: str) -> str:
    """Return how many commits lie between two, where this host has the repository that knows both."""
    words = ("git", "-C", f"{app.root}/source.git", "rev-list", "--count")
    try:
        done = [command.attempt(*words, f"{begin}..{end}", limit=30) for begin, end in ((old, new), (new, old))]
    except OSError:
        return ""
    if any(each.code != 0 for each in done):
        return ""
    more, less = (int(each.out) for each in done)
    told = [f"{more} {'commit' if more == 1 else 'commits'}"] if more else []
    told += [f"{less} taken back"] if less else []
    return f" ({', '.join(told)})" if told else ""


def _names(variable: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    new, gone, changed = named(before, after)
    marked = [f"+{name}" for name in new] + [f"-{name}" for name in gone] + [f"~{name}" for name in changed]
    return [f"{variable}: {' '.join(marked)}"] if marked else []


def _shown_names(variable: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    changed = set(named(before, after)[2])
    header = f"{variable} (names alone)"
    was = "".join(f"{name}\n" for name in sorted(before))
    shall = "".join(f"{name}{' (changed)' if name in changed else ''}\n" for name in sorted(after))
    return {"before_header": header, "after_header": header, "before": was, "after": shall}


def _settings(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the settings of a release that differ; a release that is the first one has none before."""
    if not before:
        return []
    flat = [{**record, **record.get("container", {}), "static": record["static"]["path"]} for record in (before, after)]
    known = set(SETTINGS) | set(before.get("container", {})) | set(after.get("container", {}))
    known -= {"files"}  # told by name
    pairs = [(SETTINGS.get(name, name), *(each.get(name) for each in flat)) for name in sorted(known)]
    return [f"{name}: {old} -> {new}" for name, old, new in pairs if old != new]


def _started(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what another version of the role changes in how the container is started."""
    old, new = _words(before), _words(after)
    if not before or old == new:
        return []
    if old is None or new is None:  # an earlier version did not write it down
        return [f"container: is started as {'an earlier' if new is None else 'this'} version of the role does it"]
    marked = [f"+{word}" for word in new if word not in old] + [f"-{word}" for word in old if word not in new]
    return [f"container: {' '.join(marked)}"] if marked else []


def _words(record: dict[str, Any]) -> list[str] | None:
    """Return docker's arguments without what belongs to one release, or to a setting that has a line of its own."""
    if not isinstance(record.get("arguments"), list):
        return None
    own = {record["image"], record["wsgi"], *map(str, record["container"].values())}
    return [str(word).replace(record["id"], "<id>") for word in record["arguments"] if word not in own]


def _texts(before: dict[str, str], after: dict[str, str]) -> list[str]:
    lines = []
    for name in sorted(set(before) | set(after)) if before else []:
        old, new = (texts.get(name, "").splitlines() for texts in (before, after))
        delta = [line[0] for line in difflib.ndiff(old, new) if line[0] in "+-"]
        if delta:
            lines.append(f"{name}: {delta.count('+')} lines more, {delta.count('-')} less; see them: --check --diff")
    return lines
