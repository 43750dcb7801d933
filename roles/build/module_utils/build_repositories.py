"""The code of an app in a git repository: found by branch, tag or commit, checked out whole, packed as a tar."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile

from ansible.module_utils import build_sources as sources
from ansible.module_utils.flask_deploy.host import command as commands
from ansible.module_utils.flask_deploy.host import files

# The host's own settings must not decide what a commit holds; how its addresses are reached they may.
ALONE = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
MISLEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_CONFIG_COUNT")
# As `git lfs install` would set them.
LFS = (
    "filter.lfs.process=git-lfs filter-process",
    "filter.lfs.smudge=git-lfs smudge -- %f",
    "filter.lfs.required=true",
)
# What a submodule's address may be: it is the repository's word, and root follows it.
REMOTE = re.compile(r"((https?|ssh|git)://(?!-)|(?!-)[\w.-]+(@(?!-)[\w.-]+)?:(?!:|-|//))[^\x00-\x20\x7f]+", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
TIMEOUT = 600  # seconds


class RepositoryError(Exception):
    """The code cannot be had; the message says what git said, or which variable is wrong."""


class Repository:
    """A bare copy of a git repository on this host, so a later fetch moves only what is new.

    :param key: path of a private key that may read it and its submodules.
    """

    def __init__(self, app: str, address: str, key: str | None) -> None:
        self.path, self.address, self.key = f"/srv/{app}/source.git", address, key

    def git(self, *arguments: str, environment: dict[str, str] | None = None) -> bytes:
        """Return what git says, in this copy."""
        words = ("git", "-c", "core.hooksPath=/dev/null", "--git-dir", self.path, *arguments)
        whole = {**self._environment(), **(environment or {})}
        name = next(word for word in arguments if word[0] != "-" and "=" not in word and "/" not in word)
        return commands.run(*words, error=RepositoryError, limit=TIMEOUT, called=f"git {name}", environment=whole)

    def _environment(self) -> dict[str, str | None]:
        known = "/etc/ssh/ssh_known_hosts -o StrictHostKeyChecking=accept-new"
        command = f"ssh -o BatchMode=yes -o UserKnownHostsFile={known}"
        if self.key:
            command += f" -o IdentitiesOnly=yes -i {self.key}"
        return {
            **dict.fromkeys(MISLEADING),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": command,
            "GIT_ALLOW_PROTOCOL": "https:http:ssh:git" + (":file" if self.address.startswith("file:") else ""),
        }

    def _fetch(self, *wanted: str) -> None:
        if not os.path.isdir(self.path):
            files.ensure_directory(os.path.dirname(self.path))
            self.git("init", "-q", "--bare", "--template=")
        self.git("fetch", "-q", "--prune", "--no-recurse-submodules", "--", self.address, *wanted)

    def commit(self, ref: str) -> str:
        """Return the commit that a branch, tag or (abbreviated) commit names now.

        :raises RepositoryError: no such ref, or the repository does not answer.
        """
        wanted = ["+refs/heads/*:refs/deploy/heads/*", "+refs/tags/*:refs/deploy/tags/*"]
        if ref == "HEAD":  # which may name a branch that is not there
            wanted.append("+HEAD:refs/deploy/HEAD")
        self._fetch(*wanted)
        meant = (f"refs/deploy/{ref.removeprefix('refs/')}", f"refs/deploy/heads/{ref}", f"refs/deploy/tags/{ref}", ref)
        for name in meant:
            with contextlib.suppress(RepositoryError):
                found = self.git("rev-parse", "-q", "--verify", "--end-of-options", f"{name}^{{commit}}")
                return found.decode().strip()
        if COMMIT.fullmatch(ref):  # one that no branch holds
            with contextlib.suppress(RepositoryError):
                self._fetch(ref)
                return ref
        listed = self.git("for-each-ref", "--format=%(refname:lstrip=3)", "refs/deploy").decode(errors="replace")
        why = f"{nameless(self.address)} has no branch, tag or commit {ref!r}{sources.there(ref, listed.split())}"
        raise RepositoryError(f"build_ref: {why}\n  what to do: push it, or correct build_ref")

    def bring(self, commit: str) -> None:
        """Have a commit here; ask for it only where it is not."""
        if os.path.isdir(self.path) and self._holds(commit):
            return
        self._fetch("+refs/heads/*:refs/deploy/heads/*", "+refs/tags/*:refs/deploy/tags/*")
        if not self._holds(commit):
            self._fetch(commit)

    def _holds(self, commit: str) -> bool:
        with contextlib.suppress(RepositoryError):
            self.git("cat-file", "-e", f"{commit}^{{commit}}")
            return True
        return False

    def check_out(self, commit: str, folder: str, subdir: str = "") -> None:
        """Write a commit's files as a checkout has them, and the submodules that a part of it needs."""
        os.makedirs(folder, exist_ok=True)
        settings = [f"remote.origin.url={self.address}", "core.autocrlf=false", f"core.attributesFile={os.devnull}"]
        settings += LFS if shutil.which("git-lfs") else []
        with tempfile.TemporaryDirectory() as place:
            try:
                self.git(
                    *(word for setting in settings for word in ("-c", setting)),
                    *(f"--work-tree={folder}", "read-tree", "--reset", "-u", commit),
                    environment={**ALONE, "GIT_INDEX_FILE": f"{place}/index"},
                )
            except RepositoryError as error:
                raise self._explained(str(error)) from None
        for path, wanted in self._submodules(commit):
            inner = os.path.relpath(subdir or ".", path)
            if f"{path}/".startswith(f"{subdir}/" if subdir else "") or not inner.startswith(".."):
                self._check_out_submodule(commit, path, wanted, folder, "" if inner.startswith("..") else inner)

    def _explained(self, said: str) -> RepositoryError:
        """Return an error in one line, where git-lfs says several."""
        missing = re.search(r"^Error downloading object: (.*?) \([0-9a-f]+\): (.*)", said, re.MULTILINE)
        if not missing:
            return RepositoryError(said)
        name, why = missing[1], nameless(missing[2].rpartition("]")[2].strip() or missing[2])
        return RepositoryError(
            f"build_source: git-lfs keeps {sources.shown(name)}, "
            f"which cannot be had from {nameless(self.address)}: {why}"
        )

    def _submodules(self, commit: str) -> list[tuple[str, str]]:
        """Return (path, commit) of each submodule that a commit records."""
        rows = self.git("ls-tree", "-r", "-z", "--full-tree", commit).decode(errors="surrogateescape").split("\0")
        return [(row.partition("\t")[2], row.split()[2]) for row in rows if row.startswith("160000 ")]

    def _check_out_submodule(self, commit: str, path: str, wanted: str, folder: str, subdir: str) -> None:
        what = f"build_source: the submodule {sources.shown(path)} of {nameless(self.address)}"
        address = self._address_of(commit, path)
        if not address:
            raise RepositoryError(f"{what} has no address in .gitmodules; write one there, or remove it")
        resolved = resolve(self.address, address)
        local = resolved.startswith("file://") and self.address.startswith("file://")
        if not local and not REMOTE.fullmatch(resolved):
            raise RepositoryError(f"{what} has an address that a host must not follow: {address!r}; write one of https")
        module = Repository("", resolved, self.key)
        name = hashlib.sha256(resolved.encode(errors="surrogateescape")).hexdigest()[:16]
        parts = os.path.dirname(self.path)
        module.path = f"{parts}/{name}.git" if parts.endswith("/submodules") else f"{parts}/submodules/{name}.git"
        try:
            module.bring(wanted)
        except RepositoryError as error:
            said = nameless(str(error).splitlines()[-1])
            raise RepositoryError(f"{what} cannot be had at {wanted[:12]} from {nameless(resolved)}: {said}") from None
        module.check_out(wanted, f"{folder}/{path}", "" if subdir == "." else subdir)

    def _address_of(self, commit: str, path: str) -> str | None:
        with contextlib.suppress(RepositoryError):
            listed = self.git("config", "--blob", f"{commit}:.gitmodules", "-z", "--list")
            text = listed.decode(errors="surrogateescape")
            rows = dict(row.split("\n", 1) for row in text.split("\0") if "\n" in row)
            for key, value in rows.items():
                if key.startswith("submodule.") and key.endswith(".path") and os.path.normpath(value) == path:
                    return rows.get(key.removesuffix("path") + "url")
        return None


