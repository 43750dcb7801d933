"""Releases of one app on one host: their directories, their containers, and which of them serves."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import time

from ansible.module_utils import app_engine as engine
from ansible.module_utils import app_files as files
from ansible.module_utils import app_site as site
from ansible.module_utils import app_static as static

SOCKET = "/release/run/gunicorn.sock"  # as the app sees it
NEVER_SERVED = ("prepared", "failed")
DRAIN_FLOOR = 5  # seconds; longer than nginx keeps an idle connection to the old release

CUT_TIMEOUT = 2  # seconds a worker has to close what outlasted the drain

# Python's last line of a traceback, and gunicorn's words for an app that it cannot load.
CAUSE = re.compile(r"^\S*(Error|Exception)\b|Failed to |\] (ERROR|CRITICAL)\b|No module named")


class ReleaseError(Exception):
    """A release cannot be made or cannot serve; the message is for the person who deploys."""


class App:
    """One app's places on this host.

    :param name: the app's name, part of every path and container name.
    :param uid: numeric user the app runs as.
    """

    def __init__(self, name, uid=10001):
        self.name = name
        self.uid = uid
        self.gid = pwd.getpwnam("www-data").pw_gid
        self.root = f"/srv/{name}"
        self.etc = f"/etc/{name}"
        self.releases = f"{self.root}/releases"
        self.current = f"{self.root}/current"
        self.pending = f"{self.root}/switch.json"
        self.include = f"{site.CONF}/conf.d/{name}.conf"

    def path(self, release, *names):
        return os.path.join(self.releases, release, *names)

    def container(self, release):
        return f"{self.name}-{release}"

    def serving(self):
        """Return the id of the release that `current` names, or None."""
        try:
            target = os.readlink(self.current)
        except OSError:
            return None
        release = os.path.basename(target)
        return release if os.path.isfile(self.path(release, "release.json")) else None

    def known(self):
        """Return the ids of all complete releases on this host."""
        try:
            names = os.listdir(self.releases)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if os.path.isfile(self.path(name, "release.json")))

    def record(self, release):
        return files.read_json(self.path(release, "release.json"), {})

    def state(self, release):
        return files.read_json(self.path(release, "state.json"), {})

    def set_state(self, release, state, **more):
        known = {**self.state(release), "state": state, "since": time.time(), **more}
        files.write_json(self.path(release, "state.json"), known)

    def digest_key(self, dry=False):
        """Return the key of this app's secret digests, made at first use; it never leaves the host."""
        path = f"{self.etc}/release.key"
        key = files.read(path)
        if key is None:
            key = secrets.token_bytes(32)
            if not dry:
                files.write(path, key, 0o400)
        return key

    # -- directories -------------------------------------------------------------------------

    def ensure_places(self, dry=False):
        """Make the app's directories; return those that changed or would."""
        wanted = [
            (self.root, 0o755, 0, 0),
            (self.releases, 0o755, 0, 0),
            (f"{self.root}/data", 0o700, self.uid, self.gid),
            (f"{self.root}/maintenance", 0o755, 0, 0),
            (self.etc, 0o755, 0, 0),
            (f"{self.etc}/secrets", 0o500, self.uid, self.gid),
            (f"{self.etc}/jwt", 0o500, self.uid, self.gid),
        ]
        return [path for path, *rest in wanted if files.ensure_directory(path, *rest, dry=dry)]

    def ensure_secrets(self, environment, contents, dry=False):
        """Keep exactly these secrets where the app reads them; return the files that changed or would."""
        folder = f"{self.etc}/secrets"
        wanted = {name: text.encode() for name, text in contents.items()}
        wanted["env.json"] = files.canonical(environment)
        changed = [
            name
            for name, content in wanted.items()
            if files.ensure_file(f"{folder}/{name}", content, 0o400, self.uid, self.gid, dry=dry)
        ]
        stray = set(os.listdir(folder)) - set(wanted) if os.path.isdir(folder) else set()
        for name in stray:
            if not dry:
                os.unlink(f"{folder}/{name}")
        return [f"{folder}/{name}" for name in [*changed, *sorted(stray)]]

    def ensure_include(self, dry=False):
        """Let nginx read the serving release's site file; the glob also matches nothing, before the first."""
        line = f"# Managed by Ansible: flask-deploy\ninclude {self.current}/site.con[f];\n"
        return files.ensure_file(self.include, line.encode(), dry=dry)

    def release_files(self, contents, environment):
        """Return [(name, bytes, mode, uid, gid)] of the files in a release directory."""
        rows = [(name, text.encode(), 0o644, 0, 0) for name, text in contents.items()]
        return [*rows, ("env.json", files.canonical(environment), 0o400, self.uid, self.gid)]

    def write_release(self, release, rows, record):
        """Make a release directory under another name and rename it: it is there whole or not at all."""
        stage = f"{self.releases}/.new-{release}"
        shutil.rmtree(stage, ignore_errors=True)
        files.ensure_directory(stage)
        for name, content, mode, uid, gid in rows:
            files.write(f"{stage}/{name}", content, mode, uid, gid)
        files.ensure_directory(f"{stage}/run", 0o2750, self.uid, self.gid)
        files.write(f"{stage}/run/draining", b"")
        record["static"]["digest"] = self.extract_static(record, f"{stage}/static")
        files.write_json(f"{stage}/release.json", record)
        shutil.rmtree(self.path(release), ignore_errors=True)
        os.rename(stage, self.path(release))
        files.sync(self.releases)
        self.set_state(release, "prepared")

    def repair_release(self, release, rows, record, dry=False):
        """Put a release directory back to what it was made of; return the paths that changed or would."""
        folder = self.path(release)
        changed = [f"{folder}/{name}" for name, *rest in rows if files.ensure_file(f"{folder}/{name}", *rest, dry=dry)]
        if files.ensure_directory(folder, dry=dry):
            changed.append(folder)
        if files.ensure_directory(f"{folder}/run", 0o2750, self.uid, self.gid, dry=dry):
            changed.append(f"{folder}/run")
        known = self.record(release)
        if (
            files.ensure_directory(f"{folder}/static", dry=dry)
            or files.tree_digest(f"{folder}/static") != known["static"]["digest"]
        ):
            changed.append(f"{folder}/static")
            if not dry:
                known["static"]["digest"] = self.extract_static(known, f"{folder}/static")
        if known["image"] != record["image"]:
            known["image"] = record["image"]
            changed.append(f"{folder}/release.json")
        if changed and not dry:
            files.write_json(f"{folder}/release.json", known)
        return changed

    def extract_static(self, record, target):
        """Copy the image's public files to a directory and return its digest.

        Modes and owners are normalised. Dotfiles stay behind, but for .well-known (RFC 8615).

        :raises ReleaseError: a link leaves the tree, or a file is neither file, directory nor link.
        """
        stage = f"{target}.new"
        shutil.rmtree(stage, ignore_errors=True)
        os.mkdir(stage, 0o755)
        os.chmod(stage, 0o755)
        if record["static"]["path"]:
            self._unpack_static(record["image"], record["static"]["path"], stage)
            static.finish(stage, f"{self.current}/static")
        shutil.rmtree(target, ignore_errors=True)
        os.rename(stage, target)
        return files.tree_digest(target)

    def _unpack_static(self, image, path, stage):
        workdir = engine.inspect("image", image)["Config"].get("WorkingDir") or "/"
        source = os.path.normpath(os.path.join(workdir, path))
        holder = engine.docker("create", "--network", "none", image, "true").strip()
        archive = f"{stage}.tar"
        try:
            engine.docker("cp", f"{holder}:{source}", archive + ".d")
        except engine.EngineError as error:
            if "could not find" in str(error).lower() or "no such" in str(error).lower():
                return  # an app without public files
            raise
        else:
            if os.path.islink(archive + ".d"):  # it would be followed on the host, not in the image
                os.unlink(archive + ".d")
                raise ReleaseError(f"app_static: {path} is a link in the image; name the directory it points at")
            _copy_public(archive + ".d", stage)
        finally:
            shutil.rmtree(archive + ".d", ignore_errors=True)
            engine.docker("rm", "-f", holder)

    # -- containers --------------------------------------------------------------------------

    def create_arguments(self, release, record):
        """Return docker's arguments for a release's container: no port, no root, no capability, no write."""
        options = record["container"]
        mounts = [
            (self.path(release), "/release", True),
            (self.path(release, "run"), "/release/run", False),
            (f"{self.etc}/secrets", "/run/secrets", True),
            (f"{self.etc}/jwt", "/run/jwt", True),
            (f"{self.root}/data", "/data", False),
        ]
        binds = [
            f"type=bind,source={source},target={target}{',readonly' if fixed else ''}"
            for source, target, fixed in mounts
        ]
        return [
            *("--name", self.container(release)),
            *("--label", f"flask-deploy.app={self.name}"),
            *("--label", f"flask-deploy.release={release}"),
            *("--restart", "no", "--init"),
            *("--user", f"{self.uid}:{self.gid}", "--read-only"),
            *("--tmpfs", "/tmp:rw,nosuid,nodev,noexec,size=64m,mode=1777"),  # noqa: S108 - the container's own
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--pids-limit", str(options["pids"])),
            *("--memory", options["memory"], "--memory-swap", options["memory"]),
            *(("--cpus", str(options["cpus"])) if options["cpus"] else ()),
            *("--network", self.name),
            *("--stop-timeout", str(options["stop_timeout"])),
            *(part for bind in binds for part in ("--mount", bind)),
            *("--env", "HOME=/tmp", "--env", "FLASK_SKIP_DOTENV=1"),
            *("--env", "APP_DATA_DIR=/data", "--env", "APP_SECRETS_DIR=/run/secrets"),
            *("--env", "JWT_KEY_DIR=/run/jwt"),
            *("--health-cmd", _HEALTH, "--health-interval", "30s", "--health-timeout", "5s"),
            *("--entrypoint", "python3", record["image"], "/release/exec.py"),
            *("gunicorn", "-c", "/release/gunicorn.conf.py", record["wsgi"]),
        ]

    def ensure_network(self):
        """Give the app an outbound network that no other app's container is in."""
        if engine.inspect("network", self.name) is None:
            engine.docker(
                *("network", "create", "--label", f"flask-deploy.app={self.name}"),
                *("--opt", "com.docker.network.bridge.enable_icc=false", self.name),
            )

    def ensure_running(self, release, record):
        """Start a release's container, made anew where it cannot start; return whether it was not running."""
        name = self.container(release)
        found = engine.inspect("container", name)
        if found and found["State"]["Running"]:
            return False
        self.ensure_network()
        if found:
            try:
                engine.docker("start", name)
                return True
            except engine.EngineError:
                engine.docker("rm", "-f", name)
        engine.docker("create", *self.create_arguments(release, record))
        engine.docker("start", name)
        return True

    def wait_ready(self, release, domain, path, timeout):
        """Wait until a release answers below 400 through its socket, asked as nginx's own user.

        :raises ReleaseError: it ended, or did not answer so within ``timeout`` seconds.
        """
        name, deadline, last = self.container(release), time.monotonic() + timeout, "no answer yet"
        while True:
            try:
                status = site.probe_socket(self.path(release, "run", "gunicorn.sock"), path, domain)
                if status < 400:
                    return
                last = f"status {status}"
            except Exception as error:  # whatever an app may answer with
                last = str(error)
            found = engine.inspect("container", name)
            if not found or not found["State"]["Running"]:
                ended = found["State"]["ExitCode"] if found else "unknown"
                raise self._not_ready(release, f"its container ended with code {ended}")
            if time.monotonic() > deadline:
                raise self._not_ready(release, f"{path} did not answer below 400 in {timeout} s ({last})")
            time.sleep(0.2)

    def _not_ready(self, release, reason):
        said = engine.logs(self.container(release), 200)
        causes = [line for line in said if CAUSE.search(line) and "HaltServer" not in line]
        parts = {"what it says of the cause": list(dict.fromkeys(causes))[-5:], "its last lines": said[-20:]}
        shown = [
            line for title, lines in parts.items() if lines for line in (f"  {title}:", *(f"    {x}" for x in lines))
        ]
        return ReleaseError("\n".join([f"release {release} is not ready: {reason}", *shown]))

    def discard(self, release, reason):
        """Take away the container of a release that does not get ready, and remember why."""
        engine.docker("rm", "-f", self.container(release))
        state = self.state(release)
        self.set_state(release, state["state"] if "switched" in state else "failed", reason=reason)

    # -- switch ------------------------------------------------------------------------------

    def switch(self, release, leaving="retired"):
        """Move traffic to a prepared release: one rename, and a reload only where the site file differs.

        A marker is there from before the link moves until all that follows is done.

        :param leaving: state that the release before gets: "retired", or "rejected" by a rollback.
        :raises SiteError: nginx refuses the site; the link names the old release again.
        """
        with site.lock():
            old = self.serving()
            reload = old is None or self._site(old) != self._site(release)
            files.write_json(self.pending, {"from": old, "to": release, "reload": reload, "leaving": leaving})
            self._set_restart(release, "unless-stopped")
            self._mark_draining(release, False)
            files.link(self.current, f"releases/{release}")
            try:
                self._finish(old, release, reload, leaving)
            except site.SiteError:
                self._go_back(old, release)
                raise

    def _finish(self, old, release, reload, leaving):
        if reload:
            site.reload()
        now = time.time()
        if old and old != release:
            self._mark_draining(old, True)
            self._set_restart(old, "no")
            self.set_state(old, leaving)
        self.set_state(release, "live", previous=old, switched=now)
        os.unlink(self.pending)

    def _go_back(self, old, release):
        if old:
            files.link(self.current, f"releases/{old}")
        else:
            os.unlink(self.current)
        self._mark_draining(release, True)
        self._set_restart(release, "no")
        os.unlink(self.pending)

    def _site(self, release):
        return files.read(self.path(release, "site.conf"))

    def _set_restart(self, release, policy):
        name = self.container(release)
        found = engine.inspect("container", name)
        if found and found["HostConfig"]["RestartPolicy"]["Name"] != policy:
            engine.docker("update", "--restart", policy, name)
            return True
        return False

    def _mark_draining(self, release, draining):
        marker = self.path(release, "run", "draining")
        if draining == os.path.exists(marker):
            return False
        if draining:
            files.write(marker, b"")
        else:
            os.unlink(marker)
        return True

    def reconcile(self, dry=False):
        """Finish what a killed run began; return what was, or would be, put right."""
        done = []
        pending = files.read_json(self.pending)
        serving = self.serving()
        if pending or os.path.exists(self.pending):
            done.append("an interrupted switch")
            if not dry:
                self._finish_interrupted(pending or {}, serving)
        for release in self.known():
            draining = release != serving
            if draining != os.path.exists(self.path(release, "run", "draining")):
                done.append(f"the drain marker of {release}")
                if not dry:
                    self._mark_draining(release, draining)
            if not dry and self._set_restart(release, "no" if draining else "unless-stopped"):
                done.append(f"the restart policy of {release}")
        return done

    def _finish_interrupted(self, pending, serving):
        with site.lock():
            if serving and pending.get("to") == serving:
                self._finish(pending["from"], serving, pending["reload"], pending.get("leaving", "retired"))
            else:
                os.unlink(self.pending)

    # -- retirement --------------------------------------------------------------------------

    def retire(self, drain, stop_timeout):
        """Stop containers that no longer serve, once nothing is in flight; return their names.

        :param drain: seconds that requests in flight have to finish; what lasts longer is cut.
        :param stop_timeout: seconds from the stop signal to the kill, where nothing is in flight.
        """
        serving = self.serving()
        leaving = [
            name
            for name, state in engine.containers(self.name).items()
            if name != self.container(serving) and state not in ("exited", "created", "dead")
        ]
        for name in leaving:
            idle = self._drain(name, drain)
            engine.docker("stop", "-t", str(stop_timeout if idle else CUT_TIMEOUT), name)
        return leaving

    def _drain(self, name, drain):
        found = engine.inspect("container", name)
        switched = self.state(self.serving()).get("switched", 0)
        floor = min(switched + DRAIN_FLOOR, time.time() + DRAIN_FLOOR)
        deadline = time.time() + max(drain, DRAIN_FLOOR)
        while time.time() < deadline:
            if time.time() >= floor and not engine.in_flight(found["State"]["Pid"], SOCKET):
                return True
            time.sleep(0.1)
        return False

    def targets(self, rejected=True):
        """Return ids of releases that can serve again, the one that served last first."""
        states = {release: self.state(release) for release in self.known() if release != self.serving()}
        served = [r for r, s in states.items() if "switched" in s and (rejected or s["state"] != "rejected")]
        served.sort(key=lambda release: states[release]["switched"], reverse=True)
        return [release for release in served if engine.inspect("image", self.record(release)["image"])]

    def describe(self, release):
        """Return a release in one line: id, state, when it began to serve, who deployed it, and from what."""
        record, state = self.record(release), self.state(release)
        source = record["source"]
        origin = f"{source['ref']} {source['commit'][:12]}" if source.get("kind") == "git" else "a directory"
        began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(state["switched"])) if "switched" in state else "never"
        return f"{release}  {state.get('state', 'unknown'):<8}  serving since {began}  by {record['by']} from {origin}"

    def surplus(self, keep):
        """Return releases beyond the newest ``keep`` that served, and all others that never did."""
        serving = self.serving()
        states = {release: self.state(release) for release in self.known()}
        never = [r for r, s in states.items() if s.get("state") in NEVER_SERVED and r != serving]
        served = [r for r in states if r not in never and r != serving]
        served.sort(key=lambda release: states[release].get("switched", 0), reverse=True)
        return [*served[max(keep - 1, 0) :], *never]

    def prune(self, keep):
        """Remove surplus releases with their containers, and images that no release needs; return what went."""
        gone = self.surplus(keep)
        for release in gone:
            shutil.rmtree(self.path(release))
        kept = {self.container(release) for release in self.known()}
        for name in set(engine.containers(self.name)) - kept:
            engine.docker("rm", "-f", name)
            gone.append(name)
        for name in os.listdir(self.releases):
            if name.startswith(".new-"):
                shutil.rmtree(f"{self.releases}/{name}")
        if gone:
            self._prune_images()
        return gone

    def _prune_images(self):
        needed = {self.record(release)["image"] for release in self.known()}
        listed = engine.docker(
            *("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"),
            f"flask-deploy/{self.name}",
        )
        for line in listed.splitlines():
            image, tag = line.split()
            if image not in needed:
                engine.docker("rmi", tag)


_HEALTH = f"python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(4); s.connect(\"{SOCKET}\")'"


def _copy_public(source, target):
    """Copy a tree with normal modes, without dotfiles; refuse links that leave it and special files."""
    root = os.path.realpath(source)
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".") or name == ".well-known"]
        for name in [*folders, *names]:
            if name.startswith(".") and name != ".well-known":
                continue
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, source)
            _copy_entry(path, os.path.join(target, relative), relative, root)


def _copy_entry(path, target, relative, root):
    if os.path.islink(path):
        if not (os.path.realpath(path) + "/").startswith(root + "/"):
            raise ReleaseError(f"static file {relative} is a link that leaves its directory: {os.readlink(path)}")
        os.symlink(os.readlink(path), target)
    elif os.path.isdir(path):
        os.mkdir(target)
        os.chmod(target, 0o755)
    elif os.path.isfile(path):
        shutil.copyfile(path, target)
        os.chmod(target, 0o644)
    else:
        raise ReleaseError(f"static file {relative} is neither a file nor a directory")
