"""An image that is ready in a registry serves, by its digest and by a tag; the registry is Debian's, on the host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

APPS = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/apps/app"
URL = "https://app.test/"
NAME = "127.0.0.1:5000/team/shop"
PASSWORD = "h5-Xq-and-more"
LOGIN = "deploy:$2y$05$abcdefghijklmnopqrstuu3cTLc.lVgbEBGJJZUkaRLJnchI0SiQ2"  # bcrypt of it
CONFIG = """
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: "127.0.0.1:5000"}
auth: {htpasswd: {realm: test, path: /etc/docker/registry/users}}
"""
SETTINGS = {"app_wsgi": "app:app", "site_static": "", "build_registry_user": "deploy"}


@pytest.fixture(scope="module")
def digest(host, play):
    """Put an image into a registry that asks for a password; return its digest. The host knows it by no name then."""
    built = {"build_source": str(APPS / "dockerfile"), "app_wsgi": "app:app", "site_static": ""}
    play("playbooks/app.yml", "-e", json.dumps(built))
    host.check_output("apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y docker-registry")
    for path, text in (("config.yml", CONFIG), ("users", LOGIN)):
        host.check_output(f"cat > /etc/docker/registry/{path} << 'END'\n{text}\nEND")
    host.check_output("systemctl restart docker-registry; sleep 2")
    push = (
        f"export DOCKER_CONFIG=$(mktemp -d); echo {PASSWORD} | docker login -u deploy --password-stdin 127.0.0.1:5000"
        f" && docker tag $(docker ps -q | xargs docker inspect -f '{{{{.Image}}}}') {NAME}:1 && docker push -q {NAME}:1"
        f" && docker inspect -f '{{{{index .RepoDigests 0}}}}' {NAME}:1 && docker rmi {NAME}:1; rm -r $DOCKER_CONFIG"
    )
    said = host.check_output(push)
    yield next(line for line in said.splitlines() if line.startswith(f"{NAME}@")).partition("@")[2]
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get -qq purge -y docker-registry")
    play("playbooks/app.yml")


@pytest.fixture(scope="module")
def deploy(play):
    def run(source, *arguments, password=PASSWORD, succeed=True):
        settings = {**SETTINGS, "build_source": source, "build_registry_password": password}
        return play("playbooks/app.yml", "-e", json.dumps(settings), *arguments, succeed=succeed)

    return run


def test_it_serves_by_its_digest_and_leaves_no_password(deploy, digest, get, host):
    run = deploy(f"image:{NAME}@{digest}", "-vvv")
    assert "nobody" in get(URL).body, "gunicorn is the image's, by our wrapper: its entrypoint does not run"
    said = "\n".join(line for line in run.output.splitlines() if "ansible-playbook" not in line)
    assert PASSWORD not in said
    assert host.run("ls -d /run/flask-deploy-login-* /root/.docker/config.json").stdout == ""
    assert NAME not in host.check_output("docker images --digests")
    assert deploy(f"image:{NAME}@{digest}").changed == 0


def test_a_tag_is_resolved_and_that_is_said(deploy, digest, get):
    run = deploy(f"image:{NAME}:1")
    assert f"{NAME}:1 is {NAME}@{digest} now" in run.output and run.changed == 0
    assert "nobody" in get(URL).body


def test_a_private_base_image_is_built_on(play, digest, get, host, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {NAME}@{digest}\nLABEL built=on-it\n")
    who = {"build_registry": "127.0.0.1:5000", "build_registry_password": PASSWORD}
    play("playbooks/app.yml", "-e", json.dumps({**SETTINGS, **who, "build_source": str(tmp_path)}))
    running = host.check_output("docker ps -q | xargs docker inspect -f '{{.Config.Labels.built}}'")
    assert running == "on-it" and "nobody" in get(URL).body
    assert host.run("ls -d /run/flask-deploy-login-* /root/.docker/config.json").stdout == ""


def test_a_wrong_password_changes_nothing_and_says_what_to_set(deploy, digest, get):
    run = deploy(f"image:{NAME}:1", password="another-one", succeed=False)
    assert run.rc and "cannot be pulled" in run.output and "build_registry_password" in run.output
    assert "nobody" in get(URL).body
