"""How a release comes to be on disk: its directory whole or not at all, and the places around it."""

from __future__ import annotations

import os
import tarfile
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files, nginx, told, untrusted
from ansible.module_utils.flask_deploy.release import static
from ansible.module_utils.flask_deploy.release.places import LAYOUT, MARKER, App, ReleaseError

SITE = "{}.site"  # of an app, in told
Row = tuple[str, bytes, int, int, int]  # of a file in a release directory: name, content, mode, uid, gid


def ensure_places(app: App, dry: bool = False, site: str = "") -> list[str]:
    """Make the app's directories; return those that changed or would.

    :param site: site file of a release that is to be written.
    """
    wanted = [
        (app.root, 0o755, 0, 0),
        (app.releases, 0o755, 0, 0),
        (f"{app.root}/data", *_door(app, site)),
        (f"{app.root}/maintenance", 0o755, 0, 0),
        (app.etc, 0o755, 0, 0),
        (f"{app.etc}/secrets", 0o500, app.uid, app.gid),
        (f"{app.etc}/jwt", 0o500, app.uid, app.gid),
    ]
    if not dry:
        for folder in (app.root, app.etc, f"{app.root}/maintenance"):
            files.sweep(folder)
    return untrusted.ensure_links_refused(dry) + [
        path for path, *rest in wanted if files.ensure_directory(path, *rest, dry=dry)
    ]


def _door(app: App, site: str) -> tuple[int, int, int]:
    """Return mode and owners of the app's data: nginx passes through where a release here has it serve files there."""
    sites = [site.encode(), *(app.site(release) or b"" for release in app.known())]
    serves = any(f"alias {app.root}/data/".encode() in each for each in sites)
    return (0o710, app.uid, app.nginx_gid) if serves else (0o700, app.uid, app.gid)


def ensure_include(app: App, dry: bool = False) -> bool:
    """Let nginx read the serving release's site file; the glob also matches nothing, before the first."""
    line = f"# Managed by Ansible: flask-deploy\ninclude {app.current}/site.con[f];\n".encode()
    changes = files.ensure_file(app.include, line, dry=True)
    if changes and not dry:
        if app.serving():  # else the switch to come reloads
            told.owe(SITE.format(app.name))
        files.ensure_file(app.include, line)
    return changes


def let_nginx_read(app: App) -> list[str]:
    """Reload nginx where this run, or one before it that did not come to it, wrote of the site that serves.

    :return: what was done.
    """
    with told.owed(SITE.format(app.name), False) as due:
        if due:
            with nginx.lock():
                nginx.reload()
    return ["nginx reloaded"] if due else []


def rows(app: App, contents: dict[str, str], environment: dict[str, str]) -> list[Row]:
    """Return the files in a release directory."""
    rows = [(name, text.encode(), 0o644, 0, 0) for name, text in contents.items()]
    return [*rows, ("env.json", files.canonical(environment), 0o400, app.uid, app.gid)]


def write(app: App, release: str, rows: list[Row], record: dict[str, Any]) -> None:
    """Make a release directory under another name and rename it: it is there whole or not at all."""
    stage = f"{app.releases}/.new-{release}"
    files.remove_tree(stage)
    files.ensure_directory(stage)
    for name, content, mode, uid, gid in rows:
        files.write(f"{stage}/{name}", content, mode, uid, gid)
    ensure_run(app, stage)
    record |= LAYOUT
    files.write(f"{stage}/{MARKER}", b"")
    record["static"]["digest"] = extract_static(app, record, f"{stage}/static")
    files.write_json(f"{stage}/release.json", record)
    files.remove_tree(app.path(release))
    os.rename(stage, app.path(release))
    files.sync(app.releases)
    app.set_state(release, "prepared")


