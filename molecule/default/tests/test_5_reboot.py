"""What dies comes back by itself: the app, and the whole host with the same release."""

from __future__ import annotations

import subprocess

URL = "https://app.test/"


def test_app_that_dies_is_started_again(host, get, release, until):
    serving = release()
    host.check_output(f"kill -9 $(docker inspect --format '{{{{.State.Pid}}}}' app-{serving})")
    assert until(lambda: get(URL).status == 200, 30)
    assert release() == serving


def test_reboot_brings_back_the_serving_release_alone(play, get, source, container, address, until):
    def sh(command: str) -> str:
        done = subprocess.run(["docker", "exec", container, "sh", "-c", command], capture_output=True, check=True)
        return done.stdout.decode().strip()

    old = sh("readlink /srv/app/current")
    (source / "static" / "newer.txt").write_text("x")
    deploy = ["playbooks/app.yml", "-e", f"build_source={source}"]
    play(*deploy)
    serving = sh("readlink /srv/app/current")
    image = sh(f"docker inspect --format '{{{{.Image}}}}' app-{serving.removeprefix('releases/')}")
    labels = "--label flask-deploy.app=app --label flask-deploy.release=abandoned"
    sh(f"docker run -d --name app-abandoned {labels} --restart no --entrypoint sleep {image} 1000")
    subprocess.run(["docker", "restart", "-t", "30", container], check=True, capture_output=True)
    answer = until(lambda: (found := get(URL)).status == 200 and found, 60)
    assert f"releases/{answer.headers['x-release']}" == serving == sh("readlink /srv/app/current") != old
    assert sh("docker ps --filter label=flask-deploy.app=app --format '{{.Names}}'") == serving.replace(
        "releases/", "app-"
    )
    deploy += ["-e", f"ansible_host={address()}"]
    play(*deploy)
    assert "app-abandoned" not in sh("docker ps -a --format '{{.Names}}'")
    assert play(*deploy).changed == 0
