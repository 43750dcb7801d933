"""A release is there whole or not at all, and exactly one serves."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import clock, files, nginx
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.release import containers, images, places, secrets, writing
from ansible.module_utils.flask_deploy.switch import (
    concluding,
    discarding,
    log,
    progress,
    retire,
    settling,
    steps,
    summary,
    switch,
)
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.modules import app_remove, app_status

SITE = "server {}\n"
MARK = "h5-Xq-and-more"


@pytest.fixture
def app(host):
    return host()


def options(**more):
    return {
        "domain": "shop.example.com",
        "health_path": "/",
        "start_timeout": 5,
        "drain_timeout": 0,
        "keep": 3,
        "image": "sha256:one",
        "build": "b1",
        "source": {"kind": "directory", "digest": "d"},
        "by": "tester",
        "wsgi": "shop:app",
        "static": "static",
        "container": {"memory": "64m", "cpus": 0, "pids": 16, "stop_timeout": 10},
        "files": {"site.conf": SITE, "gunicorn.conf.py": "", "exec.py": ""},
        "environment": {"A": "x"},
        "secrets": {"KEY": MARK},
        "secret_files": {"users.json": "[]"},
        "uid": 10001,
        "owner": {"id": "me"},
        "reason": "another host refused it",
        "reject": False,
        "accept_rejected": False,
        "accept_schema_ahead": False,
        "command": "",
        "schema_command": "",
        "release_key": None,
        "commanded": None,
        "command_timeout": 5,
        "watch": {"seconds": 0, "percent": 5, "samples": 20},
        "confirm": 5,
        "steps": {"build": 1.5},
        "switch": None,
        "outcomes": {},
        **more,
    }


def prepare(app, **more):
    """Prepare a release; return its id."""
    return steps.prepare(app, options(**more), dry=False)[0]


def deploy(app, **more):
    """Let a release serve, as if the one before it had been left long ago; return its id."""
    release = prepare(app, **more)
    serve(app, release, **more)
    app.set_state(release, "live", switched=app.state(release)["switched"] - 60)
    return release


def begin(app, release, **more):
    """Begin a switch; return its id. The unit is run by who calls."""
    return steps.begin_switch(app, options(release=release, **more), dry=False)[0]


def serve(app, release, well=True, **more):
    """Switch to a prepared release as the unit would, confirmed or not; return the deploy's record."""
    begun = begin(app, release, **more)
    told = {"well": well, "reason": None if well else "it was lost"}
    if begun:
        progress.decide(app, begun, well, told["reason"] or "", False)
        switch.carry_out(app)
    outcome = options(release=release, switch=begun, outcomes={"here": told}, **more)
    return concluding.retired(app, outcome, dry=False)[1]


def move(app, release):
    """Move traffic and go no further."""
    begin(app, release)
    switch.move(app, progress.pending(app))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 0)


def draining(app, release):
    return os.path.exists(app.path(release, "draining"))


def snapshot(root):
    return sorted((str(path), path.read_bytes() if path.is_file() else b"") for path in Path(root).rglob("*"))


# -- preparing -------------------------------------------------------------------------------


def test_a_release_holds_all_it_needs_to_run_again(app, engine):
    engine.public("hello.txt")
    release = prepare(app)
    assert sorted(os.listdir(app.path(release))) == [
        "draining",
        "env.json",
        "exec.py",
        "gunicorn.conf.py",
        "release.json",
        "run",
        "site.conf",
        "state.json",
        "static",
    ]
    record = app.record(release)
    assert record["id"] == release and record["image"] == "sha256:one" and record["by"] == "tester"
    assert engine.running() == [f"shop-{release}"] and app.serving() is None
    assert draining(app, release), "until it serves"


def test_the_same_input_is_the_same_release_and_no_change(app, engine):
    release = deploy(app)
    engine.forget()
    again, actions, planned = steps.prepare(app, options(), dry=False)
    assert (again, actions, planned) == (release, [], {"lines": [], "diff": []})
    assert steps.begin_switch(app, options(release=release), dry=True) == (None, [])
    assert not [call for call in engine.calls() if call.split()[1] in ("create", "start", "stop", "rm", "update")]
    assert not engine.calls("systemctl")


@pytest.mark.parametrize(
    "change",
    [
        {"build": "b2"},
        {"wsgi": "shop:other"},
        {"static": ""},
        {"container": {"memory": "65m", "cpus": 0, "pids": 16, "stop_timeout": 10}},
        {"files": {"site.conf": SITE, "gunicorn.conf.py": "#", "exec.py": ""}},
        {"environment": {"A": "y"}},
        {"environment": {"A": "x", "B": ""}},
        {"secrets": {"KEY": "another-value"}},
        {"secret_files": {"users.json": "{}"}},
        {"uid": 10002},
    ],
    ids=lambda change: " ".join(change),
)
def test_each_input_decides_the_release(app, change):
    writing.ensure_places(app)
    ids = [steps.prepare(app, options(**more), dry=False)[0] for more in ({}, change, {})]
    assert ids[0] == ids[2] != ids[1]


@pytest.fixture
def change_role(monkeypatch):
    """Return a function that lets the role start containers with one more argument, as its next version may."""
    known = containers.places

    def change(*words):
        monkeypatch.setattr(containers, "places", lambda *of: [*known(*of), *words])

    return change


def test_how_the_role_starts_containers_decides_the_release(app, engine, change_role):
    """Or a new flag would reach a host whose inventory stays the same only by chance."""
    old = deploy(app)
    change_role("--ipc", "none")
    planned = steps.prepare(app, options(), dry=True)
    assert "container: +--ipc +none" in planned[2]["lines"]
    new = deploy(app)
    assert new == planned[0] != old and "--ipc none" in engine.calls("docker create --name")[-1]
    engine.forget()
    assert steps.prepare(app, options(), dry=False)[:2] == (new, [])
    assert not engine.calls("docker create")


def test_a_release_has_one_id_on_hosts_that_differ(app, host, monkeypatch):
    """Nothing of a host is in it: its groups, its paths, its images."""
    one = prepare(app, release_key="YQ==")
    monkeypatch.setattr(places.pwd, "getpwnam", lambda name: SimpleNamespace(pw_uid=101, pw_gid=101))
    other = host()
    other.root, other.releases = f"{app.root}/other", f"{app.root}/other/releases"
    assert (app.nginx_gid, other.nginx_gid) == (33, 101)
    assert prepare(other, release_key="YQ==", image="sha256:one", build="b1") == one
    assert steps.prepare(other, options(release_key="YQ==", image="sha256:two"), dry=True)[0] == one


@pytest.mark.parametrize("gone", [False, True], ids=["its container is left", "its container is gone"])
def test_a_rollback_starts_a_release_as_it_was_started(app, engine, change_role, gone):
    old = deploy(app)
    change_role("--ipc", "none")
    deploy(app)
    if gone:
        engines.remove(f"shop-{old}")
    engine.forget()
    assert restore(app, old) == old
    assert [("--ipc" in call) for call in engine.calls("docker create")] == [False] * gone
    assert f"shop-{old}" in engine.running()


