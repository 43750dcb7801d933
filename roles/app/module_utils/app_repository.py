"""The code of an app in a git repository: found by branch, tag or commit, handed on as a tar file."""

from __future__ import annotations

import os
import subprocess
import tempfile

from ansible.module_utils import app_files as files


class RepositoryError(Exception):
    """The code cannot be had; the message says what git said, or which variable is wrong."""


class Repository:
    """A bare copy of a git repository on this host, so a later fetch moves only what is new."""

    def __init__(self, app, address, key):
        self.path, self.address, self.key = f"/srv/{app}/source.git", address, key

    def git(self, *arguments, **options):
        done = subprocess.run(
            ["git", *arguments], capture_output=True, env=self._environment(), timeout=600, check=False, **options
        )
        if done.returncode:
            command = arguments[2] if arguments[0] == "-C" else arguments[0]
            raise RepositoryError(f"git {command}: {done.stderr.decode(errors='replace').strip()[-1000:]}")
        return done.stdout

    def _environment(self):
        known = "/etc/ssh/ssh_known_hosts -o StrictHostKeyChecking=accept-new"
        command = f"ssh -o BatchMode=yes -o UserKnownHostsFile={known}"
        if self.key:
            command += f" -o IdentitiesOnly=yes -i {self.key}"
        return {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": command}

    def commit(self, ref):
        """Return the commit that a branch, tag or (abbreviated) commit names now.

        :raises RepositoryError: no such ref, or the repository does not answer.
        """
        if not os.path.isdir(self.path):
            files.ensure_directory(os.path.dirname(self.path))
            self.git("init", "-q", "--bare", self.path)
        wanted = ["+refs/heads/*:refs/deploy/heads/*", "+refs/tags/*:refs/deploy/tags/*"]
        if ref == "HEAD":  # which may name a branch that is not there
            wanted.append("+HEAD:refs/deploy/HEAD")
        self.git("-C", self.path, "fetch", "-q", "--prune", "--", self.address, *wanted)
        for name in (
            f"refs/deploy/{ref.removeprefix('refs/')}",
            f"refs/deploy/heads/{ref}",
            f"refs/deploy/tags/{ref}",
            ref,
        ):
            try:
                found = self.git(
                    "-C", self.path, "rev-parse", "-q", "--verify", "--end-of-options", f"{name}^{{commit}}"
                )
            except RepositoryError:
                continue
            return found.decode().strip()
        raise RepositoryError(f"app_ref: {self.address} has no branch, tag or commit {ref!r}")

    def tree(self, commit, subdir):
        try:
            return self.git("-C", self.path, "rev-parse", "--verify", f"{commit}:{subdir}").decode().strip()
        except RepositoryError:
            raise RepositoryError(f"app_subdir: {self.address} has no directory {subdir!r} at {commit[:12]}") from None

    def text(self, tree, name):
        try:
            return self.git("-C", self.path, "cat-file", "blob", f"{tree}:{name}").decode()
        except RepositoryError:
            return None

    def archive(self, tree, path):
        self.git("-C", self.path, "archive", "--format=tar", f"--output={path}", tree)


def write_key(key):
    if not key:
        return None
    handle, path = tempfile.mkstemp(dir="/run", prefix="flask-deploy-key-")
    with os.fdopen(handle, "w") as file:
        file.write(key.rstrip("\n") + "\n")
    return path
