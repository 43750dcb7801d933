"""A second app on the same host, from an inventory of its own: what it does, the first one's visitors do not notice."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from bench.judge import Judge

NAME = "the-second-app-of-31-characters"  # the longest that the check accepts
DOMAIN = f"{'second-' * 8}app.{'of-a-long-name-' * 4}.test".replace("-.", ".")
REMOVE = f"""
docker ps -aq --filter label=flask-deploy.app={NAME} | xargs -r docker rm -f -v
docker network rm {NAME}
rm -rf /etc/nginx/conf.d/{NAME}.conf* /srv/{NAME} /etc/{NAME} && systemctl reload nginx
"""


@pytest.fixture(scope="module")
def second(tmp_path_factory, host):
    """Run a playbook for the second app; it goes when these tests end."""
    place = tmp_path_factory.mktemp("second")
    first = Path(os.environ["MOLECULE_INVENTORY_FILE"])
    values = {"app_name": NAME, "site_domain": DOMAIN}
    (place / "values.json").write_text(json.dumps(values))

    def play(playbook, *arguments):
        command = ["ansible-playbook", playbook, "-i", first, "-e", f"@{place}/values.json", *arguments]
        root = os.environ["MOLECULE_PROJECT_DIRECTORY"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=900, umask=0o077)
        return done.returncode, done.stdout + done.stderr

    yield play
    host.run(f"sh -c '{REMOVE}'")


@pytest.fixture
def says(address):
    """Return the status that each app answers with."""

    def ask(domain):
        where = f"{domain}:443:{address()}"
        command = [
            "curl",
            "-sk",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--resolve",
            where,
            f"https://{domain}/readyz",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    return ask


def test_an_app_serves_where_the_umask_is_077(says, get, host):
    assert host.check_output("umask") in ("0077", "077")
    assert says("app.test") == "200"
    assert get("https://app.test/page.css").status == 200


def test_first_deploy_deploy_and_rollback_of_one_lose_nothing_of_the_other(second, address, says, release):
    serving = release()
    assert second("site.yml")[0] == 0  # installs a certificate, which takes a reload, so it is not judged
    assert (says("app.test"), says(DOMAIN)) == ("200", "200")
    with Judge(address(), "app.test") as load:
        for playbook, *arguments in (
            ("playbooks/app.yml", "-e", '{"app_env": {"FLAG": "other"}}'),
            ("playbooks/rollback.yml",),
        ):
            rc, output = second(playbook, *arguments)
            assert rc == 0, output
    verdict = load.verdict([])
    assert verdict.failed == 0, str(verdict)
    assert release() == serving


def test_a_site_that_nginx_refuses_is_never_linked(second, address, says, host):
    before = host.check_output(f"readlink /srv/{NAME}/current")
    with Judge(address(), "app.test") as load:
        rc, output = second("playbooks/app.yml", "-e", '{"site_static_hashed": ["(?u)not in PCRE"]}')
    assert rc != 0
    assert "pcre" in output.lower()
    assert host.check_output(f"readlink /srv/{NAME}/current") == before
    verdict = load.verdict([])
    assert verdict.failed == 0, str(verdict)
    assert says(DOMAIN) == "200"


def test_a_broken_site_is_left_out_at_a_start_and_comes_back(second, says, host):
    host.check_output(f"mv /etc/{NAME}/tls/current /etc/{NAME}/tls/away")
    host.check_output("systemctl restart nginx")
    assert (says("app.test"), says(DOMAIN)) == ("200", "000")
    said = host.check_output("journalctl --unit nginx --priority err --since -1min --output cat")
    assert f"SITE LEFT OUT: {NAME} does not serve" in said
    host.check_output(f"mv /etc/{NAME}/tls/away /etc/{NAME}/tls/current")
    host.check_output("systemctl restart nginx")
    assert (says("app.test"), says(DOMAIN)) == ("200", "200")


def test_a_killed_nginx_comes_back(says, host, until):
    host.check_output("kill -9 $(cat /run/nginx.pid)")
    until(lambda: says("app.test") == "200", 30)
    assert host.service("nginx").is_running
