"""The host itself: names do not resolve, a disk is full, requests outlast the drain, the power goes."""

from __future__ import annotations

import subprocess
import threading

URL = "https://app.test/"


def test_deploy_of_a_cached_image_needs_no_names(deploy, host, load, release):
    old = release()
    host.check_output("cp /etc/resolv.conf /root/resolv.conf")
    host.check_output("truncate -s 0 /etc/resolv.conf")
    with load() as traffic:
        run = deploy({"NAME": "no-dns"}, succeed=False)
    host.check_output("sh -c 'cat /root/resolv.conf > /etc/resolv.conf; rm /root/resolv.conf'")
    verdict = traffic.verdict()
    assert run.rc == 0, run.output
    assert release() != old
    assert verdict.failed == 0, verdict


def test_request_that_outlasts_the_drain_is_cut_and_told(deploy, get, host, release):
    deploy({"NAME": "long-request"})
    answers = []
    asking = threading.Thread(target=lambda: answers.append(get(f"{URL}slow/90", "--max-time", "120")))
    asking.start()
    run = deploy({"NAME": "after-the-long-request"}, "-e", "app_drain_timeout=6")
    asking.join()
    assert answers[0].status == 502
    assert "1 request" in run.output
    assert '"path":"/slow/90"' in host.check_output("sleep 1.5; grep /slow/90 /var/log/nginx/access.log | tail -1")


def test_disk_that_fills_up_while_a_release_is_written_costs_nothing(play, host, get):
    small = ["-e", "app_name=small", "-e", "app_domain=small.test", "-e", "app_aliases=[]"]
    host.check_output("mkdir -p /srv/small")
    host.check_output("mount -t tmpfs -o size=300k none /srv/small")
    play("site.yml", *small)
    files = "find /srv/small -type f ! -name filler -exec sha256sum {} + | sort; readlink /srv/small/current"
    before = host.check_output(files)
    host.run("dd if=/dev/zero of=/srv/small/filler bs=1k")
    run = play("playbooks/app.yml", *small, "-e", '{"app_env": {"NAME": "too-much"}}', succeed=False)
    assert run.rc != 0 and "No space left on device" in run.output
    assert host.check_output(files) == before
    host.check_output("rm /srv/small/filler")
    play("playbooks/app.yml", *small, "-e", '{"app_env": {"NAME": "too-much"}}')
    assert host.check_output(files) != before
    host.check_output("docker rm -f $(docker ps -aq --filter label=flask-deploy.app=small)")
    host.check_output("docker network rm small")
    host.check_output("rm /etc/nginx/conf.d/small.conf; systemctl reload nginx; umount /srv/small; rm -r /etc/small")


def test_power_cut_between_switch_and_drain_leaves_one_release(deploy, get, host, container, address, until):
    """Everything is killed at once, while the old release still has a request in flight."""

    def sh(command):
        done = subprocess.run(["docker", "exec", container, "sh", "-c", command], capture_output=True, check=True)
        return done.stdout.decode().strip()

    deploy({"NAME": "before-the-cut"})
    old = sh("readlink /srv/app/current")
    asking = threading.Thread(target=lambda: get(f"{URL}slow/60"))
    asking.start()
    deploying = threading.Thread(target=lambda: deploy({"NAME": "after-the-cut"}, succeed=False))
    deploying.start()
    until(lambda: sh("readlink /srv/app/current") != old, 120)
    subprocess.run(["docker", "kill", container], check=True, capture_output=True)
    asking.join()
    deploying.join()
    subprocess.run(["docker", "start", container], check=True, capture_output=True)
    answer = until(lambda: (found := get(URL)).status == 200 and found, 60)
    serving = sh("readlink /srv/app/current")
    assert f"releases/{answer.headers['x-release']}" == serving
    names = "docker ps --filter label=flask-deploy.app=app --format '{{.Names}}'"
    assert sh(names) == serving.replace("releases/", "app-")
    again = ["-e", f"ansible_host={address()}"]
    deploy({"NAME": "after-the-cut"}, *again)
    assert deploy({"NAME": "after-the-cut"}, *again).changed == 0
    assert sh(names) == sh("readlink /srv/app/current").replace("releases/", "app-")
