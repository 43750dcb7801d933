"""Send a local source, or a base image, to the host that builds; the module of the same name does the rest."""

from __future__ import annotations

import gzip
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import escape, glob
from typing import Any, TypeVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# What reads a source on a host reads it here.
sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "module_utils"))
sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"))

sys.path.append(os.path.join(os.path.dirname(__file__), "../../../plugins/plugin_utils"))

import build_sources
import room
from step_lines import progress

# What git tells its hooks, one of which may have begun the deploy: it means another repository.
HOOK = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
# What the directory's own settings would have git run.
GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")

Result = TypeVar("Result")
BUILD = "/var/tmp"  # noqa: S108 - the host unpacks a source below it, in a directory of its own
READY = "image:"  # begins a source that is an image
GIT_PATIENCE = 300  # seconds; it lists files and asks nobody


def archive_of(pattern: str, python: str) -> str:
    """Return the path of the base image's archive for a Python; where there is none, say which others there are."""
    begin, chosen, end = os.path.expanduser(pattern).partition("{python}")
    path = f"{begin}{python if chosen else ''}{end}"
    if os.path.isfile(path):
        return path
    others = sorted(each.removeprefix(begin).removesuffix(end) for each in glob(f"{escape(begin)}3.*{escape(end)}"))
    rest = f"; to use what is there: build_python: '{others[-1]}'" if chosen and others else ""
    raise AnsibleActionFail(f"build_base_image_archive: there is no file {path} on the controller{rest}")


def is_repository(source: str) -> bool:
    """Tell a repository's address (URL or scp-like) from a directory on the controller."""
    return "://" in source or (":" in source.split("/")[0] and not os.path.isdir(source))


def list_files(folder: str) -> list[str]:
    """Return the relative paths of what git would list: tracked and untracked, not ignored.

    Outside a git checkout its .gitignore files still count.

    :raises AnsibleActionFail: no such directory, or no git on the controller.
    """
    if not os.path.isdir(folder):
        raise AnsibleActionFail(f"build_source: {folder} is not a directory on the controller")
    with tempfile.TemporaryDirectory() as empty:
        if _git(folder, "rev-parse", "--is-inside-work-tree", check=False).returncode == 0:
            listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
        else:
            _git(folder, "init", "-q", "--bare", empty)
            repository = [f"--git-dir={empty}", f"--work-tree={os.path.abspath(folder)}"]
            listed = _git(folder, *repository, "ls-files", "-z", "--others", "--exclude-standard")
    names = set()
    for name in (os.fsdecode(name) for name in listed.stdout.split(b"\0") if name):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):  # a submodule, or another checkout in this one
            if not os.path.lexists(os.path.join(path, ".git")):
                raise _not_checked_out(path)
            names |= {os.path.join(name, inner) for inner in list_files(path)}
        elif os.path.lexists(path):
            names.add(name)
    return sorted(names)


def _not_checked_out(path: str) -> AnsibleActionFail:
    folder, name = os.path.split(os.path.normpath(path))
    known = not _git(folder, "submodule", "status", "--", name, check=False).returncode
    how = "submodule update --init --recursive" if known else f"rm --cached {name}"
    said = f"the submodule {name} in {folder} is not checked out{'' if known else ', and no .gitmodules has it'}"
    return AnsibleActionFail(f"build_source: {said}; type: git -C {folder} {how}")


def _git(folder: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in HOOK}
    try:
        command = [*GIT, "-C", folder, *arguments]
        done = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=GIT_PATIENCE)
    except subprocess.TimeoutExpired:
        raise AnsibleActionFail(
            f"git in {folder} took longer than {GIT_PATIENCE} s; try it: git -C {folder} status"
        ) from None
    except FileNotFoundError:
        raise AnsibleActionFail("git is needed on the controller; install it: sudo apt install git") from None
    if check and done.returncode:
        raise AnsibleActionFail(f"git in {folder}: {done.stderr.decode(errors='replace').strip()}")
    return done


def digest(folder: str, top: str | None = None) -> str:
    """Return the SHA-256 of what a directory holds for git."""
    return said(build_sources.read, folder, list_files(folder), top=top)


def pack(folder: str, path: str, top: str | None = None) -> str:
    """Write a directory's files as a tar that depends on what its digest does; return that digest."""
    with gzip.open(path, "wb", compresslevel=1) as zipped:
        return said(build_sources.pack, folder, list_files(folder), zipped, top=top, mode="w")


def _not_there(source: str, top: str, subdir: str) -> str:
    if os.path.isdir(top):
        return f"build_subdir: {source} has {build_sources.no_directory(top, subdir)}"
    way_out = "an absolute path, or {{ inventory_dir }}/…; of a repository its address"
    return f"build_source: {source} is not a directory on the controller; write {way_out}"