def test_a_container_that_was_made_otherwise_is_made_again(app, engine):
    """By hand, or from an image that was lost and built anew since: it is not the release's."""
    old, release = deploy(app), prepare(app, build="b2")
    made_with = engine.place / "containers" / f"shop-{release}" / "arguments"
    for runs in (True, False):
        right = made_with.read_text()
        made_with.write_text("otherwise")
        if not runs:
            engines.docker("stop", "-t", "0", f"shop-{release}")
        assert prepare(app, build="b2") == release
        assert made_with.read_text() == right and f"shop-{release}" in engine.running()
    assert app.serving() == old
    (engine.place / "images").write_text("sha256:two\n")
    engines.docker("stop", "-t", "0", f"shop-{release}")
    assert prepare(app, build="b2", image="sha256:two") == release
    assert "sha256:two" in engine.calls("docker create --name")[-1] and made_with.read_text() != right


def test_what_serves_is_not_made_again_while_it_answers(app, engine):
    release = deploy(app)
    (engine.place / "containers" / f"shop-{release}" / "arguments").write_text("otherwise")
    engine.forget()
    prepare(app)
    assert not [call for call in engine.calls() if call.split()[1] in ("create", "start", "stop", "rm")]


def test_a_release_of_an_earlier_version_keeps_its_container(app, engine):
    old = deploy(app)
    record = app.record(old)
    del record["arguments"]
    files.write_json(app.path(old, "release.json"), record)
    (engine.place / "containers" / f"shop-{old}" / "arguments").unlink()
    assert (
        "container: is started as this version of the role does it"
        in (steps.prepare(app, options(build="b2"), dry=True)[2]["lines"])
    )
    deploy(app, build="b2")
    engine.forget()
    assert restore(app, old) == old and f"shop-{old}" in engine.running()
    assert not engine.calls("docker create") and engine.calls("docker start")


def test_a_note_of_who_deployed_does_not_decide_the_release(app):
    assert prepare(app) == prepare(app, by="another", source={"kind": "git"})


def test_values_of_the_environment_arrive_as_they_are(app):
    values = {"A": "{{ x }} $HOME %s 'it' \"q\"\nüß🌍", "N": 3, "T": True, "L": [1, "ü"], "E": ""}
    release = prepare(app, environment=values)
    read = json.loads(Path(app.path(release, "env.json")).read_text(encoding="utf-8"))
    assert read == {**values, "N": "3", "T": "true", "L": '[1,"ü"]'}


def test_secrets_lie_outside_releases_and_nowhere_else(app, engine, tmp_path):
    prepare(app)
    holding = [path for path, content in snapshot(tmp_path) if MARK.encode() in content]
    assert holding == [f"{app.etc}/secrets/env.json"]
    assert MARK not in "\n".join(engine.calls())
    info = files.os.lstat(holding[0])
    assert (info.st_mode & 0o777, info.st_uid) == (0o400, 10001)


def test_a_secret_that_is_no_longer_wanted_goes(app):
    prepare(app)
    prepare(app, secret_files={})
    assert os.listdir(f"{app.etc}/secrets") == ["env.json"]


def test_a_secret_s_digest_key_stays_on_the_host_and_private(app):
    writing.ensure_places(app)
    key = secrets.digest_key(app)
    assert key == secrets.digest_key(app) and len(key) == 32
    assert files.os.lstat(f"{app.etc}/release.key").st_mode & 0o777 == 0o400


def test_a_dry_run_on_a_bare_host_predicts_and_changes_nothing(app, tmp_path, engine):
    before = snapshot(tmp_path)
    _release, actions, planned = steps.prepare(app, options(), dry=True)
    assert any(action.startswith("release ") for action in actions) and app.root in actions
    names = ["app_env (names alone)", "app_secrets (names alone)", "app_secret_files (names alone)", "site.conf"]
    assert [shown["before_header"] for shown in planned["diff"]] == names
    assert MARK not in str([actions, planned])
    assert steps.begin_switch(app, options(release="0" * 12), dry=True)[1] == [f"current -> {'0' * 12}"]
    assert [row for row in snapshot(tmp_path) if "/engine/" not in row[0]] == [
        row for row in before if "/engine/" not in row[0]
    ]
    assert engine.running() == []


def test_a_dry_run_predicts_the_release_that_comes(app):
    deploy(app)
    predicted = steps.prepare(app, options(build="b2"), dry=True)[0]
    assert predicted == prepare(app, build="b2")


def test_the_diff_is_against_the_serving_release_and_shows_of_the_environment_names_alone(app):
    deploy(app)
    changed = {"site.conf": "server { }\n", "gunicorn.conf.py": "", "exec.py": ""}
    diff = steps.prepare(app, options(files=changed, environment={"A": MARK}), dry=True)[2]["diff"]
    assert [(shown["before_header"], shown["before"], shown["after"]) for shown in diff] == [
        ("app_env (names alone)", "A\n", "A (changed)\n"),
        ("site.conf", SITE, "server { }\n"),
    ]
    assert MARK not in str(diff)


