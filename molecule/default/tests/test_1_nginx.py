"""nginx as hardening guides want it: CIS NGINX v2.1 level 1 and dev-sec's nginx-baseline, where they apply."""

from __future__ import annotations

import json
import re
import socket
import ssl

import h2.connection
import h2.events
import pytest

DOMAIN = "app.test"
URL = f"https://{DOMAIN}"


@pytest.fixture(scope="module")
def configuration(host):
    """Return all of nginx's configuration, as it reads it."""
    return host.check_output("nginx -T 2>/dev/null")


def test_account_is_its_own_and_locked(host):
    assert host.check_output("passwd -S www-data").split()[1] == "L"
    assert host.user("www-data").shell.endswith("nologin")
    assert host.user("www-data").uid != 0


def test_one_master_is_root_and_its_workers_are_not(host):
    owners = host.check_output("ps -C nginx -o user=,args=").splitlines()
    assert sum("master process" in line for line in owners) == 1
    assert {line.split()[0] for line in owners if "worker process" in line} == {"www-data"}


def test_configuration_is_root_s_alone_to_write(host):
    assert host.check_output("find /etc/nginx /usr/local/sbin ! -user root -o ! -type l -perm /022") == ""
    pid = host.file("/run/nginx.pid")
    assert (pid.user, pid.mode & 0o022) == ("root", 0)


def test_keys_are_root_s_alone_to_read(host):
    keys = "find -L /etc/app/tls -name 'privkey*.pem'"
    assert host.check_output(keys)
    assert host.check_output(f"{keys} \\( ! -user root -o -perm /077 \\)") == ""


@pytest.mark.parametrize(
    "directive", ["keepalive_timeout", "send_timeout", "client_header_timeout", "client_body_timeout"]
)
def test_nobody_is_waited_for_longer_than_10_seconds(configuration, directive):
    found = re.findall(rf"^\s*{directive} (\d+)s;", configuration, re.MULTILINE)
    client = [
        seconds for seconds in found if not (directive == "keepalive_timeout" and seconds == "4")
    ]  # the upstream's
    assert client and all(int(seconds) <= 10 for seconds in client)


def test_nothing_is_listed_and_no_version_is_told(configuration, get):
    assert "autoindex on" not in configuration and "server_tokens off;" in configuration
    assert "stub_status" not in configuration
    assert get(f"{URL}/").headers["server"] == "nginx"


@pytest.mark.parametrize("path", ["/", "/page.css", "/no-such-page"])
def test_every_answer_bears_the_security_headers(get, path):
    headers = get(f"{URL}{path}").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert "geolocation=()" in headers["permissions-policy"]
    assert "frame-ancestors" in headers["content-security-policy"]


def test_the_app_s_own_policy_is_sent_alone(get):
    answer = get(f"{URL}/", "-H", "Accept: text/html", "-o", "/dev/null", "-D", "-")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")


def test_logs_are_rotated_and_nothing_is_lost(host, get):
    get(f"{URL}/", "-A", "before-the-turn")
    host.check_output("sleep 1.5; logrotate --force /etc/logrotate.d/nginx; sleep 0.5")
    get(f"{URL}/", "-A", "after-the-turn")
    turned, current = (
        host.check_output(f"sleep 1.5; cat /var/log/nginx/{name}") for name in ("access.log.1", "access.log")
    )
    assert "before-the-turn" in turned and "after-the-turn" in current
    assert all(json.loads(line)["status"] for line in current.splitlines())
    assert host.file("/var/log/nginx/access.log").mode & 0o007 == 0
    assert host.check_output("systemctl is-enabled logrotate.timer") == "enabled"
    assert re.search(r"^\s*rotate 14$", host.file("/etc/logrotate.d/nginx").content_string, re.MULTILINE)


