"""A host that was in use before: what would break is said before any change; what is taken over works on.

The tests follow each other: each begins with what the one before left.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

LEGACY = ["legacy-api", "legacy-db", "legacy-worker"]
ADOPT = ("-e", '{"host_adopt": ["nginx", "docker"]}')
PLAYS = ["playbooks/check.yml", "playbooks/docker.yml", "playbooks/nginx.yml", "site.yml"]
ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])


@pytest.fixture
def whole(snapshot, host):
    """Return all that a run could change, the containers' processes included."""
    return lambda: (snapshot(), processes(host), host.run("ls -A /var/lib/flask-deploy").stdout)


@pytest.fixture
def serves(host):
    """Return what served before, as its users see it."""

    def seen():
        address = host.check_output("docker inspect -f '{{.NetworkSettings.IPAddress}}' legacy-db")
        ask = "curl -s -m 5"
        return {
            "blog": host.run(f"{ask} -H 'Host: blog.test' http://127.0.0.1/").stdout.strip(),
            "blog's container": host.run(f"{ask} -H 'Host: blog.test' http://127.0.0.1/api/").stdout.strip(),
            "wiki": host.run(f"{ask} -H 'Host: wiki.test' http://127.0.0.1/").stdout.strip(),
            "published port": host.run(f"{ask} http://127.0.0.1:9000/").stdout.strip(),
            "one container to another": host.run(
                f"docker exec legacy-api busybox wget -q -T 4 -O - http://{address}:5432/"
            ).stdout.strip(),
        }

    return seen


GOOD = {
    "blog": "the blog that was here before",
    "blog's container": "legacy",
    "wiki": "the wiki in conf.d",
    "published port": "legacy",
    "one container to another": "legacy",
}


def processes(host):
    """Return when each container of others began; one that was restarted began anew."""
    begun = host.run(
        f"docker inspect -f '{{{{.Name}}}} {{{{.State.Running}}}} {{{{.State.StartedAt}}}}' {' '.join(LEGACY)}"
    )
    return begun.stdout


def test_it_served_before(serves):
    assert serves() == GOOD


@pytest.mark.parametrize("playbook", PLAYS)
def test_what_would_break_is_said_and_nothing_changes(play, whole, serves, playbook):
    before = whole()
    run = play(playbook, succeed=False)
    assert run.rc != 0
    said = " ".join(run.output.replace("\\n", " ").split())
    if playbook != "playbooks/nginx.yml":
        assert "/etc/docker/daemon.json is not ours and would be replaced; it sets default-address-pools" in said
        assert "containers of others are here: legacy-api, legacy-db, legacy-worker" in said
        assert 'host_adopt": ["docker"]' in said.replace("\\", "")
    else:
        assert "sites of others in /etc/nginx would no longer be served: sites-enabled/blog" in said
        assert "conf.d/wiki.conf" in said
    assert whole() == before
    assert serves() == GOOD


def test_a_site_that_cannot_stand_beside_ours_is_named_before_any_change(play, whole, host):
    default = "/etc/nginx/sites-enabled/default"
    host.check_output(f"mv {default} /root/default")
    host.check_output(f"echo 'server {{ listen 80 default_server; return 200; }}' > {default}")
    before = whole()
    run = play("playbooks/check.yml", *ADOPT, succeed=False)
    assert whole() == before
    host.check_output(f"rm {default}; mv /root/default {default}")
    assert run.rc != 0
    assert "a duplicate default server" in " ".join(run.output.split())


def test_the_check_foretells_a_take_over_and_makes_none(play, whole):
    before = whole()
    run = play("playbooks/check.yml", *ADOPT)
    assert "sites of others are served on: sites-enabled/blog, conf.d/wiki.conf" in run.output
    assert 'log-driver was "json-file" and is "local" now' in run.output.replace("\\", "")
    assert whole() == before


