"""What judges of TLS say of the site, with a certificate that they can follow to its root."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path

import pytest

SSLYZE = "sslyze==6.3.1"  # apart from the other tools: it needs an older cryptography


@pytest.fixture(scope="module")
def root(host):
    """Return the root of the ACME server's certificates, in PEM; a new one for each of its starts."""
    host.run("systemctl stop pebble")
    host.check_output(
        "systemd-run -q --collect --unit=pebble -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0 "
        "pebble -config /etc/pebble/pebble.json"
    )
    directory = "https://localhost:14000/dir"
    host.check_output(f"curl -s --retry 60 --retry-connrefused --retry-delay 1 --cacert /etc/pebble/ca.pem {directory}")
    host.check_output("cd /usr/local/lib/flask-deploy && python3 -B -m keep_certificates keep --renew app")
    yield host.check_output("curl -s --cacert /etc/pebble/ca.pem https://localhost:15000/roots/0")
    host.run("systemctl stop pebble")


@pytest.mark.parametrize(("path", "status"), [("/hello.txt", 200), ("/no-such-page", 502), ("/", 502)])
def test_browsers_are_held_to_https_on_errors_too(root, get, path, status):
    answer = get(f"https://app.test{path}")
    assert (answer.status, answer.headers["strict-transport-security"]) == (status, "max-age=63072000")


def test_sslyze_finds_mozilla_s_intermediate_profile(root, address, tmp_path):
    (tmp_path / "root.pem").write_text(root)
    environment = {**os.environ, "UV_NATIVE_TLS": "1"}
    environment.setdefault("UV_INDEX_URL", os.environ.get("PIP_INDEX_URL", ""))
    options = ["--mozilla_config=intermediate", "--certinfo_ca_file", tmp_path / "root.pem", "--sni", "app.test"]
    done = subprocess.run(
        ["uv", "tool", "run", SSLYZE, *options, f"{address()}:443"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "Compliant" in done.stdout or "COMPLIANT" in done.stdout or "compliant" in done.stdout


def test_testssl_grades_a_plus(root, host):
    host.check_output(f"cat > /root/root.pem <<'END'\n{root}\nEND")
    host.check_output("rm -f /root/testssl.csv")
    host.run(
        "cd /root && testssl --quiet --color 0 --warnings off --ip 127.0.0.1 --add-ca /root/root.pem "
        "--csvfile /root/testssl.csv https://app.test/ > /root/testssl.log 2>&1"
    )
    rows = {
        row["id"]: row["finding"] for row in csv.DictReader(host.check_output("cat /root/testssl.csv").splitlines())
    }
    assert (rows.get("overall_grade"), rows.get("grade_cap_reason_1")) == ("A+", None), rows
    assert int(rows["final_score"]) >= 96
    Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "testssl.csv").write_text(str(rows))
