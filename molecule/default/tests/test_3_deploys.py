"""New releases: from an edited directory, from a git repository; and what must not become one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

URL = "https://app.test"


@pytest.fixture(autouse=True, scope="module")
def back_to_the_bundled_app(play):
    yield
    play("playbooks/app.yml")


def test_edited_template_is_served_and_the_old_release_is_kept(play, get, release, source, host):
    old = release()
    template = source / "flask_app" / "templates" / "index.html"
    template.write_text(template.read_text().replace("</title>", " - edited</title>"))
    play("playbooks/app.yml", "-e", f"build_source={source}")
    assert "- edited</title>" in get(f"{URL}/", "-H", "Accept: text/html").body
    assert release() != old
    assert host.file(f"/srv/app/releases/{old}/release.json").exists
    assert host.file(f"/srv/app/releases/{old}/draining").exists
    assert not host.file(f"/srv/app/releases/{release()}/draining").exists
    assert host.check_output("docker ps --format '{{.Names}}'") == f"app-{release()}"


def test_edit_of_the_same_size_is_seen(play, get, source):
    """BuildKit takes a file of the same size and time for the same file."""
    for word in ("ONE", "TWO"):
        (source / "static" / "word.txt").write_text(word)
        os.utime(source / "static" / "word.txt", (0, 0))
        play("playbooks/app.yml", "-e", f"build_source={source}")
        assert get(f"{URL}/word.txt").body == word


def test_git_branch_tag_and_commit_are_sources(play, get, release, source, container, tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        return subprocess.run(
            ["git", "-C", source, *who, *arguments], check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "one")
    git("tag", "-am", "one", "v1")
    (source / "static" / "version.txt").write_text("two")
    git("add", ".")
    git("commit", "-qm", "two")
    git("bundle", "create", str(tmp_path / "app.bundle"), "--all")
    keep = "rm -rf shop.git && cat >app.bundle && git clone -q --mirror app.bundle shop.git && chown -R root shop.git"
    with (tmp_path / "app.bundle").open("rb") as bundle:
        command = ["docker", "exec", "-i", "-w", "/var/lib", container, "sh", "-c", keep]
        subprocess.run(command, stdin=bundle, check=True, capture_output=True)
    repository = ["-e", "build_source=file:///var/lib/shop.git", "-e"]
    play("playbooks/app.yml", *repository, "build_ref=main")
    assert get(f"{URL}/version.txt").body == "two"
    branch = release()
    assert play("playbooks/app.yml", *repository, "build_ref=" + git("rev-parse", "main").strip()).changed == 0
    play("playbooks/app.yml", *repository, "build_ref=v1")
    assert get(f"{URL}/version.txt").status == 404
    assert release() != branch
    failed = play("playbooks/app.yml", *repository, "build_ref=no-such-branch", succeed=False)
    assert "build_ref: file:///var/lib/shop.git has no branch, tag or commit 'no-such-branch'" in failed.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-e", "app_wsgi=flask_app:nothing_here"], "nothing_here"),
        (["-e", "app_health_path=/not-there", "-e", "app_start_timeout=5"], "did not answer below 400"),
        (
            ["-e", "build_base_image=flask-deploy/no-such-image:1", "-e", "build_base_image_archive="],
            "the image was not built",
        ),
    ],
    ids=["no such callable", "health path 404", "no base image"],
)
def test_bad_release_leaves_the_old_one_serving(play, get, release, host, arguments, words):
    old = release()
    run = play("playbooks/app.yml", *arguments, succeed=False)
    assert run.rc != 0
    assert words in run.output
    assert release() == old
    assert get(f"{URL}/").headers["x-release"] == old
    assert host.check_output("docker ps -a --filter status=running --format '{{.Names}}'") == f"app-{old}"


def test_static_link_that_leaves_the_tree_stops_the_release(play, release, source):
    old = release()
    (source / "static" / "leak").symlink_to("../flask_app/config.py")
    run = play("playbooks/app.yml", "-e", f"build_source={source}", succeed=False)
    assert "static file leak is a link that leaves its directory" in run.output
    assert release() == old


def test_link_that_leaves_the_source_is_not_sent(play, release, source):
    old = release()
    (source / "static" / "leak").symlink_to("/etc/passwd")
    run = play("playbooks/app.yml", "-e", f"build_source={source}", succeed=False)
    assert "static/leak is a link that leaves the source" in run.output
    assert release() == old


@pytest.fixture
def tiny(tmp_path) -> Path:
    """A repository with one module and no Dockerfile."""
    folder = tmp_path / "tiny"
    (folder / "static" / ".well-known").mkdir(parents=True)
    (folder / "static" / ".well-known" / "security.txt").write_text("shown")
    (folder / "static" / ".hidden").write_text("hidden")
    (folder / "requirements.txt").write_text("flask\n")
    (folder / "tiny.py").write_text(
        "from flask import Flask, request\n"
        "app = Flask(__name__)\n"
        "@app.get('/')\n"
        "def index():\n"
        "    return [request.remote_addr, request.url, *map(str, request.headers.items())]\n"
    )
    return folder


def test_repository_without_dockerfile_is_built_by_the_role(play, get, tiny):
    play("playbooks/app.yml", "-e", f"build_source={tiny}", "-e", "app_wsgi=tiny:app", "-e", "app_health_path=/")
    told = ["X-Forwarded-For: 203.0.113.9", "X_Forwarded_For: 203.0.113.9", "X-Real-IP: 203.0.113.9"]
    told += ["X-Forwarded-Proto: http", "X-Forwarded-Host: bad.test", "X-Forwarded-Prefix: /bad", "Forwarded: for=bad"]
    answer = get(f"{URL}/", *(part for header in told for part in ("-H", header)))
    assert f'"{URL}/"' in answer.body
    assert "203.0.113.9" not in answer.body and "bad" not in answer.body
    assert get(f"{URL}/.hidden").status == 404
    assert get(f"{URL}/.well-known/security.txt").body == "shown"


@pytest.fixture(scope="module")
def open_site(play):
    """A site with one origin that may call it, behind a proxy that is where these tests run."""
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
    settings = json.dumps({"site_cors_origins": ["https://good.test"], "site_trusted_proxies": private})
    play("playbooks/app.yml", "-e", settings)


@pytest.mark.usefixtures("open_site")
def test_a_trusted_proxy_names_the_client_and_a_client_cannot(get, host):
    get(f"{URL}/", "-A", "proxy-probe", "-H", "X-Forwarded-For: 198.51.100.1, 203.0.113.9")
    line = json.loads(host.check_output("sleep 1.5; grep proxy-probe /var/log/nginx/access.log | tail -1"))
    assert line["remote_addr"] == "203.0.113.9", "the one that the proxy added, not what the client wrote before it"


@pytest.mark.usefixtures("open_site")
def test_cors_is_answered_for_listed_origins_alone(get):
    for path, status in (("/", 200), ("/no-such-page", 404)):
        answer = get(f"{URL}{path}", "-H", "Origin: https://good.test")
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, "https://good.test")
    preflight = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST"]
    assert get(f"{URL}/", "-H", "Origin: https://good.test", *preflight).status == 204
    assert "access-control-allow-origin" not in get(f"{URL}/", "-H", "Origin: https://bad.test").headers
