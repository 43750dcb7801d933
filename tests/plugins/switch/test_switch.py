"""Traffic moves by one link, and goes back unless somebody who knows of all hosts says that it stays."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import clock, files, nginx
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.release import places
from ansible.module_utils.flask_deploy.switch import concluding, log, progress, settling, switch

from tests.deploys import (
    SITE,
    begin,
    changed,
    deploy,
    killed_before,
    let_not_answer,
    prepare,
    roll_back,
    serve,
    settled,
)


def test_traffic_moves_by_the_link_and_the_old_release_stays_for_rollback(app, engine):
    old, new = deploy(app), deploy(app, build="b2")
    assert os.readlink(app.current) == f"releases/{new}"
    assert settled(app, engine, new) == []
    assert app.state(new)["previous"] == old and app.state(old)["state"] == "retired"
    assert engine.running() == [f"shop-{new}"] and old in app.known()


def test_nginx_reloads_only_where_the_site_differs(app, engine):
    deploy(app)
    engine.forget()
    deploy(app, build="b2")
    assert not engine.calls("systemctl reload")
    deploy(app, files={"site.conf": SITE + "#\n", "gunicorn.conf.py": "", "exec.py": ""})
    assert engine.calls("systemctl reload") == ["systemctl reload nginx.service"]


def test_a_rollback_is_a_switch_to_a_release_that_is_still_there(app, engine):
    old, new = deploy(app), deploy(app, build="b2")
    assert prepare(app) == old
    serve(app, old)
    assert settled(app, engine, old) == [] and app.state(old)["previous"] == new


def test_a_reload_that_nginx_refuses_leaves_the_old_release(app, engine):
    old = deploy(app)
    new = prepare(app, files={"site.conf": SITE + "#\n", "gunicorn.conf.py": "", "exec.py": ""})
    (engine.place / "nginx-refuses").touch()
    begun = begin(app, new)
    switch.move(app, progress.pending(app))
    (engine.place / "nginx-refuses").unlink()
    switch.carry_out(app)
    assert progress.outcome(app, new, begun)["result"] == "reverted"
    assert "unknown directive" in progress.outcome(app, new, begun)["reason"]
    assert settled(app, engine, old) == []


@pytest.mark.parametrize("ends", ["forwards", "back"])
def test_traffic_moves_under_the_host_s_lock_on_nginx(app, monkeypatch, ends):
    """Another app's reload in between would serve half of a switch."""
    deploy(app)
    link, moved = files.link, []

    def locked(path, target):
        with open(nginx.LOCK, "w") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        moved.append(target)
        link(path, target)

    begun = begin(app, prepare(app, build="b2"), confirm=0)
    progress.decide(app, begun, ends == "forwards", "told to", False)
    monkeypatch.setattr(files, "link", locked)
    switch.carry_out(app)
    assert moved


@pytest.mark.slow
@pytest.mark.parametrize("well", [True, False], ids=["confirmed", "taken back"])
@pytest.mark.parametrize("heir", ["the unit started again", "the next run"])
def test_whatever_kills_a_switch_it_goes_on(host, app, engine, monkeypatch, heir, well):
    """Killed before its first effect, before its second, and so on, until nothing is left to kill."""
    old, step, killed = deploy(app), 0, True
    while killed:
        release = prepare(app, **changed(step))
        engine.forget()

        def whole(app=app, release=release):
            begun = begin(app, release)
            progress.decide(app, begun, well, "told to", False)
            switch.carry_out(app)

        killed = killed_before(step, monkeypatch, whole)
        assert app.serving() in (old, release)
        app = host()
        if heir == "the next run":
            settling.settle(app)
        else:
            switch.carry_out(app)
            settling.settle(app)
        assert settled(app, engine, app.serving()) == [], f"killed at step {step}"
        assert settling.settle(app) == [], f"killed at step {step}"
        if app.serving() == release:
            assert engine.calls("systemctl reload"), f"killed at step {step}: nginx was never told"
            old = release
        step += 1
    assert step > 10


