"""A release that cannot serve never does: the one before answers every request meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

URL = "https://app.test/"
SOON = ["-e", "app_start_timeout=12"]
MISSING = "flask-deploy/python@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("environment", "arguments", "words"),
    [
        ({"AT_START": "raise"}, [], ["its container ended with code", "RuntimeError: told to fail"]),
        ({"AT_START": "exit"}, SOON, ["is not ready"]),
        ({"HEALTH": "503"}, SOON, ["/health did not answer below 400 in 12 s (status 503)"]),
        ({"HEALTH": "hang"}, SOON, ["/health did not answer below 400 in 12 s", "timed out"]),
        ({"SOCKET_MODE": "600"}, SOON, ["Permission denied"]),
    ],
    ids=["raises", "exits", "never healthy", "health hangs", "socket closed to nginx"],
)
def test_app_that_does_not_start_leaves_the_old_release_serving(
    deploy, load, release, running, environment, arguments, words
):
    old = release()
    with load() as traffic:
        run = deploy(environment, *arguments, succeed=False)
    assert run.rc != 0
    verdict = traffic.verdict(switches=[])
    assert verdict.failed == 0, str(verdict)
    assert [word for word in words if word not in run.output] == [], run.output
    assert release() == old
    assert running() == [f"app-{old}"]


def test_base_image_that_is_missing_stops_before_any_change(deploy, snapshot, release, running):
    before, old = snapshot(), release()
    run = deploy({}, "-e", f"build_base_image={MISSING}", "-e", "build_base_image_archive=", succeed=False)
    assert "the image was not built" in run.output
    assert snapshot() == before
    assert running() == [f"app-{old}"]


def test_build_that_fails_stops_before_any_change(deploy, snapshot, release, running, tmp_path):
    source = Path(__file__).parents[1] / "app"
    shutil.copytree(source, tmp_path / "app")
    (tmp_path / "app" / "requirements.txt").write_text("flask==3.1.3 --hash=sha256:" + "0" * 64 + "\n")
    before, old = snapshot(), release()
    run = deploy({}, "-e", f"build_source={tmp_path}/app", succeed=False)
    assert "the image was not built" in run.output and "hash mismatch" in run.output.lower()
    assert snapshot() == before
    assert running() == [f"app-{old}"]


def test_slow_start_is_waited_for(deploy, load, release):
    """55 s are within the default of app_start_timeout, and more than the timeout of a worker that serves."""
    with load() as traffic:
        deploy({"START_SECONDS": "55"})
    verdict = traffic.verdict()
    assert verdict.failed == 0, str(verdict)


def test_site_that_nginx_refuses_stops_the_release(deploy, host, load, release):
    old = release()
    host.check_output("sh -c 'echo \"broken {\" > /etc/nginx/conf.d/broken.conf'")
    with load() as traffic:
        run = deploy({"NAME": "refused"}, succeed=False)
    host.check_output("rm /etc/nginx/conf.d/broken.conf")
    verdict = traffic.verdict(switches=[])
    assert verdict.failed == 0, str(verdict)
    assert "broken.conf" in run.output
    assert release() == old
