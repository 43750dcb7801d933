"""What travels to a host is looked at for room before it is on its way, on each disk that it comes to."""

from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import room
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.module_utils.testing import patch_module_args
from ansible.modules import build_carry, build_image
from ansible.modules import host_room as module
from ansible.plugins.action import build_carry as image_action
from ansible.plugins.action import build_image as build_action

MB = 1 << 20
TAG = "flask-deploy/shop:b1"


@pytest.fixture
def disks(tmp_path, monkeypatch):
    """Return a function that says how many MB are free in a directory, each on a disk of its own or on one."""
    free = {}

    def of(path):
        return max((known for known in free if f"{path}/".startswith(f"{known}/")), key=len)

    def stat(path):
        return SimpleNamespace(st_dev=free[of(path)][1])

    def statvfs(path):
        return SimpleNamespace(f_bavail=free[of(path)][0], f_frsize=MB)

    monkeypatch.setattr(room, "os", SimpleNamespace(path=os.path, stat=stat, statvfs=statvfs))

    def has(name, megabytes, disk=None):
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        free[str(path)] = megabytes, disk or name
        return str(path)

    monkeypatch.setattr(engines, "root", lambda: f"{tmp_path}/docker")
    return has


def need(path, size, kind="sent", purpose="the image"):
    return {"path": path, "bytes": size * MB, "kind": kind, "purpose": purpose}


def test_too_little_room_is_said_with_how_much_where_and_what_to_type(disks):
    home = disks("home", 50)
    (line,) = room.lacking([need(home, 40)])
    assert line.startswith(f"{home} has 50 MB free; 56 MB are needed for the image; make")
    assert "ansible_remote_tmp: /var/tmp/ansible" in line
    assert room.lacking([need(home, 34)]) == []


def test_what_comes_to_one_disk_is_added_up(disks):
    home, docker = disks("home", 200, disk="/"), disks("docker", 200, disk="/")
    both = [need(home, 80, purpose="the archive"), need(room.ENGINE, 170, "engine")]
    (line,) = room.lacking(both)
    assert "200 MB free; 266 MB are needed for the archive and the image" in line
    disks("docker", 100, disk="another")
    (line,) = room.lacking(both)
    assert line.startswith(f"{docker} has 100 MB free; 186 MB are needed for the image; ") and "docker image" in line


def test_a_directory_that_is_not_there_yet_has_the_room_of_the_one_above(disks):
    home = disks("home", 10)
    assert room.lacking([need(f"{home}/deploy/tmp", 1)])[0].startswith(f"{home} has 10 MB free; 17 MB")


@pytest.mark.parametrize(("said", "found"), [("/mnt/docker\n", "/mnt/docker"), ("", "/var/lib/docker")])
def test_the_engine_tells_where_it_keeps_images(engine, said, found):
    (engine.place / "bin" / "docker").write_text(f"#!/bin/sh\nprintf '{said}'\n")
    assert engines.root() == found
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\necho no daemon >&2; exit 1\n")
    assert engines.root() == "/var/lib/docker"


def ended(capsys, run, arguments):
    with patch_module_args(arguments), pytest.raises(SystemExit):
        run()
    return json.loads(capsys.readouterr().out)


def test_the_module_tells_what_lacks(disks, capsys):
    home = disks("home", 50)
    told = ended(capsys, module.main, {"needs": [need(home, 90)]})
    assert told["mistakes"] == room.lacking([need(home, 90)]) != []


# -- the image of several hosts ----------------------------------------------------------------


