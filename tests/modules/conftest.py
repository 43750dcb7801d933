"""A host in a directory: real files, an engine that remembers, no root."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils import app_repository
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files, locks, nginx, untrusted
from ansible.module_utils.flask_deploy.release import places
from ansible.module_utils.flask_deploy.switch import log, watch

ENGINE = r"""#!/bin/sh
# docker, as releases use it: a container is a directory, the image's files lie in image/, and each container has a
# volume, as that of an image with VOLUME has. A name of hexadecimal digits is the beginning of something's id.
echo "docker $*" >> "$ENGINE/calls"
missing() { echo "Error: No such $1: $2" >&2; exit 1; }
said() { read -r word 2> /dev/null < "$1" && echo "$word" || echo "$2"; }
container() {
    place=$ENGINE/containers/$1
    [ -d "$place" ] || missing container "$1"
    running=false; [ -e "$place/running" ] && running=true
    printf '{"Id":"id-of-%s","Name":"/%s",' "$1" "$1"
    printf '"Config":{"Labels":{"flask-deploy.app":"%s","flask-deploy.release":"%s",' \
        "$(said "$place/app" "${1%%-*}")" "$(said "$place/release" "${1#*-}")"
    printf '"flask-deploy.arguments":"%s"}},' "$(said "$place/arguments")"
    printf '"State":{"Running":%s,"Pid":%s,"ExitCode":3},' "$running" "$PPID"
    printf '"HostConfig":{"RestartPolicy":{"Name":"%s"}}}' "$(said "$place/restart" no)"
}
image() {
    while read -r image; do
        case $image in sha256:*) id=$image ;; *) id=id-of-$image ;; esac
        [ "$image" = "$1" ] || continue
        printf '{"Id":"%s","RepoTags":["%s"],"Config":{"WorkingDir":"/app"}}' "$id" "$1"; return
    done < "$ENGINE/images"
    missing image "$1"
}
network() {
    case $1 in [0-9a-f]|[0-9a-f][0-9a-f]) set -- bridge; mkdir -p "$ENGINE/networks/bridge" ;; esac
    place=$ENGINE/networks/$1
    [ -d "$place" ] || missing network "$1"
    printf '{"Id":"id-of-%s","Name":"%s","Labels":{"flask-deploy.app":"%s"}}' "$1" "$1" "$(said "$place/app")"
}
inspect() {
    kind=$1; shift 2
    printf '['; comma=; code=0
    for each; do
        found=$("$kind" "$each") && { printf '%s%s' "$comma" "$found"; comma=,; } || code=1
    done
    printf ']'; exit $code
}
make() { # a container with these words
    mkdir -p "$ENGINE/containers/$3" "$ENGINE/volumes/of-$3"; echo no > "$ENGINE/containers/$3/restart"
    place=$ENGINE/containers/$3
    for word; do
        case $before$word in
        --labelflask-deploy.*) word=${word#flask-deploy.}; echo "${word#*=}" > "$place/${word%%=*}" ;;
        --network*) echo "$word" > "$place/network" ;;
        esac
        before=$word
    done
}
case "$1 $2" in
*" inspect") inspect "$@" ;;
"network create")
    for word; do
        case $before$word in --labelflask-deploy.*) word=${word#flask-deploy.}; labels="$labels $word" ;; esac
        before=$word
    done
    [ -e "$ENGINE/networks/$word" ] && { echo "network with name $word already exists" >&2; exit 1; }
    mkdir -p "$ENGINE/networks/$word"
    for label in $labels; do echo "${label#*=}" > "$ENGINE/networks/$word/${label%%=*}"; done ;;
"network ls")
    for place in "$ENGINE"/networks/*; do
        [ -d "$place" ] || continue
        case "$*" in *"label=flask-deploy.app=$(said "$place/app" none) "*)
            printf '%s\t%s\n' "${place##*/}" "$(said "$place/network")" ;;
        esac
    done ;;
"network rm")
    [ -e "$ENGINE/in-use" ] && { echo "network $3 has active endpoints (name:other id:1a2b)" >&2; exit 1; }
    shift 2; for each; do rm -r "$ENGINE/networks/$each"; done ;;
"info "*) cat "$ENGINE/pools" ;;
"create --name") make "$@" ;;
"run --name")
    make "$@"
    # The database's schema is a file; a release command moves it to the next one, if there is one.
    case "$*" in
    *" db current")
        [ -e "$ENGINE/mute" ] && { echo "ERROR Can't locate revision" >&2; exit 1; }
        echo "INFO [alembic.runtime.migration] Context impl SQLiteImpl." >&2
        cat "$ENGINE/schema" 2> /dev/null || true; exit 0 ;;
    *" db upgrade"|*" migrate.py"|*" shout "*|*" half "*) [ -e "$ENGINE/next" ] && mv "$ENGINE/next" "$ENGINE/schema" ;;
    esac
    case "$*" in
    *" false") exit 7 ;;
    *" shout "*|*" half "*) echo "HINT: no such column" ; exit 1 ;;
    *) echo migrated ;;
    esac ;;
