"""Where an app's certificates lie on its host, and how nginx, or HAProxy on a balancer, is given another one."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files, locks

ETC = "/etc"
NO_ROUTE = (errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
PATIENCE = 60  # seconds for one command
KEPT = 2  # pairs of a kind: the one in use and the one before


class StoreError(Exception):
    """The server does not take a certificate; the one before it is back in its place."""


@dataclass(frozen=True)
class Server:
    """What ends TLS on a host: its unit, the lock of all that change what it reads, and what tests that."""

    name: str
    lock: str
    test: tuple[str, ...]
    shown: str

    @property
    def unit(self) -> str:
        return f"{self.name}.service"


HAPROXY_FILES = ("-f", "/etc/haproxy/haproxy.cfg", "-f", "/etc/haproxy/flask-deploy")
SERVERS = {
    each.name: each
    for each in (
        Server("nginx", f"{locks.RUN}/nginx.lock", ("nginx", "-t", "-q"), "nginx -t"),
        Server("haproxy", f"{locks.RUN}/haproxy.lock", ("haproxy", "-c", "-q", *HAPROXY_FILES), "haproxy -c"),
    )
}


def directory(path: str, ours: str | None = None) -> None:
    """Make a directory, and those above it that are missing, open to all whatever the umask is (mkdir(2)).

    :param ours: a directory above it: it and those between are opened too, should an earlier run have closed them.
    """
    missing = not os.path.isdir(path)
    if missing or ours:
        if path != ours:
            directory(os.path.dirname(path), ours)
        if missing:
            os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o755)
        files.sync(os.path.dirname(path))


def write(path: str, content: bytes, mode: int) -> None:
    """Write a whole file in one step."""
    part = f"{path}.part"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    files.sync(os.path.dirname(path))


class Store:
    """The pairs of one app: directories ``<kind>-<digest>`` below /etc/<app>/tls, and the link ``current``."""

    def __init__(self, app: str, etc: str = ETC, server: str = "nginx") -> None:
        self.server = SERVERS[server]
        self.place = f"{etc}/{app}/tls"
        self.link = f"{self.place}/current"
        self.mark = f"{locks.RUN}/{app}.certificate.owed"  # a boot forgets it: nginx has read all then

    def current(self) -> str | None:
        """Return the name of the pair in use, also of one that is not there; None without a link."""
        try:
            return os.readlink(self.link)
        except OSError:
            return None

    def pair(self, name: str) -> tuple[bytes, bytes] | None:
        """Return (chain, key) in PEM; None where one of them is missing."""
        texts = tuple(files.read(f"{self.place}/{name}/{part}.pem") for part in ("fullchain", "privkey"))
        return texts if all(texts) else None

    def note(self, name: str) -> dict[str, Any] | None:
        """Return what was asked for when a pair was made."""
        return files.read_json(f"{self.place}/{name}/asked.json")

    def kind(self, kind: str) -> list[str]:
        """Return the names of a kind's pairs, the newest first."""
        names = [name for name in os.listdir(self.place) if name.startswith(f"{kind}-")]
        return sorted(names, key=lambda name: os.stat(f"{self.place}/{name}").st_mtime_ns, reverse=True)

    def name(self, kind: str, chain: bytes, key: bytes) -> str:
        return f"{kind}-{hashlib.sha256(chain + key).hexdigest()[:12]}"

    def add(self, kind: str, chain: bytes, key: bytes, asked: dict[str, Any] | None = None) -> str:
        """Keep a pair and return its name; it is not in use yet."""
        name = self.name(kind, chain, key)
        part, path = f"{self.place}/new-{name}", f"{self.place}/{name}"
        for left in glob.glob(f"{self.place}/new-*"):  # by a run that was killed: it holds a key
            shutil.rmtree(left)
        os.mkdir(part)
        os.chmod(part, 0o700)
        write(f"{part}/fullchain.pem", chain, 0o644)
        write(f"{part}/privkey.pem", key, 0o400)
        os.symlink("privkey.pem", f"{part}/fullchain.pem.key")  # where HAProxy looks for it
        write(f"{part}/asked.json", json.dumps(asked).encode(), 0o600)
        shutil.rmtree(path, ignore_errors=True)
        os.rename(part, path)
        files.sync(self.place)
        return name

    def owed(self) -> bool:
        """Tell whether nginx may not have read the pair that the link names: a run was killed, or could not tell it."""
        return os.path.exists(self.mark)

    def use(self, name: str) -> bool:
        """Let the server use a pair: link, test, reload, under the host's lock; nothing where it does already.

        A configuration that was refused before is not the pair's fault: the reload is left to the next run.

        :return: whether that is a change.
        :raises StoreError: the server refuses its files with it, or was not reloaded; the link is as before.
        """
        before, read = self.current(), False
        if name == before and not self.owed():
            return False
        with locks.locked(self.server.lock):
            sound = test(self.server) is None
            files.ensure_directory(locks.RUN, 0o700)
            write(self.mark, b"", 0o600)
            self._point(name)
            try:
                refused = test(self.server)
                if not refused:
                    reload(self.server)
                    files.remove(self.mark)
                    read = True
                elif sound and before:
                    raise StoreError(refused)
                elif not running(self.server):  # it reads all as it starts
                    files.remove(self.mark)
            except StoreError:
                if before:
                    self._point(before)
                raise
        self._forget(name.partition("-")[0])
        return read or name != before

    def _point(self, name: str) -> None:
        directory(self.place)
        part = f"{self.link}.part"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        os.symlink(name, part)
        os.replace(part, self.link)
        files.sync(self.place)

    def _forget(self, kind: str) -> None:
        for name in self.kind(kind)[KEPT:]:
            if name != self.current():
                shutil.rmtree(f"{self.place}/{name}")


def test(server: Server) -> str | None:
    """Return why a server refuses its files, or None."""
    try:
        code, said = _run(*server.test)
    except StoreError as late:
        return str(late)
    return f"{server.shown}: {said}" if code else None


def running(server: Server) -> bool:
    return _run("systemctl", "is-active", "--quiet", server.unit)[0] == 0


def reload(server: Server) -> None:
    """Let a server take what its files say now, if it runs.

    :raises StoreError: it was not told.
    """
    if not running(server):
        return
    code, said = _run("systemctl", "reload", server.unit)
    if code:
        raise StoreError(f"{server.name} was not reloaded: {said or f'systemctl ended with code {code}'}")


def _run(*words: str) -> tuple[int, str]:
    """Return (exit code, what it said) of a command.

    :raises StoreError: it did not end in time.
    """
    try:
        done = command.attempt(*words, limit=PATIENCE)
    except OSError as missing:
        raise StoreError(f"{words[0]}: {missing.strerror}") from missing
    if done.code is None:
        unit = "haproxy" if "haproxy" in " ".join(words) else "nginx"
        late = f"{' '.join(words)} took longer than {PATIENCE} s"
        raise StoreError(f"{late}; look on the host: systemctl status {unit}")
    return done.code, done.said.strip()
