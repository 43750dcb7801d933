"""Status and history are tables that stay tables, and say what somebody should do."""

from __future__ import annotations

import datetime
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.certificates import pair
from ansible.module_utils.flask_deploy.host import files, nginx
from ansible.module_utils.flask_deploy.release import processes
from ansible.module_utils.flask_deploy.release import record as records
from ansible.module_utils.flask_deploy.switch import retire
from ansible.modules import status_look

from tests.conftest import ROOT
from tests.deploys import deploy, prepare

SPEC = importlib.util.spec_from_file_location("status_table", ROOT / "roles/status/filter_plugins/status_table.py")
status_table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(status_table)
FOLDED = 74  # columns that are left of 80 beside Ansible's own


@pytest.fixture
def app(host, monkeypatch):
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    usage = SimpleNamespace(free=7 << 30)
    monkeypatch.setattr(status_look, "shutil", SimpleNamespace(disk_usage=lambda path: usage))
    return host()


def told(release="3f9a0c41d2b7", remarks=(), **more):
    known = {"release": release, "age": "59 min", "healthy": True, "health": "200", "certificate_days": 364}
    return {**known, "disk_free_mb": 9999 << 10, "remarks": list(remarks), **more}


def columns(lines):
    """Return where the words of each line begin."""
    return [[at for at in range(len(line)) if line[at] != " " and (at == 0 or line[at - 1] == " ")] for line in lines]


@pytest.mark.parametrize(
    "hosts",
    [
        ["web1", "web2"],
        [f"production-web-{number}.frankfurt.example.com" for number in (1, 2)],
        ["a" * 40, "b"],
        ["web1.example.com", f"{'long-name-' * 5}1", f"{'long-name-' * 5}2"],
    ],
)
def test_columns_do_not_shift_and_no_line_is_folded(hosts):
    statuses = {host: told() for host in hosts}
    statuses[hosts[0]] |= {"healthy": False, "health": "OSError: [Errno 111] Connection refused " * 3, "age": "1 h"}
    lines = status_table.table(statuses)
    begin = [line.index(word) for line, word in zip(lines, ["release", *["3f9a0c41d2b7"] * len(hosts)], strict=True)]
    assert len(set(begin)) == 1
    assert max(map(len, lines)) <= FOLDED
    assert len({line.split()[0] for line in lines}) == len(hosts) + 1, "each host has a name of its own"


WORKER = {"process": "worker", "release": "3f9a0c41d2b7", "wanted": 2, "up": 1, "restarts": 4, "down": "x-worker-2"}


def test_processes_have_a_table_of_their_own_that_is_not_folded_either():
    beat = {**WORKER, "process": "a-process-named", "wanted": 64, "up": 64, "restarts": 12345678}
    lines = status_table.table({"a" * 40: told(processes=[WORKER, beat]), "web2": told(processes=[])})
    assert lines[3].split() == ["host", "release", "process", "up", "restarts"]
    assert lines[4].split()[1:] == ["3f9a0c41d2b7", "worker", "1/2", "4"] and len(lines) == 6
    assert max(map(len, lines)) <= FOLDED
    assert len(status_table.table({"web1": told(), "web2": told(processes=[])})) == 3


def test_a_worker_that_is_down_and_one_that_is_left_are_told(app, engine):
    known = {"processes": {"worker": {"command": "x", "count": 2}}}
    old = deploy(app, **known)
    assert [each["up"] for each in status_look.describe(app)["processes"]] == [2]
    assert status_look.describe(app)["remarks"] == []
    (engine.place / "containers" / f"shop-{old}-worker-2" / "running").unlink()
    (said,) = status_look.describe(app)["remarks"]
    assert said == f"worker: 1 of 2 up; why: sudo docker logs --tail 50 shop-{old}-worker-2"
    new = deploy(app, build="b2", **known)
    processes.start(app, processes.names(app, old))
    (said,) = status_look.describe(app)["remarks"]
    assert said.startswith(f"worker of {old} is left and should not run; a deploy settles it: ansible-playbook")
    told = status_look.describe(app)["processes"]
    assert [(each["release"], each["wanted"]) for each in told] == [(new, 2), (old, 0)]


def test_where_the_engine_is_away_nobody_can_tell_of_processes(app, monkeypatch):
    deploy(app, processes={"worker": {"command": "x"}})

    def away(*words):
        raise status_look.engine.EngineError("Cannot connect to the Docker daemon")

    monkeypatch.setattr(processes.engine, "inspect_all", away)
    assert status_look.describe(app)["processes"] == []