def ensure_run(app: App, folder: str, dry: bool = False) -> list[str]:
    """Make the place of a release's socket; return the paths that changed or would.

    Only nginx enters run/. The app writes in run/sock alone, which is sticky and open to all who get there: in
    such a directory the kernel lets nobody follow a link of the app's (fs.protected_symlinks in proc(5)). The
    link beside it is ours, and keeps the path that nginx uses the same for releases of all versions.
    """
    wanted = [(f"{folder}/run", 0o710, 0, app.nginx_gid), (f"{folder}/run/sock", 0o1777, 0, 0)]
    changed = [path for path, *rest in wanted if files.ensure_directory(path, *rest, dry=dry)]
    link = f"{folder}/run/gunicorn.sock"
    if not os.path.islink(link) or os.readlink(link) != untrusted.LINK:
        changed.append(link)
        if not dry:
            files.link(link, untrusted.LINK)
    return changed


def repair(app: App, release: str, rows: list[Row], record: dict[str, Any], dry: bool = False) -> list[str]:
    """Put a release directory back to what it was made of; return the paths that changed or would."""
    folder = app.path(release)
    site = next((content for name, content, *_ in rows if name == "site.conf"), None)
    if not dry and release == app.serving() and app.site(release) != site:
        told.owe(SITE.format(app.name))
    changed = [f"{folder}/{name}" for name, *rest in rows if files.ensure_file(f"{folder}/{name}", *rest, dry=dry)]
    if files.ensure_directory(folder, dry=dry):
        changed.append(folder)
    known = app.record(release)
    if damaged := not known["image"] or any(known.get(name) != LAYOUT[name] for name in LAYOUT):
        known = {**record, **LAYOUT, "static": {**record["static"], "digest": ""}}  # the same inputs made it
    changed += ensure_run(app, folder, dry)
    if (
        files.ensure_directory(f"{folder}/static", dry=dry)
        or files.tree_digest(f"{folder}/static") != known["static"]["digest"]
    ):
        changed.append(f"{folder}/static")
        if not dry:
            known["static"]["digest"] = extract_static(app, known, f"{folder}/static")
    given = {name: record[name] for name in ("image", "arguments", "processes")}
    if damaged or any(known.get(name) != given[name] for name in given):
        known |= given
        changed.append(f"{folder}/release.json")
    if changed and not dry:
        files.write_json(f"{folder}/release.json", known)
    return changed


def extract_static(app: App, record: dict[str, Any], target: str) -> str:
    """Copy the image's public files to a directory and return its digest.

    Modes and owners are normalised. Dotfiles stay behind, but for .well-known (RFC 8615).

    :raises ReleaseError: a link leaves the tree, or a file is neither file, directory nor link.
    """
    stage = f"{target}.new"
    files.remove_tree(stage)
    os.mkdir(stage, 0o755)
    os.chmod(stage, 0o755)
    if record["static"]["path"]:
        _unpack_static(app, record, stage)
        static.finish(stage, f"{app.current}/static")
    files.flush(stage)
    old = f"{target}.old"
    files.remove_tree(old)
    if os.path.isdir(target):  # nginx serves it: it is away for no longer than two renames take
        os.rename(target, old)
    os.rename(stage, target)
    files.sync(os.path.dirname(target))
    files.remove_tree(old)
    return files.tree_digest(target)


def _unpack_static(app: App, record: dict[str, Any], stage: str) -> None:
    release, image, path = record["id"], record["image"], record["static"]["path"]
    found = engine.inspect("image", image)
    if not found:
        raise ReleaseError(f"image {image} is not on this host any more; to build it: run the same command again")
    source = os.path.normpath(os.path.join(found["Config"].get("WorkingDir") or "/", path))
    holder = f"{app.container(release)}-static"
    label = f"flask-deploy.app={app.name}"  # or an image's own label counts it among another app's
    engine.remove(holder)
    engine.docker("create", "--name", holder, "--network", "none", "--label", label, image, "true")
    try:
        with engine.copied(f"{holder}:{source}") as archive:
            if archive:  # else it is an app without public files
                static.unpack(archive, stage, path)
    except (static.StaticError, tarfile.TarError, OSError) as error:
        raise ReleaseError(str(error)) from error
    finally:
        engine.remove(holder)
