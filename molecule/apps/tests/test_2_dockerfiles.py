"""A Dockerfile of an app's own serves as it is, by its gunicorn or by its own command on a port."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

SOURCE = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/apps/app/dockerfile"
URL = "https://app.test/"
SETTINGS = {"build_source": str(SOURCE), "app_wsgi": "app:app", "site_static": ""}
PORT = {"app_server": "port:5000"}


@pytest.fixture(scope="module")
def deploy(play):
    def run(succeed=True, **settings):
        return play("playbooks/app.yml", "-e", json.dumps({**SETTINGS, **settings}), succeed=succeed)

    return run


def test_its_gunicorn_serves_without_gevent(deploy, get, host):
    run = deploy()
    assert "nobody ['first', 'seen']" in get(URL).body
    named = "ENTRYPOINT /usr/src/app/entrypoint.sh, CMD gunicorn --bind 0.0.0.0:5000 --threads 8 app:app, USER 999"
    assert f"not used of the Dockerfile: {named}, EXPOSE 5000, HEALTHCHECK" in " ".join(run.output.split())
    assert "Using worker: gthread" in host.check_output("docker logs $(docker ps -q) 2>&1")


def test_its_own_command_serves_on_its_port_as_its_author_wrote_it(deploy, get, host):
    run = deploy(**PORT)
    assert "set by the entrypoint ['first', 'seen']" in get(URL).body
    assert "not used of the Dockerfile: USER 999, HEALTHCHECK" in run.output
    assert host.check_output("docker ps --format '{{.Ports}}' | tr -d '\\n'") in ("", "5000/tcp")


def test_what_is_in_flight_behind_the_port_ends_before_its_release(deploy, get):
    said = []
    asking = threading.Thread(target=lambda: [said.append(get(f"{URL}slow").body) for _ in range(15)])
    asking.start()
    time.sleep(1)
    deploy(**PORT, app_env={"RELEASE": "another"})
    asking.join()
    assert said == ["done"] * 15


def test_a_port_on_which_nothing_listens_is_named_and_the_old_release_serves(deploy, get):
    before = get(URL).body
    run = deploy(succeed=False, app_server="port:8000", app_start_timeout=15)
    assert "it listens on another port: app_server: port:5000" in run.output
    assert "EXPOSE 5000" in run.output and get(URL).body == before
