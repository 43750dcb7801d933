"""Files change whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress

import pytest
from ansible.module_utils import app_files as files

MINE = (os.getuid(), os.getgid())


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["fdopen", "fchmod", "fchown", "fsync", "rename"])
def test_a_crash_at_any_step_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def die(*arguments):
        if step == "fdopen":
            os.close(arguments[0])
        raise Killed

    monkeypatch.setattr(files.os, step, die)
    with pytest.raises(Killed):
        files.write(str(path), b"new", 0o644, *MINE)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_disk_that_takes_no_more_leaves_the_old_file(tmp_path):
    """The kernel refuses the write half-way, as where the disk is full."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    if not (writer := os.fork()):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with suppress(OSError):
            files.write(str(path), b"new" * 1000, 0o644, *MINE)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(writer, 0)[1] == 0, "the write was not refused"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_new_file_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    steps = []
    for name in ("fsync", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(files.os, name, lambda *a, name=name, real=real: (steps.append(name), real(*a)))
    files.write(str(tmp_path / "file"), b"new", 0o640, *MINE)
    assert steps == ["fsync", "rename", "fsync"]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_secret_is_never_readable_by_others_on_its_way(tmp_path, monkeypatch):
    modes = []
    real = os.fchmod
    monkeypatch.setattr(
        files.os, "fchmod", lambda handle, mode: (modes.append(os.fstat(handle).st_mode), real(handle, mode))
    )
    files.write(str(tmp_path / "key"), b"secret", 0o400, *MINE)
    assert modes[0] & 0o077 == 0


def test_a_link_moves_in_one_step(tmp_path):
    for target in ("one", "two"):
        files.link(str(tmp_path / "current"), target)
        assert os.readlink(tmp_path / "current") == target
    (tmp_path / "current.new").write_text("left by a crash")
    files.link(str(tmp_path / "current"), "three")
    assert os.readlink(tmp_path / "current") == "three" and os.listdir(tmp_path) == ["current"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"other"),
        lambda path: path.chmod(0o600),
        lambda path: path.unlink(),
        lambda path: (path.rename(path.with_name("real")), path.symlink_to("real")),
    ],
    ids=["content", "mode", "missing", "link"],
)
@pytest.mark.parametrize("dry", [True, False])
def test_a_damaged_file_is_seen_and_mended(tmp_path, damage, dry):
    path = tmp_path / "file"
    wanted = (str(path), b"content", 0o644, *MINE)
    assert files.ensure_file(*wanted) is True
    assert files.ensure_file(*wanted) is False
    damage(path)
    assert files.ensure_file(*wanted, dry=dry) is True
    assert files.ensure_file(*wanted, dry=True) is dry


def test_a_directory_gets_its_mode_and_a_dry_run_makes_none(tmp_path):
    wanted = (str(tmp_path / "a" / "b"), 0o750, *MINE)
    assert files.ensure_directory(*wanted, dry=True) is True and os.listdir(tmp_path) == []
    assert files.ensure_directory(*wanted) is True and files.ensure_directory(*wanted) is False
    os.chmod(wanted[0], 0o755)
    assert files.ensure_directory(*wanted) is True
    assert os.stat(wanted[0]).st_mode & 0o7777 == 0o750


def test_a_record_that_is_missing_or_cut_short_is_none(tmp_path):
    path = tmp_path / "state.json"
    assert files.read_json(str(path)) is None
    path.write_text('{"state": "li')
    assert files.read_json(str(path), {}) == {}
    assert files.read_json(str(path / "below"), 1) == 1


def test_equal_values_have_equal_bytes():
    assert files.canonical({"b": 1, "a": "ü"}) == files.canonical({"a": "ü", "b": 1}) == '{"a":"ü","b":1}'.encode()
    assert files.digest("ab", "c") != files.digest("a", "bc")


def test_a_keyed_digest_tells_nothing_without_its_key():
    assert files.keyed_digest(b"k", "x") == files.keyed_digest(b"k", "x")
    assert len({files.keyed_digest(b"k", "x"), files.keyed_digest(b"l", "x"), files.keyed_digest(b"k", "y")}) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a").write_text("y"),
        lambda root: (root / "a").chmod(0o600),
        lambda root: (root / "a").rename(root / "b"),
        lambda root: (root / "new").mkdir(),
        lambda root: ((root / "link").unlink(), (root / "link").symlink_to("d")),
    ],
    ids=["content", "mode", "name", "directory", "link"],
)
def test_a_tree_s_digest_sees_every_change(tmp_path, change):
    root = tmp_path / "tree"
    (root / "d").mkdir(parents=True)
    (root / "a").write_text("x")
    (root / "link").symlink_to("a")
    before = files.tree_digest(str(root))
    assert files.tree_digest(str(root)) == before
    change(root)
    assert files.tree_digest(str(root)) != before
    assert files.tree_digest(str(tmp_path / "missing")) == ""
