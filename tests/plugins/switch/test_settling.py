"""What a switch that was cut off comes to, from each of its steps, for who settles it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import clock, files, nginx
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.module_utils.flask_deploy.switch import log, progress, settling, steps, switch, unit
from ansible.modules import remove_app

from tests.deploys import (
    begin,
    changed,
    deploy,
    draining,
    killed_before,
    let_not_answer,
    move,
    options,
    prepare,
    serve,
    settled,
)

CHANGED = {"files": {"site.conf": "server {}\n# new\n", "gunicorn.conf.py": "", "exec.py": ""}}


@pytest.fixture(autouse=True)
def short_looks(monkeypatch):
    monkeypatch.setattr(switch, "POLL", 0.01)


@pytest.fixture
def cut_off(app, engine):
    """Cut a switch off in a phase; return (old, new, id of the switch)."""

    def cut_off(phase, first=False):
        old = None if first else deploy(app)
        new = prepare(app, **CHANGED)
        begun = begin(app, new, confirm=50)
        for step in {"moving": [], "watching": [switch.move]}.get(phase, [switch.move, switch.look]):
            step(app, progress.pending(app))
        if phase in ("confirming", "reverting"):
            progress.decide(app, begun, phase == "confirming", "it was told to", True)
            switch.wait(app, progress.pending(app))
            progress.forget_decision(app)
        assert progress.pending(app)["phase"] == phase
        engine.forget()
        return old, new, begun

    return cut_off


def went_back(app, engine, old, new, begun, reason, state):
    ended = progress.outcome(app, new, begun)
    assert (ended["result"], ended["from"], ended["to"], ended["reason"]) == ("reverted", old, new, reason)
    assert (app.state(new)["state"], app.state(new)["reason"]) == (state, reason)
    assert app.state(old)["state"] == "live" and app.state(old)["switched"] == os.lstat(app.current).st_mtime
    assert (engine.restart(f"shop-{old}"), engine.restart(f"shop-{new}")) == ("unless-stopped", "no")
    assert engine.calls("systemctl reload") == ["systemctl reload nginx.service"]
    assert settled(app, engine, old) == [] and not os.path.exists(app.pending)


def stayed(app, engine, old, new, begun):
    ended = progress.outcome(app, new, begun)
    assert (ended["result"], ended["from"], ended["to"]) == ("confirmed", old, new)
    assert (app.serving(), app.state(new)["state"]) == (new, "live")
    assert engine.restart(f"shop-{new}") == "unless-stopped"
    assert not os.path.exists(app.pending) and not os.path.exists(app.decision)


@pytest.mark.parametrize("phase", ["moving", "watching", "waiting"])
@pytest.mark.parametrize("heir", [settling.settle, settling.settle_at_boot])
def test_what_nobody_confirmed_goes_back(app, engine, cut_off, phase, heir):
    old, new, begun = cut_off(phase)
    heir(app)
    went_back(app, engine, old, new, begun, "it was cut off", "reverted")


@pytest.mark.parametrize("heir", [settling.settle, settling.settle_at_boot])
def test_what_goes_back_goes_on_to_with_its_own_reason(app, engine, cut_off, heir):
    old, new, begun = cut_off("reverting")
    heir(app)
    went_back(app, engine, old, new, begun, "it was told to", "rejected")


@pytest.mark.parametrize("heir", [settling.settle, settling.settle_at_boot])
def test_what_was_confirmed_stays(app, engine, cut_off, heir):
    old, new, begun = cut_off("confirming")
    heir(app)
    stayed(app, engine, old, new, begun)


def test_the_next_run_goes_back_only_to_a_release_that_still_runs(app, engine, cut_off):
    old, new, begun = cut_off("watching")
    (engine.place / "containers" / f"shop-{old}" / "running").unlink()
    settling.settle(app)
    stayed(app, engine, old, new, begun)


def test_a_word_that_was_given_counts_at_boot(app, engine, cut_off):
    old, new, begun = cut_off("waiting")
    progress.decide(app, begun, True)
    settling.settle_at_boot(app)
    stayed(app, engine, old, new, begun)


def test_a_word_for_another_switch_does_not_count_at_boot(app, engine, cut_off):
    old, new, begun = cut_off("waiting")
    files.write_json(app.decision, {"id": "another", "confirm": True})
    settling.settle_at_boot(app)
    went_back(app, engine, old, new, begun, "it was cut off", "reverted")


def test_a_word_that_takes_it_back_counts_at_boot(app, engine, cut_off):
    old, new, begun = cut_off("waiting")
    progress.decide(app, begun, False, "web2 was lost")
    settling.settle_at_boot(app)
    went_back(app, engine, old, new, begun, "it was cut off", "reverted")


def test_a_first_release_serves_after_a_boot(app, engine, cut_off):
    old, new, begun = cut_off("waiting", first=True)
    settling.settle_at_boot(app)
    stayed(app, engine, old, new, begun)


def test_a_first_release_that_is_taken_back_leaves_nothing_serving(app, engine, cut_off):
    _old, new, _begun = cut_off("reverting", first=True)
    assert switch.carry_out(app)["result"] == "reverted"
    assert app.serving() is None and not os.path.lexists(app.current)
    assert (app.state(new)["state"], engine.running()) == ("rejected", [])


def test_a_switch_that_does_not_begin_is_told_as_one_that_went_back(app, cut_off):
    old, new, begun = cut_off("moving")
    progress.give_up(app, "systemd refuses")
    ended = progress.outcome(app, new, begun)
    assert (ended["result"], ended["reason"]) == ("reverted", "systemd refuses")
    assert app.serving() == old and not os.path.exists(app.pending)


def test_only_the_switch_that_is_asked_for_is_heard(app, cut_off):
    _old, new, begun = cut_off("waiting")
    assert progress.hear(app, "another") is None
    assert progress.hear(app, begun)["to"] == new
    assert files.read_json(app.decision)["id"] == begun
    assert progress.outcome(app, new, begun) is None


def test_a_switch_that_only_moved_is_not_heard(app, cut_off):
    _old, _new, begun = cut_off("watching")
    assert progress.hear(app, begun) is None
    assert not os.path.exists(app.decision)


@pytest.mark.parametrize("told", [True, False], ids=["by this version", "by an earlier one"])
def test_a_watch_begins_where_the_switch_did(app, cut_off, monkeypatch, told):
    """What is not written down counts from now: what was logged before is not held against the release."""
    Path(log.LOG).write_text("before\n")
    _old, _new, _begun = cut_off("watching")
    known, asked = progress.pending(app), []
    Path(log.LOG).write_text("before\nafter\n")
    if not told:
        files.write_json(app.pending, {name: known[name] for name in known if name not in ("log", "moved_at")})
    monkeypatch.setattr(switch.watch, "watch", lambda *of: asked.extend(of) or {"well": True, "reason": None})
    began = clock.now()
    switch.look(app, progress.pending(app))
    *_, moved_at, _moved, since = asked
    assert since == (known["log"] if told else log.position(log.LOG)) and since
    assert moved_at == known["moved_at"] if told else began <= moved_at <= clock.now()


@pytest.fixture
def under_lock(engine, tmp_path):
    """Return a function that tells which of docker's commands were run while the host's lock on nginx was held."""
    docker, seen = engine.place / "bin" / "docker", tmp_path / "under-lock"
    docker.rename(docker.with_name("docker-itself"))
    docker.write_text(
        f'#!/bin/sh\n[ -e "{nginx.LOCK}" ] && ! flock -n "{nginx.LOCK}" true && echo "docker $*" >> "{seen}"\n'
        'exec docker-itself "$@"\n'
    )
    docker.chmod(0o755)
    return lambda: seen.read_text().splitlines() if seen.exists() else []


def test_the_engine_is_never_asked_while_the_lock_on_nginx_is_held(app, under_lock):
    """An engine that hangs would keep all apps' deploys, and the renewal of certificates, from the lock."""
    site_changes = [{"files": {**CHANGED["files"], "site.conf": f"server {{}}\n# {n}\n"}} for n in range(3)]
    deploy(app, **site_changes[0])
    for well in (True, False):
        new = prepare(app, **site_changes[1 if well else 2])
        begun = begin(app, new)
        progress.decide(app, begun, well, "told to", True)
        switch.carry_out(app)
    serving = app.serving()
    Path(app.path(serving, "site.conf")).write_text("damaged")
    prepare(app, **site_changes[1])  # repairs it, and reloads nginx
    files.write_json(app.pending, {**progress.DEFAULTS, "id": "x", "to": serving, "phase": "moving", "from": None})
    settling.settle_links(app)
    settling.settle_at_boot(app)
    settling.settle(app)
    steps.restore(app, options(release=""), dry=False)
    remove_app.remove(app, data=False, dry=False)
    assert under_lock() == []


