"""The release command runs once for a release, on the new code; going back behind it needs a word."""

from __future__ import annotations

import pytest
from ansible.module_utils import app_deploy as module
from ansible.module_utils import app_diagnosis as diagnosis
from ansible.module_utils import app_releases, app_retire

from .test_app_releases import deploy, options, prepare, serve


@pytest.fixture
def app(host, monkeypatch):
    monkeypatch.setattr(app_retire, "DRAIN_FLOOR", 0)
    return host()


def write(app, **more):
    return module.write(app, options(**more), dry=False)[0]


def command(app, release, words="flask db upgrade"):
    return module.command(app, options(release=release, command=words))


def test_it_runs_on_the_new_code_before_the_release_starts(app, engine):
    old = deploy(app)
    new = write(app, build="b2")
    done = command(app, new)
    assert (done["code"], done["said"], done["release"]) == (0, ["migrated"], new)
    (call,) = engine.calls("docker run")
    assert f"--name shop-{new}-command" in call and "--read-only" in call and "--cap-drop ALL" in call
    assert call.endswith("/release/exec.py flask db upgrade")
    assert engine.running() == [f"shop-{old}"] and app.serving() == old


def test_it_runs_once_for_a_release(app, engine):
    release = write(app)
    assert command(app, release)
    assert command(app, release) is None
    assert len(engine.calls("docker run")) == 1


def test_what_failed_runs_again_and_the_old_release_serves_on(app, engine):
    old = deploy(app)
    new = write(app, build="b2")
    for _ in range(2):
        with pytest.raises(app_releases.ReleaseError, match="HINT: no such column"):
            command(app, new, "shout now")
    assert len(engine.calls("docker run")) == 2
    assert app.serving() == old and app.state(new)["state"] == "failed"


def test_its_outcome_is_known_on_hosts_where_it_did_not_run(app):
    release = write(app)
    outcome = {"release": release, "command": "x", "code": 0, "said": [], "at": 7.0}
    prepare(app, commanded=outcome)
    assert app.schema() == outcome
    assert command(app, release) is None


def test_going_back_behind_it_needs_a_word(app, engine):
    deploy(app)
    new = write(app, build="b2")
    command(app, new)
    serve(app, prepare(app, build="b2"))
    with pytest.raises(app_releases.ReleaseError, match=rf"'flask db upgrade' ran for {new} at .*app_accept_schema"):
        module.restore(app, options(release=None), dry=False)
    assert module.restore(app, options(release=None, accept_schema_ahead=True), dry=False)


def test_going_back_before_any_command_needs_none(app):
    first = deploy(app)
    deploy(app, build="b2")
    assert module.restore(app, options(release=None), dry=False)[0] == first


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("ModuleNotFoundError: No module named 'shop'", "add the module"),
        ("ModuleNotFoundError: No module named 'gunicorn'", "the image has no gunicorn"),
        ("Failed to find attribute 'app' in 'shop'.", "app_wsgi names nothing"),
        ("KeyError: 'DATABASE_URL'", "the app misses the variable DATABASE_URL"),
        ("PermissionError: [Errno 13] Permission denied: '/var/x'", "may write to /data and /tmp"),
        ("OSError: [Errno 30] Read-only file system: 'x.db'", "may write to /data and /tmp"),
        ("[CRITICAL] WORKER TIMEOUT (pid:7)", "a worker was silent"),
        (" * Running on http://0.0.0.0:5000", "it listens on a TCP port"),
        ("its container ended with code 137, killed for want of memory", "app_memory: 1g"),
        ("/healthz did not answer below 400 in 60 s (status 404)", "set app_health_path"),
        ("/ did not answer below 400 in 60 s (status 302)", "a page that needs no login"),
        ("/ did not answer below 400 in 60 s (status 503)", "the app itself fails"),
        ("/ did not answer below 400 in 60 s (timed out)", "more than 5 s"),
    ],
)
def test_the_likely_cause_comes_with_what_to_do(said, advice):
    assert advice in diagnosis.diagnose("abc", "it ended", [said], "/")


def test_an_unknown_cause_gets_no_advice():
    assert "what to do" not in diagnosis.diagnose("abc", "it ended", ["zzz"], "/")