def test_an_aborted_write_leaves_no_release(app, monkeypatch):
    writing.ensure_places(app)
    monkeypatch.setattr(writing, "extract_static", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare(app)
    assert app.known() == []
    monkeypatch.undo()


def test_damage_is_seen_by_a_dry_run_and_mended(app, engine):
    engine.public("hello.txt")
    release = deploy(app)
    Path(app.path(release, "gunicorn.conf.py")).write_text("damaged")
    Path(app.path(release, "static", "hello.txt")).write_text("damaged")
    files.os.chmod(app.path(release, "env.json"), 0o644)
    expected = [app.path(release, name) for name in ("gunicorn.conf.py", "env.json", "static")]
    assert steps.prepare(app, options(), dry=True)[1] == expected
    assert steps.prepare(app, options(), dry=False)[1] == expected
    assert steps.prepare(app, options(), dry=False)[1] == []
    assert Path(app.path(release, "static", "hello.txt")).read_text() == "hello"


def test_a_release_s_directory_that_nginx_cannot_enter_is_mended(app):
    release = deploy(app)
    files.os.chmod(app.path(release), 0o700)
    for dry in (True, False):
        assert steps.prepare(app, options(), dry=dry)[1] == [app.path(release)]
    assert files.os.lstat(app.path(release)).st_mode & 0o777 == 0o755


def test_each_place_is_open_to_whom_it_is_for(app):
    """The app alone reads what is its own; nginx passes through the rest, which is root's."""
    own, roots = (10001, 10001), (0, 0)
    places = {
        **{f"{app.root}{name}": (0o755, *roots) for name in ("", "/releases", "/maintenance")},
        app.etc: (0o755, *roots),
        f"{app.root}/data": (0o700, *own),
        **{f"{app.etc}/{name}": (0o500, *own) for name in ("secrets", "jwt")},
    }
    assert sorted(places) == sorted(set(writing.ensure_places(app, dry=True)) & set(places)) and not os.path.exists(
        app.root
    )
    writing.ensure_places(app)
    found = {path: files.os.lstat(path) for path in places}
    assert {path: (info.st_mode & 0o777, info.st_uid, info.st_gid) for path, info in found.items()} == places
    assert writing.ensure_places(app) == []


def test_only_the_app_reads_its_environment(app):
    release = prepare(app)
    found = {name: files.os.lstat(app.path(release, name)) for name in ("env.json", "site.conf")}
    modes = {name: (info.st_mode & 0o777, info.st_uid, info.st_gid) for name, info in found.items()}
    assert modes == {"env.json": (0o400, 10001, 10001), "site.conf": (0o644, 0, 0)}


def test_a_stopped_container_is_started(app, engine):
    release = deploy(app)
    (engine.place / "containers" / f"shop-{release}" / "running").unlink()
    assert steps.prepare(app, options(), dry=True)[1] == [f"container shop-{release}"]
    assert engine.running() == []
    assert steps.prepare(app, options(), dry=False)[1] == [f"container shop-{release}"]
    assert engine.running() == [f"shop-{release}"]


@pytest.mark.parametrize(
    ("root", "point", "lost"),
    [
        ("/srv/shop/releases/1a2b//deleted", "/release", True),
        ("/srv/shop/releases/1a2b/run/sock//deleted", "/release/run", True),
        ("/srv/shop/releases/1a2b", "/release", False),
        ("/etc/shop/secrets//deleted", "/run/secrets", False),
    ],
)
def test_a_container_whose_release_was_removed_beneath_it_is_made_anew(
    app, engine, monkeypatch, tmp_path, root, point, lost
):
    """The engine was away while a failed release went, or somebody removed its directory."""
    release = deploy(app)
    (tmp_path / "mountinfo").write_text(
        f"24 1 0:5 / /proc rw - proc proc rw\n36 35 8:1 {root} {point} rw - ext4 x rw\n"
    )
    monkeypatch.setattr(containers, "MOUNTS", f"{tmp_path}/mountinfo")
    engine.forget()
    prepare(app)
    assert bool(engine.calls("docker create")) is lost
    assert engine.running() == [f"shop-{release}"]


def test_a_container_that_ends_while_it_is_looked_at_is_no_error(app, engine, monkeypatch):
    release = deploy(app)
    monkeypatch.setattr(containers, "MOUNTS", "/proc/{}/net/none")
    assert prepare(app) == release
    monkeypatch.setattr(containers.files, "read", lambda path: (_ for _ in ()).throw(ProcessLookupError()))
    assert not containers._cut_off({"State": {"Pid": 1}})


def test_a_container_that_cannot_start_is_made_anew(app, engine):
    release = deploy(app)
    place = engine.place / "containers" / f"shop-{release}"
    (place / "running").unlink()
    (place / "broken").touch()
    prepare(app)
    assert engine.running() == [f"shop-{release}"]


def test_a_container_has_no_port_no_right_and_no_secret_on_its_command_line(app, engine):
    release = prepare(app)
    (created,) = engine.calls(f"docker create --name shop-{release} ")
    for said in (
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--user 10001:10001",
        "--restart no",
        "--pids-limit 16",
        "--memory 64m --memory-swap 64m",
        "target=/run/secrets,readonly",
        "--network shop",
    ):
        assert said in created
    assert "--publish" not in created and " -p " not in created and "--privileged" not in created
    assert "--cpus" not in created and MARK not in created


def test_an_app_s_network_connects_no_two_containers(app, engine):
    """Not even two releases of one app: they share no state but what is mounted."""
    prepare(app)
    (created,) = engine.calls("docker network create")
    assert "--opt com.docker.network.bridge.enable_icc=false" in created and created.split()[-1] == app.name
    assert engine.calls("docker create --name") and "--network shop " in engine.calls("docker create --name")[-1]


def test_directories_are_mounted_never_single_files(app, engine):
    release = prepare(app)
    (created,) = engine.calls(f"docker create --name shop-{release} ")
    sources = [part.split("source=")[1].split(",")[0] for part in created.split() if "type=bind" in part]
    assert len(sources) == 5 and all(os.path.isdir(source) for source in sources)
    assert app.path(release) in sources and f"{app.root}/data" in sources


def test_a_release_that_does_not_answer_is_taken_away_and_the_old_one_serves_on(app, engine, monkeypatch):
    old = deploy(app)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 503)
    with pytest.raises(containers.NotReady, match=r"/ did not answer below 400 in 0 s \(status 503\)"):
        prepare(app, build="b2", start_timeout=0)
    assert app.serving() == old and engine.running() == [f"shop-{old}"]
    assert app.known() == [old]


def test_one_good_answer_is_not_enough(app, engine, monkeypatch):
    answers = iter([200])

    def answer_once(*arguments):
        for status in answers:
            return status
        raise PermissionError("Permission denied")

    monkeypatch.setattr(nginx, "probe_socket", answer_once)
    with pytest.raises(containers.NotReady, match="Permission denied"):
        prepare(app, start_timeout=1)


def test_a_container_that_ends_is_noticed_at_once(app, engine, monkeypatch):
    def end(*arguments):
        for name in engine.running():
            (engine.place / "containers" / name / "running").unlink()
        raise ConnectionRefusedError

    monkeypatch.setattr(nginx, "probe_socket", end)
    with pytest.raises(containers.NotReady, match="its container ended with code 3"):
        prepare(app, start_timeout=60)


def test_a_site_that_nginx_refuses_never_serves(app, engine):
    old = deploy(app)
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(nginx.SiteError, match="unknown directive"):
        prepare(app, files={"site.conf": "server }\n", "gunicorn.conf.py": "", "exec.py": ""})
    assert app.serving() == old and engine.running() == [f"shop-{old}"]


# -- public files ----------------------------------------------------------------------------


def test_public_files_come_out_normal_and_without_dotfiles(app, engine):
    engine.public("css/site.css").chmod(0o600)
    for name in (".env", ".git/config", "css/.hidden", ".well-known/security.txt"):
        engine.public(name)
    (engine.place / "image/app/static/same.css").symlink_to("css/site.css")
    static = Path(app.path(prepare(app), "static"))
    found = sorted(str(path.relative_to(static)) for path in static.rglob("*"))
    assert found == [".well-known", ".well-known/security.txt", "css", "css/site.css", "same.css"]
    assert (static / "css/site.css").stat().st_mode & 0o777 == 0o644
    assert (static / "same.css").read_text() == "hello"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "../..", "x/../../../y"])
def test_a_link_that_leaves_the_tree_stops_the_release(app, engine, target):
    old = deploy(app)
    engine.public("css/site.css")
    (engine.place / "image/app/static/css/evil").symlink_to(target)
    with pytest.raises(places.ReleaseError, match="css/evil is a link that leaves"):
        prepare(app, build="b2")
    assert app.known() == [old] and app.serving() == old


def test_a_static_directory_that_is_itself_a_link_does_not_publish_the_host_s(app, engine):
    (engine.place / "image/app").mkdir(parents=True)
    (engine.place / "image/app/static").symlink_to("/etc")
    with pytest.raises(places.ReleaseError, match="app_static: static is a link in the image"):
        prepare(app)


def test_links_that_lead_out_together_stop_the_release(app, engine):
    engine.public("css/site.css")
    (engine.place / "image/app/static/a").symlink_to("b/../etc")
    (engine.place / "image/app/static/b").symlink_to("css/..")
    (engine.place / "image/app/static/css/c").symlink_to("../b/../..")
    with pytest.raises(places.ReleaseError, match="is a link that leaves"):
        prepare(app)


def test_what_is_no_file_stops_the_release(app, engine):
    os.mkfifo(engine.public("pipe").with_name("fifo"))
    with pytest.raises(places.ReleaseError, match="fifo is neither a file nor a directory"):
        prepare(app)


@pytest.mark.skipif(os.getuid() != 0, reason="to make a device takes root")
def test_a_device_of_an_image_is_never_made_on_the_host(app, engine):
    os.mknod(engine.public("x").with_name("disk"), 0o060666, os.makedev(7, 0))
    with pytest.raises(places.ReleaseError, match="disk is neither a file nor a directory"):
        prepare(app)
    assert not [path for path in Path(app.root).rglob("*") if path.is_block_device()]


