"""A converged host stays as it is, and what is damaged is repaired: that and nothing else."""

from __future__ import annotations

import pytest


@pytest.fixture
def managed(host):
    """Return containers, and content, mode and owner of all files that a deploy writes."""
    command = (
        "docker ps -aq --no-trunc; "
        "find /etc/nginx /etc/docker /etc/app /srv/app -type f ! -path '*/data/*' -exec sha256sum {} + | sort;"
        "find /etc/nginx /etc/docker /etc/app /srv/app ! -path '*/data/*' -printf '%p %m %u %g %l\\n' | sort"
    )
    return lambda: host.check_output(command)


@pytest.fixture
def processes(host):
    return lambda: host.check_output("pgrep -f 'nginx: (master|worker)|gunicor[n] -c' | sort")


def test_second_run_changes_nothing(play, managed, processes):
    before = managed(), processes()
    assert play("site.yml").changed == 0
    assert (managed(), processes()) == before


def test_dry_run_predicts_nothing(play, managed, processes):
    before = managed(), processes()
    assert play("site.yml", "--check", "--diff").changed == 0
    assert (managed(), processes()) == before


def test_running_the_apps_tests_makes_no_release(play, source, release):
    old = release()
    for name in ("__pycache__", ".pytest_cache"):
        (source / name).mkdir()
        (source / name / "left-over.pyc").write_text("x")
    (source / "static" / "hello-world.txt").chmod(0o600)
    play("playbooks/app.yml", "-e", f"build_source={source}")
    assert release() == old


def test_damage_is_repaired_and_nothing_else(host, play, release, managed, get):
    before, serving = managed(), release()
    folder = f"/srv/app/releases/{serving}"
    host.check_output("sed -i 's/worker_connections.*/worker_connections 10;/' /etc/nginx/nginx.conf")
    host.check_output("chmod 0644 /etc/app/secrets/env.json")
    host.check_output(f"docker stop app-{serving}")
    host.check_output("ln -sfn selfsigned/nowhere /etc/app/tls/current")
    host.check_output("systemctl disable nginx")
    host.check_output(f"sh -c 'echo >> {folder}/gunicorn.conf.py'")
    run = play("site.yml")
    assert set(run.changed_tasks) == {
        "Configure nginx",
        "Keep the certificate",
        "Start nginx now and at boot",
        "Reload nginx",
        "Forget that nginx is to be reloaded",
        "Prepare the release",
    }, run.output
    assert managed() == before
    assert get("https://app.test/").status == 200
    assert host.service("nginx").is_enabled
    assert play("site.yml").changed == 0


def test_wrong_release_link_is_put_right(host, play, release, get):
    serving = release()
    host.check_output("ln -sfn releases/000000000000 /srv/app/current")
    assert get("https://app.test/").status == 502
    assert play("playbooks/app.yml").changed_tasks == ["Switch to the release"]
    assert release() == serving
    assert get("https://app.test/").status == 200