def resolve(base: str, address: str) -> str:
    """Return a submodule's address, which may be relative to that of the repository around it (git-submodule(1))."""
    base, separator = base.rstrip("/"), "/"
    if not address.startswith(("./", "../")):
        return address
    while address.startswith(("./", "../")):
        first, _, address = address.partition("/")
        if first == "..":
            separator = "/" if "/" in base else ":"
            base = base.rpartition(separator)[0]
    return f"{base}{separator}{address}".rstrip("/")


def nameless(address: str) -> str:
    """Return an address, or a text with one, without the password or token that may be in it."""
    return re.sub(r"//[^/@\s]*@", "//", address)


class Checkout:
    """A part of a commit as a source: what is known of it, without a checkout where one was made before."""

    KEPT = 50  # commits

    def __init__(
        self, repository: Repository, commit: str, subdir: str, dockerfile: str, named: str = "", dry: bool = False
    ) -> None:
        self.repository, self.commit, self.subdir = repository, commit, subdir
        self.dockerfile, self.named = dockerfile, named
        self.place: str | None = None
        self.dry = dry
        self.known = f"{os.path.dirname(repository.path)}/sources.json"

    def __enter__(self) -> Checkout:
        return self

    def __exit__(self, *error: object) -> None:
        if self.place:
            shutil.rmtree(self.place, ignore_errors=True)

    def folder(self) -> tuple[str, str]:
        """Return (the part's directory, the whole), checked out."""
        if not self.place:
            self.place = tempfile.mkdtemp(prefix="flask-deploy-source-", dir="/var/tmp")
            self.repository.check_out(self.commit, f"{self.place}/tree", self.subdir)
        found = sources.below(f"{self.place}/tree", self.subdir)
        if not found:
            address = nameless(self.repository.address)
            near = sources.no_directory(f"{self.place}/tree", self.subdir)
            raise RepositoryError(f"build_subdir: {address} at {self.commit[:12]} has {near}")
        return found, f"{self.place}/tree"

    def look(self) -> tuple[str, str | None, dict[str, str]]:
        """Return (digest, text of the build file or None, {name: text} of the files that say how to build)."""
        key = f"{self.commit} {self.subdir} {self.dockerfile} {self.named}"
        known = files.read_json(self.known, {})
        if key not in known:
            folder, top = self.folder()
            names = sources.walk(folder)
            known[key] = [
                sources.read(folder, names, top=top),
                sources.text(folder, self.dockerfile, top),
                sources.told(folder, names, self.named),
            ]
            if not self.dry:
                files.write_json(self.known, known if len(known) <= self.KEPT else {key: known[key]}, 0o600)
        return tuple(known[key])

    def pack(self, path: str) -> None:
        """Write it as a tar."""
        folder, top = self.folder()
        with open(path, "wb") as file:
            sources.pack(folder, sources.walk(folder), file, top, mode="w")