def test_a_name_that_is_no_text_is_served_as_it_is(app, engine):
    folder = engine.public("x").parent
    with open(os.fsencode(folder) + b"/caf\xe9.txt", "wb") as file:
        file.write(b"hello")
    release = deploy(app)
    assert b"caf\xe9.txt" in os.listdir(os.fsencode(app.path(release, "static")))
    assert steps.prepare(app, options(), dry=False)[1] == []


def test_a_link_with_a_name_that_is_no_text_is_told(app, engine):
    os.symlink(b"/etc/\xff", os.fsencode(engine.public("x").parent) + b"/\xfe")
    with pytest.raises(places.ReleaseError, match=r"static file \\xfe is a link that leaves.*\\xff"):
        prepare(app)


def test_public_files_that_are_a_file_stop_the_release(app, engine):
    engine.public("static", directory="/app")
    with pytest.raises(places.ReleaseError, match="app_static: static is a file in the image"):
        prepare(app)


def test_files_larger_than_the_disk_stop_the_release_before_they_fill_it(app, engine, monkeypatch):
    engine.public("film.mp4", "x" * 1000)
    monkeypatch.setattr(writing.static, "RESERVE", 1 << 60)
    with pytest.raises(places.ReleaseError, match="do not fit: 0 MB are left"):
        prepare(app)


def test_files_that_are_one_in_the_image_are_each_there(app, engine):
    os.link(engine.public("a.css"), engine.place / "image/app/static/b.css")
    static = Path(app.path(prepare(app), "static"))
    assert (static / "a.css").read_text() == (static / "b.css").read_text() == "hello"


def test_an_image_without_public_files_is_a_release_without(app):
    assert os.listdir(app.path(prepare(app), "static")) == []
    assert os.listdir(app.path(prepare(app, static=""), "static")) == []


def test_no_container_stays_when_files_are_taken_out(app, engine):
    release = prepare(app)
    assert os.listdir(engine.place / "containers") == [f"shop-{release}"]


def test_no_volume_of_an_image_stays(app, engine):
    """An image with VOLUME gives each container a volume without a name, which goes with it when that is said."""
    for number in range(5):
        release = prepare(app, build=f"b{number}", command="flask db upgrade")
        steps.command(app, options(release=release, command="flask db upgrade", schema_command="tell"))
        serve(app, release, keep=2)
    with pytest.raises(nginx.SiteError):
        (engine.place / "nginx-refuses").touch()
        prepare(app, build="fails at the gate")
    (engine.place / "nginx-refuses").unlink()
    candidate = prepare(app, build="left by a killed run")
    settling.settle(app)
    assert engine.running() == [f"shop-{release}"] and f"shop-{candidate}" not in engine.running()
    held = sorted(os.listdir(engine.place / "containers"))
    assert engine.volumes() == [f"of-{name}" for name in held] and len(held) == 2
    assert all(" -v " in call for call in engine.calls("docker rm "))


def kept(app, engine, count):
    """Let so many releases be on the host, each of which served; return the engine's calls of all that changes nothing.

    A deploy of what serves, a rollback's look at what is possible, and what the playbooks ask beside them.
    """
    releases = [deploy(app, build=f"b{number}", keep=count) for number in range(count)]
    assert app.known() == sorted(releases)
    engine.forget()
    settling.settle(app)
    assert steps.prepare(app, options(build=f"b{count - 1}"), dry=False)[1] == []
    assert concluding.retired(app, options(release=releases[-1], keep=count), dry=False)[0] == []
    assert steps.restore(app, options(release=releases[-2]), dry=True) and summary.way_back(app)
    assert app_remove.remove(app, data=False, dry=True)
    app_status.describe(app)
    containers.end_commands("shop")
    return engine.calls("docker")


def test_the_engine_is_asked_as_often_for_many_releases_as_for_few(host, engine, monkeypatch):
    monkeypatch.setattr(app_status.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 30))
    few, many = kept(host(), engine, 2), kept(host("blog"), engine, 20)
    assert len(few) == len(many) < 22


def test_images_that_are_gone_are_told_from_an_engine_that_is(engine):
    assert list(engines.inspect_all("image", {"sha256:one", "sha256:two"})) == ["sha256:one"]
    assert engines.inspect_all("image", [f"sha256:{number:064}" for number in range(400)]) == {}
    gone = "#!/bin/sh\necho '[]'; echo Cannot connect to the Docker daemon >&2; exit 1\n"
    (engine.place / "bin" / "docker").write_text(gone)
    with pytest.raises(engines.EngineError, match="Cannot connect"):
        engines.inspect_all("image", {"sha256:one"})


def test_what_cannot_start_leaves_no_volume(app, engine):
    release = deploy(app)
    place = engine.place / "containers" / f"shop-{release}"
    (place / "running").unlink()
    (place / "broken").touch()
    engine.forget()
    prepare(app)
    containers.end_commands("shop")
    assert engine.calls("docker rm ") and all(" -v " in call for call in engine.calls("docker rm "))


# -- switching -------------------------------------------------------------------------------


def settled(app, engine, serving):
    """Return what contradicts that exactly this release serves."""
    wrong = [f"{name} left" for name in (app.pending,) if os.path.exists(name)]
    wrong += [f"drain marker of {r}" for r in app.known() if draining(app, r) is (r == serving)]
    for release in app.known():
        if os.path.isdir(engine.place / "containers" / app.container(release)):
            policy = engine.restart(app.container(release))
            wrong += (
                [f"{release} restarts {policy}"] if policy != ("unless-stopped" if release == serving else "no") else []
            )
    return wrong + ([] if app.serving() == serving else [f"serving {app.serving()}"])


def test_traffic_moves_by_the_link_and_the_old_release_stays_for_rollback(app, engine):
    old, new = deploy(app), deploy(app, build="b2")
    assert os.readlink(app.current) == f"releases/{new}"
    assert settled(app, engine, new) == []
    assert app.state(new)["previous"] == old and app.state(old)["state"] == "retired"
    assert engine.running() == [f"shop-{new}"] and old in app.known()


def test_nginx_reloads_only_where_the_site_differs(app, engine):
    deploy(app)
    engine.forget()
    deploy(app, build="b2")
    assert not engine.calls("systemctl reload")
    deploy(app, files={"site.conf": SITE + "#\n", "gunicorn.conf.py": "", "exec.py": ""})
    assert engine.calls("systemctl reload") == ["systemctl reload nginx.service"]


def test_a_rollback_is_a_switch_to_a_release_that_is_still_there(app, engine):
    old, new = deploy(app), deploy(app, build="b2")
    assert prepare(app) == old
    serve(app, old)
    assert settled(app, engine, old) == [] and app.state(old)["previous"] == new


def test_a_reload_that_nginx_refuses_leaves_the_old_release(app, engine):
    old = deploy(app)
    new = prepare(app, files={"site.conf": SITE + "#\n", "gunicorn.conf.py": "", "exec.py": ""})
    (engine.place / "nginx-refuses").touch()
    begun = begin(app, new)
    switch.move(app, progress.pending(app))
    (engine.place / "nginx-refuses").unlink()
    switch.carry_out(app)
    assert progress.outcome(app, new, begun)["result"] == "reverted"
    assert "unknown directive" in progress.outcome(app, new, begun)["reason"]
    assert settled(app, engine, old) == []


