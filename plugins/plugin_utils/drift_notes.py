"""What roles would change on a host that they only look at, or why they stop: noted as it is told, read at the end."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NOTES: list[dict[str, Any]] | None = None  # until a run that looks for drift begins
INSTALLS = re.compile(r"^Inst (\S+)", re.MULTILINE)
PATHS = ("dest", "path")
MADE = re.compile(r"release [0-9a-f]{12}$")  # an action of app_release


def begin() -> None:
    """Forget what was noted, and note from now on."""
    global NOTES
    NOTES = []


def note(host: str, role: str, task: str, result: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Note what a task would change on a host.

    :param options: of the task, as its file has them; a new file is named by these alone.
    """
    if NOTES is None:
        return
    for part in result.get("results") or [result]:
        if part.get("changed"):
            NOTES.append({"host": host, "role": role, "task": task, **_about(part, options)})


def note_failure(host: str, role: str, task: str, why: str) -> None:
    """Note that a role stops on a host."""
    if NOTES is not None:
        NOTES.append({"host": host, "role": role, "task": task, "failed": why})


def of(host: str) -> list[dict[str, Any]]:
    """Return the notes of a host."""
    return [each for each in NOTES or [] if each["host"] == host]


def paths(host: str) -> list[str]:
    """Return the files that differ on a host, or of which some do."""
    return sorted({path for each in of(host) for what in ("paths", "kept") for path in each.get(what, [])})


def _about(result: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a change is about, as each kind of module tells it."""
    if "actions" in result:
        return _release(list(result["actions"]), list(result.get("plan") or []))
    if "status" in result and "name" in result:
        known = result["status"]
        told = {"active": known.get("ActiveState", ""), "enabled": known.get("UnitFileState", "")}
        return {"unit": {"name": result["name"], **told}}
    if packages := INSTALLS.findall(str(result.get("stdout", ""))):
        return {"packages": packages}
    kept = {} if result.get("diff") else _kept(str(result.get("src", "")), str(result.get("dest", "")))
    if kept:
        return {"kept": kept}
    return {"paths": list(dict.fromkeys(_paths(result, options)))}


def _kept(source: str, dest: str) -> dict[str, str]:
    """Return {file on the host: SHA-256 that it is to have} of a directory that is copied: Ansible names none."""
    folder = Path(source)
    if not (source.startswith("/") and folder.is_dir()):
        return {}
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(Path(dest) / path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _paths(result: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files that a result names: those of its diff, or the one that the task is for."""
    told = result.get("diff") or []
    diffs = [each for each in (told if isinstance(told, list) else [told]) if isinstance(each, Mapping)]
    own = [str(known.get(word, "")) for known in (result, options) for word in PATHS]
    whole = next((path for path in own if path.startswith("/") and "{" not in path), "")
    named = [path for diff in diffs if (path := _named(diff, whole, str(options.get("src", ""))))]
    yield from named or ([whole] if whole else [])


def _named(diff: Mapping[str, Any], whole: str, source: str) -> str:
    """Return the file on the host that a diff is of; "" where it does not say.

    :param whole: file or directory that the task is for.
    :param source: directory that is copied there; the name of a new file is one below it.
    """
    before, after = str(diff.get("before_header") or ""), str(diff.get("after_header") or "")
    state = diff.get("after")
    if isinstance(state, Mapping):
        return str(state.get("path", ""))
    if before.startswith("/"):
        return before
    if source.endswith("/") and f"/{source}" in after:
        return f"{whole.rstrip('/')}/{after.partition(f'/{source}')[2]}"
    return whole


def _release(actions: list[str], plan: list[str]) -> dict[str, Any]:
    """Return what app_release would do: another release is no damage, but what was not deployed yet."""
    if any(MADE.match(action) for action in actions):
        told = [line for line in plan if not line.startswith(("release:", "stops:", "image:"))]
        # After a restart the same has another id, and nothing else differs.
        return {"undeployed": "; ".join(told)[:300]} if told else {"paths": [], "actions": actions}
    return {"paths": [each for each in actions if each.startswith("/")], "actions": actions}