@pytest.mark.parametrize("phase", ["look", "wait", "try_out"])
def test_a_switch_that_cannot_watch_goes_back(app, engine, monkeypatch, capfd, phase):
    """Begun anew for ever, it would leave a release serve that nobody confirmed, and no run would end it."""

    def broken(app, known):
        raise KeyError("RestartCount")

    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new)
    progress.let_try(app, begun)
    monkeypatch.setattr(switch, phase, broken)
    if phase == "try_out":
        monkeypatch.setattr(switch, "wait", lambda app, known: progress.go_on(app, known, "trying"))
    ended = switch.carry_out(app)
    assert (ended["result"], app.state(new)["state"]) == ("reverted", "reverted")
    assert ended["reason"] == (
        "its watch broke off: KeyError: 'RestartCount'; look at: sudo journalctl -u flask-deploy-shop.service"
    )
    assert 'raise KeyError("RestartCount")' in capfd.readouterr().err
    assert settled(app, engine, old) == []


def test_a_switch_that_finds_no_engine_waits_for_it(app, engine, monkeypatch):
    def away(app, known):
        raise engines.EngineError("Cannot connect to the Docker daemon")

    deploy(app)
    new = prepare(app, build="b2")
    begin(app, new)
    monkeypatch.setattr(switch, "look", away)
    with pytest.raises(engines.EngineError):  # systemd starts the unit again
        switch.carry_out(app)
    assert progress.pending(app)["phase"] == "watching" and app.serving() == new


def test_a_first_release_that_nobody_confirms_serves_on(app, engine):
    release = prepare(app)
    begin(app, release, confirm=0)
    assert switch.carry_out(app)["result"] == "confirmed"
    assert settled(app, engine, release) == []


def test_a_switch_is_watched_from_where_it_began(app, monkeypatch):
    """The log's end is taken before the link moves; killed between, it is still that one. Time is the boot clock's."""
    deploy(app)
    new, seen = prepare(app, environment={"A": "y"}), {"well": True, "reason": None}
    Path(log.LOG).write_text("before\n")
    since = log.position(log.LOG)
    begin(app, new)
    Path(log.LOG).write_text("before\nafter\n")
    began = clock.now()
    switch.move(app, progress.pending(app))
    asked = []
    monkeypatch.setattr(switch.watch, "watch", lambda *given: asked.extend(given) or seen)
    switch.look(app, progress.pending(app))
    assert asked[1] == new and asked[-1] == since
    assert began <= asked[-3] <= clock.now() and asked[-2] == os.lstat(app.current).st_mtime


def test_whoever_deploys_has_the_whole_time_to_confirm_after_the_watch(app, monkeypatch):
    deploy(app)
    new = prepare(app, build="b2")
    begin(app, new, confirm=300)
    switch.move(app, progress.pending(app))
    monkeypatch.setattr(switch.watch, "watch", lambda *given: {"well": True, "reason": None})
    began = clock.now()
    switch.look(app, progress.pending(app))
    known = progress.pending(app)
    assert began + 300 <= known["deadline"] <= clock.now() + 300
    assert not switch._heard(app, known) and progress.pending(app)["phase"] == "waiting"


def test_a_switch_that_nobody_confirms_goes_back(app, engine):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    ended = switch.carry_out(app)
    assert (ended["result"], app.state(new)["state"]) == ("reverted", "reverted")
    assert "nobody confirmed it within 0 s" in ended["reason"]
    assert settled(app, engine, old) == [] and engine.running() == [f"shop-{old}"]


def test_a_switch_waits_anew_for_whoever_is_still_there(app, engine, monkeypatch):
    """Hosts do not begin at the same moment, and the slowest must not cost the first its release."""
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=100)
    for step in (switch.move, switch.look):
        step(app, progress.pending(app))
    deadline = progress.pending(app)["deadline"]
    clock, sleep, here = [deadline - 1], time.sleep, threading.get_ident()

    def pass_time(seconds):
        if threading.get_ident() != here:  # a thread of another test may still wait for a lock
            sleep(seconds)
            return
        clock[0] += 10
        if clock[0] > deadline + 50:
            progress.decide(app, begun, True)

    for part in (switch, progress):
        monkeypatch.setattr(part, "now", lambda: clock[0])
    assert progress.hear(app, begun)
    monkeypatch.setattr(switch.time, "sleep", pass_time)
    assert switch.carry_out(app)["result"] == "confirmed"


