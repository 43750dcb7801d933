"""Whatever an app puts where it may write: root neither opens nor follows it, and each verb ends, soon and well."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import nginx, process, untrusted
from ansible.module_utils.flask_deploy.release import containers, writing
from ansible.module_utils.flask_deploy.release.advice import About
from ansible.module_utils.flask_deploy.release.diagnosis import diagnose
from ansible.module_utils.flask_deploy.switch import retire, steps
from ansible.modules import remove_app, status_look

from tests.deploys import deploy, options, prepare, restore, serve

NAMES = ["draining", "turn", "anything"]
REAL = nginx.probe_socket
SOON = 60  # seconds for all that a test does, on a machine that does much else
DEEP = 1100  # directories in each other; more than Python's stack is deep


def a_deep_directory(path):
    path.mkdir()
    handle = os.open(path, os.O_RDONLY)
    for _level in range(DEEP):
        os.mkdir("d", dir_fd=handle)
        below = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)


def a_huge_file(path):
    path.touch()
    os.truncate(path, 1 << 43)


def a_link_to_a_huge_file(path):
    a_huge_file(path.with_name(f"huge {path.name}"))
    path.symlink_to(f"huge {path.name}")


PLANTED = {
    "a directory": lambda path: (path.mkdir(), (path / "x").touch()),
    "a deep directory": a_deep_directory,
    "a FIFO": os.mkfifo,
    "a huge file": a_huge_file,
    "a link to a huge file": a_link_to_a_huge_file,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to another's file": lambda path: path.symlink_to(path.parents[6] / "another"),
}
if os.getuid() == 0:
    PLANTED["a device"] = lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """End a test that hangs."""
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 0)

    def late(*_):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SOON)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def app(host, tmp_path):
    (tmp_path / "another").write_text("mine")
    return host()


def as_it_was(app, release):
    """Make a release look as earlier versions made it."""
    record = {name: value for name, value in app.record(release).items() if name not in ("marker", "socket")}
    Path(app.path(release, "release.json")).write_text(json.dumps(record))
    Path(app.path(release, "draining")).unlink(missing_ok=True)
    shutil.rmtree(app.path(release, "run"))
    os.mkdir(app.path(release, "run"))
    if release != app.serving():
        untrusted.mark(app.path(release, "run"), "draining", True)


def place(app, release):
    """Return the directory that the app can write to."""
    return app.path(release, "run", "sock") if app.own_group(release) else app.path(release, "run")


def plant(app, release, what):
    for name in NAMES:
        path = Path(place(app, release), name)
        if os.path.lexists(path):
            path.unlink()
        PLANTED[what](path)


@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize("earlier", [False, True], ids=["made now", "made by an earlier version"])
def test_whatever_lies_in_an_app_s_run_directory_each_verb_ends_well(app, engine, tmp_path, what, earlier):
    old = deploy(app)
    if earlier:
        as_it_was(app, old)
    plant(app, old, what)
    new = deploy(app, build="b2")
    assert app.serving() == new and engine.running() == [f"shop-{new}"]
    plant(app, new, what)
    assert restore(app) == old
    serve(app, old, reject=True)
    assert app.serving() == old
    last = prepare(app, build="b3")
    plant(app, last, what)
    serve(app, last)
    assert status_look.describe(app)["release"] == last
    assert set(retire.prune(app, 1)) >= {old, new}
    assert app.known() == os.listdir(app.releases) == [last]
    remove_app.remove(app, True, False)
    assert not os.path.exists(app.root)
    assert (tmp_path / "another").read_text() == "mine"


def test_a_release_of_an_earlier_version_is_told_by_the_file_that_it_looks_for(app):
    old = deploy(app)
    as_it_was(app, old)
    new = deploy(app, build="b2")
    assert os.path.exists(app.path(old, "run", "draining"))
    restore(app)
    serve(app, old)
    assert not os.path.exists(app.path(old, "run", "draining"))
    assert os.path.exists(app.path(new, "draining"))


def test_a_line_that_does_not_end_is_kept_in_part(engine):
    """Docker keeps an app's output as it comes: one line of it may fill the memory."""
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\nyes x | head -c 64000000 | tr -d '\\n'; echo; echo last\n")
    said = engines.logs("shop-1", 20)
    assert said[-1] == "last" and sum(map(len, said)) <= process.ENDS + 64
    shown = diagnose("1", "it ended", [*said, "\x1b[2Jgone"], About())
    assert len(shown) < 20 * untrusted.SAID and "\x1b" not in shown