def test_a_command_under_the_lock_on_nginx_would_be_seen(app, under_lock):
    with nginx.lock():
        engines.containers(app.name)
    assert len(under_lock()) == 1


# -- a boot, before nginx and the engine start ---------------------------------------------------


@pytest.mark.parametrize("phase", ["moving", "watching", "waiting", "reverting"])
def test_a_boot_lets_the_links_go_back_before_anything_starts(app, engine, cut_off, phase):
    old, new, begun = cut_off(phase)
    told = phase == "reverting"
    reason, state = ("it was told to", "rejected") if told else ("it was cut off", "reverted")
    settling.settle_links(app)
    assert app.serving() == old and engine.calls() == [], "neither engine nor nginx is there yet"
    assert (app.draining(old), app.draining(new)) == (False, True)
    assert (app.state(old)["state"], app.state(new)["state"], app.state(new)["reason"]) == ("live", state, reason)
    assert progress.pending(app)["phase"] == "reverting"
    settling.settle_at_boot(app)
    went_back(app, engine, old, new, begun, reason, state)


def test_a_boot_lets_a_switch_that_drained_go_back_again_for_its_own_reason(app, engine, cut_off):
    old, new, begun = cut_off("reverting")
    switch.revert(app, progress.pending(app))
    assert progress.pending(app)["phase"] == "draining"
    engine.forget()
    settling.settle_links(app)
    assert app.serving() == old and engine.calls() == []
    settling.settle_at_boot(app)
    went_back(app, engine, old, new, begun, "it was told to", "rejected")