"start "*)
    [ -e "$ENGINE/containers/$2/broken" ] && { echo "cannot start $2" >&2; exit 1; }
    : > "$ENGINE/containers/$2/running" ;;
"stop -t")
    [ -d "$ENGINE/containers/$4" ] || missing container "$4"
    rm -f "$ENGINE/containers/$4/running" ;;
"rm -f")
    shift 2
    [ "$1" = -v ] && shift && volumes=1
    for each; do
        [ -d "$ENGINE/containers/$each" ] || { (missing container "$each"); failed=1; } # as engines before 25 do
        rm -rf "$ENGINE/containers/$each"; [ "$volumes" ] && rm -rf "$ENGINE/volumes/of-$each"
    done
    exit ${failed:-0} ;;
"update --restart")
    policy=$3; shift 3
    for each; do
        [ -d "$ENGINE/containers/$each" ] || { (missing container "$each"); failed=1; continue; }
        echo "$policy" > "$ENGINE/containers/$each/restart"
    done
    exit ${failed:-0} ;;
"cp "*)
    place=$ENGINE/image${2#*:}
    [ -e "$place" ] || { echo "Error: Could not find the file" >&2; exit 1; }
    tar -C "${place%/*}" -c "${place##*/}" ;;
"ps -a")
    for place in "$ENGINE"/containers/*; do
        [ -d "$place" ] || continue
        name=${place##*/}; state=exited; [ -e "$place/running" ] && state=running
        case "$*" in
        *.Networks*) printf '%s\t%s\n' "$name" "$(said "$place/network")" ;;
        *flask-deploy.release*) printf '%s\t%s\t%s\n' "$name" "$state" "$(said "$place/release" "${name#*-}")" ;;
        *) echo "$name $state" ;;
        esac
    done ;;
"images "*) cat "$ENGINE/tags" ;;
"rmi "*)
    for tag; do :; done
    [ -e "$ENGINE/in-use" ] && { echo "conflict: unable to remove $tag: container 1a2b is using it" >&2; exit 1; }
    sed -i "\\| $tag\$|d" "$ENGINE/tags" ;;
"load "*|"pull "*)
    [ "$1" = pull ] && [ -e "$ENGINE/no-registry" ] && { echo "Error: pull access denied" >&2; exit 1; }
    cat "$ENGINE/offers" >> "$ENGINE/images" ;;
"build "*)
    [ -e "$ENGINE/broken-build" ] && { echo "step 3 failed" >&2; exit 1; }
    for last; do [ "$before" = -t ] && echo "$last" >> "$ENGINE/images"; before=$last; done
    cp -a "$last" "$ENGINE/context" ;;
