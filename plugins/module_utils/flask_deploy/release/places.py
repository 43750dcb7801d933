"""Releases of one app on one host: their directories, their containers, and which of them serves."""

from __future__ import annotations

import base64
import os
import pwd
import secrets
import tarfile
import time

from ansible.module_utils.flask_deploy.host import engine, files, nginx, untrusted
from ansible.module_utils.flask_deploy.release import record as records
from ansible.module_utils.flask_deploy.release import static
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

    def __init__(self, name, uid=10001):
        self.name = name
        self.uid = uid
        self.gid = uid  # a group of its own; nginx's is all apps' neighbour
        self.nginx_gid = pwd.getpwnam(nginx.NGINX).pw_gid
        self.root = f"/srv/{name}"
        self.etc = f"/etc/{name}"
        self.releases = f"{self.root}/releases"
        self.current = f"{self.root}/current"
        self.previous = f"{self.root}/previous"
        self.pending = f"{self.root}/switch.json"
        self.decision = f"{self.root}/switch.decision"
        self.program = f"{self.root}/switch.pyz"
        self.revived = f"{self.root}/revived.json"
        self.failed = f"{self.root}/failed.json"
        self.systemd = "/etc/systemd/system"
        self.schema_file = f"{self.root}/schema.json"
        self.include = f"{nginx.CONF}/conf.d/{name}.conf"

    def path(self, release, *names):
        return os.path.join(self.releases, release, *names)

    def container(self, release):
        return f"{self.name}-{release}"

    def link(self, path):
        """Return what a link names, or None where there is none."""
        try:
            return os.readlink(path)
        except OSError:
            return None

    def serving(self):
        """Return the id of the release that `current` names, or None."""
        release = os.path.basename(self.link(self.current) or "")
        return release if release and os.path.isfile(self.path(release, "release.json")) else None

    def known(self):
        """Return the ids of all complete releases on this host."""
        try:
            names = os.listdir(self.releases)
        except FileNotFoundError:
            return []
        return sorted(n for n in names if n[0] != "." and os.path.isfile(self.path(n, "release.json")))

    def record(self, release):
        """Return what a release was made of, with every field that a reader may look at."""
        return {**records.whole(files.read_json(self.path(release, "release.json"), {})), "id": release}

    def state(self, release):
        known = files.read_json(self.path(release, "state.json"), {})
        return {name: value for name, value in known.items() if name not in NUMBERS or records.fits(value, NUMBER)}

    def order(self, release):
        """Return what sorts releases by when they last began to serve, whatever the clock said.

        Those from before there was a number come first, by their time.
        """
        state = self.state(release)
        return state.get("order", 0), state.get("switched", 0)

    def next_order(self):
        """Return a number above that of any release here."""
        return max((self.order(release)[0] for release in self.known()), default=0) + 1

    def set_state(self, release, state, **more):
        known = {**self.state(release), "state": state, "since": time.time(), **more}  # the time is for people
        files.write_json(self.path(release, "state.json"), known)

    def site(self, release):
        return files.read(self.path(release, "site.conf"))

    def set_restart(self, release, policy):
        """Tell the engine whether a release's container starts with it; return whether that is a change."""
        return bool(self.set_restarts({release: policy}))

    def set_restarts(self, policies):
        """Tell the engine which releases' containers start with it; return the releases of which that is a change.

        :param policies: {release: docker's word, such as "no"}.
        """
        names = {self.container(release): release for release in policies}
        found = engine.inspect_all("container", names)
        now = {names[name]: each["HostConfig"]["RestartPolicy"]["Name"] for name, each in found.items()}
        changed = [release for release in policies if now.get(release, policies[release]) != policies[release]]
        for policy in sorted({policies[release] for release in changed}):
            those = [self.container(release) for release in changed if policies[release] == policy]
            with engine.perhaps_gone():
                engine.docker("update", "--restart", policy, *those)
        return changed

    def marker(self, release):
        """Return the drain marker of a release, relative to its directory: out of the app's reach.

        Releases that earlier versions made look for it in run/, where the app may write.
        """
        return "run/draining" if self._earlier(release, "marker") else MARKER

    def socket(self, release):
        """Return where nginx finds a release's socket, whatever version made the release."""
        return self.path(release, "run", "gunicorn.sock")

    def own_group(self, release):
        """Tell whether a release's processes have a group of their own; those of earlier versions have nginx's."""
        return not self._earlier(release, "socket")

    def _earlier(self, release, field):
        """Tell whether a version before there was a field wrote a record; of one that is damaged nobody can say."""
        known = files.read_json(self.path(release, "release.json"))
        return isinstance(known, dict) and "id" in known and field not in known

    def draining(self, release):
        return untrusted.marked(self.path(release), self.marker(release))

    def mark_draining(self, release, draining):
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

    def describe(self, release):
        """Return a release in one line: id, state, when it began to serve (UTC), who deployed it, and from what."""
        record, state = self.record(release), self.state(release)
        switched = state.get("switched", 0)
        began = time.strftime("%Y-%m-%d %H:%M", time.gmtime(switched)) if switched else "never served"
        who, what = str(record.get("by") or "unknown")[:10], origin(record.get("source") or {})
        return f"{release} {state.get('state', 'unknown'):<8} {began:<16} {who:<10} {what}"

    def schema(self):
        """Return what is known of the last release command that ran: {"release", "command", "at", "code", "said"}."""
        return files.read_json(self.schema_file, {})

    def digest_key(self, dry=False):
        """Return the key of this app's secret digests, made at first use; it never leaves the app's hosts."""
        path = f"{self.etc}/release.key"
        key = files.read(path)
        if key is None:
            key = secrets.token_bytes(32)
            if not dry:
                files.write(path, key, 0o400)
        return key

    def ensure_digest_key(self, key, dry=False):
        """Keep the key that the app's hosts share (base64), so that a release has one id on all of them."""
        if not key:
            return []
        path = f"{self.etc}/release.key"
        return [path] if files.ensure_file(path, base64.b64decode(key), 0o400, dry=dry) else []

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
        if not dry:
            for folder in (self.root, self.etc, f"{self.root}/maintenance"):
                files.sweep(folder)
        return untrusted.ensure_links_refused(dry) + [
            path for path, *rest in wanted if files.ensure_directory(path, *rest, dry=dry)
        ]

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
                files.remove(f"{folder}/{name}")
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
        files.remove_tree(stage)
        files.ensure_directory(stage)
        for name, content, mode, uid, gid in rows:
            files.write(f"{stage}/{name}", content, mode, uid, gid)
        self.ensure_run(stage)
        record |= LAYOUT
        files.write(f"{stage}/{MARKER}", b"")
        record["static"]["digest"] = self.extract_static(record, f"{stage}/static")
        files.write_json(f"{stage}/release.json", record)
        files.remove_tree(self.path(release))
        os.rename(stage, self.path(release))
        files.sync(self.releases)
        self.set_state(release, "prepared")

    def ensure_run(self, folder, dry=False):
        """Make the place of a release's socket; return the paths that changed or would.

        Only nginx enters run/. The app writes in run/sock alone, which is sticky and open to all who get there: in
        such a directory the kernel lets nobody follow a link of the app's (fs.protected_symlinks in proc(5)). The
        link beside it is ours, and keeps the path that nginx uses the same for releases of all versions.
        """
        wanted = [(f"{folder}/run", 0o710, 0, self.nginx_gid), (f"{folder}/run/sock", 0o1777, 0, 0)]
        changed = [path for path, *rest in wanted if files.ensure_directory(path, *rest, dry=dry)]
        link = f"{folder}/run/gunicorn.sock"
        if not os.path.islink(link) or os.readlink(link) != untrusted.LINK:
            changed.append(link)
            if not dry:
                files.link(link, untrusted.LINK)
        return changed

    def repair_release(self, release, rows, record, dry=False):
        """Put a release directory back to what it was made of; return the paths that changed or would."""
        folder = self.path(release)
        changed = [f"{folder}/{name}" for name, *rest in rows if files.ensure_file(f"{folder}/{name}", *rest, dry=dry)]
        if files.ensure_directory(folder, dry=dry):
            changed.append(folder)
        known = self.record(release)
        if damaged := not known["image"] or any(known.get(name) != LAYOUT[name] for name in LAYOUT):
            known = {**record, **LAYOUT, "static": {**record["static"], "digest": ""}}  # the same inputs made it
        changed += self.ensure_run(folder, dry)
        if (
            files.ensure_directory(f"{folder}/static", dry=dry)
            or files.tree_digest(f"{folder}/static") != known["static"]["digest"]
        ):
            changed.append(f"{folder}/static")
            if not dry:
                known["static"]["digest"] = self.extract_static(known, f"{folder}/static")
        given = {name: record[name] for name in ("image", "arguments")}
        if damaged or any(known.get(name) != given[name] for name in given):
            known |= given
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
        files.remove_tree(stage)
        os.mkdir(stage, 0o755)
        os.chmod(stage, 0o755)
        if record["static"]["path"]:
            self._unpack_static(record, stage)
            static.finish(stage, f"{self.current}/static")
        files.flush(stage)
        old = f"{target}.old"
        files.remove_tree(old)
        if os.path.isdir(target):  # nginx serves it: it is away for no longer than two renames take
            os.rename(target, old)
        os.rename(stage, target)
        files.sync(os.path.dirname(target))
        files.remove_tree(old)
        return files.tree_digest(target)

    def _unpack_static(self, record, stage):
        release, image, path = record["id"], record["image"], record["static"]["path"]
        found = engine.inspect("image", image)
        if not found:
            raise ReleaseError(f"image {image} is not on this host any more; to build it: run the same command again")
        source = os.path.normpath(os.path.join(found["Config"].get("WorkingDir") or "/", path))
        holder = f"{self.container(release)}-static"
        label = f"flask-deploy.app={self.name}"  # or an image's own label counts it among another app's
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
