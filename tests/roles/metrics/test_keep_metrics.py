"""What is measured of a host and its apps: true values, each request once, and text that Prometheus reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import condition, nginx, systemd, timed
from ansible.module_utils.flask_deploy.release import failures, jobs, processes
from ansible.module_utils.flask_deploy.switch import log
from keep_metrics import __main__ as program
from keep_metrics import counting, ending, exposition, places

from tests.deploys import deploy

NOON = 1_795_000_000
with_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="make tools installs promtool")


def line(release, status=200, first="0.040", websocket="", upstream="200", **more):
    told = {"at": NOON, "app": "shop", "path": "/", "status": status, "seconds": 9, "upstream_status": upstream}
    return json.dumps({**told, "first": first, "websocket": websocket, "release": release, **more}) + "\n"


@pytest.fixture
def measured(app, host, tmp_path, monkeypatch):
    """A host with an app of which all is well; return what it says, to be changed."""
    for name, path in {
        "ETC": "metrics",
        "WORK": "work",
        "TEXTS": "work/textfile",
        "COUNTS": "work/requests.json",
    }.items():
        monkeypatch.setattr(places, name, str(tmp_path / path))
    monkeypatch.setattr(places, "LOCK", str(tmp_path / "run/metrics.lock"))
    Path(places.TEXTS).mkdir(parents=True)
    Path(places.ETC).mkdir()
    apps = {"shop": app}
    for module in (program, counting):
        monkeypatch.setattr(module, "App", lambda name: apps.setdefault(name, host(name)))
    said = {"units": {"failed": [], "auto-restart": []}, "in_step": True, "processes": [], "jobs": [], "status": 200}
    said["keep_certificates"] = {"problems": [], "not_after": "2027-01-01T00:00:00+00:00"}
    said["keep_backups"] = {"problems": [], "runs": {"backup": {"good": NOON, "failed": False}}}
    monkeypatch.setattr(condition, "units", lambda: said["units"])
    monkeypatch.setattr(condition, "clock", lambda: {"in_step": said["in_step"]})
    monkeypatch.setattr(condition, "told", lambda program, _app: said[program])
    monkeypatch.setattr(processes, "told", lambda _app: said["processes"])
    monkeypatch.setattr(jobs, "status", lambda _app: said["jobs"])
    monkeypatch.setattr(nginx, "probe_door", lambda *_words: said["status"])
    setting("shop")
    return said


def setting(app, **more):
    told = {"app": app, "domain": f"{app}.example.com", "certificate": app, "backup": True, **more}
    Path(places.ETC, f"{app}.json").write_text(json.dumps(told))


def logged(*lines):
    with open(log.LOG, "a") as file:
        file.writelines(lines)


def written(name="shop"):
    """Return {sample: value} of what node exporter would read, after a look."""
    program.do_write()
    lines = Path(places.TEXTS, f"{name}.prom").read_text().splitlines()
    found = (text.removeprefix("flask_deploy_").rpartition(" ")[::2] for text in lines if text[0] != "#")
    return {sample: float(value) for sample, value in found}


def test_requests_are_counted_once_by_release_and_status_over_rotations_and_half_lines(measured, app):
    release = deploy(app)
    logged(line(release, 502))
    written()  # what was logged before the first look is not known to be new
    logged(line(release) * 5, line(release, 502, "0.6") * 2, line(release)[:30])
    labels = f'{{app="shop",release="{release}",status="%s"}}'
    found = written()
    assert (found["requests_total" + labels % 200], found["requests_total" + labels % 502]) == (5, 2)
    logged(line(release)[30:])
    os.rename(log.LOG, f"{log.LOG}.1")
    logged(line(release) * 3)
    assert written()["requests_total" + labels % 200] == 9
    assert written()["requests_total" + labels % 200] == 9


def test_a_log_that_is_larger_than_one_look_is_read_to_its_end(measured, app, monkeypatch):
    release = deploy(app)
    written()
    monkeypatch.setattr(log, "LOOK", 1000)
    logged(line(release) * 100)
    assert written()[f'requests_total{{app="shop",release="{release}",status="200"}}'] == 100


def test_what_the_host_itself_asks_is_not_counted(measured, app):
    release = deploy(app)
    written()
    logged(line(release, 502, agent="flask-deploy", remote_addr="127.0.0.1") * 4, line(release) * 2)
    found, labels = written(), f'app="shop",release="{release}"'
    counted = {sample: value for sample, value in found.items() if sample.startswith("requests_total")}
    assert counted == {f'requests_total{{{labels},status="200"}}': 2}


def test_an_answer_of_another_app_that_names_a_release_of_this_one_is_not_counted(measured, app):
    release = deploy(app)
    written()
    logged(line(release, 500, app="blog") * 4, line(release) * 2, line(release, app=""))
    found, labels = written(), f'app="shop",release="{release}"'
    counted = {sample: value for sample, value in found.items() if sample.startswith("requests_total")}
    assert counted == {f'requests_total{{{labels},status="200"}}': 3}


def test_the_time_to_the_first_byte_is_a_histogram_without_websockets_and_what_nginx_answered(measured, app):
    release = deploy(app)
    written()
    logged(line(release, first="0.010"), line(release, first="0.3"), line(release, first="99"))
    logged(line(release, 101, first="0.01", websocket="websocket"), line(release, 502, first="-"))
    logged(line(release, first="", upstream=""), line("fedcba987654"))
    found, labels = written(), f'app="shop",release="{release}"'
    buckets = {
        bound: found[f'first_byte_seconds_bucket{{{labels},le="{bound}"}}'] for bound in (0.005, 0.01, 0.5, 10.0)
    }
    assert buckets == {0.005: 0, 0.01: 1, 0.5: 2, 10.0: 2}
    assert found[f'first_byte_seconds_bucket{{{labels},le="+Inf"}}'] == 3
    assert found[f"first_byte_seconds_count{{{labels}}}"] == 3 and found[f"first_byte_seconds_sum{{{labels}}}"] == 99.31
    assert found[f'requests_total{{{labels},status="200"}}'] == 3


def test_what_other_bounds_counted_and_releases_that_are_gone_are_forgotten(measured, app):
    release = deploy(app)
    written()
    gone = {"statuses": {"200": 4}, "within": [0] * (len(counting.BOUNDS) + 1), "seconds": 0}
    known = json.loads(Path(places.COUNTS).read_text())
    known["counted"] = {"fedcba987654": gone, release: {**gone, "within": [0]}}
    Path(places.COUNTS).write_text(json.dumps(known))
    assert [name for name in written() if name.startswith("requests")] == []


def test_a_deploy_and_one_that_is_taken_back_are_seen(measured, app):
    first = deploy(app)
    found = written()
    assert found[f'release_info{{app="shop",release="{first}"}}'] == 1
    assert found['deploy_failed_timestamp_seconds{app="shop"}'] == 0
    switches, began = (
        found[f'{name}{{app="shop"}}'] for name in ("switches_total", "release_switched_timestamp_seconds")
    )
    second = deploy(app, environment={"A": "y"})
    found = written()
    assert f'release_info{{app="shop",release="{first}"}}' not in found
    assert found[f'release_info{{app="shop",release="{second}"}}'] == 1
    assert found['switches_total{app="shop"}'] == switches + 1
    assert found['release_switched_timestamp_seconds{app="shop"}'] >= began > 0
    app.set_state(second, "reverted")
    found = written()
    assert found['deploy_failed_timestamp_seconds{app="shop"}'] == pytest.approx(app.state(second)["since"], abs=1)
    assert found['releases{app="shop",state="reverted"}'] == 1


def test_a_deploy_that_never_served_is_seen(measured, app):
    deploy(app)
    failures.remember(app, "fedcba987654", {}, "it did not answer")
    when = written()['deploy_failed_timestamp_seconds{app="shop"}']
    assert when == pytest.approx(failures.recall(app)[0]["at"], abs=1)


def test_whether_the_app_answers_and_is_closed(measured, app):
    assert 'app_up{app="shop"}' not in written(), "nothing was deployed yet"
    deploy(app)
    assert written()['app_up{app="shop"}'] == 1
    measured["status"] = 502
    os.makedirs(f"{app.root}/maintenance/html")
    found = written()
    assert (found['app_up{app="shop"}'], found['maintenance{app="shop"}']) == (0, 1)


def test_jobs_workers_certificate_and_backups_are_told(measured, app):
    release = deploy(app)
    ended = {"began": NOON, "ended": NOON + 7, "result": "success", "code": "0"}
    row = {"runs": False, "next": 0, "timer": True}
    measured["jobs"] = [
        {**row, "name": "purge", "record": ended},
        {**row, "name": "mails", "record": {**ended, "result": "timeout"}, "timer": False},
        {**row, "name": "cut", "record": {"began": NOON}},
        {**row, "name": "now", "record": {"began": NOON}, "runs": True},
    ]
    worker = {"process": "worker", "release": release, "wanted": 2, "up": 1, "restarts": 0, "down": ""}
    measured["processes"] = [worker, {**worker, "release": "old", "up": 2}]
    measured["keep_backups"]["runs"]["drill"] = {"good": None, "failed": True}
    measured["keep_backups"]["problems"] = ["the drill of today failed: torn"]
    found = {sample.replace('app="shop",', ""): value for sample, value in written().items()}
    well = [found.get(f'job_success{{job_name="{job}"}}') for job in ("purge", "mails", "cut", "now")]
    assert well == [1, 0, 0, None] and found['job_seconds{job_name="purge"}'] == 7
    assert found['job_ended_timestamp_seconds{job_name="purge"}'] == NOON + 7
    assert (found['job_timer_up{job_name="purge"}'], found['job_timer_up{job_name="mails"}']) == (1, 0)
    assert (found['processes_wanted{process="worker"}'], found['processes_up{process="worker"}']) == (2, 1)
    assert found['certificate_not_after_timestamp_seconds{domain="shop.example.com"}'] == 1_798_761_600
    assert (found['backup_success{kind="backup"}'], found['backup_success{kind="drill"}']) == (1, 0)
    assert found['backup_good_timestamp_seconds{kind="backup"}'] == NOON
    assert 'backup_good_timestamp_seconds{kind="drill"}' not in found and found['backup_problems{app="shop"}'] == 1


def test_an_app_without_backups_has_no_metric_of_them(measured):
    setting("shop", backup=False)
    assert not any(name.startswith("backup_") for name in written())


def test_units_that_are_not_well_and_the_clock_are_the_host_s(measured):
    measured["units"]["failed"] = [{"name": "broken.service"}]
    measured["in_step"] = False
    expected = {'unit_problem{unit="broken.service",state="failed"}': 1, "clock_in_step": 0}
    assert written("host") == expected


def test_what_cannot_be_looked_at_is_told_and_hides_nothing(measured, app, monkeypatch, capsys):
    deploy(app)
    monkeypatch.setattr(jobs, "status", lambda _app: 1 / 0)
    found = written()
    assert found['look_failed{app="shop",subject="jobs"}'] == 1 and found['look_failed{app="shop",subject="web"}'] == 0
    assert "jobs of shop cannot be looked at: ZeroDivisionError: division by zero" in capsys.readouterr().err
    assert found['app_up{app="shop"}'] == 1


def test_apps_are_apart_and_one_that_goes_takes_its_metrics_along(measured):
    setting("blog")
    written()
    assert sorted(os.listdir(places.TEXTS)) == ["blog.prom", "host.prom", "shop.prom"]
    assert 'app="shop"' not in Path(places.TEXTS, "blog.prom").read_text()
    os.remove(f"{places.ETC}/blog.json")
    written()
    assert sorted(os.listdir(places.TEXTS)) == ["host.prom", "shop.prom"]


@with_promtool
def test_prometheus_reads_what_is_written_and_finds_nothing_odd(measured, app):
    release = deploy(app)
    written()
    logged(line(release), line(release, 502))
    measured["units"]["auto-restart"] = [{"name": 'odd\\x2d"\n.service'}]
    measured["jobs"] = [{"name": "purge", "runs": False, "timer": True, "record": {"began": 1, "ended": 2.5}}]
    measured["processes"] = [{"process": "w", "release": release, "wanted": 2, "up": 1}]
    written()
    texts = {path.name: path.read_text() for path in Path(places.TEXTS).iterdir()}
    told = {each for text in texts.values() for each in exposition.FAMILIES if f"# TYPE flask_deploy_{each} " in text}
    assert told == set(exposition.FAMILIES)
    for text in texts.values():
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_metric_that_nobody_described_is_an_error():
    with pytest.raises(KeyError):
        exposition.text([("nonsense", {}, 1)])


def test_its_end_leaves_nothing_but_what_others_have(measured, app, tmp_path, monkeypatch, engine):
    monkeypatch.setattr(timed, "PLACE", str(tmp_path / "lib"))
    monkeypatch.setattr(ending, "UNITS", str(tmp_path / "units"))
    told = []
    monkeypatch.setattr(systemd, "ask", lambda *words, **_options: told.append(words) or "")
    ours = [f"units/{name}" for name in (*ending.OURS, "flask-deploy-metrics.service")]
    ours += [f"etc/nginx/{ending.STATUS}", "lib/keep_metrics/places.py", "lib/metrics"]
    others = ["units/prometheus-node-exporter.service", "etc/nginx/conf.d/shop.conf", "lib/keep_watch/places.py"]
    for path in [*ours, *others]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    ending.end()
    assert [path for path in ours if (tmp_path / path).exists()] == []
    assert all((tmp_path / path).exists() for path in others)
    assert not os.path.exists(places.ETC) and not os.path.exists(places.WORK)
    assert told[0][:2] == ("disable", "--now") and set(ending.OURS) < set(told[0])
    assert engine.calls("systemctl reload nginx")
    ending.end()
    assert len(engine.calls("systemctl reload nginx")) == 1, "there was nothing to reload it for"