def test_who_is_heard_just_as_it_goes_back_is_not_told_that_all_is_well(app, monkeypatch):
    """On a disk that takes long to flush, to go back takes longer than any pause that could be waited."""
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=0)
    for step in (switch.move, switch.look):
        step(app, progress.pending(app))
    write, going_back, heard = files.write_json, threading.Event(), []

    def slow(path, value, *mode):
        if path == app.pending and value["phase"] == "reverting":
            going_back.set()
            time.sleep(1)
        write(path, value, *mode)

    monkeypatch.setattr(files, "write_json", slow)
    waiting = threading.Thread(target=lambda: switch.wait(app, progress.pending(app)))
    waiting.start()
    assert going_back.wait(5)
    heard.append(progress.hear(app, begun))
    waiting.join()
    assert heard == [None] and progress.pending(app)["phase"] == "reverting"


def test_who_is_heard_in_time_is_not_gone_back_from(app, monkeypatch):
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=30)
    for step in (switch.move, switch.look):
        step(app, progress.pending(app))
    deadline = progress.pending(app)["deadline"]
    monkeypatch.setattr(progress, "now", lambda: deadline - 10)
    assert progress.hear(app, begun)
    monkeypatch.setattr(switch, "now", lambda: deadline + 5)
    assert not switch._heard(app, progress.pending(app))
    progress.decide(app, begun, True)
    assert not progress.hear(app, "another") and progress.hear(app, begun)
    assert switch._heard(app, progress.pending(app)) and progress.pending(app)["phase"] == "confirming"


def test_who_is_heard_too_late_finds_it_gone_back(app, engine):
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=0)
    switch.carry_out(app)
    assert not progress.hear(app, begun)
    assert not concluding.watched(app, new, begun, 0)["well"]


def test_a_release_before_that_does_not_answer_any_more_is_not_gone_back_to(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new, confirm=0)
    switch.move(app, progress.pending(app))
    monkeypatch.setattr(switch, "STARTED_IN", 0)
    let_not_answer(monkeypatch, old)
    ended = switch.carry_out(app)
    assert (ended["result"], app.serving()) == ("kept", new)
    assert f"{old} did not answer any more" in ended["reason"]
    assert concluding.conclude(app, new, begun, {"web1": {"well": True}}) == ended, "it serves: no deploy failed"


def test_a_switch_that_went_back_leaves_the_link_to_the_release_before_as_it_was(app):
    first, second = deploy(app), deploy(app, build="b2")
    assert os.readlink(app.previous) == f"releases/{first}"
    begin(app, prepare(app, build="b3"), confirm=0)
    assert switch.carry_out(app)["result"] == "reverted"
    assert (app.serving(), os.readlink(app.previous)) == (second, f"releases/{first}")


def test_a_first_switch_that_goes_back_leaves_no_link_to_a_release_before(app):
    deploy(app)
    begin(app, prepare(app, build="b2"), confirm=0)
    switch.carry_out(app)
    assert not os.path.lexists(app.previous)


def test_a_reason_is_that_of_the_last_time(app):
    """Taken back once, then good, and rolled back from for another cause: nobody is told of the first one."""
    old, new = deploy(app), prepare(app, build="b2")
    with pytest.raises(places.ReleaseError, match="it was lost"):
        serve(app, new, well=False)
    assert app.state(new)["reason"] == "it was lost"
    assert deploy(app, build="b2") == new and app.state(new)["reason"] is None
    assert roll_back(app) == old
    with pytest.raises(places.ReleaseError, match=r"was rolled back from at [0-9: -]+ UTC; change what was wrong"):
        prepare(app, build="b2")


@pytest.mark.parametrize("moved", [True, False], ids=["as traffic moves", "as it goes back"])
def test_a_reason_that_an_earlier_version_left_goes(app, moved):
    old, new = deploy(app), prepare(app, build="b2")
    app.set_state(old, "live", reason="it was lost")
    begin(app, new, confirm=0)
    if moved:
        switch.move(app, progress.pending(app))
    else:
        switch.go_back(app, progress.pending(app), reason="web2 was lost", reject=False)
        switch.carry_out(app)
    assert app.state(old)["reason"] is None and app.serving() == (new if moved else old)


def test_what_ails_both_releases_does_not_keep_the_new_one(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 503)
    assert switch.carry_out(app)["result"] == "reverted"
    assert app.serving() == old