@pytest.mark.parametrize("ends", ["forwards", "back"])
def test_traffic_moves_under_the_host_s_lock_on_nginx(app, monkeypatch, ends):
    """Another app's reload in between would serve half of a switch."""
    deploy(app)
    link, moved = files.link, []

    def locked(path, target):
        with open(nginx.LOCK, "w") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        moved.append(target)
        link(path, target)

    begun = begin(app, prepare(app, build="b2"), confirm=0)
    progress.decide(app, begun, ends == "forwards", "told to", False)
    monkeypatch.setattr(files, "link", locked)
    switch.carry_out(app)
    assert moved


def test_an_unknown_release_cannot_serve(app):
    old = deploy(app)
    with pytest.raises(places.ReleaseError, match=f"there is no release 0000; known are: {old}"):
        begin(app, "0000")


class Killed(BaseException):
    pass


EFFECTS = [
    (files, "write"),
    (files, "link"),
    (engines, "docker"),
    (nginx, "reload"),
    (places.os, "unlink"),
]


def killed_before(step, monkeypatch, action):
    """Do something and be killed before its effect number ``step``; return whether that was so."""
    left = [step]

    def counted(real):
        def effect(*arguments, **more):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*arguments, **more)

        return effect

    with monkeypatch.context() as patched:
        for place, name in EFFECTS:
            patched.setattr(place, name, counted(getattr(place, name)))
        try:
            action()
        except Killed:
            return True
    return False


def changed(number):
    return {"files": {"site.conf": f"{SITE}# {number}\n", "gunicorn.conf.py": "", "exec.py": ""}, "build": f"b{number}"}


@pytest.mark.slow
@pytest.mark.parametrize("well", [True, False], ids=["confirmed", "taken back"])
@pytest.mark.parametrize("heir", ["the unit started again", "the next run"])
def test_whatever_kills_a_switch_it_goes_on(host, app, engine, monkeypatch, heir, well):
    """Killed before its first effect, before its second, and so on, until nothing is left to kill."""
    old, step, killed = deploy(app), 0, True
    while killed:
        release = prepare(app, **changed(step))
        engine.forget()

        def whole(app=app, release=release):
            begun = begin(app, release)
            progress.decide(app, begun, well, "told to", False)
            switch.carry_out(app)

        killed = killed_before(step, monkeypatch, whole)
        assert app.serving() in (old, release)
        app = host()
        if heir == "the next run":
            settling.settle(app)
        else:
            switch.carry_out(app)
            settling.settle(app)
        assert settled(app, engine, app.serving()) == [], f"killed at step {step}"
        assert settling.settle(app) == [], f"killed at step {step}"
        if app.serving() == release:
            assert engine.calls("systemctl reload"), f"killed at step {step}: nginx was never told"
            old = release
        step += 1
    assert step > 10


@pytest.mark.slow
@pytest.mark.parametrize(("said", "serves"), [(None, "old"), (False, "old"), (True, "new")], ids=str)
def test_a_switch_that_a_power_loss_cuts_off_is_settled_at_the_next_boot(app, engine, monkeypatch, said, serves):
    """Before its first effect, before its second, and so on: it goes back unless it was confirmed."""
    old, step, killed = deploy(app), 0, True
    while killed:
        new = prepare(app, **changed(step))

        def whole(new=new):
            begun = begin(app, new, confirm=0)
            if said is not None:
                progress.decide(app, begun, said, "told to", False)
            switch.carry_out(app)

        killed = killed_before(step, monkeypatch, whole)
        told = progress.pending(app) is not None and (said is None or os.path.exists(app.decision))
        confirmed_early = said and (progress.pending(app) or {}).get("phase") == "moving"  # which nobody does
        engine.forget()
        settling.settle_links(app)
        assert engine.calls() == [], "neither the engine nor nginx has started then"
        decided = app.serving()
        engine.reboot()
        settling.settle_at_boot(app)
        assert confirmed_early or decided == app.serving(), f"cut off at step {step}: a visitor saw both"
        assert not os.path.exists(app.pending), f"cut off at step {step}"
        if told:
            assert app.serving() == {"old": old, "new": new}[serves], f"cut off at step {step}"
        assert settling.settle(app) == [], f"cut off at step {step}"
        assert settled(app, engine, app.serving()) == [], f"cut off at step {step}"
        old = app.serving()
        step += 1
    assert step > 10


def test_a_power_loss_in_the_first_deploy_leaves_its_release(app, engine):
    release = prepare(app)
    begin(app, release)
    settling.settle_at_boot(app)
    assert settled(app, engine, release) == []


def test_a_run_that_is_quicker_than_the_boot_settles_by_itself(app):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new)
    lease = leases.Lease(app.name, {"id": "run", "user": "u", "host": "h", "process": 1})
    lease.take()
    settling.settle_links(app)
    settling.settle_at_boot(app)
    assert app.serving() == old and os.path.exists(app.pending)


def test_a_release_that_a_boot_goes_back_to_and_that_does_not_answer_is_left_again(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    move(app, new)
    settling.settle_links(app)
    assert app.serving() == old
    monkeypatch.setattr(switch, "STARTED_IN", 0)

    def probe(path, *more):
        if old in path:
            raise OSError("connection refused")
        return 200

    monkeypatch.setattr(nginx, "probe_socket", probe)
    settling.settle_at_boot(app)
    assert settled(app, engine, new) == []


def test_a_first_release_that_nobody_confirms_serves_on(app, engine):
    release = prepare(app)
    begin(app, release, confirm=0)
    assert switch.carry_out(app)["result"] == "confirmed"
    assert settled(app, engine, release) == []


def test_a_switch_is_watched_from_where_it_began(app, monkeypatch):
    """The log's end is taken before the link moves; killed between, it is still that one. Time is the boot clock's."""
    deploy(app)
    new, seen = prepare(app, environment={"A": "y"}), {"well": True, "reason": None}
    Path(log.LOG).write_text("before\n")
    since = log.position(log.LOG)
    begin(app, new)
    Path(log.LOG).write_text("before\nafter\n")
    began = clock.now()
    switch.move(app, progress.pending(app))
    asked = []
    monkeypatch.setattr(switch.watch, "watch", lambda *given: asked.extend(given) or seen)
    switch.look(app, progress.pending(app))
    assert asked[1] == new and asked[-1] == since
    assert began <= asked[-3] <= clock.now() and asked[-2] == os.lstat(app.current).st_mtime


def test_a_switch_that_nobody_confirms_goes_back(app, engine):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    ended = switch.carry_out(app)
    assert (ended["result"], app.state(new)["state"]) == ("reverted", "reverted")
    assert "nobody confirmed it within 0 s" in ended["reason"]
    assert settled(app, engine, old) == [] and engine.running() == [f"shop-{old}"]


def test_a_switch_waits_anew_for_whoever_is_still_there(app, engine, monkeypatch):
    """Hosts do not begin at the same moment, and the slowest must not cost the first its release."""
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=100)
    for step in (switch.move, switch.look):
        step(app, progress.pending(app))
    deadline = progress.pending(app)["deadline"]
    clock = [deadline - 1]

    def pass_time(_seconds):
        clock[0] += 10
        if clock[0] > deadline + 50:
            progress.decide(app, begun, True)

    for part in (switch, progress):
        monkeypatch.setattr(part, "now", lambda: clock[0])
    assert progress.hear(app, begun)
    monkeypatch.setattr(switch.time, "sleep", pass_time)
    assert switch.carry_out(app)["result"] == "confirmed"


