"""Public files are dated by their content and compressed where that is worth it."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess

import pytest
from ansible.module_utils.flask_deploy.release import static

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
