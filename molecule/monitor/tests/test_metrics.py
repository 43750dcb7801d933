"""What a Prometheus reads of a server that is well: each metric of the rules and the dashboard, with its true value."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
ASK = "curl -sk -o /dev/null --resolve app.test:443:127.0.0.1 https://app.test"
EXPORTERS = ("prometheus-node-exporter", "prometheus-nginx-exporter")
NOT_WELL = {"flask_deploy_unit_problem"}  # there is none of on a host that is well


@pytest.fixture(scope="module")
def ran(host):
    """Let a visitor come, and a job, a backup and a drill run once."""
    host.check_output(f"{ASK}/")
    for unit in ("job-app-purge", "backup@app", "drill@app"):
        host.check_output(f"systemctl start flask-deploy-{unit}.service")
    time.sleep(4)


def test_every_metric_that_rules_and_dashboard_name_is_there(metrics, ran):
    texts = [(ROOT / "docs/prometheus" / name).read_text() for name in ("alerts.yml", "dashboard.json")]
    named = set(re.findall(r"\b(?:flask_deploy|node|nginx)_\w+", " ".join(texts))) - NOT_WELL
    given = {sample.partition("{")[0] for sample in metrics()}
    assert named - given == set() and len(named) > 30


def test_requests_are_counted_by_release_and_status(host, metrics, release):
    labels = f'{{app="app",release="{release()}",status="404"}}'
    before = metrics().get(f"flask_deploy_requests_total{labels}", 0)
    host.check_output(f"for i in 1 2 3 4 5 6 7; do {ASK}/nothing; done; sleep 2")
    assert metrics()[f"flask_deploy_requests_total{labels}"] == before + 7


def test_the_time_to_the_first_byte_is_that_of_requests(host, metrics, release):
    within = f'flask_deploy_first_byte_seconds_bucket{{app="app",release="{release()}",le="%s"}}'

    def slow():
        found = metrics()
        return found[within % "2.5"] - found[within % "1"]

    before = slow()
    host.check_output(f"for i in 1 2 3; do {ASK}/slow/1; done; sleep 2")
    assert slow() == before + 3


def test_figures_are_those_of_the_host(host, metrics, release, ran):
    found = metrics()
    assert found[f'flask_deploy_release_info{{app="app",release="{release()}"}}'] == 1
    state = json.loads(host.check_output("cat /srv/app/current/state.json"))
    assert found['flask_deploy_release_switched_timestamp_seconds{app="app"}'] == pytest.approx(
        state["switched"], abs=1
    )
    end = host.check_output(
        'date -ud "$(openssl x509 -noout -enddate -in /etc/app/tls/current/fullchain.pem | cut -d= -f2)" +%s'
    )
    assert found['flask_deploy_certificate_not_after_timestamp_seconds{app="app",domain="app.test"}'] == float(end)
    told = json.loads(host.check_output("cat /srv/app/jobs/purge.json"))
    ended = found['flask_deploy_job_ended_timestamp_seconds{app="app",job_name="purge"}']
    assert (
        ended == pytest.approx(told["ended"], abs=1)
        and found['flask_deploy_job_success{app="app",job_name="purge"}'] == 1
    )
    now = float(host.check_output("date +%s"))
    for kind in ("backup", "drill"):
        assert found[f'flask_deploy_backup_success{{app="app",kind="{kind}"}}'] == 1
        assert now - 300 < found[f'flask_deploy_backup_good_timestamp_seconds{{app="app",kind="{kind}"}}'] <= now
    assert found['flask_deploy_processes_up{app="app",process="worker"}'] == 1
    assert found['flask_deploy_app_up{app="app"}'] == found["flask_deploy_clock_in_step"] == found["nginx_up"] == 1
    total = int(re.search(r"MemTotal: +(\d+)", host.check_output("cat /proc/meminfo"))[1]) * 1024
    assert found["node_memory_MemTotal_bytes"] == total
    assert [name for name, value in found.items() if "_problem" in name or "look_failed" in name if value] == []


def test_the_program_measures_by_itself_once_a_minute(host, until):
    file = host.file("/var/lib/flask-deploy/metrics/textfile/app.prom")
    before = file.mtime
    until(lambda: file.mtime > before, 75)


def test_exporters_listen_where_they_are_told_and_somebody_s_own_stays(host):
    listening = host.check_output("ss -Hltn | awk '{print $4}'").split()
    assert {each for each in listening if re.search(r":918\d$", each)} == {
        f"127.0.0.1:918{number}" for number in (0, 1, 2)
    }
    assert [host.service(f"{name}.service").is_running for name in EXPORTERS] == [True, False]
    assert [host.service(f"{name}.service").is_enabled for name in EXPORTERS] == [True, False]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("metrics_address=192.0.2.7", "metrics_address: 192.0.2.7 is no address of this host"),
        ("metrics_port=9098", "metrics_port: port 9100 is held by prometheus-node"),
    ],
)
def test_where_nothing_can_listen_is_told_before_anything_changes(play, words, told):
    said = play("site.yml", "-e", words, succeed=False).output
    assert told in said and "nothing was changed" in said


def test_a_second_run_and_a_dry_run_change_nothing(play):
    assert play("playbooks/metrics.yml").changed == 0
    assert play("playbooks/metrics.yml", "--check").changed == 0


def test_an_exporter_that_was_stopped_is_started_and_no_task_runs_where_metrics_are_off(host, play):
    host.check_output("systemctl disable --now flask-deploy-metrics-nginx")
    assert play("playbooks/metrics.yml").changed_tasks == ["Keep the host measured"]
    assert host.service("flask-deploy-metrics-nginx").is_running
    assert "ok=0 " in play("playbooks/metrics.yml", "-e", "metrics_address=").output
