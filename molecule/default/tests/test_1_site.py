"""A host after its first deploy, seen from outside and from within."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

DOMAIN = "app.test"
URL = f"https://{DOMAIN}"


def inspect(host):
    name = host.check_output("docker ps --filter label=flask-deploy.app=app --format '{{.Names}}'")
    return json.loads(host.check_output(f"docker inspect {name}"))[0]


def test_app_says_hello_over_https(get):
    answer = get(f"{URL}/")
    assert answer.status == 200
    assert "hello" in answer.body.lower()


def test_answer_names_the_serving_release(get, release):
    assert get(f"{URL}/").headers["x-release"] == release()


@pytest.mark.parametrize("name", [DOMAIN, f"www.{DOMAIN}"])
def test_http_redirects_to_https(get, name):
    answer = get(f"http://{name}/a?b=c")
    assert (answer.status, answer.headers["location"]) == (301, f"{URL}/a?b=c")


def test_www_redirects_to_the_domain(get):
    answer = get(f"https://www.{DOMAIN}/a?b=c")
    assert (answer.status, answer.headers["location"]) == (301, f"{URL}/a?b=c")


@pytest.mark.parametrize("path", ["/hello-world.txt", "/static/hello-world.txt"])
def test_static_file_comes_from_nginx(get, host, path):
    answer = get(f"{URL}{path}")
    assert (answer.status, answer.body) == (200, "Hello World!\n")
    assert "x-release" not in answer.headers


def test_missing_static_file_is_the_apps_to_answer(get):
    answer = get(f"{URL}/no-such-file.txt")
    assert answer.status == 404
    assert "x-release" in answer.headers


@pytest.mark.parametrize("path", ["/.git/config", "/.env", "/static/.env", "/../../etc/passwd", "/static/../site.conf"])
def test_what_is_not_public_is_not_served(get, path):
    assert get(f"{URL}{path}", "--path-as-is").status in (400, 404)


def test_unknown_name_gets_no_certificate(address):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{address()}:443", "-servername", "unknown.test"],
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert "no peer certificate available" in done.stdout


def test_unknown_host_header_gets_no_answer(get, address):
    answer = get(f"http://{address()}/", "-H", "Host: unknown.test")
    assert answer.status == 0
    assert "Empty reply" in answer.body or "reset by peer" in answer.body


def test_login_opens_the_protected_route(get):
    password = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "password").read_text()
    body = json.dumps({"username": "demo", "password": password})
    answer = get(f"{URL}/auth", "-H", "Content-Type: application/json", "-d", body)
    assert answer.status == 200, answer
    token = json.loads(answer.body)["access_token"]
    assert get(f"{URL}/protected").status == 401
    assert get(f"{URL}/protected", "-H", f"Authorization: JWT {token}").status == 200


def test_body_beyond_the_limit_is_refused(get, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    assert get(f"{URL}/auth", "--data-binary", f"@{big}").status == 413


def test_host_listens_on_ssh_http_and_https_alone(host):
    ports = {line.split()[3].rpartition(":")[2] for line in host.check_output("ss -Htln").splitlines()}
    assert ports == {"22", "80", "443"}


def test_no_container_port_is_published(host):
    assert host.check_output("docker ps --format '{{.Ports}}'").strip() == ""
    assert inspect(host)["HostConfig"]["PortBindings"] == {}


def test_container_is_locked_down(host):
    found = inspect(host)
    limits = found["HostConfig"]
    assert found["Config"]["User"] == "10001:10001"
    assert limits["ReadonlyRootfs"] is True
    assert limits["CapDrop"] == ["ALL"]
    assert "no-new-privileges" in limits["SecurityOpt"]
    assert limits["Memory"] == limits["MemorySwap"] == 512 * 1024 * 1024
    assert limits["PidsLimit"] == 256
    assert limits["Privileged"] is False
    assert limits["NetworkMode"] == "app"


def test_release_and_secrets_are_mounted_to_be_read_alone(host):
    mounts = inspect(host)["Mounts"]
    assert {mount["Destination"] for mount in mounts if mount["RW"]} == {"/app/instance", "/data", "/release/run"}
    assert {"/release", "/run/secrets", "/run/jwt"} < {mount["Destination"] for mount in mounts}


def test_process_has_no_capability_and_can_get_none(host):
    pid = inspect(host)["State"]["Pid"]
    status = host.file(f"/proc/{pid}/status").content_string
    assert re.search(r"CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert re.search(r"Seccomp:\s+2$", status, re.MULTILINE)


def test_app_cannot_write_its_image_but_its_data(host):
    name = inspect(host)["Name"].lstrip("/")
    assert host.run(f"docker exec {name} touch /app/x").rc != 0
    assert host.run(f"docker exec {name} touch /release/x").rc != 0
    assert host.run(f"docker exec {name} touch /data/x").rc == 0


def test_only_nginx_may_use_the_socket(host):
    path = "/srv/app/current/run/gunicorn.sock"
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' --unix-socket {path} http://app.test/healthz"
    assert host.run(f"setpriv --reuid=www-data --regid=www-data --clear-groups {ask}").stdout == "200"
    assert host.run(f"setpriv --reuid=nobody --regid=nogroup --clear-groups {ask}").stdout == "000"


def test_nginx_does_not_follow_what_an_app_puts_where_its_socket_is(host):
    place = "/srv/app/current/run/sock"
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' --unix-socket {place}/../gunicorn.sock http://app.test/healthz"
    as_nginx = f"setpriv --reuid=www-data --regid=www-data --clear-groups {ask}"
    name = inspect(host)["Name"].lstrip("/")
    host.check_output(
        f"docker exec {name} sh -c 'cd /release/run && mv gunicorn.sock kept && ln -s kept gunicorn.sock'"
    )
    assert host.run(as_nginx).stdout == "000", "a link was followed"
    host.check_output(f"docker exec {name} sh -c 'cd /release/run && mv -f kept gunicorn.sock'")
    assert host.run(as_nginx).stdout == "200"
    modes = host.check_output(f"stat -c '%a %U:%G' {place} {place}/..").splitlines()
    assert modes == ["1777 root:root", "710 root:www-data"]


@pytest.mark.parametrize(
    "path", ["/etc/app/secrets/env.json", "/etc/app/secrets/users.json", "/etc/app/jwt/$(cat /etc/app/jwt/signing)"]
)
def test_secret_is_the_apps_alone(host, path):
    file = host.file(host.check_output(f"ls {path}"))
    assert (file.mode, file.uid) == (0o400, 10001)


@pytest.mark.parametrize(("option", "value"), [("LiveRestoreEnabled", "true"), ("LoggingDriver", "local")])
def test_daemon_runs_with_its_options(host, option, value):
    assert host.check_output(f"docker info --format '{{{{.{option}}}}}'") == value


@pytest.mark.parametrize("name", ["docker", "nginx"])
def test_service_starts_at_boot(host, name):
    service = host.service(name)
    assert service.is_running
    assert service.is_enabled


def test_log_is_json_and_names_the_release(host, get, release):
    get(f"{URL}/hello-world.txt?token=must-not-be-logged", "-A", "log-probe")
    line = host.check_output("sleep 1.5; grep log-probe /var/log/nginx/access.log | tail -1")
    assert json.loads(line)["release"] == release()
    assert "must-not-be-logged" not in line


def test_session_uses_tls_1_3_and_http_2(get):
    answer = get(f"{URL}/", "--http2", "--tlsv1.3")
    assert (answer.status, answer.protocol) == (200, "HTTP/2")
    assert get(f"{URL}/", "--tls-max", "1.1").status == 0
