"""Files change whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from contextlib import suppress

import pytest
from ansible.module_utils.flask_deploy.host import files

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


def test_a_link_moves_in_one_step(tmp_path, monkeypatch):
    """At no moment is there none: nginx looks it up for each request."""
    changes, current = [], str(tmp_path / "current")
    for name in ("rename", "replace", "symlink", "link", "unlink", "remove"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *words, real=real: (real(*words), changes.append(os.path.lexists(current)))[0]
        )
    files.link(current, "one")
    changes.clear()
    files.link(current, "two")
    assert os.readlink(current) == "two" and all(changes) and len(changes) > 1
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


@pytest.mark.parametrize("text", ["[1]", "1", "null", '"x"', "", "\xff", "[" * 200_000])
def test_what_holds_no_object_is_no_record(tmp_path, text):
    path = tmp_path / "state.json"
    path.write_text(text, encoding="latin-1")
    assert files.read_json(str(path), 5) == 5


def test_a_record_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "state.json"
    files.write_json(str(path), {"b": [1, "ü"], "a": None}) if os.getuid() == 0 else path.write_text('{"a":null}')
    assert files.read_json(str(path))["a"] is None
    if os.getuid() == 0:
        assert path.read_text().endswith("}\n") and path.read_text().index('"a"') < path.read_text().index('"b"')
        assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("part", [(0o640, *MINE), (0o644, MINE[0] + 1, MINE[1]), (0o644, MINE[0], MINE[1] + 1)])
def test_a_file_differs_by_its_mode_and_each_owner(tmp_path, part):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    path.chmod(0o644)
    assert not files.differs(str(path), b"x", 0o644, *MINE)
    assert files.differs(str(path), b"x", *part)
    assert files.differs(str(path / "below"), b"x", 0o644, *MINE)


def test_directories_above_are_open_to_all_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        assert files.ensure_directory(str(tmp_path / "a/b/c"), 0o700, *MINE)
    finally:
        os.umask(before)
    modes = [os.stat(tmp_path / name).st_mode & 0o7777 for name in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o700]


@pytest.mark.skipif(os.getuid() != 0, reason="to give a file away takes root")
@pytest.mark.parametrize("ids", [(0, 7), (7, 0), (7, 8)])
def test_owners_are_given_and_put_right(tmp_path, ids):
    folder, file = str(tmp_path / "folder"), str(tmp_path / "file")
    for before in (None, (0, 0)):
        if before:
            os.chown(folder, *before)
            os.chown(file, *before)
        assert files.ensure_directory(folder, 0o755, *ids, dry=True) and files.ensure_directory(folder, 0o755, *ids)
        assert files.ensure_file(file, b"x", 0o644, *ids, dry=True) and files.ensure_file(file, b"x", 0o644, *ids)
        for path in (folder, file):
            assert (os.stat(path).st_uid, os.stat(path).st_gid) == ids
        assert not files.ensure_directory(folder, 0o755, *ids) and not files.ensure_file(file, b"x", 0o644, *ids)


def test_a_dry_run_leaves_a_mode_as_it_is(tmp_path):
    os.mkdir(tmp_path / "a", 0o700)
    assert files.ensure_directory(str(tmp_path / "a"), 0o755, *MINE, dry=True)
    assert os.stat(tmp_path / "a").st_mode & 0o777 == 0o700


def test_what_killed_writes_left_goes_and_nothing_else(tmp_path):
    for name in (".new-x", "new-x", ".newer", "x.new-"):
        (tmp_path / name).write_text("")
    (tmp_path / ".new-folder").mkdir()
    files.sweep(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [".new-folder", ".newer", "new-x", "x.new-"]
    files.sweep(str(tmp_path / "missing"))


def test_what_a_process_that_is_alive_writes_just_now_stays(tmp_path, monkeypatch):
    """The unit of a switch writes where a deploy sweeps: without its file it could not even say that it goes back."""
    path, rename = tmp_path / "switch.json", os.rename

    def swept(source, target):
        files.sweep(str(tmp_path))
        rename(source, target)

    monkeypatch.setattr(files.os, "rename", swept)
    files.write(str(path), b"reverting", 0o644, *MINE)
    assert path.read_bytes() == b"reverting"


@pytest.mark.parametrize("left", [".new-{gone}-1-x", ".new-{here}-1-x", ".new-x7_k2-ab", ".new-"])
def test_what_a_process_left_goes_also_where_another_has_its_number(tmp_path, left):
    gone = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / left.format(gone=gone, here=os.getpid())).write_text("")
    files.sweep(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_write_whose_file_somebody_took_says_that_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(
        files.os, "fchmod", lambda *given: [os.unlink(tmp_path / name) for name in os.listdir(tmp_path)]
    )
    with pytest.raises(FileNotFoundError) as error:
        files.write(str(tmp_path / "file"), b"new", 0o644, *MINE)
    assert error.value.__context__ is None and os.listdir(tmp_path) == []


def synced(monkeypatch):
    """Return the names of what is put on disk from now on."""
    names, real = [], os.fsync
    monkeypatch.setattr(
        files.os, "fsync", lambda handle: (names.append(os.readlink(f"/proc/self/fd/{handle}")), real(handle))
    )
    return names


def test_a_tree_is_put_on_disk_whole(tmp_path, monkeypatch):
    (tmp_path / "t/d").mkdir(parents=True)
    (tmp_path / "t/d/file").write_text("x")
    (tmp_path / "t/link").symlink_to("/dev/null")
    names = synced(monkeypatch)
    files.flush(str(tmp_path / "t"))
    found = sorted(os.path.relpath(name, tmp_path) for name in names)
    assert found == ["t", "t/d", "t/d/file"]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: files.link(f"{folder}/x", "y"),
        lambda folder: files.remove(f"{folder}/old"),
        lambda folder: files.remove_tree(f"{folder}/old"),
        lambda folder: files.ensure_directory(f"{folder}/new", 0o755, *MINE),
    ],
    ids=["link", "remove", "remove_tree", "ensure_directory"],
)
def test_a_change_of_names_survives_a_power_loss(tmp_path, monkeypatch, change):
    (tmp_path / "old").write_text("")
    names = synced(monkeypatch)
    change(tmp_path)
    assert str(tmp_path) in names


def test_a_tree_that_stays_is_an_error(tmp_path):
    with pytest.raises(OSError, match="rm"):
        files.remove_tree(f"{tmp_path}/.")
    (tmp_path / "-rf").mkdir()
    files.remove_tree(f"{tmp_path}/-rf")
    files.remove_tree(f"{tmp_path}/missing")
    assert os.listdir(tmp_path) == []


def test_a_tree_s_digest_takes_any_name_and_looks_at_all_of_it(tmp_path):
    for root in ("one", "two"):
        names = [b"b\xff", b"a", b"c"] if root == "one" else [b"c", b"b\xff", b"a"]
        for name in names:
            folder = os.path.join(os.fsencode(tmp_path / root), name)
            os.makedirs(folder)
            with open(os.path.join(folder, b"file"), "wb") as file:
                file.write(name)
    one, two = (files.tree_digest(str(tmp_path / root)) for root in ("one", "two"))
    assert one == two
    (tmp_path / "two/c/file").write_bytes(b"C")
    assert files.tree_digest(str(tmp_path / "two")) != one


@pytest.mark.skipif(os.getuid() != 0, reason="to give a file away takes root")
@pytest.mark.parametrize("ids", [(0, 7), (7, 0)])
def test_a_tree_s_digest_sees_each_owner(tmp_path, ids):
    (tmp_path / "t").mkdir()
    (tmp_path / "t/file").write_text("")
    before = files.tree_digest(str(tmp_path / "t"))
    os.chown(tmp_path / "t/file", *ids)
    assert files.tree_digest(str(tmp_path / "t")) != before


def test_a_tree_s_removal_is_flushed(tmp_path, monkeypatch):
    """`rm` removes it, which the disk of test_durable.py does not see: without the flush it may come back."""
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    flushed = []
    monkeypatch.setattr(files, "sync", lambda folder: flushed.append((folder, os.path.lexists(tmp_path / "tree"))))
    files.remove_tree(str(tmp_path / "tree"))
    assert flushed == [(str(tmp_path), False)]


@pytest.fixture
def vanishing(tmp_path, monkeypatch):
    """Return a tree of which a file, a link and a directory go away once they are listed."""
    root, walk = tmp_path / "t", os.walk
    (root / "d").mkdir(parents=True)
    (root / "d/stays").write_text("x")

    def listed(top):
        for folder, folders, names in walk(top):
            yield folder, [*folders, "gone"], [*names, "gone-file", "gone-link"]
        yield os.path.join(top, "gone"), [], []

    monkeypatch.setattr(files.os, "walk", listed)
    return str(root)


def test_what_goes_away_under_a_digest_is_as_what_was_not_there(vanishing, monkeypatch):
    seen = files.tree_digest(vanishing)
    monkeypatch.undo()
    assert seen == files.tree_digest(vanishing)


def test_a_file_that_goes_away_as_it_is_read_is_not_in_the_digest(tmp_path, monkeypatch):
    (tmp_path / "t").mkdir()
    empty = files.tree_digest(str(tmp_path / "t"))
    (tmp_path / "t/going").write_text("x")
    monkeypatch.setattr(files.hashlib, "file_digest", lambda *_: (_ for _ in ()).throw(FileNotFoundError()))
    assert files.tree_digest(str(tmp_path / "t")) == empty


def test_what_goes_away_needs_no_flush(vanishing, monkeypatch):
    names = synced(monkeypatch)
    files.flush(vanishing)
    assert sorted(os.path.relpath(name, vanishing) for name in names) == [".", "d", "d/stays"]
