"""What roles would change on a host that they only look at, or why they stop: noted as it is told, read at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

NOTES: list[dict[str, Any]] | None = None  # until a run that looks for drift begins
INSTALLS = re.compile(r"^Inst (\S+)", re.MULTILINE)
PATHS = ("dest", "path")
MADE = re.compile(r"release [0-9a-f]{12}$")  # an action of app_release


def begin() -> None:
    """Forget what was noted, and note from now on."""
    global NOTES
    NOTES = []


def note(host: str, role: str, task: str, result: Mapping[str, Any]) -> None:
    """Note what a task would change on a host."""
    if NOTES is None:
        return
    for part in result.get("results") or [result]:
        if part.get("changed"):
            NOTES.append({"host": host, "role": role, "task": task, **_about(part)})


def note_failure(host: str, role: str, task: str, why: str) -> None:
    """Note that a role stops on a host."""
    if NOTES is not None:
        NOTES.append({"host": host, "role": role, "task": task, "failed": why})


def of(host: str) -> list[dict[str, Any]]:
    """Return the notes of a host."""
    return [each for each in NOTES or [] if each["host"] == host]


def paths(host: str) -> list[str]:
    """Return the files that differ on a host."""
    return sorted({path for each in of(host) for path in each.get("paths", [])})


def _about(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a change is about, as each kind of module tells it."""
    if "actions" in result:
        return _release(list(result["actions"]), list(result.get("plan") or []))
    if "status" in result and "name" in result:
        known = result["status"]
        return {
            "unit": {
                "name": result["name"],
                "active": known.get("ActiveState", ""),
                "enabled": known.get("UnitFileState", ""),
            }
        }
    packages = INSTALLS.findall(str(result.get("stdout", "")))
    return {"packages": packages} if packages else {"paths": list(dict.fromkeys(_paths(result)))}


def _paths(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files that a result names: those of its diff, or the one that the task is for."""
    told = result.get("diff") or []
    names = [name for each in (told if isinstance(told, list) else [told]) for name in _headers(each)]
    yield from names or [result[word] for word in PATHS if str(result.get(word, "")).startswith("/")][:1]


def _headers(diff: Any) -> Iterator[str]:
    if not isinstance(diff, Mapping):
        return
    inner = diff.get("after")
    found = [
        diff.get("before_header"),
        diff.get("after_header"),
        inner.get("path") if isinstance(inner, Mapping) else "",
    ]
    on_host = [str(name) for name in found if str(name or "").startswith("/") and "/ansible" not in str(name)]
    yield from on_host[:1]


def _release(actions: list[str], plan: list[str]) -> dict[str, Any]:
    """Return what app_release would do: another release is no damage, but what was not deployed yet."""
    if any(MADE.match(action) for action in actions):
        told = [line for line in plan if not line.startswith(("release:", "stops:", "image:"))]
        # After a restart the same has another id, and nothing else differs.
        return {"undeployed": "; ".join(told)[:300]} if told else {"paths": [], "actions": actions}
    return {"paths": [each for each in actions if each.startswith("/")], "actions": actions}
