"""What runs in a pod before the app: public files for nginx, and what is kept, copied once."""

from __future__ import annotations

import gzip
import importlib.util
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = ROOT / "roles/kubernetes/files/prepare.py"


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Return the program, with /static in the test's directory, which is the image's WORKDIR too."""
    spec = importlib.util.spec_from_file_location("prepare", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PUBLIC", str(tmp_path / "public"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "public").mkdir()
    return module


@pytest.fixture
def image(tmp_path):
    """Write files of an image."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def listed(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_public_files_are_copied_and_texts_compressed(prepare, image, tmp_path):
    image(**{"static__a.css": "a" * 300, "static__b__c.png": "x" * 300, "static__d.js": "tiny"})
    prepare.main(["--static", "static"])
    assert listed(tmp_path / "public") == ["a.css", "a.css.gz", "b/c.png", "d.js"]
    assert gzip.decompress((tmp_path / "public/a.css.gz").read_bytes()) == b"a" * 300


def test_what_is_not_public_stays_behind(prepare, image, tmp_path):
    image(**{"static__.env": "SECRET", "static__.git__config": "x", "static__.well-known__a.txt": "here"})
    image(**{"outside__b.txt": "SECRET", "static__in__c.txt": "c"})
    (tmp_path / "static/link.txt").symlink_to("../outside/b.txt")
    (tmp_path / "static/folder").symlink_to("../outside")
    (tmp_path / "static/own").symlink_to("in")
    (tmp_path / "static/broken").symlink_to("nowhere")
    prepare.main(["--static", "static"])
    assert listed(tmp_path / "public") == [".well-known/a.txt", "in/c.txt"]
    assert os.readlink(tmp_path / "public/own") == "in" and (tmp_path / "public/own/c.txt").read_text() == "c"


def test_a_directory_with_a_name_that_only_begins_alike_is_outside(prepare, image, tmp_path):
    image(**{"static__a.txt": "a", "static-secret__b.txt": "SECRET"})
    (tmp_path / "static/link.txt").symlink_to("../static-secret/b.txt")
    prepare.main(["--static", "static"])
    assert listed(tmp_path / "public") == ["a.txt"]


def test_dates_come_from_the_content_as_on_a_host(prepare, image, tmp_path):
    from ansible.module_utils.flask_deploy.release import static

    image(**{"static__a.txt": "same", "static__b.txt": "same", "static__c.txt": "other", "host.txt": "same"})
    prepare.main(["--static", "static"])
    static.date(str(tmp_path / "host.txt"))
    times = {name: (tmp_path / name).stat().st_mtime for name in ("public/a.txt", "public/b.txt", "public/c.txt")}
    assert times["public/a.txt"] == times["public/b.txt"] == (tmp_path / "host.txt").stat().st_mtime
    assert times["public/c.txt"] != times["public/a.txt"]


def test_an_image_without_public_files_is_no_failure(prepare, tmp_path):
    prepare.main(["--static", "static"])
    assert listed(tmp_path / "public") == []


def test_what_is_kept_is_copied_once(prepare, image, tmp_path):
    image(instance__config__a="of the image")
    prepare.main([str(tmp_path / "instance"), str(tmp_path / "kept/writable/instance")])
    kept = tmp_path / "kept/writable/instance/config/a"
    assert kept.read_text() == "of the image"
    kept.write_text("of the app")
    prepare.main([str(tmp_path / "instance"), str(tmp_path / "kept/writable/instance")])
    assert kept.read_text() == "of the app"
    assert [path.name for path in (tmp_path / "kept/writable").iterdir()] == ["instance"]


def test_an_empty_directory_is_never_put_in_the_place_of_one_that_is_mounted(prepare, tmp_path):
    place = tmp_path / "kept/writable/uploads"
    prepare.main([str(tmp_path / "uploads"), str(place)])
    first = place.stat().st_ino
    prepare.main([str(tmp_path / "uploads"), str(place)])
    assert place.stat().st_ino == first


def test_another_pod_that_was_first_is_left_alone(prepare, image, tmp_path, monkeypatch):
    image(instance__a="of the image", kept__instance__b="of another pod")
    monkeypatch.setattr(prepare.os.path, "isdir", lambda path: "kept" not in str(path) and os.path.exists(path))
    prepare.keep(str(tmp_path / "instance"), str(tmp_path / "kept/instance"))
    assert listed(tmp_path / "kept") == ["instance/b"]


def test_it_runs_by_itself(tmp_path):
    words = [sys.executable, "-I", PROGRAM, str(tmp_path / "none"), str(tmp_path / "kept/a")]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert (tmp_path / "kept/a").is_dir()
