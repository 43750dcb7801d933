"""What the tests of services share: a second app, what its containers see, and what others see."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

ROOT = os.environ["MOLECULE_PROJECT_DIRECTORY"]
MAIL = {
    "app_name": "mail",
    "site_domain": "mail.test",
    "build_source": f"{ROOT}/molecule/data/app/mail",
    "app_wsgi": "mail:app",
    "app_health_path": "/",
    "app_env": {},
    "app_needs": [],
    "app_release_command": "flask prepare",
    "app_schema_command": "true",
    "postgres_driver": "postgresql",
    "postgres_extensions": [],
}
NEEDS = {
    "app_needs": ["postgres", "valkey"],
    "app_processes": {"worker": {"command": "celery --app mail.celery worker --pool solo", "memory": "256m"}},
}


@pytest.fixture(scope="session")
def mail(play):
    """Run a playbook for the second app, with some variables over its own."""

    def run(playbook, *arguments, succeed=True, **more):
        return play(playbook, "-e", json.dumps({**MAIL, **more}), *arguments, succeed=succeed)

    return run


@pytest.fixture(scope="session")
def needs():
    """Return what gives the second app a database, a queue and a worker."""
    return NEEDS


@pytest.fixture(scope="session")
def ask(address):
    """Return what the second app answers, or its status where that is not 200."""

    def asked(path, method="GET"):
        where = ["--resolve", f"mail.test:443:{address()}", "-X", method, "--max-time", "30", "-w", "\n%{http_code}"]
        done = subprocess.run(["curl", "-sk", *where, f"https://mail.test{path}"], capture_output=True, check=False)
        body, _, status = done.stdout.decode().rpartition("\n")
        return body if status == "200" else int(status)

    return asked


@pytest.fixture(scope="session")
def as_user(sh):
    """Run Python in a container of an app's image, as whatever user and with all services mounted: what an app that

    broke out of its own mounts would see.
    """

    def run(app, user, code):
        image = sh(f"docker inspect --format '{{{{.Image}}}}' $(docker ps -q --filter label=flask-deploy.app={app})")[1]
        mounts = "-v /run/postgresql:/run/postgresql -v /run/valkey-mail-queue:/run/valkey-mail-queue"
        locked = "--network none --cap-drop ALL --read-only"
        command = f"docker run --rm {locked} --user {user}:{user} {mounts} --entrypoint python3 {image.split()[0]}"
        return sh(f"{command} -c {json.dumps(code)}")

    return run
