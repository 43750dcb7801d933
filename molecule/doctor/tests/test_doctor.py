"""The doctor finds nothing on a good host, each thing that somebody did to it, and nothing once that is undone."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
RELEASE = "/srv/app/releases/$(basename $(readlink /srv/app/current))"
CONTAINER = "app-$(basename $(readlink /srv/app/current))"
IMAGE = f"$(docker inspect --format '{{{{.Image}}}}' {CONTAINER})"
# By name: what somebody does, severity, words of the one finding; and how it is undone, where a deploy does not.
DONE = {
    "nginx.conf": ("echo '# by hand' >>/etc/nginx/nginx.conf", "soon", "/etc/nginx/nginx.conf is not as", ""),
    "daemon.json": (
        """sed -i 's/"icc": false/"icc": true/' /etc/docker/daemon.json""",
        *("soon", "/etc/docker/daemon.json is not as", ""),
    ),
    "journal": (
        "echo SystemMaxUse=9G >>/etc/systemd/journald.conf.d/flask-deploy.conf",
        *("soon", "/etc/systemd/journald.conf.d/flask-deploy.conf is not as", ""),
    ),
    "a unit's drop-in": (
        "rm /etc/systemd/system/nginx.service.d/flask-deploy.conf",
        *("soon", "/etc/systemd/system/nginx.service.d", ""),
    ),
    "firewall": ("nft delete table inet flask_deploy", "broken", "the firewall is not loaded", ""),
    "sshd": (
        "echo 'X11Forwarding yes' >>/etc/ssh/sshd_config.d/10-flask-deploy.conf",
        "soon",
        "the settings of SSH are not as",
        "",
    ),
    "updates": ("rm /etc/apt/apt.conf.d/60flask-deploy", "soon", "/etc/apt/apt.conf.d/60flask-deploy", ""),
    "sysctl's file": (
        "echo net.ipv4.tcp_syncookies=0 >>/etc/sysctl.d/60-flask-deploy.conf",
        *("soon", "/etc/sysctl.d/60-flask-deploy.conf is not as", ""),
    ),
    "a user of the system": (
        "usermod --shell /bin/sh games; echo games:secret | chpasswd",
        *("note", "games, a user of the system, can log in", "usermod --shell /usr/sbin/nologin -p '*' games"),
    ),
    "sudo": (
        "useradd eve; echo 'eve ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/eve",
        *("note", "the user eve becomes root without a password", "userdel eve; rm /etc/sudoers.d/eve"),
    ),
    "a timer": (
        "systemctl -q stop flask-deploy-certificates.timer",
        *("broken", "flask-deploy-certificates.timer is inactive", ""),
    ),
    "not at boot": ("systemctl -q disable nginx", "soon", "nginx.service is disabled", ""),
    "a package": ("dpkg --remove --force-depends logrotate", "broken", "packages are missing: logrotate", ""),
    "held": ("apt-mark hold nginx", "note", "held back from updates: nginx", "apt-mark unhold nginx"),
    "lists": (
        "touch -d '10 days ago' /var/lib/apt/lists /var/lib/apt/lists/partial; rm -f /var/lib/apt/periodic/*",
        *("soon", "Debian was not asked for updates", "apt-get -q update"),
    ),
    "site file": (f"echo '# by hand' >>{RELEASE}/site.conf", "soon", "site.conf is not as", ""),
    "environment": (f"""sed -i 's/plain/fancy/' {RELEASE}/env.json""", "soon", "env.json is not as", ""),
    "mode": ("chmod 0755 /etc/app/secrets", "soon", "/etc/app/secrets is not as", ""),
    "restart policy": (f"docker update --restart no {CONTAINER}", "broken", "does not start with the engine", ""),
    "memory limit": (
        f"docker update --memory 300m --memory-swap 300m {CONTAINER}",
        *("soon", "another limit of memory", f"docker update --memory 512m --memory-swap 512m {CONTAINER}"),
    ),
    "a container": (
        f"docker run --detach --name stranger --label flask-deploy.app= --network none {IMAGE} sleep infinity",
        *("note", "the container stranger", "docker rm -f stranger"),
    ),
    "a port": (
        "systemd-run -q --unit stranger python3 -m http.server 8080 --directory /tmp",
        *(
            "note",
            "python3 of stranger.service listens on tcp port 8080, behind the firewall",
            "systemctl stop stranger",
        ),
    ),
    "a site": (
        "echo 'server { listen 81; }' >/etc/nginx/conf.d/stranger.conf",
        *("soon", "/etc/nginx/conf.d/stranger.conf is no app's", "rm /etc/nginx/conf.d/stranger.conf"),
    ),
    "a unit that fails": (
        "systemd-run -q --unit broken --property RemainAfterExit=yes false; sleep 1",
        *("broken", "broken.service failed (exit-code)", "systemctl reset-failed broken"),
    ),
    "a job that fails": (
        "touch /srv/app/data/fail; systemctl start flask-deploy-job-app-purge; sleep 3",
        *("broken", "job purge failed", "rm /srv/app/data/fail; systemctl start flask-deploy-job-app-purge; sleep 3"),
    ),
    "root's id": (
        "echo toor:x:0:0::/root:/bin/sh >>/etc/passwd",
        "broken",
        "toor has root's id",
        "sed -i /^toor/d /etc/passwd",
    ),
    "no password": ("useradd ada; passwd -q -d ada", "broken", "the user ada has no password", "userdel ada"),
    "a reboot": (
        "touch /run/reboot-required; echo libc6 >/run/reboot-required.pkgs",
        *("soon", "waits for a reboot for libc6", "rm /run/reboot-required*"),
    ),
    "maintenance": (
        "touch /srv/app/maintenance/html",
        *("note", "visitors see the maintenance page", "rm /srv/app/maintenance/html"),
    ),
    "a full disk": (
        "mount -t tmpfs -o size=20m tmpfs /boot; fallocate -l 19m /boot/full",
        *("broken", "/boot is 95% full", "umount /boot"),
    ),
    "a certificate": (
        "cd /etc/app/tls/current/ && openssl req -x509 -newkey rsa:2048 -nodes -keyout privkey.pem -out fullchain.pem"
        " -days 300 -subj /CN=app.test -addext subjectAltName=DNS:app.test,DNS:www.app.test 2>/dev/null",
        *("broken", "nginx serves another certificate than the newest one", "systemctl reload nginx"),
    ),
    "a backup": (
        "systemctl -q disable --now flask-deploy-backup@app.timer",
        *("broken", "flask-deploy-backup@app.timer is inactive", ""),
    ),
}
# What one of them brings about beside its own finding.
BESIDE = (
    "flask-deploy-job-app-purge.service failed",  # the job's unit
    "flask-deploy-backup@app.timer is disabled",
    "flask-deploy-nginx-logs.service failed",  # without logrotate
)


@pytest.fixture(scope="module")
def doctor():
    """Run the doctor: (exit code, findings, what it said beside them)."""

    def run(*arguments):
        command = ["ansible-playbook", "playbooks/doctor.yml", "-i", os.environ["MOLECULE_INVENTORY_FILE"]]
        plain = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "lines"}
        done = subprocess.run(
            [*command, "-e", "doctor_format=json", *arguments],
            **{"cwd": ROOT, "env": plain, "capture_output": True, "text": True, "check": False, "timeout": 600},
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)["findings"], done.stderr

    return run


def said(findings):
    return "\n".join(f"{each['severity']} {each['what']}; {each['type']}" for each in findings)


def test_nothing_is_found_on_a_fresh_host_and_nothing_is_changed(doctor, snapshot):
    before = snapshot()
    code, findings, beside = doctor()
    assert (code, said(findings)) == (0, ""), beside
    assert snapshot() == before


HOST = ("flask-deploy", "127.0.0.1")  # as which, and from where, a host asks itself


def counted(log, release):
    """Return requests, errors, and the 50th and 99th percentile of milliseconds, as somebody counts them in a log."""
    entries = [json.loads(line) for line in log.splitlines()]
    entries = [each for each in entries if (each.get("agent"), each.get("remote_addr")) != HOST]
    own = [each for each in entries if each["app"] == "app" and each["release"] == release and each["upstream_status"]]
    times = sorted(round(1000 * float(each["first"])) for each in own if each["first"] != "-")
    ranks = [times[math.ceil(len(times) * share) - 1] for share in (0.5, 0.99)]
    return [str(len(own)), str(sum(each["status"] >= 500 for each in own)), *(f"{rank} ms" for rank in ranks)]


def test_a_report_shows_what_nginx_logged_and_changes_nothing(play, host, get, release, snapshot, tmp_path):
    for path in ("/", "/", "/nowhere"):
        get(f"https://app.test{path}")
    for _rotation in range(2):  # the second one compresses what the first one left
        host.check_output("logrotate --force --state /run/report /usr/local/lib/flask-deploy/rotate_logs.conf; sleep 2")
        get("https://app.test/")
    failed = {
        "at": time.time() - 60,
        "app": "app",
        "path": "/<script>",
        "status": 500,
        "seconds": 0.1,
        "first": "0.100",
    }
    line = json.dumps({**failed, "upstream_status": "500", "release": release(), "named": "answer", "websocket": ""})
    host.check_output("sleep 2; echo %s >>/var/log/nginx/access.log", line)
    assert host.check_output("ls /var/log/nginx/access.log*gz")
    before = snapshot()
    play("playbooks/report.yml", "-e", f"report_file={tmp_path}/report.html")
    assert snapshot() == before
    page = (tmp_path / "report.html").read_text()
    table = page.partition("<caption>Requests, errors and times by release</caption>")[2].partition("</table>")[0]
    cells = re.findall(r"<td[^>]*>([^<]*)", table.partition(f"<code>{release()}</code>")[2])
    assert [cells[place] for place in (0, 1, 3, 4)] == counted(
        host.check_output("zcat -f /var/log/nginx/access.log*"), release()
    )
    assert "<code>/&lt;script&gt;</code>" in page and "<script" not in page


@pytest.fixture(scope="module")
def found(doctor, host):
    """Do all that somebody could do by hand, and tell what the doctor finds."""
    for name, (done, *_rest) in DONE.items():
        ran = host.run(done)
        assert ran.rc == 0, f"{name}: {ran.stderr}"
    return doctor()


@pytest.mark.parametrize("name", DONE)
def test_what_somebody_did_is_found(found, name):
    _done, severity, words, _undone = DONE[name]
    _code, findings, beside = found
    matching = [each for each in findings if words in each["what"]]
    assert [each["severity"] for each in matching] == [severity], f"{said(findings)}\n{beside}"
    assert matching[0]["type"]


def test_nothing_else_is_found(found):
    known = [words for _done, _severity, words, _undone in DONE.values()]
    rest = [each for each in found[1] if not any(words in each["what"] for words in (*known, *BESIDE))]
    assert said(rest) == ""


def test_what_is_broken_makes_it_fail(found):
    assert found[0] == 2 and len(DONE) > 20


def test_a_person_reads_a_line_for_each(doctor, play):
    run = play("playbooks/doctor.yml", succeed=False)
    lines = [line for line in run.output.splitlines() if line.startswith(("broken ", "soon ", "note "))]
    assert len(lines) >= len(DONE) and all("; type" in line for line in lines)


def test_once_all_is_undone_nothing_is_found(host, play, doctor, found):
    for name, (*_rest, undone) in DONE.items():
        ran = host.run(undone or "true")
        assert ran.rc == 0, f"{name}: {ran.stderr}"
    play("site.yml")
    code, findings, beside = doctor()
    assert (code, said(findings)) == (0, ""), beside
