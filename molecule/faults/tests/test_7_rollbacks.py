"""What a rollback may meet: dead sockets, images that are gone, releases that do not start, requests that last."""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROLLBACK = "playbooks/rollback.yml"
DEAD_SOCKET = (
    "import os, socket, sys; os.path.exists(p := sys.argv[1]) and os.unlink(p); socket.socket(1).bind(p); "
    "os.chown(p, 10001, 10001)"
)


def previous(host):
    return host.check_output("basename $(readlink /srv/app/previous)")


def test_dead_socket_is_replaced(deploy, play, host, load, release):
    deploy({"NAME": "socket-old"})
    old = release()
    deploy({"NAME": "socket-new"})
    host.check_output(f"python3 -c '{DEAD_SOCKET}' /srv/app/releases/{old}/run/sock/gunicorn.sock")
    with load() as traffic:
        play(ROLLBACK)
    verdict = traffic.verdict()
    assert release() == old
    assert verdict.failed == 0, str(verdict)


def test_release_whose_image_is_gone_is_no_target(deploy, play, host, load, release, tmp_path):
    old = release()
    shutil.copytree(Path(__file__).parents[1] / "app", tmp_path / "app")
    (tmp_path / "app" / "other.txt").write_text("another image")
    deploy({"NAME": "image"}, "-e", f"build_source={tmp_path}/app")
    new, image = release(), host.check_output(f"docker inspect -f '{{{{.Image}}}}' app-{old}")
    for container in host.check_output(f"docker ps -aq --filter ancestor={image}").split():
        host.check_output(f"docker rm -f -v {container}")
    host.check_output(f"docker rmi -f {image}")
    with load() as traffic:
        run = play(ROLLBACK, "-e", f"app_rollback_to={old}", succeed=False)
    verdict = traffic.verdict(switches=[])
    assert run.rc != 0
    assert f"cannot roll back to {old}; possible are: none" in run.output
    assert release() == new
    assert verdict.failed == 0, str(verdict)


def test_rollback_to_a_release_that_no_longer_starts_stays(deploy, play, host, load, release, running):
    deploy({"NAME": "breaks"})
    deploy({"NAME": "works"})
    serving, broken = release(), previous(host)
    host.check_output("touch /srv/app/data/breaks-breaks")
    with load() as traffic:
        run = play(ROLLBACK, succeed=False)
    host.check_output("rm /srv/app/data/breaks-breaks")
    verdict = traffic.verdict(switches=[])
    assert run.rc != 0
    assert "what it needs is gone" in run.output
    assert release() == serving
    assert running() == [f"app-{serving}"]
    assert verdict.failed == 0, str(verdict)
    play(ROLLBACK)
    assert release() == broken, "it can serve again once it starts"


def test_request_that_outlasts_the_drain_is_cut_and_counted(deploy, host, address, load, release, running, until):
    url = ["--resolve", f"app.test:443:{address()}", "https://app.test/slow/60"]
    curl = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", *url]
    with load() as traffic, ThreadPoolExecutor() as threads:
        deploying = threads.submit(deploy, {"NAME": "drained"}, "-e", "app_drain_timeout=6")
        until(lambda: len(running()) == 2, 120)  # nginx waits no longer than 60 s either
        asking = subprocess.Popen(curl, stdout=subprocess.PIPE)
        run = deploying.result()
    verdict = traffic.verdict()
    assert asking.communicate(timeout=5)[0] in (b"000", b"502"), "it was cut with the drain, not after its 60 s"
    assert "1 requests lasted longer than the drain and were cut: raise app_drain_timeout" in run.output
    recorded = json.loads(host.check_output("cat /srv/app/current/deploy.json"))
    assert [each["cut"] for each in recorded["retired"]] == [1]
    assert recorded["release"] == release()
    assert verdict.failed == 0, str(verdict)
