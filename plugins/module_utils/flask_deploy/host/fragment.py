"""What nginx reads beside the sites of apps: files of its directory conf.d that a role owns whole."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import files, nginx, told


def ensure(name: str, path: str, text: bytes, dry: bool) -> list[str]:
    """Let nginx read a file; one that refuses it keeps what it had. Return the path where that is a change.

    :param name: what the file is for, in a name of a file: a reload that a killed run owes is remembered by it.
    :raises SiteError: with nginx's words.
    """
    differs = files.differs(path, text, 0o644, 0, 0)
    if dry:
        return [path] if differs else []
    with told.owed(name, differs) as due, nginx.lock():
        if due:
            before = files.read(path)
            files.write(path, text)
            try:
                nginx.test()
            except nginx.SiteError:
                files.remove(path) if before is None else files.write(path, before)
                raise
            nginx.reload()
    return [path] if due else []
