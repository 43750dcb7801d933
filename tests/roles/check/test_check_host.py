"""A host that cannot take a release is seen before anything changes on it."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.modules import check_host as preflight


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Make a directory the host's root."""

    def below(function):
        return lambda path, *more: function(f"{tmp_path}{path}", *more)

    def found(pattern):
        return [path.removeprefix(str(tmp_path)) for path in below(glob.glob)(pattern)]

    wrapped = {"glob": SimpleNamespace(glob=found)}
    wrapped["files"] = SimpleNamespace(read=below(files.read), read_json=below(files.read_json), PART=files.PART)
    paths = SimpleNamespace(**{n: below(getattr(os.path, n)) for n in ("lexists", "isdir", "exists")})
    paths.basename, paths.dirname = os.path.basename, os.path.dirname
    wrapped["os"] = SimpleNamespace(path=paths, listdir=below(os.listdir), statvfs=lambda path: monkeypatch.space)
    monkeypatch.setattr(preflight.engine, "root", lambda: "/var/lib/docker")
    monkeypatch.space = SimpleNamespace(f_bavail=1 << 30, f_frsize=4096, f_files=1 << 20, f_favail=1 << 20)
    for name, value in wrapped.items():
        monkeypatch.setattr(preflight, name, value)
    return tmp_path


@pytest.fixture
def other(root):
    """Return a function that lets an app serve on the host."""

    def serve(name, domain, wsgi):
        for folder in (f"srv/{name}/current", "etc/nginx/conf.d", f"etc/{name}/tls"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / f"etc/nginx/conf.d/{name}.conf").touch()
        (root / f"srv/{name}/current/release.json").write_text(json.dumps({"domain": domain, "wsgi": wsgi}))
        (root / f"srv/{name}/current/site.conf").write_text(f"server {{ server_name {domain} www.{domain}; }}")

    return serve


def test_a_bare_host_is_fine(root):
    assert preflight.foreign_directory("shop") == preflight.other_app("shop", "shop.example.com", "shop:app") == []
    assert preflight.taken_names("shop", ["shop.example.com"]) == preflight.full_disk("shop") == []


def test_a_name_that_means_something_else_is_refused(root):
    (root / "etc/ssh").mkdir(parents=True)
    (root / "etc/ssh/sshd_config").touch()
    (line,) = preflight.foreign_directory("ssh")
    assert line.startswith("app_name: /etc/ssh belongs to something else") and "example: ssh-web" in line


def test_our_own_directory_is_not_foreign(other):
    other("shop", "shop.example.com", "shop:app")
    assert preflight.foreign_directory("shop") == []


def test_what_a_killed_write_left_does_not_stand_in_the_way(root):
    (root / "etc/shop").mkdir(parents=True)
    (root / "etc/shop/.new-abc").touch()
    assert preflight.foreign_directory("shop") == []


def test_a_directory_of_somebody_s_is_not_made_an_app_s(root):
    (root / "srv/git/repositories").mkdir(parents=True)
    (line,) = preflight.foreign_files("git")
    assert line.startswith("app_name: /srv/git belongs to something else") and "example: git-web" in line
    for name in ("source.git", "left-by-a-killed-run"):
        (root / "srv/shop" / name).mkdir(parents=True)
    (root / "srv/restored/data").mkdir(parents=True)
    assert preflight.foreign_files("shop") == preflight.foreign_files("restored") == []


def test_a_site_of_somebody_s_is_not_made_an_app_s(root):
    (root / "etc/nginx/conf.d").mkdir(parents=True)
    (root / "etc/nginx/conf.d/wiki.conf").write_text("server { server_name wiki.example.com; }")
    (line,) = preflight.foreign_files("wiki")
    assert line.startswith("app_name: /etc/nginx/conf.d/wiki.conf belongs to something else")
    (root / "etc/nginx/conf.d/shop.conf").write_text("include /srv/shop/current/site.con[f];")
    assert preflight.foreign_files("shop") == []


@pytest.mark.parametrize("path", ["conf.d/wiki.conf", "sites-enabled/shop"])
def test_a_name_that_a_site_of_somebody_s_claims_is_refused(root, path):
    place = root / "etc/nginx" / path
    place.parent.mkdir(parents=True)
    place.write_text("server {\n  server_name\n    a.example.com shop.example.com;\n}")
    lines = preflight.taken_names("shop", ["shop.example.com", "www.shop.example.com"])
    assert lines == [f"site_domain: shop.example.com belongs to /etc/nginx/{path}, which is no app's, on this host"]