def unpacked_size(path: str) -> int:
    """Return the bytes in a gzip file as its end tells them: of more than 4 GiB, what is beyond (RFC 1952, ISIZE)."""
    with open(path, "rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(), "little")


def said(function: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
    """Call what says what is wrong with a source."""
    try:
        return function(*arguments, **options)
    except build_sources.SourceError as error:
        raise AnsibleActionFail(f"build_source: {error}") from None
    except OSError as error:
        where = error.filename or f"{tempfile.gettempdir()} on the controller"
        raise AnsibleActionFail(f"build_source: {where}: {error.strerror}") from None


def commit(folder: str) -> tuple[str, bool]:
    """Return (the commit that a directory is a checkout of, "" where it is none; whether what is sent differs)."""
    named = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD", check=False)
    held = _git(folder, "ls-tree", "--name-only", "HEAD", ".", check=False)
    if named.returncode or not held.stdout:  # a directory that its repository ignores is in no commit
        return "", False
    changes = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", ".", check=False)
    return named.stdout.decode().strip(), bool(changes.returncode or changes.stdout.strip())


class ActionModule(ActionBase):
    """Run the module, and again with the files it asks for."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        source, folder = arguments.pop("source"), None
        base_archive = arguments.pop("base_archive", "")
        ca_file = arguments.pop("ca_file", "")
        arguments["ca"] = self._read(ca_file) if ca_file else ""
        arguments["base_can_be_sent"] = bool(base_archive)
        if source.startswith(READY):
            arguments["ready"] = source.removeprefix(READY)
        elif is_repository(source):
            arguments["repository"] = source
        else:
            top = os.path.expanduser(source)
            folder = build_sources.below(top, arguments.get("subdir", ""))
            if not folder:
                raise AnsibleActionFail(_not_there(source, top, arguments.get("subdir", "")))
            arguments["source_digest"] = digest(folder, top)
            arguments["source_commit"], arguments["source_changes"] = commit(folder)
            arguments["dockerfile_content"] = said(build_sources.text, folder, arguments["dockerfile"], top) or ""
            named = arguments.get("choices", {}).get("dependencies", "")
            arguments["told"] = build_sources.told(folder, list_files(folder), named)
        return self._until_content(arguments, (folder, top) if folder else None, base_archive, task_vars)

    def _until_content(
        self,
        arguments: dict[str, Any],
        place: tuple[str, str] | None,
        base_archive: str,
        task_vars: dict[str, Any] | None,
    ) -> dict[str, Any]:
        try:
            while True:
                with self._followed(arguments, task_vars):
                    result: dict[str, Any] = self._execute_module("build_image", arguments, task_vars=task_vars)
                for line in result.get("said", []):
                    Display().display(f"build: {line}")
                if result.get("failed") or not result.get("wants"):
                    return result
                if "word" in result["wants"]:
                    arguments["shown"] = True
                if "base" in result["wants"]:
                    path = archive_of(base_archive, result.get("python", ""))
                    kept = {"path": "engine", "bytes": os.path.getsize(path), "purpose": "the base image"}
                    arguments["base_archive"] = self._send(path, "base.tar", {**kept, "kind": "engine"}, task_vars)
                if "source" in result["wants"]:
                    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as packed:
                        if pack(place[0], packed.name, place[1]) != arguments["source_digest"]:
                            raise AnsibleActionFail("build_source: its files changed meanwhile; deploy once more")
                        kept = {"path": BUILD, "bytes": unpacked_size(packed.name), "purpose": "the source"}
                        kept = {**kept, "kind": "unpacked"}
                        arguments["source_archive"] = self._send(packed.name, "source.tar.gz", kept, task_vars)
        finally:
            if self._connection._shell.tmpdir:
                self._remove_tmp_path(self._connection._shell.tmpdir)

    @contextmanager
    def _followed(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> Iterator[None]:
        """Have the last line that the build prints shown while it runs."""
        if not progress.invited():
            yield
            return
        folder = self._folder()
        arguments["progress"] = self._connection._shell.join_path(folder, "progress")
        command = f"tail -c 4096 {shlex.quote(arguments['progress'])}"

        def look(connection: Any) -> str:
            return progress.last_line(progress.said_on(connection, command))

        with progress.followed(self, (task_vars or {}).get("inventory_hostname", ""), look):
            yield

    def _folder(self) -> str:
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        return self._connection._shell.tmpdir

    def _send(self, path: str, name: str, kept: dict[str, Any], task_vars: dict[str, Any] | None) -> str:
        """Send a file, where the host has room for it and for what it is unpacked to; return its path there."""
        folder = self._folder()
        sent = {"path": folder, "bytes": os.path.getsize(path), "purpose": f"{kept['purpose']}'s archive"}
        room.demand(self, [{**sent, "kind": "sent"}, kept], task_vars)
        remote = self._connection._shell.join_path(folder, name)
        self._transfer_file(path, remote)
        return remote

    def _read(self, path: str) -> str:
        try:
            with open(os.path.expanduser(path), encoding="utf-8") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise AnsibleActionFail(f"build_ca_file: {path} cannot be read on the controller: {why}") from None
