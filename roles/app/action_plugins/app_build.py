"""Send a local source, or a base image, to the host that builds; the module of the same name does the rest."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import tarfile
import tempfile

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# What git tells its hooks, one of which may have begun the deploy: it means another repository.
HOOK = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}


def is_repository(source):
    """Tell a repository's address (URL or scp-like) from a directory on the controller."""
    return "://" in source or (":" in source.split("/")[0] and not os.path.isdir(source))


def list_files(folder):
    """Return the relative paths of what git would list: tracked and untracked, not ignored.

    Outside a git checkout its .gitignore files still count.

    :raises AnsibleActionFail: no such directory, or no git on the controller.
    """
    if not os.path.isdir(folder):
        raise AnsibleActionFail(f"app_source: {folder} is not a directory on the controller")
    inside = _git(folder, "rev-parse", "--is-inside-work-tree", check=False).returncode == 0
    with tempfile.TemporaryDirectory() as empty:
        if inside:
            listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
        else:
            _git(folder, "init", "-q", "--bare", empty)
            repository = [f"--git-dir={empty}", f"--work-tree={os.path.abspath(folder)}"]
            listed = _git(folder, *repository, "ls-files", "-z", "--others", "--exclude-standard")
    names = set()
    for name in (os.fsdecode(name) for name in listed.stdout.split(b"\0") if name):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):  # a submodule, or another checkout in this one
            names |= {os.path.join(name, inner) for inner in list_files(path)}
        elif os.path.lexists(path):
            names.add(name)
    return sorted(names)


def _git(folder, *arguments, check=True):
    environment = {name: value for name, value in os.environ.items() if name not in HOOK}
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, env=environment, check=False)
    except FileNotFoundError:
        raise AnsibleActionFail("git is needed on the controller; install it: sudo apt install git") from None
    if check and done.returncode:
        raise AnsibleActionFail(f"git in {folder}: {done.stderr.decode(errors='replace').strip()}")
    return done


def pack(folder, path):
    """Write a directory's files as a tar that depends on names, contents and executable bits alone."""
    with gzip.open(path, "wb", compresslevel=1) as zipped, tarfile.open(fileobj=zipped, mode="w") as packed:
        for name in list_files(folder):
            packed.add(os.path.join(folder, name), name, recursive=False, filter=normalise)


def normalise(entry):
    """Drop what differs between two checkouts of the same content."""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def digest(folder):
    """Return the SHA-256 of names, kinds, executable bits and contents of a directory's files."""
    seen = hashlib.sha256()
    for name in list_files(folder):
        path = os.path.join(folder, name)
        if os.path.islink(path):
            kind, content = "link", os.fsencode(os.readlink(path))
        else:
            with open(path, "rb") as file:
                content = file.read()
            kind = "program" if os.stat(path).st_mode & 0o100 else "file"
        seen.update(f"{kind} {len(content)} {name}\0".encode(errors="surrogateescape"))
        seen.update(content)
    return seen.hexdigest()


def commit(folder):
    """Return (the commit that a directory is a checkout of, "" where it is none; whether what is sent differs)."""
    named = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD", check=False)
    held = _git(folder, "ls-tree", "--name-only", "HEAD", ".", check=False)
    if named.returncode or not held.stdout:  # a directory that its repository ignores is in no commit
        return "", False
    changes = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", ".", check=False)
    return named.stdout.decode().strip(), bool(changes.returncode or changes.stdout.strip())


class ActionModule(ActionBase):
    """Run the module, and again with the files it asks for."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        source, folder = arguments.pop("source"), None
        base_archive = arguments.pop("base_archive", "")
        ca_file = arguments.pop("ca_file", "")
        arguments["ca"] = self._read(ca_file) if ca_file else ""
        arguments["base_can_be_sent"] = bool(base_archive)
        if is_repository(source):
            arguments["repository"] = source
        else:
            folder = os.path.join(os.path.expanduser(source), arguments.get("subdir", ""))
            arguments["source_digest"] = digest(folder)
            arguments["source_commit"], arguments["source_changes"] = commit(folder)
            arguments["dockerfile_content"] = self._read(os.path.join(folder, arguments["dockerfile"]), "")
        return self._until_content(arguments, folder, base_archive, task_vars)

    def _until_content(self, arguments, folder, base_archive, task_vars):
        try:
            while True:
                result = self._execute_module("app_build", module_args=arguments, task_vars=task_vars)
                if result.get("failed") or not result.get("wants"):
                    return result
                if "base" in result["wants"]:
                    arguments["base_archive"] = self._send(base_archive, "base.tar")
                if "source" in result["wants"]:
                    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as packed:
                        pack(folder, packed.name)
                        arguments["source_archive"] = self._send(packed.name, "source.tar.gz")
        finally:
            if self._connection._shell.tmpdir:
                self._remove_tmp_path(self._connection._shell.tmpdir)

    def _send(self, path, name):
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, name)
        self._transfer_file(os.path.expanduser(path), remote)
        return remote

    def _read(self, path, missing=None):
        try:
            with open(os.path.expanduser(path), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            if missing is None:
                raise AnsibleActionFail(f"there is no file {path} on the controller") from None
            return missing
