"""The module that brings a release one step further: what each step needs, answers and leaves of the lease."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.release import static
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.module_utils.flask_deploy.switch import progress, retire, steps, switch
from ansible.module_utils.testing import patch_module_args
from ansible.modules import app_release as module

OWNER = {"id": "run", "user": "ann", "host": "laptop", "process": 42, "started": "7", "namespace": "here"}
LAST = module.STATES[-1]
WHOLE = {
    "domain": "shop.example.com",
    "health_path": "/",
    "image": "sha256:one",
    "build": "b1",
    "source": {"kind": "directory", "digest": "d"},
    "by": "tester",
    "wsgi": "shop:app",
    "static": "",
    "container": {"memory": "64m", "cpus": 0, "pids": 16, "stop_timeout": 10},
    "files": {"site.conf": "server {}\n", "gunicorn.conf.py": "", "exec.py": ""},
    "environment": {"A": "x"},
    "secrets": {"KEY": "h5-Xq-and-more"},
    "secret_files": {"users.json": "a file of secrets"},
    "release_key": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
}
WATCH = {"seconds": 0, "percent": 5, "samples": 20}


@pytest.fixture
def app(host, monkeypatch):
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 0)
    app = host()
    app.made = []
    by_module = SimpleNamespace(App=lambda name, uid: app.made.append((name, uid)) or app)
    monkeypatch.setattr(module, "places", by_module)
    return app


@pytest.fixture
def run(app, capsys):
    """Run the module; return what it answers with, and how it ended."""

    def run(state, dry=False, **more):
        arguments = {"app": "shop", "uid": 10001, "state": state, **more, "_ansible_check_mode": dry}
        with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
            module.main()
        return {**json.loads(capsys.readouterr().out), "rc": ended.value.code}

    return run


@pytest.fixture
def lease(app):
    lease = leases.Lease("shop", OWNER)
    lease.take()
    return lease


def held(lease):
    return os.path.exists(lease.path)


@pytest.fixture
def serve(run, app):
    """Let a prepared release serve, as a play does, with some arguments of the last step."""

    def serve(release, **more):
        begun = run("switched", release=release, watch=WATCH)["switch"]
        for step in (switch.move, switch.look) if begun else ():
            step(app, progress.pending(app))
        told = run("watched", release=release, switch=begun, watch=WATCH)
        if begun:
            progress.decide(app, begun, True)
            switch.carry_out(app)
        outcomes = {"here": {"well": told["well"], "reason": told["reason"]}}
        return begun, told, run(LAST, release=release, switch=begun, outcomes=outcomes, **more)

    return serve


def test_a_release_comes_to_serve_step_by_step(run, app, serve):
    prepared = run("prepared", **WHOLE)
    assert (prepared["rc"], prepared["changed"], prepared["previous"]) == (0, True, None)
    assert prepared["actions"] and prepared["diff"] and prepared["release"] in app.known()
    assert 0 <= prepared["seconds"] < 30
    assert app.made == [("shop", 10001)]
    begun, told, served = serve(prepared["release"], steps={"build": 1.5})
    assert (begun, told["well"], told["changed"]) == (
        progress.outcome(app, prepared["release"], begun)["id"],
        True,
        False,
    )
    assert served["record"]["release"] == served["release"] == app.serving() == prepared["release"]
    assert served["record"]["seconds"]["build"] == 1.5 and "build 1.5" in str(served["summary"])


def test_a_second_run_changes_nothing_and_names_what_serves(run, app, serve):
    release = run("prepared", **WHOLE)["release"]
    serve(release)
    again = run("prepared", **WHOLE)
    assert (again["changed"], again["actions"], again["previous"]) == (False, [], release)
    begun, told, served = serve(release)
    assert (begun, told["well"], served["changed"]) == (None, True, False)


def test_what_is_written_is_not_started(run, app, engine):
    written = run("written", **WHOLE)
    assert written["changed"] and written["release"] in app.known()
    assert engine.running() == []


def test_a_release_command_tells_what_it_did(run, app):
    release = run("written", **WHOLE)["release"]
    ran = run("commanded", release=release, command="flask db upgrade")
    assert (ran["release"], ran["actions"], ran["changed"]) == (release, ["ran flask db upgrade"], True)
    assert ran["command"]["code"] == 0 and ran["command"]["said"]


def test_a_release_that_is_left_is_restored(run, app, engine, serve):
    old = run("prepared", **WHOLE)["release"]
    serve(old)
    app.set_state(old, "live", switched=app.state(old)["switched"] - 60)
    new = run("prepared", **{**WHOLE, "build": "b2"})["release"]
    serve(new)
    restored = run("restored")
    assert (restored["release"], restored["previous"], restored["rc"]) == (old, new, 0)
    assert f"shop-{old}" in engine.running()


def test_a_dry_run_foresees_and_touches_nothing(run, app, engine):
    foreseen = run("prepared", dry=True, **WHOLE)
    assert foreseen["changed"] and foreseen["diff"] and app.known() == [] and engine.calls("docker create") == []
    assert run("commanded", dry=True, release="abc", command="migrate")["command"] == {}
    told = run("watched", dry=True, release="abc")
    assert told["well"] is True and told["reject"] is False and told["reason"] is told["seen"] is None
    assert told["actions"] == [] and not told["changed"]


@pytest.mark.parametrize(
    ("state", "wants"),
    [
        ("written", "domain"),
        ("written", "container"),
        ("prepared", "domain"),
        ("prepared", "files"),
        ("commanded", "release"),
        ("switched", "release"),
        ("switched", "watch"),
        ("watched", "release"),
        (LAST, "release"),
    ],
)
def test_a_step_says_what_it_lacks(run, state, wants):
    given = {**WHOLE, "watch": WATCH, "release": "abc", "command": "x"}
    del given[wants]
    refused = run(state, **given)
    assert refused["failed"] and refused["rc"] == 1
    assert f"state is {state} but all of the following are missing: {wants}" in refused["msg"]


@pytest.mark.parametrize("name", ["app", "uid", "state"])
def test_what_every_step_needs_is_asked_for(capsys, app, name):
    arguments = {"app": "shop", "uid": 10001, "state": "restored"}
    del arguments[name]
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    assert f"missing required arguments: {name}" in json.loads(capsys.readouterr().out)["msg"]


def test_a_word_that_is_no_state_is_refused(run):
    assert "value of state must be one of: written, commanded" in run("deployed")["msg"]


def test_what_is_left_out_has_the_words_of_the_specification(run, app, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        steps, "prepare", lambda app, options, dry: seen.update(options) or ("r", [], {"diff": [], "lines": []})
    )
    run("prepared", **{name: WHOLE[name] for name in module.WHOLE})
    numbers = {"start_timeout": 60, "drain_timeout": 30, "keep": 5, "command_timeout": 600, "confirm": 30}
    flags = dict.fromkeys(("reject", "accept_rejected", "accept_schema_ahead"), False)
    assert numbers.items() | flags.items() <= {(n, v) for n, v in seen.items() if isinstance(v, (int, bool))}
    assert seen["outcomes"] == seen["steps"] == {}
    assert all(seen[name] is None for name in ("by", "static", "switch", "owner", "source", "environment", "watch"))


def test_no_secret_is_told(run):
    said = json.dumps(run("prepared", **WHOLE))
    assert not [
        word
        for word in ("h5-Xq-and-more", "a file of secrets", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
        if word in said
    ]


def test_a_step_keeps_the_lease_and_the_last_one_gives_it_back(run, app, lease):
    release = run("prepared", owner=OWNER, **WHOLE)["release"]
    assert held(lease)
    begun = run("switched", release=release, watch=WATCH, owner=OWNER)["switch"]
    assert held(lease)
    progress.decide(app, begun, True)
    switch.carry_out(app)
    run(LAST, release=release, switch=begun, outcomes={"here": {"well": True}}, owner=OWNER)
    assert not held(lease)


def test_a_step_that_fails_gives_the_lease_back_and_says_why(run, app, lease):
    failed = run("restored", release="0000", owner=OWNER)
    assert failed["failed"] and "0000" in failed["msg"]
    assert not held(lease)


def test_a_step_of_who_lost_the_lease_does_nothing(run, app, lease):
    other = {**OWNER, "id": "other", "user": "bob"}
    refused = run("prepared", owner=other, **WHOLE)
    assert "locked: ann on laptop" in refused["msg"]
    assert app.known() == [] and held(lease)


def test_a_dry_run_looks_at_no_lease(run, app, lease):
    assert run("prepared", dry=True, owner={**OWNER, "id": "other"}, **WHOLE)["rc"] == 0


def test_a_compressor_that_hangs_is_said_and_leaves_nothing(run, app, engine, lease, monkeypatch):
    """It is an error like any other: no traceback, no candidate, the lease is given back."""
    engine.public("shop.js", "hello " * 1000)
    (engine.place / "bin" / "brotli").write_text("#!/bin/sh\nexec sleep 60\n")
    (engine.place / "bin" / "brotli").chmod(0o755)
    monkeypatch.setattr(static, "PATIENCE", 0.3)
    failed = run("prepared", owner=OWNER, **{**WHOLE, "static": "static"})
    assert failed["rc"] == 1 and failed["failed"]
    said = "static file shop.js: nice brotli took longer than 0.3 s and was ended; the host may be busy"
    assert failed["msg"].startswith(said)
    assert app.known() == [] and engine.running() == [] and not held(lease)