esac
"""
NGINX = r"""#!/bin/sh
echo "nginx $*" >> "$ENGINE/calls"
[ -e "$ENGINE/nginx-refuses" ] && { echo "nginx: [emerg] unknown directive" >&2; exit 1; }
while [ $# -gt 0 ]; do [ "$1" = -c ] && cp -r "${2%/*}" "$ENGINE/staged"; shift; done
exit 0
"""
SYSTEMD_RUN = """#!/bin/sh
echo "systemd-run $*" >> "$ENGINE/calls"
[ -e "$ENGINE/systemd-refuses" ] && { echo "Failed to start transient service unit" >&2; exit 1; }
exit 0
"""
SYSTEMCTL = '#!/bin/sh\necho "systemctl $*" >> "$ENGINE/calls"\n'


class Owner(int):
    """Whoever is asked for."""

    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class Unprivileged:
    """Stands for module os where files get owners: that takes root, and so does to write where the mode forbids it."""

    def __init__(self):
        self.closed = {}

    def __getattr__(self, name):
        return getattr(os, name)

    def chown(self, path, uid, gid):
        pass

    def fchown(self, handle, uid, gid):
        pass

    def chmod(self, path, mode):
        if os.path.isdir(path) and not mode & 0o200:
            self.closed[path] = mode
        else:
            os.chmod(path, mode)

    def lstat(self, path):
        info = os.lstat(path)
        mode = stat.S_IFMT(info.st_mode) | self.closed.get(path, stat.S_IMODE(info.st_mode))
        return SimpleNamespace(st_mode=mode, st_uid=Owner(), st_gid=Owner())

    stat = lstat


class Engine:
    """What the stand-in for docker was told and holds."""

    def __init__(self, place):
        self.place = place

    def calls(self, *begin):
        """Return the commands so far that begin so."""
        lines = (self.place / "calls").read_text().splitlines() if (self.place / "calls").exists() else []
        return [line for line in lines if line.startswith(" ".join(begin))]

    def forget(self):
        (self.place / "calls").unlink(missing_ok=True)

    def restart(self, name):
        return (self.place / "containers" / name / "restart").read_text().strip()

    def volumes(self):
        return sorted(path.name for path in self.place.glob("volumes/*"))

    def running(self):
        return sorted(path.parent.name for path in self.place.glob("containers/*/running"))

    def schema(self, now=None, after=None):
        """Let the database's schema be this one, and the next release command make it another."""
        for name, text in {"schema": now, "next": after}.items():
            if text is not None:
                (self.place / name).write_text(text)

    def reboot(self):
        """Leave running what is to come back by itself."""
        for container in self.place.glob("containers/*"):
            (container / "running").unlink(missing_ok=True)
            if self.restart(container.name) != "no":
                (container / "running").touch()

    def public(self, name, text="hello", directory="/app/static"):
        """Put a public file into the image."""
        path = Path(f"{self.place}/image{directory}") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def engine(tmp_path, monkeypatch):
    place = tmp_path / "engine"
    for folder in ("containers", "networks", "volumes", "bin"):
        (place / folder).mkdir(parents=True)
    for name, text in {"docker": ENGINE, "nginx": NGINX, "systemctl": SYSTEMCTL, "systemd-run": SYSTEMD_RUN}.items():
        (place / "bin" / name).write_text(text)
        (place / "bin" / name).chmod(0o755)
    for name, text in {"images": "sha256:one\n", "tags": "", "offers": "", "pools": "null\n"}.items():
        (place / name).write_text(text)
    monkeypatch.setenv("PATH", f"{place / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("ENGINE", str(place))
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))
    return Engine(place)


@pytest.fixture
def owners(monkeypatch):
    """Let those who are not root run the tests too."""
    if os.getuid() != 0:
        monkeypatch.setattr(files, "os", Unprivileged())


@pytest.fixture
def host(tmp_path, monkeypatch, engine, owners):
    """Return a function that makes an app's view of the host; its root is a directory."""
    conf = tmp_path / "etc" / "nginx"
    (conf / "conf.d").mkdir(parents=True)
    (conf / "nginx.conf").write_text(f"http {{ include {conf}/conf.d/*.conf; }}\n")
    www_data = SimpleNamespace(pw_uid=33, pw_gid=33)
    monkeypatch.setattr(places, "pwd", SimpleNamespace(getpwnam=lambda name: www_data))
    monkeypatch.setattr(nginx, "CONF", str(conf))
    monkeypatch.setattr(nginx, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(nginx, "tempfile", SimpleNamespace(mkdtemp=lambda **place: _stage(tmp_path)))
    monkeypatch.setattr(untrusted, "PROTECTION", str(tmp_path / "protected_symlinks"))
    monkeypatch.setattr(untrusted, "SETTING", str(tmp_path / "sysctl.conf"))
    (tmp_path / "protected_symlinks").write_text("1\n")
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 200)
    monkeypatch.setattr(nginx, "probe_door", lambda *arguments: 200)
    monkeypatch.setattr(log, "LOG", str(tmp_path / "access.log"))
    monkeypatch.setattr(watch, "LOG_DELAY", 0)
    assert engines.installed()

    def app(name="shop"):
        app = places.App(name)
        for key, value in vars(app).items():
            if str(value).startswith(("/srv/", "/etc/")):
                setattr(app, key, f"{tmp_path}{value}")
        return app

    return app


def _stage(tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    return str(stage)


@pytest.fixture
def git():
    def run(folder, *arguments):
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def checkout(tmp_path, git):
    """Return a git checkout with tracked, untracked, ignored and deleted files."""
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    texts = {"app.py": "1", "sub/a.txt": "a", "gone.txt": "x", ".gitignore": "*.pyc\n.cache/\n", "ü b": "space"}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "kept.pyc").write_text("tracked, although ignored")
    git(folder, "add", "-f", ".")
    git(folder, "commit", "-qm", "one")
    (folder / "gone.txt").unlink()
    (folder / "new.txt").write_text("untracked")
    (folder / "app.pyc").write_text("ignored")
    return folder


@pytest.fixture
def repository(tmp_path, owners):
    """Return a function that makes a host's copy of a repository."""
    kind = app_repository.Repository

    def make(address, key=None):
        copy = kind("shop", str(address), key)
        copy.path = str(tmp_path / "srv" / "source.git")
        return copy

    return make
