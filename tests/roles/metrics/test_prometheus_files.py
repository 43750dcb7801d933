"""What users give their Prometheus and their Grafana: each rule fires for its fault alone, and names no odd metric."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager

import pytest
import yaml
from ansible.modules import metrics_setup as module
from keep_metrics import exposition

from tests.conftest import ROOT

RULES = ROOT / "docs/prometheus/alerts.yml"
DASHBOARD = ROOT / "docs/prometheus/dashboard.json"
with_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="make tools installs promtool")
EXPORTERS = ("prometheus-node-exporter", "prometheus-nginx-exporter")
with_exporters = pytest.mark.skipif(not all(map(shutil.which, EXPORTERS)), reason=f"make tools installs {EXPORTERS}")
APP = 'instance="web1",app="shop"'
MOUNT = 'instance="web1",mountpoint="/srv",fstype="ext4"'
FOR_TWENTY = "x20"
# By alert: {series: (while it is wrong, while all is well)}, in the words of promtool; a minute lies between values.
FAULTS = {
    "ExporterDown": {'up{job="flask-deploy",instance="web1:9180"}': ("0", "1")},
    "MetricsOld": {'node_textfile_mtime_seconds{file="/var/lib/flask-deploy/metrics/textfile/a.prom"}': ("0", "0+60")},
    "LookFailed": {f'flask_deploy_look_failed{{{APP},subject="jobs"}}': ("1", "0")},
    "NginxDown": {'nginx_up{instance="web1"}': ("0", "1")},
    "AppDown": {f"flask_deploy_app_up{{{APP}}}": ("0", "1"), f"flask_deploy_maintenance{{{APP}}}": ("0", "0")},
    "AppErrors": {
        f'flask_deploy_requests_total{{{APP},release="a",status="502"}}': ("0+6", "0+4"),
        f'flask_deploy_requests_total{{{APP},release="a",status="200"}}': ("0+94", "0+96"),
    },
    "AppSlow": {
        f'flask_deploy_first_byte_seconds_bucket{{{APP},release="a",le="5"}}': ("0+89", "0+91"),
        f'flask_deploy_first_byte_seconds_count{{{APP},release="a"}}': ("0+100", "0+100"),
    },
    "WorkerDown": {
        f'flask_deploy_processes_up{{{APP},process="worker"}}': ("1", "2"),
        f'flask_deploy_processes_wanted{{{APP},process="worker"}}': ("2", "2"),
    },
    "JobFailed": {f'flask_deploy_job_success{{{APP},job_name="purge"}}': ("0", "1")},
    "JobTimerStopped": {f'flask_deploy_job_timer_up{{{APP},job_name="purge"}}': ("0", "1")},
    "DeployFailed": {f"flask_deploy_deploy_failed_timestamp_seconds{{{APP}}}": ("500", "-900")},
    "CertificateExpires": {
        f'flask_deploy_certificate_not_after_timestamp_seconds{{{APP},domain="a.test"}}': ("604800", "606000")
    },
    "CertificateProblem": {f'flask_deploy_certificate_problems{{{APP},domain="a.test"}}': ("1", "0")},
    "BackupProblem": {f"flask_deploy_backup_problems{{{APP}}}": ("1", "0")},
    "UnitProblem": {'flask_deploy_unit_problem{instance="web1",unit="a.service",state="failed"}': ("1", "_")},
    "ClockOff": {'flask_deploy_clock_in_step{instance="web1"}': ("0", "1")},
    "DiskFull": {
        f"node_filesystem_avail_bytes{{{MOUNT}}}": ("9", "11"),
        f"node_filesystem_size_bytes{{{MOUNT}}}": ("100", "100"),
        f"node_filesystem_readonly{{{MOUNT}}}": ("0", "0"),
    },
    "InodesFull": {
        f"node_filesystem_files_free{{{MOUNT}}}": ("9", "11"),
        f"node_filesystem_files{{{MOUNT}}}": ("100", "100"),
        f"node_filesystem_readonly{{{MOUNT}}}": ("0", "0"),
    },
    "MemoryShort": {
        'node_memory_MemAvailable_bytes{instance="web1"}': ("4", "6"),
        'node_memory_MemTotal_bytes{instance="web1"}': ("100", "100"),
    },
}
# What is seldom, but no fault: no alert.
QUIET = {
    "AppDown": {f"flask_deploy_app_up{{{APP}}}": "0", f"flask_deploy_maintenance{{{APP}}}": "1"},
    "AppErrors": {f'flask_deploy_requests_total{{{APP},release="a",status="502"}}': "0 0 1 1 2 2 3 3"},
    "DiskFull": {
        f"node_filesystem_avail_bytes{{{MOUNT}}}": "0",
        f"node_filesystem_size_bytes{{{MOUNT}}}": "100",
        f"node_filesystem_readonly{{{MOUNT}}}": "1",
    },
}


def rules():
    return yaml.safe_load(RULES.read_text())["groups"][0]["rules"]


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions():
    """Return what the dashboard asks Prometheus, with Grafana's variables filled in."""
    told = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    asked += [each["expr"] for each in told["annotations"]["list"] if "expr" in each]
    filled = {"$__rate_interval": "5m", "$instance": ".*", "$app": ".*"}
    for name, value in filled.items():
        asked = [each.replace(name, value) for each in asked]
    return asked


