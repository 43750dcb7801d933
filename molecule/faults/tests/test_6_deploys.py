"""Deploys that meet each other, die, or let loose what fails only once it serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

URL = "https://app.test/"
ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])


@pytest.fixture
def start():
    """Start a deploy and do not wait for it; what is left of it ends with the test."""
    started = []

    def begin(environment):
        command = ["ansible-playbook", "playbooks/app.yml", "-i", os.environ["MOLECULE_INVENTORY_FILE"]]
        command += ["-e", json.dumps({"app_env": environment})]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_release_that_dies_once_it_serves_is_taken_back(deploy, get, load, release, running):
    """Its health path is good. Only requests that it was asked can fail: the old release answers after it."""
    old = release()
    with load() as traffic:
        run = deploy({"DIES": "serving"}, "-e", "app_watch_seconds=10", succeed=False)
    verdict = traffic.verdict()
    assert run.rc != 0
    assert release() == old == get(URL).headers["x-release"]
    assert running() == [f"app-{old}"]
    assert 0 < verdict.failed < verdict.requests / 2, str(verdict)
    refused = deploy({"DIES": "serving"}, succeed=False)
    assert "app_accept_rejected=true" in refused.output


def test_second_deploy_is_told_who_holds_the_lock(deploy, start, host, release, running, until):
    first = start({"NAME": "first", "START_SECONDS": "25"})
    until(lambda: len(running()) == 2, 120)
    second = deploy({"NAME": "second"}, succeed=False)
    said = first.communicate(timeout=300)[0]
    assert first.returncode == 0, said
    assert second.rc != 0 and "app is locked: " in second.output
    assert running() == [f"app-{release()}"]
    assert '"NAME":"first"' in host.check_output("cat /srv/app/current/env.json").replace(" ", "")


def test_deploy_whose_connection_is_cut_changes_nothing_that_serves(
    deploy, start, container, load, release, running, until
):
    """SSH dies while the candidate starts: the deploy fails, and the next one takes over what it left."""
    old, slow = release(), {"NAME": "cut", "START_SECONDS": "20"}
    with load() as traffic:
        deploying = start(slow)
        until(lambda: len(running()) == 2, 120)
        subprocess.run(["docker", "exec", container, "pkill", "-9", "-f", "^sshd.*: deploy@"], check=True)
        said = deploying.communicate(timeout=300)[0]
    verdict = traffic.verdict(switches=[])
    assert deploying.returncode != 0, said
    assert "UNREACHABLE" in said
    assert release() == old
    assert verdict.failed == 0, str(verdict)
    deploy(slow)
    assert running() == [f"app-{release()}"] != [f"app-{old}"]
    assert deploy(slow).changed == 0


def test_release_command_that_fails_stops_before_the_switch(deploy, load, release, running):
    old = release()
    command = ["-e", json.dumps({"app_release_command": "python3 -c 'raise SystemExit(\"no such table\")'"})]
    with load() as traffic:
        run = deploy({"NAME": "migrated"}, *command, succeed=False)
    verdict = traffic.verdict(switches=[])
    assert run.rc != 0
    assert "app_release_command" in run.output and "no such table" in run.output
    assert verdict.failed == 0, str(verdict)
    assert release() == old
    assert running() == [f"app-{old}"]


def test_a_restart_reads_a_changed_secret_and_loses_no_request(deploy, host, load, pid, play, release, running):
    deploy({"NAME": "restarted"})
    old, secret = release(), json.dumps({"app_secrets": {"SINCE": "changed-since-then"}})
    told = play("playbooks/restart.yml", "--check", "-e", secret)
    assert f"restarts: release {old} under another id" in told.output and release() == old
    with load() as traffic:
        play("playbooks/restart.yml", "-e", secret)
    verdict = traffic.verdict()
    assert verdict.failed == 0, str(verdict)
    assert release() != old and running() == [f"app-{release()}"]
    assert not host.file(f"/srv/app/releases/{old}").exists
    process = host.check_output(f"pgrep -P {pid()} | head -1")
    assert b"SINCE=changed-since-then\0" in host.file(f"/proc/{process}/environ").content
    assert deploy({"NAME": "restarted"}, "-e", secret).changed == 0