@pytest.mark.parametrize("ends", ["it was confirmed", "none was before it", "a run is quicker"])
def test_a_boot_lets_the_links_be_where_they_do_not_go_back(app, engine, cut_off, ends):
    phase = "confirming" if ends == "it was confirmed" else "waiting"
    _old, new, _begun = cut_off(phase, first=ends == "none was before it")
    if ends == "a run is quicker":
        leases.Lease("shop", {"id": "ann"}).take()
    settling.settle_links(app)
    assert app.serving() == new and progress.pending(app)["phase"] == phase and engine.calls() == []


def test_a_boot_finds_nothing_to_do_for_an_app_that_was_not_switching(app, engine):
    release = deploy(app)
    engine.forget()
    settling.settle_links(app)
    settling.settle_at_boot(app)
    assert app.serving() == release and engine.calls() == []


# -- what a later run says to a unit that still runs -------------------------------------------------


@pytest.fixture
def waited(monkeypatch):
    """Return what was said of a switch, and how long its unit was waited for."""
    seen = []
    monkeypatch.setattr(unit, "wait_for_end", lambda app, limit: seen.append((files.read_json(app.decision), limit)))
    return seen


def test_a_later_run_takes_it_back_and_waits_for_its_unit(app, cut_off, waited):
    _old, _new, begun = cut_off("waiting")
    limit = settling.patience(progress.pending(app))
    settling.settle(app)
    ((word, for_seconds),) = waited
    assert (word["id"], word["confirm"], for_seconds) == (begun, False, limit)