def test_hosts_with_two_releases_are_called_uneven():
    lines = status_table.table({"web1": told(), "web2": told("b" * 12), "web3": told(None)})
    assert lines[-1].startswith(f"uneven: 3f9a0c41d2b7 on web1, {'b' * 12} on web2, none on web3. ")
    assert "ansible-playbook playbooks/app.yml" in lines[-1]
    assert len(status_table.table({"web1": told(), "web2": told()})) == 3


def test_what_several_hosts_say_is_said_once():
    lines = status_table.table({"web1": told(remarks=["x"]), "web2": told(remarks=["x", "y"])})
    assert lines[-2:] == ["web1 web2: x", "web2: y"]


def test_a_host_without_an_answer_is_named():
    assert "no answer from web2" in status_table.table({"web1": told()}, ["web1", "web2"])[-1]


def test_maintenance_is_shown(app):
    deploy(app)
    assert status_look.describe(app)["remarks"] == []
    Path(f"{app.root}/maintenance/html").write_text("back soon")
    (said,) = status_look.describe(app)["remarks"]
    assert "visitors see the maintenance page" in said and "-e site_maintenance=off" in said


def test_an_app_that_does_not_answer_says_why_below_the_table(app, monkeypatch):
    release = deploy(app)

    def refuse(*arguments):
        raise OSError("refused\n" * 200)

    monkeypatch.setattr(nginx, "probe_socket", refuse)
    status = status_look.describe(app)
    assert not status["healthy"]
    (said,) = status["remarks"]
    assert said.startswith("/ answers refused refused") and f"sudo docker logs --tail 50 shop-{release}" in said
    assert "\n" not in said and len(said) < 300


def test_a_switch_that_was_cut_off_is_shown(app):
    deploy(app)
    files.write_json(app.pending, {"id": "1"})
    assert "a switch is under way or was cut off" in status_look.describe(app)["remarks"][0]


def test_a_certificate_for_other_names_is_shown(app, tmp_path):
    release = deploy(app)
    (tmp_path / "c.pem").write_bytes(pair.make_selfsigned(["a.test"], datetime.datetime.now(datetime.UTC))[0])
    text = f"server {{\n    ssl_certificate {tmp_path}/c.pem;\n    server_name b.test;\n}}\n"
    Path(app.path(release, "site.conf")).write_text(text)
    assert "does not cover b.test" in status_look.describe(app)["remarks"][0]


def test_days_of_a_certificate_are_whole_and_none_without_one(app):
    assert status_look.certificate_days(app) is None
    place = Path(f"{app.etc}/tls/current")
    place.mkdir(parents=True)
    (place / "fullchain.pem").write_bytes(pair.make_selfsigned(["a.test"], datetime.datetime.now(datetime.UTC))[0])
    assert status_look.certificate_days(app) >= 360


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"kind": "git", "ref": "main", "commit": "1a2b3c4d5e"}, "main 1a2b3c4"),
        ({"kind": "directory", "digest": "d"}, "directory"),
        ({"kind": "directory", "digest": "d", "commit": "1a2b3c4d5e"}, "directory 1a2b3c4"),
        ({"kind": "directory", "commit": "1a2b3c4d5e", "changes": True}, "directory 1a2b3c4+changes"),
        ({"kind": "git", "ref": "feature/" * 9, "commit": "1a2b3c4d5e"}, "feature/feature/ 1a2b3c4"),
        ({}, "directory"),
    ],
)
def test_history_says_what_a_release_was_made_of(source, said):
    assert records.origin(source) == said


def test_a_line_of_history_is_never_folded(app):
    source = {"kind": "git", "ref": "feature/" * 9, "commit": "1a2b3c4d5e", "repository": "x", "digest": "t"}
    deploy(app, by="somebody-with-a-long-name", source=source)
    prepare(app, build="b2")
    lines = [app.describe(release) for release in app.known()]
    assert max(map(len, lines)) <= FOLDED
    assert len({tuple(columns([line])[0][:4]) for line in lines if "never" not in line}) == 1


def test_a_line_of_history_says_when_a_release_began_to_serve(app):
    release = deploy(app, by="ann", source={"kind": "git", "ref": "main", "commit": "1a2b3c4d5e"})
    app.set_state(release, "live", switched=1e9)
    assert app.describe(release) == f"{release} live     2001-09-09 01:46 ann        main 1a2b3c4"
    other = prepare(app, build="b2", by="ann")
    assert app.describe(other) == f"{other} prepared never served     ann        directory"
    Path(app.path(other, "state.json")).unlink()
    assert app.describe(other) == f"{other} unknown  never served     ann        directory"