def series(values):
    """Return series in promtool's form: a value that stays, one that grows, or a list."""
    found = []
    for name, value in values.items():
        words = value if " " in value else f"{value}{'' if '+' in value else '+0'}{FOR_TWENTY}"
        found.append({"series": name, "values": "_x20" if value == "_" else words})
    return found


def case(alert, values, fires):
    """Return a test of promtool's: whether an alert is the one that fires for some series after ten minutes."""
    samples = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if fires else []
    expr = 'count by (alertname) (ALERTS{alertstate="firing"})'
    asked = [{"expr": expr, "eval_time": "12m", "exp_samples": samples}]
    return {"name": f"{alert} {fires}", "interval": "1m", "input_series": series(values), "promql_expr_test": asked}


def promtool(*words):
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_rule_has_a_fault_that_it_is_tried_with():
    assert [rule["alert"] for rule in rules()] == list(FAULTS)


@with_promtool
def test_each_rule_fires_for_its_fault_alone_and_for_nothing_else(tmp_path):
    cases = []
    for alert, values in FAULTS.items():
        cases.append(case(alert, {name: wrong for name, (wrong, _well) in values.items()}, fires=True))
        cases.append(case(alert, {name: well for name, (_wrong, well) in values.items()}, fires=False))
    cases += [case(alert, values, fires=False) for alert, values in QUIET.items()]
    told = {"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": cases}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(told))
    promtool("test", "rules", tmp_path / "tests.yml")


@with_promtool
def test_a_line_names_server_and_app_and_what_to_type(tmp_path):
    alert = {
        "exp_labels": {"severity": "warning", "instance": "web1", "app": "shop", "job_name": "purge"},
        "exp_annotations": {
            "summary": "web1: job purge of shop failed; type there:"
            " sudo journalctl -n 50 -u flask-deploy-job-shop-purge"
        },
    }
    asked = [{"alertname": "JobFailed", "eval_time": "12m", "exp_alerts": [alert]}]
    values = series({name: wrong for name, (wrong, _well) in FAULTS["JobFailed"].items()})
    told = {"rule_files": [str(RULES)], "tests": [{"interval": "1m", "input_series": values, "alert_rule_test": asked}]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(told))
    promtool("test", "rules", tmp_path / "tests.yml")


@with_promtool
def test_prometheus_takes_the_rules_and_every_expression_of_the_dashboard(tmp_path):
    assert f"{len(FAULTS)} rules found" in promtool("check", "rules", RULES)
    asked = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(expressions())]
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": asked}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", tmp_path / "asked.yml")


def named():
    """Return the metrics that rules and dashboard name."""
    texts = [*expressions(), *(rule["expr"] for rule in rules())]
    return set(re.findall(r"\b(?:flask_deploy|node|nginx)_\w+|\bup\b", " ".join(texts)))


def test_each_metric_of_ours_that_is_named_exists_and_each_that_exists_is_named():
    ours = {name.removeprefix(exposition.PREFIX) for name in named() if name.startswith(exposition.PREFIX)}
    assert {exposition.family(name) for name in ours} == set(exposition.FAMILIES)
    page = (ROOT / "docs/how-to/prometheus.md").read_text()
    assert re.findall(r"^\| `flask_deploy_(\w+)` \|", page, re.MULTILINE) == list(exposition.FAMILIES)


class Status(http.server.BaseHTTPRequestHandler):
    """nginx's own figures, as its manual shows them."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        words = "Active connections: 2 \nserver accepts handled requests\n 3 3 5 \nReading: 0 Writing: 1 Waiting: 1 \n"
        self.wfile.write(words.encode())

    def log_message(self, *words):
        pass


@contextmanager
def exporter(words):
    """Run an exporter with a unit's words; yield all that it gives."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program, *rest = words.replace("{at}", f"127.0.0.1:{port}").split()
    command = [shutil.which(program.rpartition("/")[2]), *rest]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            module.await_answer("127.0.0.1", port, "an-exporter")
            time.sleep(0.2)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                yield answer.read().decode()
        finally:
            process.kill()


@with_exporters
def test_the_real_exporters_take_their_words_and_give_each_metric_of_theirs_that_is_named(tmp_path):
    (tmp_path / "textfile").mkdir()
    (tmp_path / "textfile/shop.prom").write_text(exposition.text([("app_up", {"app": "shop"}, 1)]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        nginx_words = module.NGINX_WORDS.format(at="{at}", status=server.server_port)
        with exporter(module.NODE_WORDS.format(at="{at}", work=tmp_path)) as node, exporter(nginx_words) as nginx:
            given = node + nginx
        server.shutdown()
    assert 'flask_deploy_app_up{app="shop"} 1' in given and "node_textfile_scrape_error 0" in given
    assert "nginx_connections_active 2" in given
    theirs = {name for name in named() if name.startswith(("node_", "nginx_"))}
    assert [name for name in theirs if not re.search(rf"^{name}[ {{]", given, re.MULTILINE)] == []
