"""A release is there whole or not at all, and exactly one serves."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest
from ansible.module_utils import app_engine, app_releases
from ansible.module_utils import app_files as files
from ansible.module_utils import app_site as site
from ansible.modules import app_release as module

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
        "reject": False,
        "accept_rejected": False,
        **more,
    }


def prepare(app, **more):
    """Prepare a release; return its id."""
    return module.prepare(app, options(**more), dry=False)[0]


def deploy(app, **more):
    """Let a release serve, as if the one before it had been left long ago; return its id."""
    release = prepare(app, **more)
    module.serve(app, options(release=release, **more), dry=False)
    app.set_state(release, "live", switched=app.state(release)["switched"] - 60)
    return release


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(app_releases, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(app_engine, "in_flight", lambda pid, path: 0)


def draining(app, release):
    return os.path.exists(app.path(release, "run", "draining"))


def snapshot(root):
    return sorted((str(path), path.read_bytes() if path.is_file() else b"") for path in Path(root).rglob("*"))


# -- preparing -------------------------------------------------------------------------------


def test_a_release_holds_all_it_needs_to_run_again(app, engine):
    engine.public("hello.txt")
    release = prepare(app)
    assert sorted(os.listdir(app.path(release))) == [
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
    again, actions, diff = module.prepare(app, options(), dry=False)
    assert (again, actions, diff) == (release, [], [])
    assert module.serve(app, options(release=release), dry=False) == []
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
    app.ensure_places()
    ids = [module.prepare(app, options(**more), dry=False)[0] for more in ({}, change, {})]
    assert ids[0] == ids[2] != ids[1]


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
    app.ensure_places()
    key = app.digest_key()
    assert key == app.digest_key() and len(key) == 32
    assert files.os.lstat(f"{app.etc}/release.key").st_mode & 0o777 == 0o400


def test_a_dry_run_on_a_bare_host_predicts_and_changes_nothing(app, tmp_path, engine):
    before = snapshot(tmp_path)
    _release, actions, diff = module.prepare(app, options(), dry=True)
    assert any(action.startswith("release ") for action in actions) and app.root in actions
    assert [shown["before_header"] for shown in diff] == ["site.conf"]
    assert "env.json" not in str(diff) and MARK not in str([actions, diff])
    assert module.serve(app, options(release="0" * 12), dry=True) == [f"current -> {'0' * 12}"]
    assert [row for row in snapshot(tmp_path) if "/engine/" not in row[0]] == [
        row for row in before if "/engine/" not in row[0]
    ]
    assert engine.running() == []


def test_a_dry_run_predicts_the_release_that_comes(app):
    deploy(app)
    predicted = module.prepare(app, options(build="b2"), dry=True)[0]
    assert predicted == prepare(app, build="b2")


def test_the_diff_is_against_the_serving_release_and_shows_no_environment(app):
    deploy(app)
    changed = {"site.conf": "server { }\n", "gunicorn.conf.py": "", "exec.py": ""}
    diff = module.prepare(app, options(files=changed, environment={"A": MARK}), dry=True)[2]
    assert [(shown["before_header"], shown["before"], shown["after"]) for shown in diff] == [
        ("site.conf", SITE, "server { }\n")
    ]
    assert MARK not in str(diff)


def test_an_aborted_write_leaves_no_release(app, monkeypatch):
    app.ensure_places()
    monkeypatch.setattr(app, "extract_static", lambda record, target: 1 / 0)
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
    assert module.prepare(app, options(), dry=True)[1] == expected
    assert module.prepare(app, options(), dry=False)[1] == expected
    assert module.prepare(app, options(), dry=False)[1] == []
    assert Path(app.path(release, "static", "hello.txt")).read_text() == "hello"


def test_a_stopped_container_is_started(app, engine):
    release = deploy(app)
    (engine.place / "containers" / f"shop-{release}" / "running").unlink()
    assert module.prepare(app, options(), dry=True)[1] == [f"container shop-{release}"]
    assert engine.running() == []
    assert module.prepare(app, options(), dry=False)[1] == [f"container shop-{release}"]
    assert engine.running() == [f"shop-{release}"]


def test_a_container_that_cannot_start_is_made_anew(app, engine):
    release = deploy(app)
    place = engine.place / "containers" / f"shop-{release}"
    (place / "running").unlink()
    (place / "broken").touch()
    prepare(app)
    assert engine.running() == [f"shop-{release}"]


def test_a_container_has_no_port_no_right_and_no_secret_on_its_command_line(app, engine):
    prepare(app)
    (created,) = engine.calls("docker create --name")
    for said in (
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--user 10001:33",
        "--restart no",
        "--pids-limit 16",
        "--memory 64m --memory-swap 64m",
        "target=/run/secrets,readonly",
        "--network shop",
    ):
        assert said in created
    assert "--publish" not in created and " -p " not in created and "--privileged" not in created
    assert "--cpus" not in created and MARK not in created


def test_directories_are_mounted_never_single_files(app, engine):
    release = prepare(app)
    (created,) = engine.calls("docker create --name")
    sources = [part.split("source=")[1].split(",")[0] for part in created.split() if "type=bind" in part]
    assert len(sources) == 5 and all(os.path.isdir(source) for source in sources)
    assert app.path(release) in sources and f"{app.root}/data" in sources


def test_a_release_that_does_not_answer_is_taken_away_and_the_old_one_serves_on(app, engine, monkeypatch):
    old = deploy(app)
    monkeypatch.setattr(site, "probe_socket", lambda *arguments: 503)
    with pytest.raises(app_releases.ReleaseError, match=r"/ did not answer below 400 in 0 s \(status 503\)"):
        prepare(app, build="b2", start_timeout=0)
    assert app.serving() == old and engine.running() == [f"shop-{old}"]
    (failed,) = set(app.known()) - {old}
    assert app.state(failed)["state"] == "failed"


def test_a_container_that_ends_is_noticed_at_once(app, engine, monkeypatch):
    def end(*arguments):
        for name in engine.running():
            (engine.place / "containers" / name / "running").unlink()
        raise ConnectionRefusedError

    monkeypatch.setattr(site, "probe_socket", end)
    with pytest.raises(app_releases.ReleaseError, match="its container ended with code 3"):
        prepare(app, start_timeout=60)


def test_a_site_that_nginx_refuses_never_serves(app, engine):
    old = deploy(app)
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(site.SiteError, match="unknown directive"):
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
    with pytest.raises(app_releases.ReleaseError, match="css/evil is a link that leaves"):
        prepare(app, build="b2")
    assert app.known() == [old] and app.serving() == old


def test_a_static_directory_that_is_itself_a_link_does_not_publish_the_host_s(app, engine):
    (engine.place / "image/app").mkdir(parents=True)
    (engine.place / "image/app/static").symlink_to("/etc")
    with pytest.raises(app_releases.ReleaseError, match="app_static: static is a link in the image"):
        prepare(app)


def test_what_is_no_file_stops_the_release(app, engine):
    os.mkfifo(engine.public("pipe").with_name("fifo"))
    with pytest.raises(app_releases.ReleaseError, match="fifo is neither a file nor a directory"):
        prepare(app)


def test_an_image_without_public_files_is_a_release_without(app):
    assert os.listdir(app.path(prepare(app), "static")) == []
    assert os.listdir(app.path(prepare(app, static=""), "static")) == []


def test_no_holder_stays_when_files_are_taken_out(app, engine):
    prepare(app)
    assert engine.calls("docker rm -f holder")


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
    module.serve(app, options(release=old), dry=False)
    assert settled(app, engine, old) == [] and app.state(old)["previous"] == new


def test_a_reload_that_nginx_refuses_leaves_the_old_release(app, engine):
    old = deploy(app)
    new = prepare(app, files={"site.conf": SITE + "#\n", "gunicorn.conf.py": "", "exec.py": ""})
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(site.SiteError):
        app.switch(new)
    assert settled(app, engine, old) == []


def test_an_unknown_release_cannot_serve(app):
    old = deploy(app)
    with pytest.raises(app_releases.ReleaseError, match=f"there is no release 0000; known are: {old}"):
        module.serve(app, options(release="0000"), dry=False)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("first", [True, False], ids=["first release", "next release"])
def test_whatever_kills_a_switch_the_next_run_settles(host, app, engine, monkeypatch, first):
    """Killed before its first effect, before its second, and so on, until nothing is left to kill."""
    old = None if first else deploy(app)
    effects = [(files, "write"), (files, "link"), (app_engine, "docker"), (site, "reload"), (app_releases.os, "unlink")]
    step, over = 0, False
    while not over:
        changed = {"site.conf": f"{SITE}# {step}\n", "gunicorn.conf.py": "", "exec.py": ""}
        release = prepare(app, files=changed, build=f"b{step}")
        with monkeypatch.context() as patched:
            left = [step]

            def counted(real, left=left):
                def effect(*arguments, **more):
                    if left[0] == 0:
                        raise Killed
                    left[0] -= 1
                    return real(*arguments, **more)

                return effect

            for place, name in effects:
                patched.setattr(place, name, counted(getattr(place, name)))
            try:
                app.switch(release)
                over = True
            except Killed:
                pass
        assert app.serving() in (old, release)
        reloaded = bool(engine.calls("systemctl reload"))
        moved = app.serving() == release
        app = host()
        app.reconcile()
        assert settled(app, engine, app.serving()) == [], f"killed at step {step}"
        assert app.reconcile() == [], f"killed at step {step}"
        if moved:
            assert reloaded or engine.calls("systemctl reload"), f"killed at step {step}: nginx was never told"
        if first and moved:
            break  # from here on it is not the first
        if moved:
            old = release
        engine.forget()
        step += 1
    assert step > 3


def test_a_dry_run_shows_what_a_killed_run_left_and_leaves_it(app, engine):
    release = deploy(app)
    Path(app.pending).write_text("{")
    Path(app.path(release, "run", "draining")).touch()
    assert app.reconcile(dry=True) == ["an interrupted switch", f"the drain marker of {release}"]
    assert os.path.exists(app.pending) and draining(app, release)
    app.reconcile()
    assert settled(app, engine, release) == []


def test_a_link_to_a_release_that_is_gone_serves_nothing(app):
    app.ensure_places()
    files.link(app.current, "releases/gone")
    assert app.serving() is None


# -- retirement ------------------------------------------------------------------------------


def test_an_old_release_is_stopped_once_nothing_is_in_flight(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    app.switch(new)
    answers = iter([2, 1, 0])
    monkeypatch.setattr(app_engine, "in_flight", lambda pid, path: next(answers))
    assert app.retire(drain=30, stop_timeout=40) == [f"shop-{old}"]
    assert engine.calls("docker stop") == [f"docker stop -t 40 shop-{old}"]


def test_what_outlasts_the_drain_is_cut(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    app.switch(new)
    monkeypatch.setattr(app_engine, "in_flight", lambda pid, path: 1)
    began = time.monotonic()
    app.retire(drain=0.3, stop_timeout=40)
    assert 0.3 <= time.monotonic() - began < 2
    assert engine.calls("docker stop") == [f"docker stop -t {app_releases.CUT_TIMEOUT} shop-{old}"]


def test_an_old_release_lives_until_nginx_let_go_of_it(app, monkeypatch):
    deploy(app)
    new = prepare(app, build="b2")
    monkeypatch.setattr(app_releases, "DRAIN_FLOOR", 0.5)
    app.switch(new)
    app.retire(drain=0, stop_timeout=40)
    assert time.time() - app.state(new)["switched"] >= 0.5


def test_the_newest_releases_are_kept_and_never_the_serving_one_removed(app, engine):
    releases = [deploy(app, build=f"b{number}", keep=3) for number in range(5)]
    assert app.known() == sorted(releases[-3:])
    failed = prepare(app, build="never served")
    gone = app.prune(1)
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


def test_half_written_releases_are_cleared_away(app):
    deploy(app)
    os.mkdir(f"{app.releases}/.new-abc")
    app.prune(3)
    assert os.listdir(app.releases) == app.known()


# -- the engine ------------------------------------------------------------------------------


def test_a_failed_command_says_what_and_why(engine):
    with pytest.raises(app_engine.EngineError, match="docker container inspect: Error: No such container: x"):
        app_engine.docker("container", "inspect", "x")
    assert app_engine.inspect("container", "x") is None


def test_a_broken_engine_is_not_taken_for_a_missing_container(engine):
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2; exit 1\n")
    with pytest.raises(app_engine.EngineError, match="Cannot connect"):
        app_engine.inspect("container", "x")


def test_a_command_that_hangs_is_given_up(engine):
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\nexec sleep 9\n")
    with pytest.raises(app_engine.EngineError, match=r"docker ps took longer than 0\.1 s"):
        app_engine.docker("ps", timeout=0.1)


@pytest.mark.parametrize("accepted", [False, True])
def test_connections_in_flight_are_counted_also_before_they_are_accepted(tmp_path, monkeypatch, accepted):
    monkeypatch.undo()
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        assert app_engine.in_flight(os.getpid(), path) == 0
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            server = listening.accept()[0] if accepted else None
            assert app_engine.in_flight(os.getpid(), path) == 1
            if server:
                server.close()
        if accepted:
            assert app_engine.in_flight(os.getpid(), path) == 0
    assert app_engine.in_flight(2**22 + 1, path) == 0


# -- rolling back ----------------------------------------------------------------------------


def restore(app, release="", **more):
    return module.restore(app, options(release=release, **more), dry=False)[0]


def roll_back(app, release=""):
    wanted = restore(app, release)
    module.serve(app, options(release=wanted, reject=True), dry=False)
    return wanted


def test_a_rollback_goes_to_the_release_before_with_its_own_settings(app, engine):
    old = deploy(app, environment={"A": "old"})
    deploy(app, environment={"A": "new"})
    assert roll_back(app) == old == app.serving()
    assert json.loads(Path(app.path(old, "env.json")).read_text()) == {"A": "old"}


def test_a_rollback_builds_nothing_even_where_the_container_is_gone(app, engine):
    old = deploy(app, environment={"A": "old"})
    deploy(app, environment={"A": "new"})
    app_engine.docker("rm", "-f", app.container(old))
    assert roll_back(app) == old
    assert app_engine.containers(app.name)[app.container(old)] == "running"


def test_a_release_rolled_back_from_is_not_deployed_again_unless_told_to(app, engine):
    deploy(app, environment={"A": "old"})
    new = deploy(app, environment={"A": "new"})
    old = roll_back(app)
    with pytest.raises(app_releases.ReleaseError, match="app_accept_rejected=true"):
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
    with pytest.raises(app_releases.ReleaseError, match="possible are: none"):
        restore(app, wanted)
    deploy(app, environment={"A": "2"})
    with pytest.raises(app_releases.ReleaseError, match=f"possible are:\n    {serving}"):
        restore(app, "000000000000")