def test_a_release_whose_record_is_cut_short_is_no_traceback(app):
    release = deploy(app)
    Path(app.path(release, "release.json")).write_text("{")
    status = status_look.describe(app)
    assert not status["healthy"]
    assert status["history"][0].startswith(release)


def test_status_says_that_the_serving_release_was_killed(app):
    release = deploy(app)
    files.write_json(app.revived, {"release": release, "code": 137, "times": 2, "at": 1.0})
    said = status_look.describe(app)["remarks"]
    assert (
        "it was killed 2 times, last with code 137, and started again: sudo journalctl -u flask-deploy-keep@shop"
        in said
    )
    files.write_json(app.revived, {"release": "another", "code": 137, "times": 2, "at": 1.0})
    assert not [line for line in status_look.describe(app)["remarks"] if "killed" in line]


@pytest.mark.parametrize(
    ("plan", "said"),
    [([], "nothing would change: release 3f9a0c41d2b7 serves"), (["image: is to be built"], "image: is to be built")],
)
def test_a_dry_run_says_what_would_change_or_that_nothing_would(render, plan, said):
    known = {"__app_release": {"plan": plan, "release": "3f9a0c41d2b7"}, "ansible_check_mode": True}
    assert said in render("app", "__app_summary", __site_port_suffix="", **known)


def job(name="purge", **more):
    return {"name": name, "last": "11-27 03:00:00", "took": "12 s", "result": "ok", "next": "11-28 03:00:00", **more}


def test_jobs_are_a_table_of_their_own():
    lines = status_table.table({"web1": told(jobs=[job(), job("send_reports", result="code 3", took="3600 s")])})
    assert lines[2:] == [
        "job          last (UTC)     took   result next (UTC)",
        "purge        11-27 03:00:00 12 s   ok     11-28 03:00:00",
        "send_reports 11-27 03:00:00 3600 s code 3 11-28 03:00:00",
    ]
    assert len(status_table.table({"web1": told(jobs=[])})) == 2


def test_of_several_hosts_a_job_s_is_named():
    lines = status_table.table({"web1": told(jobs=[job()]), "web2": told(jobs=[])})
    assert lines[3].endswith("next (UTC)     on") and lines[4].endswith("11-28 03:00:00 web1")
    assert max(map(len, lines)) <= FOLDED


BEGAN = 1795748400  # 2026-11-27 03:00:00 UTC


@pytest.mark.parametrize(
    ("record", "runs", "result", "took", "remark"),
    [
        ({}, False, "never ran", "-", None),
        ({"began": BEGAN}, True, "runs", "-", None),
        ({"began": BEGAN}, False, "cut off", "-", "job purge failed (cut off)"),
        ({"began": BEGAN, "ended": BEGAN + 12.4, "result": "success", "code": "0"}, False, "ok", "12 s", None),
        ({"began": BEGAN, "ended": BEGAN + 1, "result": "exit-code", "code": "3"}, False, "code 3", "1 s", "(code 3)"),
        ({"began": BEGAN, "ended": BEGAN + 9, "result": "timeout", "code": "TERM"}, False, "too long", "9 s", "(too l"),
        ({"began": BEGAN, "ended": BEGAN - 9, "result": "signal", "code": "KILL"}, False, "signal", "0 s", "(signal)"),
    ],
)
def test_a_job_s_last_run_is_told_and_what_failed_is_a_remark(app, monkeypatch, record, runs, result, took, remark):
    row = {"name": "purge", "runs": runs, "next": BEGAN + 86400, "timer": True, "record": record}
    monkeypatch.setattr(status_look.jobs, "status", lambda app: [row])
    status = status_look.describe(app)
    last = "11-27 03:00:00" if record else "-"
    assert status["jobs"] == [job(last=last, took=took, result=result)]
    assert len(status["remarks"]) == (remark is not None)
    if remark:
        assert remark in status["remarks"][0]
        assert status["remarks"][0].endswith("; its log: sudo journalctl -n 50 -u flask-deploy-job-shop-purge.service")


def test_a_timer_that_is_not_up_is_a_remark(app, monkeypatch):
    row = {"name": "purge", "runs": False, "next": 0, "timer": False, "record": {}}
    monkeypatch.setattr(status_look.jobs, "status", lambda app: [row])
    status = status_look.describe(app)
    assert status["jobs"][0]["next"] == "no timer" and "has no timer that is up; a deploy" in status["remarks"][0]