@pytest.fixture
def carry(disks, tmp_path, monkeypatch):
    """Return a function that runs the action plugin; it returns what was sent and fetched."""
    remote = disks("remote", 1000)
    disks("docker", 1000)
    monkeypatch.setattr(image_action.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(image_action.ActionBase, "run", lambda self, *arguments: {})
    local = tmp_path / f"{image_action.hashlib.sha256(b'sha256:one').hexdigest()}.tar.zst"
    local.write_bytes(b"x" * 3 * MB)

    def act(state, **more):
        plugin, moved = object.__new__(image_action.ActionModule), []
        arguments = {"image": "sha256:one", "tag": TAG, "state": state, **more}
        plugin._task = SimpleNamespace(args=arguments)
        shell = SimpleNamespace(tmpdir=remote, join_path=os.path.join)
        plugin._connection = SimpleNamespace(_shell=shell, fetch_file=lambda *places: moved.append("fetched"))
        plugin._make_tmp_path = lambda: moved.append("made")
        plugin._remove_tmp_path = lambda path: moved.append("removed")
        plugin._transfer_file = lambda *places: moved.append("sent")
        tell = {"host_room": lambda needs, **_: {"mistakes": room.lacking(needs)}}
        tell["build_carry"] = lambda **_: {"here": True, "bytes": 3 * MB}
        plugin._execute_module = lambda name, given, task_vars: tell[name](**given)
        try:
            plugin.run(task_vars={})
        finally:
            act.moved = moved
        return moved

    return act


def test_an_image_travels_where_there_is_room(carry):
    assert carry("saved") == ["made", "fetched", "removed"]
    assert carry("loaded", bytes=9 * MB) == ["made", "sent", "removed"]


def test_an_archive_is_not_sent_where_it_does_not_fit(carry, disks):
    disks("remote", 18)
    with pytest.raises(AnsibleActionFail, match="remote has 18 MB free; 19 MB are needed for the image's archive; "):
        carry("loaded", bytes=9 * MB)
    assert carry.moved == ["made", "removed"]


def test_an_archive_is_not_sent_where_the_engine_has_no_room_for_the_image(carry, disks):
    disks("docker", 24)
    with pytest.raises(AnsibleActionFail, match="docker has 24 MB free; 25 MB are needed for the image; "):
        carry("loaded", bytes=9 * MB)
    assert carry.moved == ["made", "removed"]


def test_an_archive_is_not_fetched_where_the_controller_has_no_room(carry, monkeypatch, tmp_path):
    full = SimpleNamespace(f_bavail=5, f_frsize=MB)
    monkeypatch.setattr(image_action.room, "os", SimpleNamespace(statvfs=lambda path: full))
    said = (
        f"{tmp_path} on the controller has 5 MB free; 19 MB are needed for the image's archive; .*ANSIBLE_LOCAL_TEMP="
    )
    with pytest.raises(AnsibleActionFail, match=said):
        carry("saved")
    assert carry.moved == ["made", "removed"]


def test_an_image_is_not_saved_where_its_archive_may_not_fit(disks, engine, monkeypatch):
    """How well it can be packed shows only afterwards: it is asked for the room that it takes at most."""
    home = disks("home", 100)
    monkeypatch.setattr(engines, "inspect", lambda *names: {"Id": "sha256:one", "Size": 90 * MB})
    with pytest.raises(engines.EngineError, match=f"{home} has 100 MB free; 106 MB are needed for the image's arch"):
        build_carry.save(TAG, f"{home}/image")
    assert os.listdir(home) == [] and not engine.calls("docker save")


# -- source and base image ---------------------------------------------------------------------


@pytest.fixture
def send(disks, tmp_path):
    """Return the action plugin that sends a source or a base image, with what it sent."""
    plugin = object.__new__(build_action.ActionModule)
    plugin._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=disks("remote", 100), join_path=os.path.join))
    plugin._execute_module = lambda name, given, task_vars: {"mistakes": room.lacking(given["needs"])}
    plugin.sent = []
    plugin._transfer_file = lambda path, remote: plugin.sent.append(remote)
    return plugin


def test_a_source_is_not_sent_where_what_it_unpacks_to_does_not_fit(send, disks, tmp_path, monkeypatch):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "large").write_bytes(b"\0" * 8 * MB)
    build = disks("build", 30)
    monkeypatch.setattr(build_action, "BUILD", build)
    answers = iter([{"wants": ["source"]}, {"wants": []}] * 2)
    asked = send._execute_module
    send._execute_module = lambda name, *given, **more: (
        next(answers) if name == "build_image" else asked(name, *given, more.get("task_vars"))
    )
    send._remove_tmp_path = lambda path: None
    folder = str(tmp_path / "app")
    arguments = {"source_digest": build_action.digest(folder)}
    send._until_content(dict(arguments), (folder, folder), "", {})
    assert len(send.sent) == 1
    disks("build", 20)
    with pytest.raises(AnsibleActionFail, match=f"{build} has 20 MB free; 25 MB are needed for the source; .*du -xsh"):
        send._until_content(dict(arguments), (folder, folder), "", {})
    assert len(send.sent) == 1


@pytest.mark.parametrize("full", ["remote", "docker"])
def test_a_base_image_is_not_sent_where_it_does_not_fit(send, disks, tmp_path, full):
    disks("docker", 100)
    (tmp_path / "base.tar").write_bytes(b"\0" * 4 * MB)
    disks(full, 19)
    answers, asked = iter([{"wants": ["base"]}]), send._execute_module
    send._execute_module = lambda name, *given, **more: (
        next(answers) if name == "build_image" else asked(name, *given, more.get("task_vars"))
    )
    send._remove_tmp_path = lambda path: None
    with pytest.raises(AnsibleActionFail, match=f"{full} has 19 MB free; [0-9]+ MB are needed for the base image"):
        send._until_content({}, None, str(tmp_path / "base.tar"), {})
    assert send.sent == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            build_image.runs.BuildError("tar: No space left on device"),
            "a disk is full. Type on the host that builds: df -h /var/tmp /srv ",
        ),
        (
            OSError(28, "No space left on device", "/var/tmp/x"),
            "a disk is full. Type on the host that builds: df -h /var/tmp /srv ",
        ),
        (leases.LeaseError("shop.build is locked"), "shop.build is locked"),
    ],
)
def test_a_build_that_ends_for_want_of_room_or_of_a_lock_says_so(capsys, monkeypatch, engine, error, said):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(build_image, "make", fail)
    given = {"app": "shop", "fallback_dockerfile": "FROM x", "base_image": "x", "source_digest": "1"}
    began = time.monotonic()
    told = ended(capsys, build_image.main, given)
    assert told["failed"] and told["msg"].startswith("the image was not built: ") and said in told["msg"]
    assert time.monotonic() - began < 30
