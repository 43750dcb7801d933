"""What goes wrong on a host is told once within two minutes, once more when it is good again, and nothing else is."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import pytest

SOON = 120  # seconds in which somebody is told
TIMES = "-days 1 -not_before $(date -ud '-95 days' +%Y%m%d%H%M%SZ) -not_after $(date -ud '+5 days' +%Y%m%d%H%M%SZ)"
CERTIFICATE = (
    "cd /etc/app/tls/current/ && cp -a fullchain.pem privkey.pem /root/ && openssl req -x509 -newkey rsa:2048 -nodes"
    f" -keyout privkey.pem -out fullchain.pem {TIMES.replace('-days 1 ', '')} -subj /CN=app.test"
    " -addext subjectAltName=DNS:app.test,DNS:www.app.test 2>/dev/null"
)
RELEASE = "$(basename $(readlink /srv/app/current))"
ASK = "curl -sk -o /dev/null --resolve app.test:443:127.0.0.1 https://app.test"
MANY = f"seq 900 | xargs -P 8 -I{{}} {ASK}/"
# A clock that no server sets, long after the host's start; a container has clock and start of its host.
CLOCK = (
    "echo 7200.00 7200.00 >/run/uptime; mount --bind /run/uptime /proc/uptime;"
    r" printf '#!/bin/sh\nexit 1\n' >/usr/local/bin/systemd-detect-virt;"
    r" printf '#!/bin/sh\necho NTP=yes; echo NTPSynchronized=no\n' >/usr/local/bin/timedatectl;"
    " chmod +x /usr/local/bin/systemd-detect-virt /usr/local/bin/timedatectl"
)
TIMER = "flask-deploy-job-app-mails.timer"
# A memory that is full, as the kernel would tell it.
MEMORY = (
    r"sed -E 's/^(MemAvailable|MemFree|Buffers|Cached|SReclaimable):.*/\1: 1000 kB/' /proc/meminfo >/run/meminfo;"
    " mount --bind /run/meminfo /proc/meminfo"
)
LATE = (
    "python3 -c \"import json; path = '/var/lib/flask-deploy/backup/app/status.json'; told = json.load(open(path));"
    " told.setdefault('good_drill', {})['began'] = 1; json.dump(told, open(path, 'w'))\""
)
HANGS = "--property Type=notify --property NotifyAccess=all --property WatchdogSec=1"
# Units of ours that a boot starts.
OURS = {
    "an exporter": "flask-deploy-metrics-node.service",
    "the timer of metrics": "flask-deploy-metrics.timer",
    "the timer of certificates": "flask-deploy-certificates.timer",
    "the timer of backups": "flask-deploy-backup@app.timer",
    "the keeper": "flask-deploy-keep@app.service",
}
# By name: how it goes wrong, how it is mended, and words of the line that tells it.
TOGETHER = {
    "disk": ("fallocate -l 19m /boot/full", "rm /boot/full", "/boot is nearly full"),
    "inodes": (
        "mkdir /boot/many; (cd /boot/many && seq 190 | xargs touch)",
        "rm -r /boot/many",
        "/boot has nearly no inodes",
    ),
    "job": (
        "touch /srv/app/data/fail; systemctl start flask-deploy-job-app-purge; sleep 4",
        "rm /srv/app/data/fail; systemctl start flask-deploy-job-app-purge; sleep 4",
        "job purge failed (exit-code 1)",
    ),
    "another job": (
        'echo \'{"release": "x", "began": 1}\' >/srv/app/jobs/mails.json',
        "rm /srv/app/jobs/mails.json",
        "job mails was cut off",
    ),
    "timer": (f"systemctl stop {TIMER}", f"systemctl start {TIMER}", "the timer of job mails does not run"),
    "certificate": (
        CERTIFICATE,
        "cp -a /root/fullchain.pem /root/privkey.pem /etc/app/tls/current/",
        "the certificate of app.test (",
    ),
    "backup": (
        "mv /mnt/backup /mnt/away; systemctl start flask-deploy-backup@app; true",
        "rm -rf /mnt/backup; mv /mnt/away /mnt/backup; systemctl start flask-deploy-backup@app",
        "app: the backup of",
    ),
    "a late drill": (LATE, "systemctl start flask-deploy-drill@app", "app: the drill is late"),
    "a job that takes too long": (
        "systemctl start --no-block flask-deploy-job-app-nap; sleep 10",
        "rm /srv/app/jobs/nap.json",
        "job nap failed (timeout",
    ),
    "memory": (MEMORY, "umount /proc/meminfo", "memory is short"),
    "worker": (
        f"docker stop app-{RELEASE}-worker-1",
        f"docker start app-{RELEASE}-worker-1",
        "app: 0 of 1 worker are up",
    ),
    "another worker": (
        f"docker stop app-{RELEASE}-mailer-1",
        f"docker start app-{RELEASE}-mailer-1",
        "app: 0 of 1 mailer are up",
    ),
    "slow": (f"seq 12 | xargs -P 12 -I{{}} {ASK}/slow/6", MANY, "requests in 5 minutes waited 5 s"),
    "errors": (
        f"touch /srv/app/data/database-is-down; seq 30 | xargs -I{{}} {ASK}/",
        f"rm /srv/app/data/database-is-down; {MANY}",
        "requests in 5 minutes failed",
    ),
    "a unit": (
        "systemd-run -q --unit broken --property RemainAfterExit=yes false; sleep 1",
        "systemctl reset-failed broken",
        "broken.service failed (exit-code)",
    ),
    "a second unit": (
        "sleep 40; systemd-run -q --unit worse --property RemainAfterExit=yes false; sleep 1",
        "systemctl reset-failed worse",
        "worse.service failed (exit-code)",
    ),
    "a killed unit": (
        "systemd-run -q --unit killed sleep 600; systemctl kill -s KILL killed; sleep 1",
        "systemctl reset-failed killed",
        "killed.service failed (signal)",
    ),
    "a unit that takes too long": (
        "systemd-run -q --unit tardy --property RuntimeMaxSec=1 sleep 600; sleep 3",
        "systemctl reset-failed tardy",
        "tardy.service failed (timeout)",
    ),
    "a unit that hangs": (
        f"systemd-run -q --unit hung {HANGS} sh -c 'systemd-notify --ready; sleep 600'; sleep 3",
        "systemctl reset-failed hung",
        "hung.service failed (watchdog)",
    ),
    "a loop": (
        "systemd-run -q --unit loop --property Restart=always --property RestartSec=600 false; sleep 1",
        "systemctl stop loop",
        "loop.service is started again and again",
    ),
    "clock": (
        CLOCK,
        "umount /proc/uptime; rm /usr/local/bin/systemd-detect-virt /usr/local/bin/timedatectl",
        "the clock is not set",
    ),
    **{
        name: (f"systemctl stop {unit}", f"systemctl start {unit}", f"{unit} does not run")
        for name, unit in OURS.items()
    },
}
# What takes others with it, one after the other.
ALONE = {
    "a stopped app": (
        f"docker stop app-{RELEASE}",
        f"docker start app-{RELEASE}",
        ["app: /health answers 502"],
    ),
    "a hung app": (
        f"docker pause app-{RELEASE}",
        f"docker unpause app-{RELEASE}",
        ["app: /health answers"],
    ),
    "nginx": (
        "systemctl stop nginx",
        "systemctl start nginx",
        ["nginx does not run", "app: /health answers"],
    ),
    "services": (
        "systemctl stop postgresql@17-main valkey-server@app-queue",
        "systemctl start postgresql@17-main valkey-server@app-queue",
        ["PostgreSQL does not answer", "Valkey does not answer"],
    ),
    "the engine": (
        "systemctl stop docker.socket docker.service",
        "systemctl start docker.socket docker.service",
        ["the Docker engine does not run"],
    ),
}


@dataclass
class Told:
    """A line that somebody was told, and when."""

    at: float
    text: str

    @property
    def good(self):
        return "good again" in self.text


@pytest.fixture(scope="module")
def told(host):
    """Return what was told since the last time that it was forgotten."""

    def read():
        lines = [line.partition(" ") for line in host.run("cat /tmp/told").stdout.splitlines()]
        return [Told(float(at), text) for at, _, text in lines]

    read.forget = lambda: host.run("rm -f /tmp/told")
    read.words = lambda words, good: [one for one in read() if words in one.text and one.good == good]
    return read


def do(host, command):
    ran = host.run(f"sh -c '{command.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}'")
    assert ran.rc == 0, ran.stderr


def now(host):
    return float(host.check_output("date +%s.%N"))


def test_a_host_that_is_well_tells_nothing_and_says_that_it_is_alive(host, told, until):
    until(lambda: host.file("/tmp/alive").exists, 150)
    assert [one.text for one in told()] == []


def test_a_second_run_changes_nothing(play):
    assert play("playbooks/monitor.yml").changed_tasks == []


@pytest.fixture(scope="module")
def wrong(host, told, until):
    """Let all go wrong that can at the same time, wait until it is told, and start monit anew meanwhile."""
    told.forget()
    began = {}
    for name, (command, *_rest) in TOGETHER.items():
        do(host, command)
        began[name] = now(host)
    words = [words for *_rest, words in TOGETHER.values()]
    end = time.monotonic() + SOON + 30
    while time.monotonic() < end and not all(told.words(each, good=False) for each in words):
        time.sleep(5)
    host.check_output("systemctl restart flask-deploy-monitor")
    time.sleep(100)
    return began


@pytest.mark.parametrize("name", TOGETHER)
def test_what_goes_wrong_is_told_once_and_soon(wrong, told, name):
    words = TOGETHER[name][-1]
    found = told.words(words, good=False)
    assert len(found) == 1, [one.text for one in told()]
    assert found[0].at - wrong[name] < SOON
    assert "; type " in found[0].text or name in ("slow", "timer", "backup", "a late drill")


def test_nothing_else_is_told(wrong, told):
    words = [words for *_rest, words in TOGETHER.values()]
    assert [one.text for one in told() if not any(each in one.text for each in words)] == []


def test_thirty_faults_are_tried():
    assert len(TOGETHER) + sum(len(words) for *_rest, words in ALONE.values()) >= 30


def test_a_prometheus_reads_the_same(host, wrong, release):
    """Node exporter is one of those that do not run; what it would give is in its files."""
    host.check_output("/usr/local/lib/flask-deploy/metrics write")
    lines = host.check_output("grep -hv ^# /var/lib/flask-deploy/metrics/textfile/*.prom").splitlines()
    found = {line.rpartition(" ")[0].removeprefix("flask_deploy_"): float(line.rpartition(" ")[2]) for line in lines}
    jobs = [found[f'job_success{{app="app",job_name="{job}"}}'] for job in ("purge", "mails", "nap")]
    assert jobs == [0, 0, 0] and found['job_timer_up{app="app",job_name="mails"}'] == 0
    assert [found[f'processes_up{{app="app",process="{name}"}}'] for name in ("worker", "mailer")] == [0, 0]
    end = found['certificate_not_after_timestamp_seconds{app="app",domain="app.test"}']
    assert 4 < (end - time.time()) / 86400 <= 5 and found['certificate_problems{app="app",domain="app.test"}'] >= 1
    assert found['backup_problems{app="app"}'] >= 2 and found['backup_success{app="app",kind="backup"}'] == 0
    assert found['unit_problem{unit="broken.service",state="failed"}'] == found["clock_in_step"] + 1 == 1
    assert found[f'requests_total{{app="app",release="{release()}",status="500"}}'] >= 30


@pytest.fixture(scope="module")
def mended(host, told, wrong):
    told.forget()
    for _command, mend, _words in TOGETHER.values():
        do(host, mend)
    words = [words for *_rest, words in TOGETHER.values()]
    end = time.monotonic() + 420
    while time.monotonic() < end and not all(told.words(each, good=True) for each in words):
        time.sleep(5)
    time.sleep(90)


@pytest.mark.parametrize("name", TOGETHER)
def test_what_is_good_again_is_told_once(mended, told, name):
    assert len(told.words(TOGETHER[name][-1], good=True)) == 1, [one.text for one in told()]


def test_nothing_is_told_again(mended, told):
    assert len(told()) == len(TOGETHER), [one.text for one in told()]


@pytest.mark.parametrize("name", ALONE)
def test_what_takes_others_with_it_is_told_once_and_its_end_too(host, told, until, name, mended):
    command, mend, words = ALONE[name]
    told.forget()
    do(host, command)
    until(lambda: all(told.words(each, good=False) for each in words), SOON)
    do(host, mend)
    until(lambda: all(told.words(each, good=True) for each in words), 300)
    time.sleep(40)
    assert len(told()) == 2 * len(words), [one.text for one in told()]


def test_a_deploy_and_a_return_by_itself_are_told(host, play, told, until, release, metrics, mended):
    told.forget()
    before = metrics()['flask_deploy_switches_total{app="app"}']
    play("playbooks/app.yml", "-e", '{"app_env": {"NEEDS": "database", "NAME": "two"}}')
    second = release()
    until(lambda: told.words(f"release {second} of", good=False), SOON)
    do(host, f"systemd-run -q --unit traffic sh -c 'while :; do {ASK}/; sleep 0.02; done'")
    play("playbooks/app.yml", "-e", '{"app_env": {"FAILING_PERCENT": "100"}}', succeed=False)
    assert release() == second
    found = metrics()
    assert found[f'flask_deploy_release_info{{app="app",release="{second}"}}'] == 1
    assert found['flask_deploy_switches_total{app="app"}'] == before + 3, "forth, forth and back"
    assert time.time() - found['flask_deploy_deploy_failed_timestamp_seconds{app="app"}'] < 300
    until(lambda: told.words("was taken back: ", good=False), SOON)
    errors = "requests in 5 minutes failed"
    until(lambda: len(told.words(errors, good=False)) == len(told.words(errors, good=True)), 420)
    host.check_output("systemctl stop traffic")
    assert len([one for one in told() if errors not in one.text]) == 2, [one.text for one in told()]


def test_hours_without_a_fault_are_quiet(host, told, until, mended):
    """monit's cycle is a second here: two minutes are an hour. A whole day is in tests/roles/monitor/."""
    told.forget()
    host.check_output("sed -i 's/^set daemon 30/set daemon 1/' /etc/flask-deploy/monitor/monitrc")
    host.check_output("systemctl restart flask-deploy-monitor")
    time.sleep(240)
    assert [one.text for one in told()] == []
    assert re.search("OK", host.check_output("monit -c /etc/flask-deploy/monitor/monitrc -B summary"))


def test_no_address_is_in_the_journal_or_in_a_file_that_others_read(host):
    assert host.run("journalctl -u flask-deploy-monitor | grep -F 9099/").stdout == ""
    paths = sorted(host.run("grep -rl 9099/ /etc /var/lib/flask-deploy").stdout.split())
    assert paths == ["/etc/flask-deploy/monitor/app.json", "/var/lib/flask-deploy/monitor/record.json"]
    assert [host.file(path).mode for path in paths] == [0o400, 0o600]


def test_an_app_that_is_removed_is_not_watched(host, play, told):
    play("playbooks/monitor.yml")  # with its own cycle again
    told.forget()
    play("playbooks/remove.yml", "-e", "remove_app=app")
    time.sleep(100)
    assert [one.text for one in told()] == []
    assert "app." not in host.check_output("monit -c /etc/flask-deploy/monitor/monitrc -B summary")
