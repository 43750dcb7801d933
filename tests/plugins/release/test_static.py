"""Public files are dated by their content and compressed where that is worth it."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.release import places, static, writing
from ansible.module_utils.flask_deploy.switch import steps

from tests.deploys import deploy, options, prepare

TEXT = b"body { color: red; }\n" * 100


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "static"
    (folder / "css").mkdir(parents=True)
    (folder / "css" / "page.css").write_bytes(TEXT)
    (folder / "small.css").write_bytes(TEXT[:200])
    (folder / "photo.jpg").write_bytes(TEXT)
    (folder / "noise.js").write_bytes(os.urandom(2000))
    (folder / "link.css").symlink_to("css/page.css")
    return folder


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".gz", ".br")}


def unpacked(path):
    return subprocess.run(["brotli", "--decompress", "--stdout", path], capture_output=True, check=True).stdout


def test_what_gets_smaller_is_compressed_and_nothing_else(root):
    static.finish(root)
    assert names(root) == {"css/page.css.gz", "css/page.css.br"}
    assert gzip.decompress((root / "css/page.css.gz").read_bytes()) == TEXT
    assert unpacked(root / "css/page.css.br") == TEXT


def test_compressed_files_look_like_theirs(root):
    static.finish(root)
    plain, packed = ((root / name).stat() for name in ("css/page.css", "css/page.css.gz"))
    assert (plain.st_mtime, plain.st_mode) == (packed.st_mtime, packed.st_mode)


def test_dates_and_bytes_come_from_the_content_alone(root, tmp_path):
    other = shutil.copytree(root, tmp_path / "other", symlinks=True)
    os.utime(other / "css/page.css", (1, 1))
    for folder in (root, other):
        static.finish(folder)
    for name in ("css/page.css", "css/page.css.gz"):
        assert (root / name).stat().st_mtime == (other / name).stat().st_mtime
        assert (root / name).read_bytes() == (other / name).read_bytes()


def test_a_change_of_the_same_size_changes_the_date(root):
    static.finish(root)
    before = (root / "css/page.css").stat().st_mtime
    (root / "css/page.css").write_bytes(TEXT.replace(b"red", b"tan"))
    static.finish(root)
    assert (root / "css/page.css").stat().st_mtime != before


def test_a_date_is_of_the_years_that_it_may_be_of(root):
    begin, span = static.DATES
    for number in range(9):
        (root / f"{number}.jpg").write_text(str(number))
    static.finish(root)
    assert all(begin <= path.lstat().st_mtime < begin + span for path in root.glob("*.jpg"))


def test_the_build_s_own_compressed_files_stay(root):
    (root / "css/page.css.gz").write_bytes(b"mine")
    static.finish(root)
    assert (root / "css/page.css.gz").read_bytes() == b"mine"


def test_what_serves_already_is_not_compressed_again(root, tmp_path):
    serving = shutil.copytree(root, tmp_path / "serving", symlinks=True)
    static.finish(serving)
    (serving / "css/page.css.br").write_bytes(b"kept")
    static.finish(root, serving)
    assert (root / "css/page.css.br").read_bytes() == b"kept"
    for name in ("css/page.css.br", "css/page.css.gz"):
        (root / name).unlink()
    (root / "css/page.css").write_bytes(TEXT + b" ")
    static.finish(root, serving)
    assert unpacked(root / "css/page.css.br") == TEXT + b" "


def test_large_files_take_less_trouble(root, monkeypatch):
    words = " ".join(str(number**3) for number in range(5000)).encode()
    (root / "words.txt").write_bytes(words)
    static.finish(root)
    best = (root / "words.txt.br").stat().st_size
    (root / "words.txt.br").unlink()
    monkeypatch.setattr(static, "SLOW", 1000)
    static.finish(root)
    assert unpacked(root / "words.txt.br") == words
    assert (root / "words.txt.br").stat().st_size > best


def test_without_brotli_there_is_gzip(root, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    static.finish(root)
    assert names(root) == {"css/page.css.gz"}


def test_equal_files_are_compressed_to_equal_bytes():
    """Without the time that gzip writes into its head (RFC 1952 section 2.3.1): the ETag comes from the content."""
    assert static._gzip(b"hello" * 100)[4:8] == bytes(4)


def test_a_file_is_not_compressed_without_brotli_s_word(tmp_path, monkeypatch):
    (tmp_path / "brotli").write_text("#!/bin/sh\necho half of it; exit 1\n")
    (tmp_path / "brotli").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(static.StaticError, match="half of it"):
        static._brotli(b"hello")


def test_more_than_is_taken_into_memory_is_not_taken_from_brotli(monkeypatch):
    monkeypatch.setattr(static, "MOST", 10)
    with pytest.raises(static.StaticError, match="printed more than"):
        static._brotli(os.urandom(1000))


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
    with pytest.raises(places.ReleaseError, match="site_static: static is a link in the image"):
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
    with pytest.raises(places.ReleaseError, match="site_static: static is a file in the image"):
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


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Let a disk have so many bytes beside the reserve; it fills as files are written."""

    def has(room):
        def statvfs(_path):
            used = sum(path.lstat().st_size for path in tmp_path.rglob("*") if path.is_file())
            return SimpleNamespace(f_bavail=static.RESERVE + room - used, f_frsize=1)

        monkeypatch.setattr(static.os, "statvfs", statvfs)

    return has