@pytest.mark.parametrize("name", [b"\xff", b"a b", b"x\n\ny", b"x\n{path}"])
def test_an_app_s_odd_sockets_do_not_end_a_drain(tmp_path, monkeypatch, name):
    monkeypatch.undo()
    path = os.fsencode(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as odd:
        odd.bind(os.fsencode(tmp_path) + b"/" + name.replace(b"{path}", b"s"))
        odd.listen()
        assert engines.in_flight(os.getpid(), path.decode()) == 0


FALSE = {name: make for name, make in PLANTED.items() if name != "a deep directory"}


@pytest.mark.parametrize("what", FALSE)
@pytest.mark.parametrize("earlier", [False, True], ids=["made now", "made by an earlier version"])
def test_traffic_never_goes_to_what_is_no_socket(app, engine, what, earlier):
    """All apps are nginx's neighbours: a link in the place of a socket might lead to another app's."""
    serving, new = deploy(app), prepare(app, build="b2")
    if earlier:
        as_it_was(app, new)
    FALSE[what](Path(place(app, new), "gunicorn.sock"))
    with pytest.raises(
        untrusted.Untrusted, match=r"is no socket: the app put (a link|a directory|something else) there"
    ):
        serve(app, new)
    assert app.serving() == serving and not os.path.exists(app.pending)


def test_a_link_in_the_place_of_a_socket_is_not_asked(app, tmp_path, monkeypatch):
    monkeypatch.setattr(nginx, "probe_socket", REAL)
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as another:
        another.bind("s")
        os.makedirs(app.path("new", "run", "sock"))
        os.symlink(tmp_path / "s", app.path("new", "run", "sock", "gunicorn.sock"))
        os.symlink("sock/gunicorn.sock", app.socket("new"))
        with pytest.raises(untrusted.Untrusted, match="put a link there"):
            nginx.probe_socket(app.socket("new"), "/", "shop.example.com")
        os.unlink(app.path("new", "run", "sock", "gunicorn.sock"))
        os.rename("s", app.path("new", "run", "sock", "gunicorn.sock"))
        untrusted.refuse_false_socket(app.socket("new"))


def test_a_link_in_the_place_of_a_socket_ends_the_wait_at_once(app, monkeypatch):
    monkeypatch.setattr(nginx, "probe_socket", lambda path, *more: untrusted.refuse_false_socket(path) or 200)
    release = prepare(app)
    os.symlink("/run/another", app.path(release, "run", "sock", "gunicorn.sock"))
    with pytest.raises(containers.NotReady, match="is no socket: the app put a link there"):
        containers.wait_ready(app, release, "shop.example.com", "/", 30)


@pytest.mark.skipif(os.getuid() != 0, reason="to give files away takes root")
def test_only_nginx_enters_and_the_app_writes_in_a_sticky_directory(app):
    release = prepare(app)
    outer, inner = (os.lstat(app.path(release, *path)) for path in (["run"], ["run", "sock"]))
    assert (outer.st_mode & 0o7777, outer.st_uid, outer.st_gid) == (0o710, 0, 33)
    assert (inner.st_mode & 0o7777, inner.st_uid) == (0o1777, 0)
    assert os.readlink(app.socket(release)) == "sock/gunicorn.sock"


@pytest.mark.parametrize("damage", ["run", "run/sock", "run/gunicorn.sock"])
def test_a_damaged_place_of_a_socket_is_mended(app, damage):
    release = deploy(app)
    path = app.path(release, damage)
    os.unlink(path) if os.path.islink(path) else os.chmod(path, 0o700)
    assert path in steps.prepare(app, options(), dry=True)[1]
    assert path in steps.prepare(app, options(), dry=False)[1]
    assert steps.prepare(app, options(), dry=False)[1] == []


def test_a_release_of_an_earlier_version_starts_as_it_did(app, engine):
    release = deploy(app)
    as_it_was(app, release)
    arguments = " ".join(containers.create_arguments(app, release, app.record(release)))
    assert "--user 10001:33" in arguments and f"source={app.path(release, 'run')},target=/release/run" in arguments


def test_a_marker_is_never_made_through_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to("real")
    assert untrusted.mark(str(tmp_path / "run"), "draining", True) is False
    assert os.listdir(tmp_path / "real") == []
    (tmp_path / "real/draining").symlink_to("../elsewhere")
    assert untrusted.mark(str(tmp_path / "real"), "draining", True) is False
    assert not (tmp_path / "elsewhere").exists()


def test_a_kernel_that_follows_links_is_told_not_to(app, tmp_path):
    (tmp_path / "protected_symlinks").write_text("0\n")
    assert "fs.protected_symlinks" in writing.ensure_places(app, dry=True)
    assert (tmp_path / "protected_symlinks").read_text() == "0\n"
    assert "fs.protected_symlinks" in writing.ensure_places(app)
    assert (tmp_path / "protected_symlinks").read_text() == "1\n"
    assert "fs.protected_symlinks = 1" in (tmp_path / "sysctl.conf").read_text()
    assert "fs.protected_symlinks" not in writing.ensure_places(app)


def test_a_host_that_cannot_be_told_to_says_what_to_type(app, tmp_path, monkeypatch):
    (tmp_path / "protected_symlinks").write_text("0\n")

    def refuse(*_arguments, **_more):
        raise OSError("Read-only file system")

    monkeypatch.setattr(untrusted, "open", refuse, raising=False)
    with pytest.raises(untrusted.Untrusted, match=r"type there: sudo sysctl fs.protected_symlinks=1 \(Read-only"):
        writing.ensure_places(app)
    assert not (tmp_path / "sysctl.conf").exists()


def test_a_link_of_the_app_s_own_that_looks_like_ours_is_not_followed(tmp_path, monkeypatch):
    """In a directory of an earlier version the app may make that link, and let `sock` lead to another app's."""
    (tmp_path / "other").mkdir()
    (tmp_path / "sock").symlink_to("other")
    (tmp_path / "gunicorn.sock").symlink_to(untrusted.LINK)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "other/gunicorn.sock"))
    untrusted.refuse_false_socket(str(tmp_path / "gunicorn.sock"))  # ours
    monkeypatch.setattr(untrusted.os, "geteuid", lambda: 12345)
    with pytest.raises(untrusted.Untrusted, match="the app put a link there"):
        untrusted.refuse_false_socket(str(tmp_path / "gunicorn.sock"))


@pytest.mark.parametrize("text", ["", "[]", '{"image": "sha256:one"}'], ids=["empty", "a list", "cut in its fields"])
def test_a_damaged_record_is_made_anew_from_the_same_inputs(app, engine, text):
    engine.public("hello.txt")
    release = deploy(app)
    whole = app.record(release)
    Path(app.path(release, "release.json")).write_text(text)
    assert app.path(release, "release.json") in steps.prepare(app, options(), dry=False)[1]
    assert {**app.record(release), "created": 0} == {**whole, "created": 0}
    assert os.listdir(app.path(release, "static")) == ["hello.txt"]
    assert steps.prepare(app, options(), dry=False)[1] == []