def test_who_is_heard_just_as_it_goes_back_is_not_told_that_all_is_well(app, monkeypatch):
    """On a disk that takes long to flush, to go back takes longer than any pause that could be waited."""
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=0)
    for step in (switch.move, switch.look):
        step(app, progress.pending(app))
    write, going_back, heard = files.write_json, threading.Event(), []

    def slow(path, value, *mode):
        if path == app.pending and value["phase"] == "reverting":
            going_back.set()
            time.sleep(1)
        write(path, value, *mode)

    monkeypatch.setattr(files, "write_json", slow)
    waiting = threading.Thread(target=lambda: switch.wait(app, progress.pending(app)))
    waiting.start()
    assert going_back.wait(5)
    heard.append(progress.hear(app, begun))
    waiting.join()
    assert heard == [None] and progress.pending(app)["phase"] == "reverting"


def test_who_is_heard_in_time_is_not_gone_back_from(app, monkeypatch):
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=30)
    for step in (switch.move, switch.look):
        step(app, progress.pending(app))
    deadline = progress.pending(app)["deadline"]
    monkeypatch.setattr(progress, "now", lambda: deadline - 10)
    assert progress.hear(app, begun)
    monkeypatch.setattr(switch, "now", lambda: deadline + 5)
    assert not switch._heard(app, progress.pending(app))
    progress.decide(app, begun, True)
    assert not progress.hear(app, "another") and progress.hear(app, begun)
    assert switch._heard(app, progress.pending(app)) and progress.pending(app)["phase"] == "confirming"


def test_who_is_heard_too_late_finds_it_gone_back(app, engine):
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=0)
    switch.carry_out(app)
    assert not progress.hear(app, begun)
    assert not concluding.watched(app, new, begun, 0)["well"]


def test_a_watch_that_ends_between_two_looks_at_it_is_well(app, monkeypatch):
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=100)
    switch.move(app, progress.pending(app))
    pending = progress.pending

    def look_on(app):
        known = pending(app)
        if known["phase"] == "watching":
            switch.look(app, known)
        return known

    monkeypatch.setattr(progress, "pending", look_on)
    told = concluding.watched(app, new, begun, 0)
    assert told["well"] and told["seen"]["well"]


def test_one_host_that_is_not_well_takes_the_release_back_here_too(app, engine):
    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new)
    told = {
        "here": {"well": True},
        "web2": {"well": False, "reason": "its container ended", "reject": True},
        "web3": {},
    }
    progress.decide(app, begun, False, "x", True)
    switch.carry_out(app)
    with pytest.raises(places.ReleaseError, match="web2: its container ended; web3: it was lost"):
        concluding.retired(app, options(release=new, switch=begun, outcomes=told), dry=False)
    assert settled(app, engine, old) == [] and app.state(new)["state"] == "rejected"


def test_a_release_before_that_does_not_answer_any_more_is_not_gone_back_to(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    switch.move(app, progress.pending(app))
    monkeypatch.setattr(switch, "STARTED_IN", 0)

    def probe(path, *more):
        if old in path:
            raise OSError("connection refused")
        return 200

    monkeypatch.setattr(nginx, "probe_socket", probe)
    ended = switch.carry_out(app)
    assert (ended["result"], app.serving()) == ("kept", new)
    assert f"{old} did not answer any more" in ended["reason"]


def test_a_switch_whose_begin_was_not_heard_of_is_not_well(app, engine):
    old, new = deploy(app), prepare(app, build="b2")
    assert concluding.watched(app, old, None, 0)["well"]
    assert concluding.watched(app, new, None, 0)["reason"] == "whether its switch began is not known"
    move(app, new)
    assert not concluding.watched(app, new, None, 0)["well"]


def test_all_hosts_hear_the_word_before_any_of_them_drains(app, monkeypatch):
    """With more hosts than forks the last one hears it when the first have heard it, not when they have drained."""
    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new, confirm=30)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 1)
    unit = threading.Thread(target=lambda: switch.carry_out(app))
    unit.start()
    assert concluding.watched(app, new, begun, 5)["well"]
    began = time.monotonic()
    word = options(release=new, switch=begun, outcomes={"here": {"well": True}}, drain_timeout=60)
    assert concluding.confirmed(app, word) is None
    unit.join()
    assert time.monotonic() - began < 5
    assert progress.outcome(app, new, begun)["result"] == "confirmed"
    assert engines.containers(app.name)[app.container(old)] == "running", "it drains later"


def test_a_host_that_is_taken_back_hears_it_before_it_drains(app, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new, confirm=30, drain_timeout=2)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 1)
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 2)
    unit = threading.Thread(target=lambda: switch.carry_out(app))
    unit.start()
    assert concluding.watched(app, new, begun, 5)["well"]
    told = {"here": {"well": True}, "web2": {}}
    why = concluding.confirmed(app, options(release=new, switch=begun, outcomes=told))
    assert why == "web2: it was lost; if it switched, it goes back by itself"
    assert progress.pending(app)["phase"] in ("reverting", "draining")
    unit.join()
    assert app.serving() == old


def test_a_drain_that_was_promised_is_waited_for(app, engine):
    """However long: whoever concludes a switch, or takes one over, waits for what that one promised."""
    deploy(app)
    begin(app, prepare(app, build="b2"), drain_timeout=3600)
    assert settling.patience(progress.pending(app)) > 2 * 3600
    (engine.place / "bin" / "systemctl").write_text("#!/bin/sh\necho inactive\n")
    settling.settle(app)
    assert not engine.calls("systemctl stop")


def test_a_switch_that_went_back_leaves_the_link_to_the_release_before_as_it_was(app):
    first, second = deploy(app), deploy(app, build="b2")
    assert os.readlink(app.previous) == f"releases/{first}"
    begin(app, prepare(app, build="b3"), confirm=0)
    assert switch.carry_out(app)["result"] == "reverted"
    assert (app.serving(), os.readlink(app.previous)) == (second, f"releases/{first}")


def test_a_first_switch_that_goes_back_leaves_no_link_to_a_release_before(app):
    deploy(app)
    begin(app, prepare(app, build="b2"), confirm=0)
    switch.carry_out(app)
    assert not os.path.lexists(app.previous)


def test_nothing_is_left_of_a_word_that_came_too_late(app):
    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new, confirm=0)
    switch.carry_out(app)
    with pytest.raises(places.ReleaseError, match="nobody confirmed it"):
        concluding.retired(app, options(release=new, switch=begun, outcomes={"here": {"well": True}}), dry=False)
    assert not os.path.exists(app.decision) and app.serving() == old


def test_a_wrong_link_is_the_switch_s_to_put_right(app, engine):
    release = deploy(app)
    files.link(app.current, "releases/gone")
    assert steps.prepare(app, options(), dry=False)[1] == []
    serve(app, release)
    assert settled(app, engine, release) == []


def test_what_ails_both_releases_does_not_keep_the_new_one(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 503)
    assert switch.carry_out(app)["result"] == "reverted"
    assert app.serving() == old


def test_a_unit_that_does_not_start_leaves_the_old_release(app, engine):
    old, new = deploy(app), prepare(app, build="b2")
    (engine.place / "systemd-refuses").touch()
    begun = begin(app, new)
    told = concluding.watched(app, new, begun, 0)
    assert not told["well"] and "Failed to start transient service unit" in told["reason"]
    assert app.serving() == old and not os.path.exists(app.pending)


