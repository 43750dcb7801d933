"""The end of metrics, after test_monitor.py has removed the app: with an app its metrics go, and all by one command."""

from __future__ import annotations

import re


def test_an_app_that_is_removed_is_not_measured_and_its_host_is(metrics):
    found = metrics()
    assert [name for name in found if 'app="app"' in name] == []
    assert found["nginx_up"] == 1 and found["node_load1"] >= 0 and "flask_deploy_clock_in_step" in found


def test_its_end_leaves_nothing_but_packages_and_what_is_somebody_s(host):
    host.check_output("/usr/local/lib/flask-deploy/metrics end")
    left = host.check_output(
        "find / -xdev -path '*flask-deploy*metrics*' -not -path '/proc/*'; systemctl list-unit-files"
    )
    assert not re.search(r"flask.deploy.metrics|keep_metrics", left.replace("/run/flask-deploy/", ""))
    assert not host.file("/etc/nginx/conf.d/flask_deploy_metrics.conf").exists
    listening = host.check_output("ss -Hltn | awk '{print $4}'")
    assert not re.search(r":918\d$", listening, re.MULTILINE)
    assert host.service("prometheus-node-exporter").is_running and host.service("nginx").is_running
    host.check_output("nginx -t")
