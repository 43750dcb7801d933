"""What a release's own file says of it, also where an earlier version wrote it, or it is damaged."""

from __future__ import annotations

from typing import Any

LAST = 253402300799  # seconds, the end of the year 9999
TEXT, NUMBER, EITHER = (str,), (int, float), (str, int, float)
UNKNOWN: dict[str, Any] = {  # of a record that an earlier version wrote, or that is damaged
    "domain": "",
    "health_path": "/",
    "start_timeout": 60,
    "image": "",
    "source": {},
    "by": "unknown",
    "created": 0,
    "wsgi": "",
    "static": {"path": "", "digest": ""},
    "found": {},
    "processes": {},
    "container": {
        **{"memory": "512m", "cpus": 0, "pids": 256, "stop_timeout": 40},
        **dict.fromkeys(("server", "writable", "files"), ""),
    },
}
SOURCE = dict.fromkeys(("kind", "repository", "ref", "commit", "digest"), TEXT)
TYPES: dict[str, Any] = {
    **dict.fromkeys(("domain", "health_path", "image", "by", "wsgi"), TEXT),
    **dict.fromkeys(("start_timeout", "created"), NUMBER),
    "source": SOURCE,
    "static": {"path": TEXT, "digest": TEXT},
    "container": dict.fromkeys(UNKNOWN["container"], EITHER),
}


def fits(value: Any, types: dict[str, Any] | tuple[type, ...]) -> bool:
    """Tell whether a file holds what its readers expect; what is missing, or null, was not known."""
    if isinstance(types, dict):
        return isinstance(value, dict) and all(
            fits(value[name], each) for name, each in types.items() if value.get(name) is not None
        )
    return isinstance(value, types) and (isinstance(value, str) or abs(value) <= LAST)


def whole(known: dict[str, Any]) -> dict[str, Any]:
    """Return a record with every field that a reader may look at; one that holds what does not fit is damaged."""
    known = _told(known) if fits(known, TYPES) else {}
    parts = {name: {**UNKNOWN[name], **_told(known.get(name, {}))} for name in ("source", "static", "container")}
    parts |= {name: known[name] if isinstance(known.get(name), dict) else {} for name in ("found", "processes")}
    return {**UNKNOWN, **known, **parts}


def _told(known: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if value is not None}


def origin(source: dict[str, Any]) -> str:
    """Return in a few words what a release's code came from."""
    commit = (source.get("commit") or "")[:7]
    if source.get("kind") == "git":
        return f"{(source.get('ref') or '')[:16]} {commit}"
    if source.get("kind") == "image":
        return f"{(source.get('ref') or '')[:16]} {(source.get('digest') or '').removeprefix('sha256:')[:12]}"
    changes = "+changes" if source.get("changes") else ""
    return f"directory {commit}{changes}".strip()