def test_a_dry_run_shows_what_a_killed_run_left_and_leaves_it(app, engine):
    release = deploy(app)
    Path(app.pending).write_text("{")
    Path(app.path(release, "draining")).touch()
    assert settling.settle(app, dry=True) == ["an interrupted switch", f"the drain marker of {release}"]
    assert os.path.exists(app.pending) and draining(app, release)
    settling.settle(app)
    assert settled(app, engine, release) == []


def test_a_link_to_a_release_that_is_gone_serves_nothing(app):
    writing.ensure_places(app)
    files.link(app.current, "releases/gone")
    assert app.serving() is None


# -- retirement ------------------------------------------------------------------------------


def test_an_old_release_is_stopped_once_nothing_is_in_flight(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    move(app, new)
    answers = iter([2, 1, 0])
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: next(answers))
    retired = retire.retire(app, drain=30, stop_timeout=40)
    assert [(each["container"], each["cut"]) for each in retired] == [(f"shop-{old}", 0)]
    assert engine.calls("docker stop") == [f"docker stop -t 40 shop-{old}"]


def test_what_outlasts_the_drain_is_cut(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    move(app, new)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 1)
    began = time.monotonic()
    retire.retire(app, drain=0.3, stop_timeout=40)
    assert 0.3 <= time.monotonic() - began < 2
    assert engine.calls("docker stop") == [f"docker stop -t {retire.CUT_TIMEOUT} shop-{old}"]


def test_an_old_release_lives_until_nginx_let_go_of_it(app, monkeypatch):
    deploy(app)
    new = prepare(app, build="b2")
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0.5)
    move(app, new)
    retire.retire(app, drain=0, stop_timeout=40)
    assert clock.now() - app.state(new)["moved"] >= 0.5


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
def test_a_clock_that_is_set_changes_no_drain(app, engine, monkeypatch, hours):
    """What is in flight has the time that it was promised, and no more."""
    deploy(app)
    new = prepare(app, build="b2")
    move(app, new)
    began, wall = time.monotonic(), time.time
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 1)
    moments = iter([wall()])
    monkeypatch.setattr(time, "time", lambda: next(moments, wall() + hours * 3600))
    retired = retire.retire(app, drain=0.5, stop_timeout=40)
    assert 0.5 <= time.monotonic() - began < 5 and 0.5 <= retired[0]["seconds"] < 5


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
def test_a_clock_that_is_set_changes_no_order(app, monkeypatch, hours):
    releases = [deploy(app, build=f"b{number}", keep=9) for number in range(2)]
    wall, moved, shift = time.time, os.lstat, hours * 3600

    def lstat(path):
        found = moved(path)
        return SimpleNamespace(st_mtime=found.st_mtime + shift, st_mode=found.st_mode)

    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: wall() + shift)
        clock.setattr(switch, "os", SimpleNamespace(**{**vars(os), "lstat": lstat}))
        releases += [deploy(app, build=f"b{number}", keep=9) for number in range(2, 4)]
    assert retire.targets(app) == releases[2::-1]
    assert retire.surplus(app, 2) == releases[1::-1]
    assert sorted(app.known(), key=app.order) == releases


def test_releases_of_before_there_was_an_order_come_first_by_their_time(app):
    releases = [deploy(app, build=f"b{number}") for number in range(3)]
    for number, release in enumerate(releases):
        state = {"state": "retired", "since": 1, "switched": 1e9 + number}
        files.write_json(app.path(release, "state.json"), state)
    newest = deploy(app, build="b9")
    app.set_state(newest, "live", switched=1.0)
    assert sorted(app.known(), key=app.order) == [*releases[1:], newest]


def test_a_release_that_is_gone_back_to_is_the_newest(app):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    switch.carry_out(app)
    assert max(app.known(), key=app.order) == old


def test_the_newest_releases_are_kept_and_never_the_serving_one_removed(app, engine):
    releases = [deploy(app, build=f"b{number}", keep=3) for number in range(5)]
    assert app.known() == sorted(releases[-3:])
    failed = prepare(app, build="never served")
    gone = retire.prune(app, 1)
    assert app.known() == [releases[-1]] and app.serving() == releases[-1]
    assert failed in gone and engine.running() == [f"shop-{releases[-1]}"]


def test_an_image_that_a_kept_release_needs_is_kept(app, engine):
    for number in range(3):
        image = f"sha256:{number}"
        with open(engine.place / "images", "a") as file:
            file.write(f"{image}\n")
        with open(engine.place / "tags", "a") as file:
            file.write(f"{image} flask-deploy/shop:{number}\n")
        deploy(app, build=f"b{number}", image=image, keep=2)
    assert engine.calls("docker rmi") == ["docker rmi flask-deploy/shop:0"]


def test_an_image_of_a_run_that_has_not_written_its_release_is_kept(app, engine, monkeypatch):
    """Builds are not locked: one run may clear up while another has just built."""
    with open(engine.place / "tags", "a") as file:
        file.write("sha256:new flask-deploy/shop:fresh\n")
    images.hold("shop", "fresh", "another")
    deploy(app), deploy(app, build="b1", keep=1)
    assert not engine.calls("docker rmi")
    later = clock.now() + images.HELD + 1
    monkeypatch.setattr(images, "now", lambda: later)
    deploy(app, build="b2", keep=1)
    assert engine.calls("docker rmi") == ["docker rmi flask-deploy/shop:fresh"]


def test_a_release_that_is_written_holds_its_image_itself(app):
    images.hold("shop", "b1", "me")
    prepare(app, build="b1")
    assert images.held("shop") == {}


def test_a_run_holds_an_image_whatever_another_run_with_the_same_build_does(app, engine):
    (engine.place / "tags").write_text("sha256:one flask-deploy/shop:b1\n")
    for run in ("me", "another"):
        images.hold("shop", "b1", run)
    release = prepare(app, build="b1")
    discarding.discarded(app, options(release=release, build="b1"), dry=False)
    assert "flask-deploy/shop:b1" in (engine.place / "tags").read_text()
    discarding.discarded(app, options(release=None, build="b1", owner={"id": "another"}), dry=False)
    assert (engine.place / "tags").read_text() == ""


def test_half_written_releases_are_cleared_away(app):
    deploy(app)
    os.mkdir(f"{app.releases}/.new-abc")
    Path(app.releases, ".new-abc", "release.json").touch()
    retire.prune(app, 3)
    assert os.listdir(app.releases) == app.known() != []


def test_a_removal_that_is_cut_off_is_ended_by_the_next(app, monkeypatch):
    """Whichever file goes first, what is left of a release is none, and does not stay."""
    releases = [deploy(app, build=f"b{number}") for number in range(3)]

    def cut_off(path):
        raise KeyboardInterrupt(path)

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(files, "remove_tree", cut_off)
        retire.prune(app, 2)
    assert app.known() == sorted(releases[1:])
    retire.prune(app, 2)
    assert sorted(os.listdir(app.releases)) == sorted(releases[1:])


def test_what_is_no_release_of_ours_is_left_alone(app):
    deploy(app)
    os.mkdir(f"{app.releases}/kept by hand")
    retire.prune(app, 3)
    assert os.path.isdir(f"{app.releases}/kept by hand")


# -- files that several write and read ---------------------------------------------------------


