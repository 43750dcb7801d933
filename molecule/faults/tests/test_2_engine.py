"""The engine dies, restarts and fills its disk: the app answers, and the next deploy goes well."""

from __future__ import annotations

import threading

import pytest

URL = "https://app.test/"


@pytest.fixture(autouse=True)
def startable(host):
    """Let systemd forget earlier starts: it allows three a minute (systemd.unit(5), StartLimitBurst=)."""
    host.check_output("systemctl reset-failed docker.service")


@pytest.mark.parametrize(
    "fault",
    [
        "systemctl restart docker",
        "kill -9 $(pgrep -x dockerd); sleep 3",
        "systemctl restart containerd",
        "DEBIAN_FRONTEND=noninteractive apt-get -qq install --reinstall --yes docker.io",
    ],
    ids=["restart", "SIGKILL", "containerd restarts", "upgrade"],
)
def test_engine_that_goes_away_costs_no_request(host, load, pid, release, running, until, fault):
    process = pid()
    with load() as traffic:
        host.check_output(fault)
        assert until(lambda: host.run("docker info").rc == 0, 60)
    verdict = traffic.verdict(switches=[])
    assert verdict.failed == 0, str(verdict)
    assert pid() == process
    assert running() == [f"app-{release()}"]


def test_app_that_logs_answers_while_nobody_reads_its_log(host, release):
    """1.5 MB: a pipe holds 64 KiB, and a writer would wait."""
    url = "https://app.test/log/1000?[1-1500]"
    host.check_output("systemctl stop docker.socket docker.service")
    told = host.run(
        f"timeout 90 curl -sk --max-time 5 --resolve app.test:443:127.0.0.1 -o /dev/null -w '%{{http_code}} ' '{url}'"
    )
    host.check_output("systemctl start docker.socket docker.service")
    assert told.stdout.split() == ["200"] * 1500
    assert "writes were lost: nobody read the log" in host.check_output(
        f"curl -sk --resolve app.test:443:127.0.0.1 -o /dev/null 'https://app.test/log/1?[1-40]';"
        f" sleep 1; docker logs --tail 200 app-{release()} 2>&1"
    )


def test_engine_stopped_during_a_deploy_fails_it_and_the_next_one_ends_well(
    host, deploy, load, release, running, until
):
    old, slow = release(), {"NAME": "stopped", "START_SECONDS": "15"}
    runs = []
    with load() as traffic:
        deploying = threading.Thread(target=lambda: runs.append(deploy(slow, succeed=False)))
        deploying.start()
        until(lambda: len(running()) == 2, 120)
        host.check_output("systemctl stop docker.socket docker.service")
        deploying.join()
    verdict = traffic.verdict(switches=[])
    host.check_output("systemctl start docker.socket docker.service")
    assert verdict.failed == 0, str(verdict)
    assert runs[0].rc != 0
    assert "docker daemon" in runs[0].output.lower()
    assert release() == old
    deploy(slow)
    assert release() != old
    assert running() == [f"app-{release()}"]
    assert deploy(slow).changed == 0


def test_log_flood_stays_within_its_limit(host, pid, release):
    """Twice docker_journal_size. Random text cannot be compressed away."""
    flood = "head -c 150000000 /dev/urandom | base64 > /proc/1/fd/1"
    host.check_output(f"docker exec app-{release()} sh -c '{flood}'")
    assert int(host.check_output("du -sm /var/log/journal | cut -f1")) <= 110
    assert host.check_output(f"docker inspect --format '{{{{.LogPath}}}}' app-{release()}") == ""


@pytest.mark.parametrize(
    ("option", "words"), [("size=100m", "MB free"), ("nr_inodes=50", "free inodes")], ids=["space", "inodes"]
)
def test_full_disk_stops_the_deploy_before_any_change(host, deploy, load, release, snapshot, option, words):
    before, old = snapshot(), release()
    with load() as traffic:
        host.check_output(f"mount -t tmpfs -o {option} none /var/lib/docker")
        run = deploy({"NAME": "no-room"}, succeed=False)
        host.check_output("umount /var/lib/docker")
    verdict = traffic.verdict(switches=[])
    assert verdict.failed == 0, str(verdict)
    assert "/var/lib/docker has" in run.output and words in run.output
    assert "nothing was changed" in run.output
    assert snapshot() == before
    assert release() == old