def test_it_waits_for_as_long_as_a_watch_and_both_drains_take():
    least = settling.patience({"drain": 0, "rules": {}})
    assert least > switch.STARTED_IN
    assert settling.patience({"drain": 10, "rules": {"seconds": 5}}) == least + 2 * 10 + 5


def test_what_is_no_switch_is_waited_for_and_removed(app, waited):
    deploy(app)
    files.write_json(app.pending, {"phase": "of tomorrow"})
    assert "an interrupted switch" in settling.settle(app)
    assert waited == [(None, settling.SETTLED_IN)] and not os.path.exists(app.pending)


@pytest.mark.slow
@pytest.mark.parametrize(("said", "serves"), [(None, "old"), (False, "old"), (True, "new")], ids=str)
def test_a_switch_that_a_power_loss_cuts_off_is_settled_at_the_next_boot(app, engine, monkeypatch, said, serves):
    """Before its first effect, before its second, and so on: it goes back unless it was confirmed."""
    old, step, killed = deploy(app), 0, True
    while killed:
        new = prepare(app, **changed(step))

        def whole(new=new):
            begun = begin(app, new, confirm=0)
            if said is not None:
                progress.decide(app, begun, said, "told to", False)
            switch.carry_out(app)

        killed = killed_before(step, monkeypatch, whole)
        told = progress.pending(app) is not None and (said is None or os.path.exists(app.decision))
        confirmed_early = said and (progress.pending(app) or {}).get("phase") == "moving"  # which nobody does
        engine.forget()
        settling.settle_links(app)
        assert engine.calls() == [], "neither the engine nor nginx has started then"
        decided = app.serving()
        engine.reboot()
        settling.settle_at_boot(app)
        assert confirmed_early or decided == app.serving(), f"cut off at step {step}: a visitor saw both"
        assert not os.path.exists(app.pending), f"cut off at step {step}"
        if told:
            assert app.serving() == {"old": old, "new": new}[serves], f"cut off at step {step}"
        assert settling.settle(app) == [], f"cut off at step {step}"
        assert settled(app, engine, app.serving()) == [], f"cut off at step {step}"
        old = app.serving()
        step += 1
    assert step > 10


def test_a_power_loss_in_the_first_deploy_leaves_its_release(app, engine):
    release = prepare(app)
    begin(app, release)
    settling.settle_at_boot(app)
    assert settled(app, engine, release) == []


def test_a_run_that_is_quicker_than_the_boot_settles_by_itself(app):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new)
    lease = leases.Lease(app.name, {"id": "run", "user": "u", "host": "h", "process": 1})
    lease.take()
    settling.settle_links(app)
    settling.settle_at_boot(app)
    assert app.serving() == old and os.path.exists(app.pending)