def pending_of_a4f4d54(old, new, phase, **more):
    """Return a switch as the commit before this form wrote it."""
    known = {"id": "0123456789abcdef", "from": old, "to": new, "leaving": "retired", "phase": phase, "drain": 0}
    rules = {"seconds": 0, "percent": 5, "samples": 20}
    return {**known, "rules": rules, "confirm": 0, "reload": False, "moved": 1.0, **more}


FOREIGN = {"a list": b"[1]", "a number": b"1", "cut short": b'{"id": "0', "no text": b"\xff\xfe", "empty": b""}
FOREIGN |= {"nothing known": b'{"other": 1}', "deep": b"[" * 100_000}
SHARED = {
    "switch.json": lambda app, old, new: app.pending,
    "switch.decision": lambda app, old, new: app.decision,
    "schema.json": lambda app, old, new: app.schema_file,
    "revived.json": lambda app, old, new: app.revived,
    "release.json of the serving one": lambda app, old, new: app.path(new, "release.json"),
    "release.json of the one before": lambda app, old, new: app.path(old, "release.json"),
    "state.json of the serving one": lambda app, old, new: app.path(new, "state.json"),
    "state.json of the one before": lambda app, old, new: app.path(old, "state.json"),
    "outcome of a switch": lambda app, old, new: app.path(new, "switch.json"),
    "command.json": lambda app, old, new: app.path(new, "command.json"),
}


def said_or_done(*actions):
    """Do each; what goes wrong has to be an error with words for people."""
    for action in actions:
        try:
            action()
        except (places.ReleaseError, engines.EngineError, containers.NotReady) as error:
            assert str(error)


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("where", SHARED.values(), ids=SHARED.keys())
def test_each_reader_takes_whatever_a_file_holds(app, engine, where, content):
    """A default or an error that is said; never a traceback."""
    old, new = deploy(app), deploy(app, build="b2")
    Path(where(app, old, new)).write_bytes(content)
    said_or_done(
        lambda: settling.settle(app, dry=True),
        lambda: [app.describe(release) for release in app.known()],
        lambda: sorted(app.known(), key=app.order),
        lambda: retire.targets(app),
        lambda: retire.surplus(app, 2),
        lambda: progress.outcome(app, new, "0123"),
        lambda: progress.hear(app, "0123"),
        lambda: settling.settle_links(app),
        lambda: settling.settle_at_boot(app),
        lambda: restore(app, old),
        lambda: prepare(app, build="b3"),
        lambda: settling.settle(app),
        lambda: deploy(app, build="b3"),
    )
    assert app.serving() in (old, new, *app.known())
    last = deploy(app, build="b4")
    assert app.serving() == last and settled(app, engine, last) == []


@pytest.mark.parametrize("phase", ["moving", "watching", "waiting", "confirming", "reverting"])
@pytest.mark.parametrize("reader", ["the unit", "the next run", "the boot"])
def test_a_switch_that_an_earlier_version_began_is_ended(app, engine, phase, reader):
    old, new = deploy(app), prepare(app, build="b2")
    more = {"waiting": {"deadline": 0.0}, "reverting": {"reason": "x", "reject": True}}.get(phase, {})
    if phase != "moving":
        move(app, new)
    files.write_json(app.pending, pending_of_a4f4d54(old, new, phase, **more))
    files.write_json(app.decision, {"id": "0123456789abcdef", "heard": 1.0})
    if reader == "the unit":
        switch.carry_out(app)
    elif reader == "the next run":
        settling.settle(app)
    else:
        settling.settle_links(app)
        settling.settle_at_boot(app)
    assert settled(app, engine, app.serving()) == []
    assert app.serving() == (new if phase == "confirming" else old)


def test_a_word_of_an_earlier_version_is_heard(app):
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=30)
    files.write_json(app.decision, {"id": begun, "confirm": True, "reason": "", "reject": False})
    assert switch.carry_out(app)["result"] == "confirmed"


# -- the engine ------------------------------------------------------------------------------


def test_a_failed_command_says_what_and_why(engine):
    with pytest.raises(engines.EngineError, match="docker container inspect: Error: No such container: x"):
        engines.docker("container", "inspect", "x")
    assert engines.inspect("container", "x") is None


def test_a_broken_engine_is_not_taken_for_a_missing_container(engine):
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2; exit 1\n")
    with pytest.raises(engines.EngineError, match="Cannot connect"):
        engines.inspect("container", "x")


def test_a_command_that_hangs_is_given_up(engine):
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\nexec sleep 9\n")
    with pytest.raises(engines.EngineError, match=r"docker ps took longer than 0\.1 s"):
        engines.docker("ps", timeout=0.1)


def test_connections_in_flight_are_those_that_the_container_holds(tmp_path, monkeypatch):
    """The path is the same for every release; who holds the connection tells which one it is."""
    monkeypatch.undo()
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        assert engines.in_flight(os.getpid(), path) == 0
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            server = listening.accept()[0]
            assert engines.in_flight(os.getpid(), path) == 1
            assert engines.in_flight(os.getpid(), f"{path}2") == 0
            monkeypatch.setattr(engines, "_sockets", lambda pid: {"1"})
            assert engines.in_flight(os.getpid(), path) == 0
            monkeypatch.undo()
            server.close()
        assert engines.in_flight(os.getpid(), path) == 0
    assert engines.in_flight(2**22 + 1, path) == 0


# -- rolling back ----------------------------------------------------------------------------


def restore(app, release="", **more):
    return steps.restore(app, options(release=release, **more), dry=False)[0]


def roll_back(app, release=""):
    wanted = restore(app, release)
    serve(app, wanted, reject=True)
    return wanted


def test_a_rollback_goes_to_the_release_before_with_its_own_settings(app, engine):
    old = deploy(app, environment={"A": "old"})
    deploy(app, environment={"A": "new"})
    assert roll_back(app) == old == app.serving()
    assert json.loads(Path(app.path(old, "env.json")).read_text()) == {"A": "old"}


def test_a_rollback_builds_nothing_even_where_the_container_is_gone(app, engine):
    old = deploy(app, environment={"A": "old"})
    deploy(app, environment={"A": "new"})
    engines.docker("rm", "-f", app.container(old))
    assert roll_back(app) == old
    assert engines.containers(app.name)[app.container(old)] == "running"


def test_a_release_rolled_back_from_is_not_deployed_again_unless_told_to(app, engine):
    deploy(app, environment={"A": "old"})
    new = deploy(app, environment={"A": "new"})
    old = roll_back(app)
    with pytest.raises(places.ReleaseError, match="app_accept_rejected=true"):
        deploy(app, environment={"A": "new"})
    assert app.serving() == old
    assert deploy(app, environment={"A": "new"}, accept_rejected=True) == new


def test_the_default_of_a_rollback_passes_rejected_releases_over(app, engine):
    first = deploy(app, environment={"A": "1"})
    deploy(app, environment={"A": "2"})
    deploy(app, environment={"A": "3"})
    second = roll_back(app)
    assert roll_back(app) == first
    assert app.state(second)["state"] == "rejected"


@pytest.mark.parametrize("wanted", ["", "000000000000"])
def test_an_impossible_rollback_lists_what_is_possible(app, engine, wanted):
    serving = deploy(app, environment={"A": "1"})
    with pytest.raises(places.ReleaseError, match="possible are: none"):
        restore(app, wanted)
    deploy(app, environment={"A": "2"})
    with pytest.raises(places.ReleaseError, match=f"possible are:\n    {serving}"):
        restore(app, "000000000000")
