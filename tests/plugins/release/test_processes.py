"""Processes beside the web run as the web does: on its image, with its environment, and locked down alike."""

from __future__ import annotations

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import processes
from ansible.module_utils.flask_deploy.switch import steps

from tests.deploys import MARK, deploy, options, prepare

WORKER = {"command": "rq worker 'two words'", "count": 2, "memory": "32m", "pids": 20, "stop_timeout": 7}


def record(app, **worker):
    return app.record(prepare(app, processes={"worker": {**WORKER, **worker}}))


def ids(app, *each):
    prepare(app)  # makes the key of secret digests
    return [steps.prepare(app, options(processes=given), dry=True)[0] for given in each]


def test_a_process_is_locked_down_as_the_web_is_and_has_limits_of_its_own(app, engine):
    release = deploy(app, processes={"worker": WORKER})
    (web,) = engine.calls(f"docker create --name shop-{release} ")
    worker = engine.calls(f"docker create --name shop-{release}-worker-1 ")[0]
    for said in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--user 10001:10001", "--init"):
        assert said in web and said in worker
    for said in ("--memory 32m --memory-swap 32m", "--pids-limit 20", "--stop-timeout 7", "--restart no"):
        assert said in worker
    assert [part for part in web.split() if "type=bind" in part] == [p for p in worker.split() if "type=bind" in p]
    assert "--network shop " in worker and "--label flask-deploy.process=worker" in worker and MARK not in worker
    assert worker.endswith("--no-healthcheck --entrypoint python3 sha256:one /release/exec.py rq worker two words")


def test_a_process_has_the_web_s_limits_where_none_are_said():
    web = {"memory": "1g", "cpus": 2, "pids": 99, "stop_timeout": 40}
    (whole,) = processes.wanted({"worker": {"command": ["sh", "-c", "a && b"]}}, web).values()
    limits = {"memory": "1g", "cpus": 2.0, "pids": 99}
    assert whole == {"command": ["sh", "-c", "a && b"], "count": 1, "hosts": "all", "stop_timeout": 60, **limits}
    assert processes.wanted(None, web) == {}


def test_what_the_processes_are_decides_the_release(app):
    none, nothing, one, more, other = ids(
        app, None, {}, {"worker": WORKER}, {"worker": {**WORKER, "count": 3}}, {"beat": WORKER}
    )
    assert none == nothing and len({none, one, more, other}) == 4


def test_an_app_without_processes_keeps_the_ids_of_its_releases(app, monkeypatch):
    (before,) = ids(app, {})
    monkeypatch.setattr(processes, "start_digest", lambda *of: "otherwise")
    assert ids(app, {}) == [before] and len(set(ids(app, {}, {"worker": WORKER}))) == 2


def test_a_plan_names_what_changes_of_the_processes(app):
    release = deploy(app, processes={"worker": WORKER, "old": {"command": "old"}})
    given = {"worker": {**WORKER, "count": 3, "command": "rq worker"}, "new": {"command": ["a b"]}}
    lines = steps.prepare(app, options(processes=given), dry=True)[2]["lines"]
    assert [line for line in lines if "app_processes" in line or "container" in line] == [
        "app_processes: -old",
        "app_processes: +new, 1 of it: 'a b'",
        "app_processes: worker: command rq worker 'two words' -> rq worker",
        "app_processes: worker: count 2 -> 3",
    ]
    assert steps.prepare(app, options(processes={"worker": WORKER, "old": {"command": "old"}}), dry=False)[:2] == (
        release,
        [],
    )


def test_a_process_that_is_damaged_in_its_record_is_none(app):
    known = record(app)
    assert list(processes.of(known)) == ["worker"]
    for damage in ({"count": "2"}, {"command": None}, {"arguments": {}}):
        assert processes.of({"processes": {"worker": {**known["processes"]["worker"], **damage}}}) == {}
    assert processes.of({"processes": [1]}) == processes.of({"processes": {"worker": 1}}) == processes.of({}) == {}


def test_a_count_of_none_means_none(app):
    release = record(app, count=0)["id"]
    assert processes.names(app, release) == {} and not processes.any_of(app, release)
    release = record(app)["id"]
    assert list(processes.names(app, release)) == [f"shop-{release}-worker-1", f"shop-{release}-worker-2"]
    assert processes.any_of(app, release) and not processes.any_of(app, "gone")


def test_an_image_that_was_built_anew_is_the_processes_too(app, two_images):
    release = record(app)["id"]
    assert prepare(app, processes={"worker": WORKER}, image="sha256:two") == release
    (words, _other) = processes.names(app, release).values()
    assert "sha256:two" in words and "sha256:one" not in words


def test_more_than_the_client_stops_at_once_take_their_turns(app):
    release = record(app, count=3)["id"]
    assert processes.stop_time(app, release, None) == 7
    assert processes.stop_time(app, record(app, count=64)["id"], release) == 14
    assert processes.stop_time(app) == 0


def test_somebody_else_s_container_of_that_name_is_left_alone(app, engine):
    release = prepare(app, processes={"worker": WORKER})
    place = engine.place / "containers" / f"shop-{release}-worker-1"
    place.mkdir()
    with pytest.raises(engines.EngineError, match=f"docker rename shop-{release}-worker-1 "):
        processes.start(app, processes.names(app, release))
    assert place.exists()


def test_each_process_is_told_with_its_release_how_many_are_up_and_how_often_they_were_started_again(app, engine):
    old = deploy(app, processes={"worker": WORKER})
    assert processes.told(app) == [
        {"process": "worker", "release": old, "wanted": 2, "up": 2, "restarts": 4, "down": ""},
    ]
    (engine.place / "containers" / f"shop-{old}-worker-2" / "running").unlink()
    (told,) = processes.told(app)
    assert (told["up"], told["down"]) == (1, f"shop-{old}-worker-2")
    files.link(app.current, f"releases/{prepare(app, build='b2')}")
    (told,) = processes.told(app)
    assert (told["release"], told["wanted"], told["up"]) == (old, 0, 2)


def test_one_that_is_left_where_the_host_is_no_longer_the_first_is_not_wanted(app, engine):
    release = deploy(app, processes={"beat": {"command": "beat", "hosts": "one"}})
    assert [(row["wanted"], row["up"]) for row in processes.told(app)] == [(1, 1)]
    app.mark_first(False)
    assert [(row["release"], row["wanted"], row["up"]) for row in processes.told(app)] == [(release, 0, 1)]
    engines.remove(f"shop-{release}-beat-1")
    assert processes.told(app) == [], "nor is it down"
