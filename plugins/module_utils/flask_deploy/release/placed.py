"""Files that an operator puts where an app looks for them: app_files, kept in the release.

Each is mounted by itself, as the directory around it is the image's. That is safe for what is written once with its
release and never replaced.
"""

from __future__ import annotations

import posixpath
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.release.places import App

Row = tuple[str, bytes, int, int, int]  # see writing.rows
NAME = "file-"  # begins the name in the release; its end is the number among the sorted paths


def paths(record: dict[str, Any]) -> list[str]:
    """Return the paths as their operator wrote them, in the order of their files."""
    return sorted(str(record["container"].get("files", "")).split())


def arguments(folder: str, record: dict[str, Any]) -> list[str]:
    """Return docker's arguments for the files of a release.

    :param folder: the release's directory.
    """
    start, words = record.get("found", {}).get("workdir") or "/", []
    for number, path in enumerate(paths(record)):
        target = posixpath.normpath(posixpath.join(start, path))
        words += engine.bind(f"{folder}/{NAME}{number}", target, fixed=True)
    return words


def rows(app: App, contents: dict[str, str]) -> list[Row]:
    """Return the files in a release directory; the app alone reads them, as there may be secrets in them."""
    texts = enumerate(contents[path] for path in sorted(contents))
    return [(f"{NAME}{number}", text.encode(), 0o400, app.uid, app.gid) for number, text in texts]


def held(app: App, release: str | None) -> dict[str, str]:
    """Return what the files of a release hold, by the paths as their operator wrote them."""
    known = enumerate(paths(app.record(release))) if release else []
    found = {path: files.read(app.path(release, f"{NAME}{number}")) or b"" for number, path in known}
    return {path: content.decode(errors="replace") for path, content in found.items()}
