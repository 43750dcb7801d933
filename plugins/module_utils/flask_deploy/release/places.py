"""The places of one app on one host: where its releases lie, which of them serves, and what their files say."""

from __future__ import annotations

import os
import pwd
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files, locks, nginx, untrusted
from ansible.module_utils.flask_deploy.release import record as records
from ansible.module_utils.flask_deploy.release.record import NUMBER, origin

SOCKET = f"run/{untrusted.LINK}"  # as the host sees it
MARKER = "draining"  # gunicorn.conf.py looks for it
NUMBERS = ("since", "switched", "order", "moved")  # of a state
LAYOUT = {"marker": MARKER, "socket": SOCKET}  # missing in what earlier versions wrote


class ReleaseError(Exception):
    """A release cannot be made or cannot serve; the message is for the person who deploys."""


class App:
    """One app's places on this host.

    :param name: the app's name, part of every path and container name.
    :param uid: numeric user the app runs as.
    """

    def __init__(self, name: str, uid: int = 10001) -> None:
        self.name = name
        self.uid = uid
        self.gid = uid  # a group of its own; nginx's is all apps' neighbour
        self.nginx_gid = pwd.getpwnam(nginx.NGINX).pw_gid
        self.root = f"/srv/{name}"
        self.etc = f"/etc/{name}"
        self.releases = f"{self.root}/releases"
        self.kept = f"{self.root}/writable"
        self.current = f"{self.root}/current"
        self.previous = f"{self.root}/previous"
        self.pending = f"{self.root}/switch.json"
        self.decision = f"{self.root}/switch.decision"
        self.program = f"{self.root}/switch.pyz"
        self.tool = f"{self.root}/run"
        self.first = f"{self.root}/first"
        self.shared = f"{self.root}/shared"
        self.holds = f"{locks.RUN}/{name}.holds"  # a boot forgets it
        self.revived = f"{self.root}/revived.json"
        self.failed = f"{self.root}/failed.json"
        self.systemd = "/etc/systemd/system"
        self.schema_file = f"{self.root}/schema.json"
        self.include = f"{nginx.CONF}/conf.d/{name}.conf"

    def path(self, release: str, *names: str) -> str:
        return os.path.join(self.releases, release, *names)

    def container(self, release: str) -> str:
        return f"{self.name}-{release}"

    def link(self, path: str) -> str | None:
        """Return what a link names, or None where there is none."""
        try:
            return os.readlink(path)
        except OSError:
            return None

    def serving(self) -> str | None:
        """Return the id of the release that `current` names, or None."""
        release = os.path.basename(self.link(self.current) or "")
        return release if release and os.path.isfile(self.path(release, "release.json")) else None

    def is_first(self) -> bool:
        """Tell whether this host is the first one of the inventory."""
        return os.path.exists(self.first)

    def has_alone(self) -> bool:
        """Tell whether this host is the one of processes that one host has: by its claim, or as it is the first."""
        return os.path.exists(self.holds) if self.shares() else self.is_first()

    def mark_alone(self, alone: bool) -> bool:
        """Let this host have such processes by its claim, or no longer; return whether that is a change."""
        files.ensure_directory(os.path.dirname(self.holds), 0o700)
        return _mark(self.holds, alone)

    def mark_first(self, first: bool) -> bool:
        """Let this host be that one, or not; no release says it, as a release is the same on all hosts.

        :return: whether that is a change.
        """
        return _mark(self.first, first)

    def shares(self) -> bool:
        """Tell whether its hosts share a database, in which they claim what only one of them may do."""
        return os.path.exists(self.shared)

    def mark_shared(self, shared: bool) -> bool:
        """Let this host claim what only one may do, or not; return whether that is a change."""
        return _mark(self.shared, shared)

    def known(self) -> list[str]:
        """Return the ids of all complete releases on this host."""
        try:
            names = os.listdir(self.releases)
        except FileNotFoundError:
            return []
        return sorted(n for n in names if n[0] != "." and os.path.isfile(self.path(n, "release.json")))

    def record(self, release: str) -> dict[str, Any]:
        """Return what a release was made of, with every field that a reader may look at."""
        return {**records.whole(files.read_json(self.path(release, "release.json"), {})), "id": release}

    def state(self, release: str) -> dict[str, Any]:
        known = files.read_json(self.path(release, "state.json"), {})
        return {name: value for name, value in known.items() if name not in NUMBERS or records.fits(value, NUMBER)}

    def order(self, release: str) -> tuple[int, float]:
        """Return what sorts releases by when they last began to serve, whatever the clock said.

        Those from before there was a number come first, by their time.
        """
        state = self.state(release)
        return state.get("order", 0), state.get("switched", 0)

    def next_order(self) -> int:
        """Return a number above that of any release here."""
        return max((self.order(release)[0] for release in self.known()), default=0) + 1

    def set_state(self, release: str, state: str, **more: Any) -> None:
        known = {**self.state(release), "state": state, "since": time.time(), **more}  # the time is for people
        files.write_json(self.path(release, "state.json"), known)

    def site(self, release: str) -> bytes | None:
        return files.read(self.path(release, "site.conf"))

    def set_restart(self, release: str, policy: str) -> bool:
        """Tell the engine whether a release's container starts with it; return whether that is a change."""
        return bool(self.set_restarts({release: policy}))

    def set_restarts(self, policies: dict[str, str]) -> list[str]:
        """Tell the engine which releases' containers start with it; return the releases of which that is a change.

        :param policies: {release: docker's word, such as "no"}.
        """
        names = {self.container(release): release for release in policies}
        return [names[each] for each in engine.set_restarts({name: policies[names[name]] for name in names})]

    def marker(self, release: str) -> str:
        """Return the drain marker of a release, relative to its directory: out of the app's reach.

        Releases that earlier versions made look for it in run/, where the app may write.
        """
        return "run/draining" if self._earlier(release, "marker") else MARKER

    def socket(self, release: str) -> str:
        """Return where nginx finds a release's socket, whatever version made the release."""
        return self.path(release, "run", "gunicorn.sock")

    def own_group(self, release: str) -> bool:
        """Tell whether a release's processes have a group of their own; those of earlier versions have nginx's."""
        return not self._earlier(release, "socket")

    def _earlier(self, release: str, field: str) -> bool:
        """Tell whether a version before there was a field wrote a record; of one that is damaged nobody can say."""
        known = files.read_json(self.path(release, "release.json"))
        return isinstance(known, dict) and "id" in known and field not in known

    def draining(self, release: str) -> bool:
        return untrusted.marked(self.path(release), self.marker(release))

    def mark_draining(self, release: str, draining: bool) -> bool:
        """Tell the workers of a release, by a file, whether to close each connection after its answer.

        :return: whether that is a change.
        """
        path = self.path(release, self.marker(release))
        if draining == self.draining(release):
            return False
        if self.marker(release) != MARKER:
            return untrusted.mark(*os.path.split(path), draining)
        files.write(path, b"") if draining else files.remove(path)
        return True

    def describe(self, release: str) -> str:
        """Return a release in one line: id, state, when it began to serve (UTC), who deployed it, and from what."""
        record, state = self.record(release), self.state(release)
        switched = state.get("switched", 0)
        began = time.strftime("%Y-%m-%d %H:%M", time.gmtime(switched)) if switched else "never served"
        who, what = str(record.get("by") or "unknown")[:10], origin(record.get("source") or {})
        return f"{release} {state.get('state', 'unknown'):<8} {began:<16} {who:<10} {what}"

    def schema(self) -> dict[str, Any]:
        """Return what is known of the last release command that ran: {"release", "command", "at", "code", "said"}."""
        return files.read_json(self.schema_file, {})


def _mark(path: str, wanted: bool) -> bool:
    if wanted == os.path.exists(path):
        return False
    files.write(path, b"") if wanted else files.remove(path)
    return True
