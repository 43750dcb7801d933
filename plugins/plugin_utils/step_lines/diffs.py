"""The diff of a new file or directory as one line: it has no other side to be compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

SHOWN = 5  # lines; a new file of no more is shown whole


def text(found: list[Any], whole: Callable[[Any], str]) -> tuple[str, bool]:
    """Return the diffs of a task, and whether one of them is shortened.

    :param found: each as its module tells it, which may be a list.
    :param whole: returns one as Ansible prints it.
    """
    each = [one for many in found for one in (many if isinstance(many, list) else [many])]
    lines = [made(one) for one in each]
    return "".join(line or whole(one) for line, one in zip(lines, each, strict=True)), any(lines)


def made(diff: Any) -> str:
    """Return the line that names what a diff makes; "" where that is not new, or short."""
    if not isinstance(diff, Mapping):
        return ""
    before, after = diff.get("before"), diff.get("after")
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        new = before.get("state") == "absent" and after.get("state") == "directory"
        return f"new directory: {after.get('path', '')}\n" if new else ""
    if before or not isinstance(after, str) or after.count("\n") <= SHOWN:
        return ""
    return (
        f"new: {diff.get('after_header') or diff.get('before_header') or 'a file'} ({len(after.splitlines())} lines)\n"
    )
