"""What the fault tests share: deploys that go right or wrong, and a load that judges every answer meanwhile."""

from __future__ import annotations

import json

import pytest

from bench.judge import Judge

KINDS = {"page": 6, "new-page": 2, "http2-page": 4}


@pytest.fixture(scope="session")
def deploy(play):
    """Release the faulty app with an environment; nothing is built where only that differs."""

    def run(environment, *arguments, succeed=True):
        return play("playbooks/app.yml", "-e", json.dumps({"app_env": environment}), *arguments, succeed=succeed)

    return run


@pytest.fixture
def load(address):
    """Return a load on the site, as a context; its verdict says which answers failed."""
    return lambda kinds=KINDS: Judge(address(), "app.test", kinds=kinds)


@pytest.fixture
def running(host):
    """Return the names of the app's containers that run."""
    return lambda: host.check_output("docker ps --filter label=flask-deploy.app=app --format '{{.Names}}'").split()


@pytest.fixture
def pid(host, release):
    """Return the process id, as the host sees it, of the serving release's container."""
    return lambda: host.check_output(f"docker inspect --format '{{{{.State.Pid}}}}' app-{release()}")


@pytest.fixture
def workers(host, pid):
    """Return the process ids, as the host sees them, of the serving release's gunicorn workers."""
    return lambda: host.check_output(f"pgrep -P $(pgrep -P {pid()})").split()