def test_a_release_that_a_boot_goes_back_to_and_that_does_not_answer_is_left_again(app, engine, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    move(app, new)
    settling.settle_links(app)
    assert app.serving() == old
    monkeypatch.setattr(switch, "STARTED_IN", 0)
    let_not_answer(monkeypatch, old)
    settling.settle_at_boot(app)
    assert settled(app, engine, new) == []


@pytest.fixture
def refusing(engine, monkeypatch):
    """Return a function that lets nginx refuse to reload, or somebody else have its lock; and one that ends it."""
    lock = nginx.lock

    def held(*_wait):
        raise nginx.SiteError("lock was not free for 300 s")

    def begin(what):
        (engine.place / "nginx-refuses").touch()
        if what == "the lock":
            monkeypatch.setattr(nginx, "lock", held)

    def end():
        (engine.place / "nginx-refuses").unlink()
        monkeypatch.setattr(nginx, "lock", lock)

    return begin, end


REFUSED = "unknown directive|lock was not free"


@pytest.mark.parametrize("what", ["nginx", "the lock"])
@pytest.mark.parametrize("first", [True, False], ids=["a first release", "the one before ended"])
def test_what_stays_is_confirmed_only_once_nginx_took_its_site(app, engine, cut_off, refusing, first, what):
    """Killed between the link and the reload; the next run moves it again until nginx does as it is told."""
    old, new, begun = cut_off("moving", first=first)
    files.link(app.current, f"releases/{new}")
    if old:
        engines.docker("stop", app.container(old))
    refusing[0](what)
    for _run in range(2):
        with pytest.raises(nginx.SiteError, match=REFUSED):
            settling.settle(app)
        assert progress.outcome(app, new, begun) is None and progress.pending(app)["phase"] == "moving"
    refusing[1]()
    engine.forget()
    settling.settle(app)
    assert engine.calls("systemctl reload") == ["systemctl reload nginx.service"]
    stayed(app, engine, old, new, begun)


@pytest.mark.parametrize("what", ["nginx", "the lock"])
def test_what_was_confirmed_does_not_go_back_because_nginx_is_not_to_be_had(app, engine, cut_off, refusing, what):
    """All other hosts have confirmed it too."""
    old, new, begun = cut_off("waiting")
    progress.decide(app, begun, True)
    refusing[0](what)
    with pytest.raises(nginx.SiteError, match=REFUSED):  # systemd tries again
        settling.settle_at_boot(app)
    refusing[1]()
    settling.settle_at_boot(app)
    stayed(app, engine, old, new, begun)


@pytest.mark.parametrize("what", ["nginx", "the lock"])
def test_a_release_that_is_kept_serves_before_that_is_told(app, engine, cut_off, refusing, monkeypatch, what):
    """A boot let the link go back, to one that does not answer; and nginx is not to be had just then."""
    old, new, begun = cut_off("watching")
    settling.settle_links(app)
    monkeypatch.setattr(switch, "STARTED_IN", 0)
    let_not_answer(monkeypatch, old)
    refusing[0](what)
    with pytest.raises(nginx.SiteError, match=REFUSED):
        settling.settle_at_boot(app)
    assert progress.outcome(app, new, begun) is None and progress.pending(app)["phase"] == "reverting"
    refusing[1]()
    engine.forget()
    settling.settle_at_boot(app)
    assert progress.outcome(app, new, begun)["result"] == "kept" and settled(app, engine, new) == []
    assert engine.calls("systemctl reload") == ["systemctl reload nginx.service"]


def test_a_release_that_is_kept_gets_the_reload_that_was_refused(app, engine, cut_off, refusing, monkeypatch):
    """Its switch goes back because of that, and there is nowhere to go back to."""
    old, new, begun = cut_off("moving")
    monkeypatch.setattr(switch, "STARTED_IN", 0)
    let_not_answer(monkeypatch, old)
    refusing[0]("nginx")
    with pytest.raises(nginx.SiteError, match=REFUSED):
        switch.carry_out(app)
    assert app.serving() == new and progress.pending(app)["phase"] == "reverting"
    refusing[1]()
    engine.forget()
    switch.carry_out(app)
    assert progress.outcome(app, new, begun)["result"] == "kept" and settled(app, engine, new) == []
    assert engine.calls("systemctl reload") == ["systemctl reload nginx.service"]


def test_a_wrong_link_is_the_switch_s_to_put_right(app, engine):
    release = deploy(app)
    files.link(app.current, "releases/gone")
    assert steps.prepare(app, options(), dry=False)[1] == []
    serve(app, release)
    assert settled(app, engine, release) == []


def test_a_dry_run_shows_what_a_killed_run_left_and_leaves_it(app, engine):
    release = deploy(app)
    Path(app.pending).write_text("{")
    Path(app.path(release, "draining")).touch()
    assert settling.settle(app, dry=True) == ["an interrupted switch", f"the drain marker of {release}"]
    assert os.path.exists(app.pending) and draining(app, release)
    settling.settle(app)
    assert settled(app, engine, release) == []


def test_a_dry_run_leaves_a_candidate_running(app, engine):
    candidate = prepare(app)
    assert settling.settle(app, dry=True) == [f"abandoned shop-{candidate}"]
    assert engine.running() == [f"shop-{candidate}"]
