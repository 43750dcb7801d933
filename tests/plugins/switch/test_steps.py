"""A deploy and a rollback go step by step, and nothing serves that did not pass the one before."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import nginx, systemd, untrusted
from ansible.module_utils.flask_deploy.release import places
from ansible.module_utils.flask_deploy.switch import concluding, progress, steps, switch, unit

from tests.deploys import begin, deploy, options, prepare, restore, roll_back, settled


def test_a_site_that_nginx_refuses_never_serves(app, engine):
    old = deploy(app)
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(nginx.SiteError, match="unknown directive"):
        prepare(app, files={"site.conf": "server }\n", "gunicorn.conf.py": "", "exec.py": ""})
    assert app.serving() == old and engine.running() == [f"shop-{old}"]


@pytest.fixture
def late(app, monkeypatch):
    """Let systemd begin a switch and not say so in time; return both releases, and what begins it."""
    old, new = deploy(app), prepare(app, build="b2")
    running = threading.Thread(target=switch.carry_out, args=[app])

    def start(app):
        running.start()
        while (progress.pending(app) or {}).get("phase") == "moving":
            time.sleep(0.01)
        raise systemd.UnitError("systemd-run took longer than 60 s and was ended")

    monkeypatch.setattr(unit, "start", start)
    monkeypatch.setattr(unit, "active", lambda app: running.is_alive())
    yield old, new, lambda: begin(app, new, watch={"seconds": 1, "percent": 5, "samples": 20}, confirm=60)
    running.join()


def test_a_switch_that_runs_though_systemd_did_not_say_so_goes_back_and_is_waited_for(app, engine, late):
    """What it writes was taken away beneath it: the run went on, and said that the release before served."""
    old, new, begin_it = late
    begun = begin_it()
    assert progress.pending(app) is None and settled(app, engine, old) == []
    told = concluding.watched(app, new, begun, 0)
    assert (told["well"], told["reason"]) == (False, "systemd-run took longer than 60 s and was ended")


def test_a_switch_of_which_systemd_says_nothing_at_all_goes_back_by_itself(app, engine, late, monkeypatch):
    old, new, begin_it = late

    def silent(_app, _limit):
        raise systemd.UnitError("systemctl took longer than 60 s and was ended")

    monkeypatch.setattr(unit, "wait_for_end", silent)
    begun = begin_it()
    while progress.pending(app):
        time.sleep(0.01)
    assert progress.outcome(app, new, begun)["reason"].startswith("systemd-run took longer")
    assert settled(app, engine, old) == []


def test_an_unknown_release_cannot_serve(app):
    old = deploy(app)
    with pytest.raises(places.ReleaseError, match=f"there is no release 0000; known are: {old}"):
        begin(app, "0000")


def test_a_unit_that_does_not_start_leaves_the_old_release(app, engine):
    old, new = deploy(app), prepare(app, build="b2")
    (engine.place / "systemd-refuses").touch()
    begun = begin(app, new)
    told = concluding.watched(app, new, begun, 0)
    assert not told["well"] and "Failed to start transient service unit" in told["reason"]
    assert app.serving() == old and not os.path.exists(app.pending)


def test_a_switch_that_ended_while_systemd_was_silent_keeps_its_end(app, monkeypatch):
    """systemd may start the unit and not say so in time: nobody confirms it, so it goes back by itself."""
    old, new = deploy(app), prepare(app, build="b2")

    def start(app):
        switch.carry_out(app)
        raise systemd.UnitError("systemd-run took longer than 60 s and was ended")

    monkeypatch.setattr(unit, "start", start)
    begun = begin(app, new, confirm=0)
    told = concluding.watched(app, new, begun, 0)
    assert (told["well"], told["reason"]) == (False, "nobody confirmed it within 0 s")
    assert app.serving() == old


def test_a_site_file_that_is_no_text_is_gone_back_to_as_it_is(app):
    old = deploy(app)
    deploy(app, build="b2")
    with open(app.path(old, "site.conf"), "ab") as file:
        file.write(b"# by hand \xff\n")
    assert roll_back(app) == old == app.serving()


def test_a_rollback_goes_to_the_release_before_with_its_own_settings(app, engine):
    old = deploy(app, environment={"A": "old"})
    deploy(app, environment={"A": "new"})
    assert roll_back(app) == old == app.serving()
    assert json.loads(Path(app.path(old, "env.json")).read_text()) == {"A": "old"}


def test_a_rollback_builds_nothing_even_where_the_container_is_gone(app, engine):
    old = deploy(app, environment={"A": "old"})
    deploy(app, environment={"A": "new"})
    engines.docker("rm", "-f", app.container(old))
    assert roll_back(app) == old
    assert engines.containers(app.name)[app.container(old)] == "running"


def test_a_release_rolled_back_from_is_not_deployed_again_unless_told_to(app, engine):
    deploy(app, environment={"A": "old"})
    new = deploy(app, environment={"A": "new"})
    old = roll_back(app)
    with pytest.raises(places.ReleaseError, match="app_accept_rejected=true"):
        deploy(app, environment={"A": "new"})
    assert app.serving() == old
    assert deploy(app, environment={"A": "new"}, accept_rejected=True) == new


def test_the_default_of_a_rollback_passes_rejected_releases_over(app, engine):
    first = deploy(app, environment={"A": "1"})
    deploy(app, environment={"A": "2"})
    deploy(app, environment={"A": "3"})
    second = roll_back(app)
    assert roll_back(app) == first
    assert app.state(second)["state"] == "rejected"


@pytest.mark.parametrize("wanted", ["", "000000000000"])
def test_an_impossible_rollback_lists_what_is_possible(app, engine, wanted):
    serving = deploy(app, environment={"A": "1"})
    with pytest.raises(places.ReleaseError, match="possible are: none") as raised:
        restore(app, wanted)
    assert "it is the only release on this host; to change what serves" in str(raised.value)
    assert str(raised.value).endswith("deploy another commit: ansible-playbook playbooks/app.yml -i inventories/...")
    deploy(app, environment={"A": "2"})
    with pytest.raises(places.ReleaseError, match=f"possible are:\n    {serving}"):
        restore(app, "000000000000")


def test_a_release_that_is_not_there_is_not_switched_to(app):
    with pytest.raises(steps.ReleaseError, match="there is no release 0000; known are: none"):
        begin(app, "0000")
    old = deploy(app)
    with pytest.raises(steps.ReleaseError, match=f"there is no release 0000; known are: {old}"):
        begin(app, "0000")


@pytest.mark.parametrize("reason", [None, "10 of 20 requests failed"])
def test_a_release_that_was_left_for_a_cause_says_when_and_why(app, reason):
    state = {"state": "rejected", "since": 1e9, **({"reason": reason} if reason else {})}
    steps.files.ensure_directory(app.path("abc"))
    steps.files.write_json(app.path("abc", "state.json"), state)
    with pytest.raises(steps.ReleaseError) as refused:
        steps.refuse_rejected(app, "abc", options())
    why = f" ({reason})" if reason else ""
    assert str(refused.value).startswith(f"release abc was rolled back from at 2001-09-09 01:46:40 UTC{why}; change")
    assert str(refused.value).endswith("-e app_accept_rejected=true")
    steps.refuse_rejected(app, "abc", options(accept_rejected=True))
    steps.files.write_json(app.path("abc", "state.json"), {**state, "since": "damaged"})
    with pytest.raises(steps.ReleaseError, match="at 1970-01-01 00:00:00 UTC"):
        steps.refuse_rejected(app, "abc", options())


def test_what_a_rollback_leaves_is_written_down_as_rejected(app):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, reject=True)
    assert (progress.pending(app)["leaving"], progress.pending(app)["from"]) == ("rejected", old)
    progress.give_up(app, "x")
    begin(app, new)
    assert progress.pending(app)["leaving"] == "retired"


def test_what_the_app_put_in_the_place_of_its_socket_is_not_switched_to(app):
    release = prepare(app)
    os.symlink("/run/another", app.path(release, "run", "sock", "gunicorn.sock"))
    with pytest.raises(untrusted.Untrusted, match="the app put a link there"):
        begin(app, release)
    assert not os.path.exists(app.pending)


@pytest.mark.parametrize("dry", [False, True], ids=["a run", "a dry run"])
def test_what_the_release_command_did_is_written_down_by_no_dry_run(app, monkeypatch, dry):
    written = []
    monkeypatch.setattr(steps.release_command, "record_outcome", lambda app, release, outcome: written.append(outcome))
    steps.prepare(app, options(commanded={"code": 0}), dry)
    assert written == ([] if dry else [{"code": 0}])


def test_a_dry_run_foretells_that_a_container_starts(app, engine):
    release = prepare(app)
    (engine.place / "containers" / f"shop-{release}" / "running").unlink()
    assert f"starts: shop-{release}" in steps.prepare(app, options(), dry=True)[2]["lines"]


RELOAD = "systemctl reload nginx.service"
EDITED = "# by hand, and nginx was reloaded\n"


def damaged(app, release, what):
    """Let somebody write what nginx reads, and reload it."""
    path = app.include if what == "include" else app.path(release, "site.conf")
    with open(path, "a") as file:
        file.write(EDITED)


@pytest.mark.parametrize("what", ["site", "include"])
def test_nginx_is_reloaded_for_what_is_repaired_of_what_serves(app, engine, what):
    release = deploy(app)
    engine.forget()
    assert "nginx reloaded" not in steps.prepare(app, options(), dry=False)[1]
    damaged(app, release, what)
    assert "nginx reloaded" not in steps.prepare(app, options(), dry=True)[1] and not engine.calls(RELOAD)
    assert "nginx reloaded" in steps.prepare(app, options(), dry=False)[1]
    assert steps.prepare(app, options(), dry=False)[1] == [] and engine.calls(RELOAD) == [RELOAD]


def test_nginx_is_not_reloaded_for_the_site_of_a_release_that_is_to_serve(app, engine):
    deploy(app)
    new = prepare(app, build="b2")
    damaged(app, new, "site")
    engine.forget()
    assert "nginx reloaded" not in steps.prepare(app, options(build="b2"), dry=False)[1]
    assert not engine.calls(RELOAD)


@pytest.mark.parametrize("what", ["site", "include"])
@pytest.mark.parametrize("again", [{}, {"build": "b2"}], ids=["the same", "another release of the same site"])
def test_a_reload_is_owed_until_it_is_done(app, engine, monkeypatch, what, again):
    """The run that repaired the file may end at a gate, or be killed: no other sees a change."""
    release = deploy(app)
    damaged(app, release, what)
    with monkeypatch.context() as killed:
        killed.setattr(nginx, "reload", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare(app)
    assert EDITED not in Path(app.include).read_text() + Path(app.path(release, "site.conf")).read_text()
    engine.forget()
    assert "nginx reloaded" in steps.prepare(app, options(**again), dry=False)[1]
    assert "nginx reloaded" not in steps.prepare(app, options(**again), dry=False)[1]
    assert engine.calls(RELOAD) == [RELOAD]


def test_a_rollback_makes_up_for_a_reload_too(app, engine, monkeypatch):
    """It may go back to a release of the same site, and then moves traffic without a reload."""
    old, new = deploy(app), deploy(app, build="b2")
    damaged(app, new, "site")
    with monkeypatch.context() as killed:
        killed.setattr(nginx, "reload", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare(app, build="b2")
    engine.forget()
    assert restore(app) == old and engine.calls(RELOAD) == [RELOAD]


@pytest.mark.parametrize("gate", ["wait_ready", "ensure_running"])
def test_nginx_reads_what_was_repaired_whatever_the_gates_say(app, engine, monkeypatch, gate):
    release = deploy(app)
    damaged(app, release, "site")
    engine.forget()

    def ill(*_given):
        raise steps.containers.NotReady("status 500")

    monkeypatch.setattr(steps.containers, gate, ill)
    with pytest.raises(steps.containers.NotReady):
        prepare(app)
    assert engine.calls(RELOAD) == [RELOAD]


def test_a_release_command_between_writing_and_the_gates_loses_no_reload(app, engine):
    """They are two runs of the module: the second one finds the file as it is to be."""
    release = deploy(app)
    damaged(app, release, "site")
    engine.forget()
    steps.write(app, options(), dry=False)
    prepare(app)
    assert engine.calls(RELOAD) == [RELOAD]