@pytest.mark.parametrize(
    ("main", "record", "path", "refused"),
    [
        ("", {"nginx": {"sites": ["/etc/nginx/vhosts/a"]}}, "vhosts/a", True),
        ("", {"nginx": {"sites": []}}, "sites-enabled/old", False),
        ("root /var/lib/flask-deploy/acme;", {}, "sites-enabled/old", False),
    ],
    ids=["taken over", "never taken over", "an earlier version"],
)
def test_a_site_that_nginx_does_not_serve_claims_nothing(root, main, record, path, refused):
    for name, text in (
        ("etc/nginx/nginx.conf", main),
        (f"etc/nginx/{path}", "server { server_name shop.example.com; }"),
        ("var/lib/flask-deploy/host.json", json.dumps(record)),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert bool(preflight.taken_names("shop", ["shop.example.com"])) == refused


def test_two_apps_of_one_name_are_refused_and_a_moved_app_is_not(other):
    other("shop", "shop.example.com", "shop:app")
    (line,) = preflight.other_app("shop", "blog.example.com", "blog:app")
    assert line.startswith("app_name: shop is shop.example.com on this host already; choose another name")
    assert preflight.other_app("shop", "new.example.com", "shop:app") == []
    assert preflight.other_app("shop", "shop.example.com", "shop:other") == []


def test_two_apps_of_one_domain_are_refused(other):
    other("shop", "shop.example.com", "shop:app")
    assert preflight.taken_names("shop", ["shop.example.com"]) == []
    lines = preflight.taken_names("blog", ["blog.example.com", "www.shop.example.com"])
    assert lines == ["site_domain: www.shop.example.com belongs to the app shop on this host"]


@pytest.mark.parametrize(
    ("theirs", "ours", "shared"),
    [
        ("shop.example.com", "*.example.com", True),
        ("*.example.com", "shop.example.com", True),
        ("*.example.com", "*.shop.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
        ("*.example.com", "*.example.org", False),
    ],
)
def test_names_that_overlap_are_refused(other, theirs, ours, shared):
    other("blog", theirs, "blog:app")
    lines = [line for line in preflight.taken_names("shop", [ours]) if "www." not in line]
    said = f"site_domain: {ours} overlaps with {theirs}, which belongs to the app blog on this host"
    assert lines == ([said] if shared else [])


@pytest.mark.parametrize(
    ("space", "said"), [({"f_bavail": 1}, "MB free; 1024 MB are needed"), ({"f_favail": 5}, "5 free inodes")]
)
def test_a_full_disk_is_seen(root, monkeypatch, space, said):
    vars(monkeypatch.space).update(space)
    lines = preflight.full_disk("shop")
    assert len(lines) == 2 and all(said in line for line in lines)


def test_the_disk_that_the_engine_uses_is_the_one_looked_at(root, monkeypatch):
    monkeypatch.setattr(preflight.engine, "root", lambda: "/mnt/images")
    (root / "mnt/images").mkdir(parents=True)
    full = SimpleNamespace(f_bavail=1, f_frsize=4096, f_files=0, f_favail=0)
    monkeypatch.setattr(preflight.os, "statvfs", lambda path: full if path == "/mnt/images" else monkeypatch.space)
    assert preflight.full_disk("shop") == ["/mnt/images has 0 MB free; 1024 MB are needed"]


def test_the_disk_must_hold_the_image_twice(root, monkeypatch):
    monkeypatch.setattr(preflight, "image_bytes", lambda app: 2 << 30)
    vars(monkeypatch.space).update(f_bavail=(3 << 30) // 4096, f_frsize=4096)
    assert preflight.full_disk("shop") == ["/var/lib/docker has 3072 MB free; 4096 MB are needed"]


@pytest.mark.parametrize(
    ("available", "swap", "said"),
    [
        (100 << 10, 0, ["100 MB of memory are free; 192 MB are needed to start a release"]),
        (100 << 10, 100 << 10, []),
        (300 << 10, 0, []),
    ],
)
def test_a_full_memory_is_seen(monkeypatch, available, swap, said):
    text = f"MemTotal: 1 kB\nMemAvailable: {available} kB\nSwapFree: {swap} kB\nHugePages_Total: 0\n"
    monkeypatch.setattr(preflight.files, "read", lambda path: text.encode())
    assert preflight.full_memory() == said


ASKS_SYSTEMD = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")


@ASKS_SYSTEMD
@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("*-*-* 03:00", None),
        ("*:*:0/5", None),
        ("Mon..Fri 09:00 Europe/Berlin", None),
        ("--help", "is no time"),
        ("25:00", "is no time; try: systemd-analyze calendar '*-*-* 03:00'"),
        ("2020-01-01 03:00", "has passed, and never comes again"),
    ],
)
def test_times_that_systemd_does_not_know_or_that_never_come_are_told(at, said):
    found = preflight.senseless_times({"app_jobs: purge": at})
    assert found == ([] if said is None else [f"app_jobs: purge: at {at!r} {said}"]) or said in found[0]


@ASKS_SYSTEMD
def test_the_host_is_asked_about_the_times_of_all_jobs():
    """By systemd itself: no pattern of ours knows all that it understands."""
    mistakes = preflight.senseless_times({"a": "daily", "b": "noon", "c": "hourly", "d": "2001-01-01"})
    assert [line.split(":")[0] for line in mistakes] == ["b", "d"]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return the address of a repository that git would not read for its owner, or would."""
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "shop.git"], check=True)

    def address(owned):
        if not owned:
            monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "true")
        return f"file://{tmp_path}/shop.git"

    return address


def test_a_repository_of_another_user_is_refused_with_what_to_type(repository):
    assert preflight.unreadable_repository(repository(owned=True)) == preflight.unreadable_repository("") == []
    address = repository(owned=False)
    (line,) = preflight.unreadable_repository(address)
    path = address.removeprefix("file://")
    assert line == (
        f"build_source: {path} is not root's own, so git does not read it; "
        f"type there: sudo git config --system --add safe.directory {path}"
    )


def test_a_repository_that_lies_on_another_machine_is_refused_with_what_to_write():
    assert preflight.unreadable_repository("file:///home/ada/shop") == [
        "build_source: there is no /home/ada/shop on this host, where file:// is read; "
        "a directory of your own machine is written alone, build_source: /home/ada/shop"
    ]