def test_containers_live_through_the_take_over_of_their_engine(play, host, serves):
    before = processes(host)
    play("playbooks/docker.yml", *ADOPT)
    assert processes(host) == before
    assert serves() == GOOD
    daemon = json.loads(host.check_output("cat /etc/docker/daemon.json"))
    assert daemon["insecure-registries"] == ["registry.lan:5000"]
    assert daemon["default-address-pools"] == [{"base": "10.201.0.0/16", "size": 24}]
    assert (daemon["log-driver"], daemon["live-restore"]) == ("local", True)
    assert "labels" not in daemon["log-opts"] and "icc" not in daemon
    (copy,) = host.check_output("ls /etc/docker/daemon.json.before-flask-deploy-*").split()
    assert "json-file" in host.check_output(f"cat {copy}")


def test_sites_are_served_on(play, serves):
    play("playbooks/nginx.yml", *ADOPT)
    assert serves() == GOOD


def test_the_word_is_needed_once(play, host, serves):
    assert play("playbooks/docker.yml").changed == 0
    assert play("playbooks/nginx.yml").changed == 0
    assert play("playbooks/check.yml").changed == 0
    assert len(host.check_output("ls /etc/docker/daemon.json.before-flask-deploy-*").split()) == 1


def test_an_app_is_deployed_beside_them(play, host, get, serves):
    before = processes(host)
    play("site.yml")
    assert get("https://app.test/").status == 200
    assert processes(host) == before
    assert serves() == GOOD


def test_a_broken_site_of_others_keeps_nobody_down(host, get, serves):
    host.check_output(
        "cp /etc/nginx/snippets/blog-root.conf /root/ && echo 'rot /x;' > /etc/nginx/snippets/blog-root.conf"
    )
    host.check_output("systemctl restart nginx")
    assert get("https://app.test/").status == 200
    assert serves()["wiki"] == GOOD["wiki"]
    host.check_output("cp /root/blog-root.conf /etc/nginx/snippets/ && systemctl restart nginx")
    assert serves() == GOOD


def test_containers_and_sites_come_back_after_a_reboot(container, host, get, serves, until):
    host.check_output("docker start legacy-worker")
    subprocess.run(["docker", "restart", "-t", "20", container], check=True, capture_output=True)
    until(lambda: get("https://app.test/").status == 200, 120)
    until(lambda: serves() == GOOD, 60)


# -- the engine of docker.com ----------------------------------------------------------------


def script(host, name):
    text = (ROOT / "molecule/adopted" / name).read_text()
    return host.check_output(f"cat > /root/{name} <<'SCRIPT'\n{text}SCRIPT\nbash /root/{name}")


def versions(host):
    return host.check_output("dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n' | grep ^installed")


def test_an_engine_of_docker_com_is_used_and_stays(play, host, get, serves):
    script(host, "docker-ce")
    install = "cd /root/ce && apt-get install -y -q --no-install-recommends ./containerd.io.deb ./docker-ce-cli.deb"
    host.check_output(f"DEBIAN_FRONTEND=noninteractive sh -c '{install} ./docker-ce.deb ./docker-buildx-plugin.deb'")
    host.check_output("systemctl enable --now docker")
    before = versions(host)
    assert "installed docker-ce 5:28" in before and "installed docker.io" not in before
    host.check_output("rm /var/lib/flask-deploy/host.json")  # as if the role had never been here
    host.check_output("sed -i 's/.*flask-deploy.*//' /etc/containerd/config.toml")
    play("site.yml", "-e", '{"build_fresh": true}', *ADOPT)
    assert versions(host) == before
    assert get("https://app.test/").status == 200
    assert serves()["one container to another"] == "legacy"


def test_what_apt_would_remove_is_named_and_stays(play, host):
    host.check_output("apt-get remove -y -q docker-ce docker-ce-cli docker-buildx-plugin")
    before = versions(host)
    for playbook in ("playbooks/check.yml", "playbooks/docker.yml"):
        run = play(playbook, succeed=False)
        assert "apt would remove containerd.io to install docker.io" in " ".join(run.output.split())
    assert versions(host) == before