def test_logs_are_rotated_when_they_are_large_and_their_room_is_bounded(host, get):
    turn = "systemctl start flask-deploy-nginx-logs.service"
    get(f"{URL}/", "-A", "before-a-large-one")
    host.check_output(f"sleep 1.5; {turn}")
    assert "before-a-large-one" in host.check_output("cat /var/log/nginx/access.log"), "a small one stays"
    for _ in range(17):
        host.check_output(f"truncate -s +65M /var/log/nginx/error.log; {turn}")
    assert len(host.check_output("ls /var/log/nginx/error.log*").split()) == 15
    assert host.check_output("find /var/log/nginx -size +65M") == "", "and none is larger than one turn"
    host.check_output(f"truncate -s +65M /var/log/nginx/access.log; {turn}; sleep 0.5")
    get(f"{URL}/", "-A", "after-a-large-one")
    assert "after-a-large-one" in host.check_output("sleep 1.5; cat /var/log/nginx/access.log")
    assert "before-a-large-one" in host.check_output("tr -d '\\0' < /var/log/nginx/access.log.1")
    host.check_output("rm /var/log/nginx/error.log.*")
    assert host.file("/var/log/nginx/access.log").mode & 0o777 == 0o640
    timer = host.service("flask-deploy-nginx-logs.timer")
    assert timer.is_enabled and timer.is_running


def test_little_traffic_cannot_log_much(host, address):
    """A long field that is sent once and repeated by its number (HPACK, RFC 7541), of what JSON makes twice as long."""
    size = "sleep 1.5; cat /var/log/nginx/access.log /var/log/nginx/error.log | wc -c"
    before = int(host.check_output(size))
    sent = flood(address(), 800, ("user-agent", '"' * 3900))
    logged = int(host.check_output(size)) - before
    assert sent < 64 << 10
    assert 0 < logged < 800 * 1500, f"{sent} bytes logged {logged}"


def flood(address, count, *headers):
    """Ask that often for a page over one connection with these headers; return the bytes that were sent."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    asked = [(":method", "HEAD"), (":scheme", "https"), (":authority", DOMAIN), (":path", "/page.css"), *headers]
    with (
        socket.create_connection((address, 443), 30) as plain,
        context.wrap_socket(plain, server_hostname=DOMAIN) as door,
    ):
        connection, sent = h2.connection.H2Connection(), 0
        connection.initiate_connection()
        for _ in range(count):
            connection.send_headers(connection.get_next_available_stream_id(), asked, end_stream=True)
            ended = False
            while not ended:
                data = connection.data_to_send()
                door.sendall(data)
                sent += len(data)
                events = connection.receive_data(door.recv(65536))
                ended = any(isinstance(event, h2.events.StreamEnded) for event in events)
    return sent


def test_maintenance_shows_a_message_and_goes_without_a_reload(play, get, host):
    workers = "pgrep -x nginx | sort"
    before = host.check_output(workers)
    message = '{"site_maintenance": true, "site_maintenance_message": "Back at <18:00> \\"UTC\\""}'
    try:
        play("playbooks/maintenance.yml", "-e", message)
        page = get(f"{URL}/page.css", "-H", "Accept: text/html")
        assert (page.status, page.headers["retry-after"]) == (503, "120")
        assert 'Back at &lt;18:00> "UTC"' in page.body and page.headers["x-request-id"] in page.body
        problem = get(f"{URL}/auth", "-d", "x")
        assert json.loads(problem.body)["detail"] == 'Back at <18:00> "UTC"'
        assert get(f"{URL}/readyz").status == 200
        assert get(f"{URL}/.maintenance/html").status == 404
    finally:
        play("playbooks/maintenance.yml", "-e", "site_maintenance=off")
    assert get(f"{URL}/").status == 200
    assert host.check_output(workers) == before


@pytest.mark.parametrize(("accept", "start"), [("text/html", "<!doctype html>"), ("*/*", '{"type":')])
def test_a_dead_app_has_a_page(get, host, release, accept, start):
    socket = f"/srv/app/releases/{release()}/run/gunicorn.sock"
    host.check_output(f"mv {socket} {socket}.away && sleep 5")  # nginx lets go of open connections after 4
    try:
        answer = get(f"{URL}/", "-H", f"Accept: {accept}")
    finally:
        host.check_output(f"mv {socket}.away {socket}")
    assert (answer.status, answer.headers["cache-control"]) == (502, "no-store")
    assert answer.body.startswith(start) and answer.headers["x-request-id"] in answer.body
    assert get(f"{URL}/").status == 200