def test_hard_links_are_counted_as_the_copies_that_they_become(tmp_path, disk):
    """They cost an image nothing."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as entries:
        directory = tarfile.TarInfo("static")
        directory.type = tarfile.DIRTYPE
        entries.addfile(directory)
        first = tarfile.TarInfo("static/first.bin")
        first.size = 1 << 20
        entries.addfile(first, io.BytesIO(bytes(first.size)))
        for number in range(20):
            other = tarfile.TarInfo(f"static/{number}.bin")
            other.type, other.linkname = tarfile.LNKTYPE, first.name
            entries.addfile(other)
    archive.seek(0)
    disk(3 << 20)
    with pytest.raises(static.StaticError, match="static files of 1 MB and more do not fit: 0 MB are left"):
        static.unpack(archive, str(tmp_path), "static")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("serves", [False, True], ids=["compressed now", "taken from what serves"])
def test_compressed_files_leave_the_reserve_to_others_too(root, tmp_path, disk, serves):
    old = tmp_path / "old"
    shutil.copytree(root, old, symlinks=True)
    static.finish(str(old))
    disk(sum(path.lstat().st_size for path in tmp_path.rglob("*") if path.is_file()))
    with pytest.raises(static.StaticError, match="do not fit"):
        static.finish(str(root), str(old) if serves else "")
    assert names(root) == set()


def test_an_image_without_public_files_is_a_release_without(app):
    assert os.listdir(app.path(prepare(app), "static")) == []
    assert os.listdir(app.path(prepare(app, static=""), "static")) == []


def test_no_container_stays_when_files_are_taken_out(app, engine):
    release = prepare(app)
    assert os.listdir(engine.place / "containers") == [f"shop-{release}"]


@pytest.mark.parametrize("other", ["static/.env", "static/../../secret", "../../secret"])
def test_a_file_that_is_one_with_another_that_stays_behind_stops_the_release(tmp_path, other):
    (tmp_path / "secret").write_text("of the host")
    target = tmp_path / "target"
    target.mkdir()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as entries:
        for name, kind in (
            ("static", tarfile.DIRTYPE),
            ("static/.env", tarfile.REGTYPE),
            ("static/a", tarfile.LNKTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, other
            entries.addfile(entry)
    archive.seek(0)
    with pytest.raises(static.StaticError, match="a is a hard link to a file that is not public"):
        static.unpack(archive, str(target), "static")


def test_a_file_that_goes_away_meanwhile_fails_the_release_by_its_name(root, monkeypatch):
    """It would be missing where the release serves."""
    monkeypatch.setattr(static.os, "walk", lambda _root: [(str(root), [], ["gone.css"])])
    with pytest.raises(static.StaticError, match=r"^static file gone\.css went away while .*; deploy once more$"):
        static.finish(root)
