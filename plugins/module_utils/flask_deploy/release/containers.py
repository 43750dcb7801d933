"""Containers of releases: how they are started, when they are ready, and what they say when they are not."""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from typing import Any

from ansible.module_utils.flask_deploy.host import command as commands
from ansible.module_utils.flask_deploy.host import engine, files, networks, nginx
from ansible.module_utils.flask_deploy.host.process import Done
from ansible.module_utils.flask_deploy.host.untrusted import Untrusted
from ansible.module_utils.flask_deploy.release import diagnosis, inside, logged, needed, placed, writable
from ansible.module_utils.flask_deploy.release.places import App

SOCKET = "/release/run/gunicorn.sock"  # as the app sees it
HEALTH = f"python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(4); s.connect(\"{SOCKET}\")'"
PROBE_TIMEOUT = 5  # seconds
LINES = 400  # of a container that does not get ready: each worker says it all
MOUNTS = "/proc/{}/mountinfo"
STRANGER = "{0}: this container is somebody else's; type: docker rename {0} {0}-other"
MADE_WITH = "flask-deploy.arguments"  # label: digest of what a container was made with


class NotReady(Exception):
    """A release does not start or does not answer; the message is for the person who deploys."""


def places(app: App | Anywhere, release: str, record: dict[str, Any]) -> list[str]:
    """Return docker's arguments for what any process of a release has and may do."""
    options, own = record["container"], app.own_group(release)
    mounts = [
        (app.path(release), "/release", True),
        (app.path(release, "run", "sock") if own else app.path(release, "run"), "/release/run", False),
        (f"{app.etc}/secrets", "/run/secrets", True),
        (f"{app.etc}/jwt", "/run/jwt", True),
        (f"{app.root}/data", "/data", False),
    ]
    return [
        *("--init", "--user", f"{app.uid}:{app.gid if own else app.nginx_gid}", "--read-only"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--pids-limit", str(options["pids"])),
        *("--memory", options["memory"], "--memory-swap", options["memory"]),
        *(("--cpus", str(options["cpus"])) if options["cpus"] else ()),
        *(part for mount in mounts for part in engine.bind(*mount)),
        *writable.arguments(app.kept, record),
        *_named_user(app, release, record),
        *(needed.arguments(record) + placed.arguments(app.path(release), record)),
        *logged.ARGUMENTS,
        *("--env", "HOME=/tmp", "--env", "FLASK_SKIP_DOTENV=1"),
        *("--env", "APP_DATA_DIR=/data", "--env", "APP_SECRETS_DIR=/run/secrets"),
        *("--env", "JWT_KEY_DIR=/run/jwt"),
    ]


def _named_user(app: App | Anywhere, release: str, record: dict[str, Any]) -> list[str]:
    """Return the mount that gives the app's uid a name: of a file, as it is written once and never replaced."""
    if "passwd" not in inside.contents(record.get("found", {})):
        return []
    return engine.bind(app.path(release, "passwd"), "/etc/passwd", fixed=True)


def create_arguments(app: App | Anywhere, release: str, record: dict[str, Any]) -> list[str]:
    """Return docker's arguments for a release's container: no port, no root, no capability, no write."""
    return [
        *("--name", app.container(release)),
        *logged.labels(app.name, release),
        *("--restart", "no"),
        *("--stop-timeout", str(record["container"]["stop_timeout"])),
        *places(app, release, record),
        *("--health-cmd", HEALTH, "--health-interval", "30s", "--health-timeout", "5s"),
        *("--entrypoint", "python3", record["image"], "/release/exec.py"),
        *_server(record),
    ]


def _server(record: dict[str, Any]) -> tuple[str, ...]:
    """Return the command that answers at a release's socket: gunicorn, or the image's own behind its port."""
    if port := inside.port(record):
        return ("--port", port, *map(str, record.get("found", {}).get("command", [])))
    return ("gunicorn", "-c", "/release/gunicorn.conf.py", record["wsgi"])


class Anywhere:
    """An app on no host in particular: whatever differs by host, release or image has one name here."""

    name, uid, gid, nginx_gid = "app", "uid", "gid", "gid of nginx"
    root, etc, kept = "/root", "/etc", "/kept"

    def path(self, release: str, *names: str) -> str:
        return "/".join([self.root, release, *names])

    def container(self, release: str) -> str:
        return f"{self.name}-{release}"

    def own_group(self, release: str) -> bool:
        return True


def start_digest(container: dict[str, Any], wsgi: str) -> str:
    """Return a digest of how this role starts a release's container, the same on all hosts and for all images.

    It is part of a release's id: a release that is started otherwise is another one.
    """
    record = {"container": container, "wsgi": wsgi, "image": "image", "found": inside.ANYTHING}
    return files.digest(create_arguments(Anywhere(), "release", record), networks.OPTIONS)


def arguments(app: App, release: str, record: dict[str, Any]) -> list[str]:
    """Return what a release's container is made with: what its record says, whatever this role would say by now.

    A rollback also goes back behind a change of the role. Releases of earlier versions have no such record.
    """
    known = record.get("arguments")
    whole = isinstance(known, list) and all(isinstance(word, str) for word in known)
    return known if known and whole else create_arguments(app, release, record)


def as_recorded(found: dict[str, Any], made_with: list[str]) -> bool:
    """Tell whether a container was made with these arguments; of one of an earlier version nobody can say."""
    return (found["Config"].get("Labels") or {}).get(MADE_WITH) == files.digest(made_with)


def running(app: App, release: str) -> bool:
    return engine.containers(app.name).get(app.container(release)) == "running"


def process(app: App, release: str) -> int | None:
    """Return the process id of a release's container as the host sees it; None where the engine does not tell."""
    try:
        found = engine.inspect("container", app.container(release))
    except engine.EngineError:
        return None
    return found["State"]["Pid"] if found else None


def _cut_off(found: dict[str, Any]) -> bool:
    """Tell whether a container's release was removed beneath it: no socket appears in a directory made there since.

    The kernel ends the name of a removed directory with //deleted (proc(5), mountinfo; dentry_path in fs/d_path.c).
    """
    rows = []
    with suppress(OSError):  # it ended meanwhile
        rows = [line.split() for line in (files.read(MOUNTS.format(found["State"]["Pid"])) or b"").splitlines()]
    return any(row[3].endswith(b"//deleted") and row[4] in (b"/release", b"/release/run") for row in rows)


def ensure_running(app: App, release: str, record: dict[str, Any]) -> bool:
    """Start a release's container, made anew where it cannot start or is not as recorded; return whether it did.

    What runs and has served is left alone, however it was made: to make it anew would cut its requests. One whose
    release was removed beneath it gets none.
    """
    name, made_with = app.container(release), arguments(app, release, record)
    found = engine.inspect("container", name)
    if found and (found["Config"].get("Labels") or {}).get("flask-deploy.release") != release:
        raise engine.EngineError(STRANGER.format(name))
    running = bool(found) and found["State"]["Running"]
    lost = running and _cut_off(found)
    known = bool(found) and not lost and ("arguments" not in record or as_recorded(found, made_with))
    if running and not lost and (known or release == app.serving() or "switched" in app.state(release)):
        return False
    if found and not known:
        engine.remove(name)
    elif found:
        try:
            engine.docker("start", name)
            return True
        except engine.EngineError:
            engine.remove(name)
    more = ("--label", f"{MADE_WITH}={files.digest(made_with)}", "--network", networks.ensure(app.name))
    engine.docker("create", *made_with[:2], *more, *made_with[2:])  # after its name, before its image
    engine.docker("start", name)
    return True


def wait_ready(app: App, release: str, domain: str, path: str, timeout: float) -> None:
    """Wait until a release answers below 400 through its socket, asked as nginx's own user, twice.

    A connection from before the app was loaded says nothing of the next one: the app may have closed its socket.

    :param timeout: seconds.
    :raises NotReady: it ended, or did not answer so in time.
    """
    name, deadline, last = app.container(release), time.monotonic() + timeout, "no answer yet"
    good = 0
    while True:
        try:
            status = nginx.probe_socket(app.socket(release), path, domain, PROBE_TIMEOUT)
            good = good + 1 if status < 400 else 0
            if good == 2:
                return
            last = f"status {status}"
        except Untrusted as error:
            raise NotReady(f"release {release} is not ready: {error}") from error
        except Exception as error:  # whatever an app may answer with
            good, last = 0, str(error)
        found = engine.inspect("container", name)
        if not found or not found["State"]["Running"]:
            reason = how_it_ended(found)
            raise not_ready(app, release, reason)
        if time.monotonic() > deadline:
            reason = f"{path} did not answer below 400 in {timeout} s ({last})"
            raise not_ready(app, release, reason)
        time.sleep(0.2)


def not_ready(app: App, release: str, reason: str) -> NotReady:
    """Return the error that says why a release is not ready, as far as its container tells."""
    unused, said = str(app.record(release)["found"].get("unused", "")), engine.logs(app.container(release), LINES)
    return NotReady(diagnosis.diagnose(release, reason, said, diagnosis.about(app, release), unused))


def how_it_ended(found: dict[str, Any] | None) -> str:
    if not found:
        return "its container is gone"
    killed = ", killed for want of memory" if found["State"].get("OOMKilled") else ""
    return f"its container ended with code {found['State']['ExitCode']}{killed}"


def run_once(
    app: App, release: str, record: dict[str, Any], purpose: str, command: str, timeout: float, together: bool = False
) -> Done:
    """Run a command once in a container of its own, on a release's code and with what its processes have.

    :param purpose: a word for the container's name, one of engine.PURPOSES.
    :param command: words as a shell would split them; no shell runs.
    :param timeout: seconds.
    :param together: what it prints is for people, see command.attempt.
    :return: what came of it, a process.Done.
    """
    name = f"{app.container(release)}-{purpose}"
    engine.remove(name)
    inside = ("--network", networks.ensure(app.name), *logged.labels(app.name, release, purpose))
    arguments = ["run", "--name", name, *inside, *places(app, release, record)]
    words = ["--entrypoint", "python3", record["image"], "/release/exec.py", *shlex.split(command)]
    done = commands.attempt("docker", *arguments, *words, limit=timeout, together=together)
    engine.remove(name)
    return done


def end_commands(name: str) -> list[str]:
    """End the release commands of an app whose run is gone: they outlive it in the engine; return their containers."""
    left = [each for each in engine.containers(name) if each.endswith(tuple(f"-{word}" for word in engine.PURPOSES))]
    engine.remove(*left)
    return left
