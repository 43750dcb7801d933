"""Tokens and passwords at the edges of a deployed app: nginx's logs, its limit on logins, its auth_request."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

GUARD = """
server {
    listen 127.0.0.1:8099;
    location = /report { auth_request /_token; proxy_pass http://app/healthz; }
    location = /_token {
        internal;
        proxy_pass http://app/protected;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }
}
"""


@pytest.fixture
def login(get):
    password = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "password").read_text()

    def token():
        body = json.dumps({"username": "demo", "password": password})
        answer = get("https://app.test/auth", "-H", "Content-Type: application/json", "-d", body)
        return json.loads(answer.body)["access_token"]

    return token


def test_a_token_in_the_query_is_ignored_and_logged_nowhere(get, login, host):
    token = login()
    for name in ("access_token", "token", "jwt"):
        assert get(f"https://app.test/protected?{name}={token}").status == 401
    time.sleep(2)  # nginx writes its log in pieces
    container = host.check_output("basename $(readlink /srv/app/current)")
    for source in ("cat /var/log/nginx/*.log", f"docker logs app-{container} 2>&1", "journalctl --no-pager"):
        assert token[-40:] not in host.check_output(f"sh -c '{source}'"), source
    assert '"/protected"' in host.check_output("tail -n 20 /var/log/nginx/access.log")


def test_nginx_asks_the_app_for_others(host, login):
    """The lines of docs/reference/jwt.md, before something that knows no tokens."""
    for line in ("auth_request /_token;", "proxy_pass http://app/protected;", "proxy_pass_request_body off;"):
        assert line in Path(os.environ["MOLECULE_PROJECT_DIRECTORY"], "docs/reference/jwt.md").read_text()
    host.run_expect(
        [0], f"cat > /etc/nginx/conf.d/guard.conf <<'END'\n{GUARD}END\nnginx -t -q && systemctl reload nginx"
    )

    def status(*headers):
        more = " ".join(f"-H '{header}'" for header in headers)
        return host.check_output(f"curl -s -o /dev/null -w '%{{http_code}}' {more} http://127.0.0.1:8099/report")

    try:
        token = login()
        head, body, signature = token.split(".")
        asked = {
            "Authorization: Bearer " + token: "200",
            "X-Other: none": "401",
            f"Authorization: Bearer {head}.{body}.{'A' * 20}{signature[20:]}": "401",
        }
        assert {header: status(header) for header in asked} == asked
    finally:
        host.check_output("sh -c 'rm /etc/nginx/conf.d/guard.conf; systemctl reload nginx'")


def test_keys_that_nobody_asks_for_stay_and_are_told(play, login, host):
    """An inventory of before said nothing of them, and the app signed."""
    where = "sha256sum /etc/app/jwt/*"
    before = host.check_output(where)
    none = ("-e", '{"tokens_algorithm": "none", "tokens_keys": []}')
    run = play("playbooks/app.yml", *none)
    assert host.check_output(where) == before and login()
    assert "no deploy looks after them" not in run.output  # the inventory says what they are for
    for playbook in ("playbooks/rotate_keys.yml", "playbooks/vault_keys.yml"):
        refused = play(playbook, *none, succeed=False)
        assert "so the app has no keys; write what it signs with" in refused.output
    algorithm = host.check_output("cat /etc/app/jwt/signing").partition("-")[0].upper()  # of the tests before
    play("playbooks/app.yml", "-e", f"tokens_algorithm={algorithm}")
    assert host.check_output(where) == before


def test_a_thousand_wrong_passwords_meet_a_limit_and_nobody_else_does(address, get, host, tmp_path):
    """All at once, so that the limit is met however slow the machine is."""
    body = tmp_path / "body"
    body.write_text('{"username": "demo", "password": "wrong"}')
    command = ["curl", "-skZ", "--parallel-max", "100", "--resolve", f"app.test:443:{address()}", "-o", "/dev/null"]
    command += ["-w", "%{http_code}\\n", "-H", "Content-Type: application/json", "-d", f"@{body}"]
    done = subprocess.run(
        [*command, "https://app.test/auth?[1-1000]"], capture_output=True, text=True, check=False, timeout=300
    )
    answers = Counter(done.stdout.split())
    assert answers.keys() == {"401", "429"}, answers
    assert answers["429"] > 900, answers
    assert sum(answers.values()) == 1000
    assert get("https://app.test/").status == 200
    assert "Traceback" not in host.check_output("docker logs --since 5m $(docker ps -q) 2>&1")
