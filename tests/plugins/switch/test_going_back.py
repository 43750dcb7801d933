"""Nothing keeps a switch from going back: traffic first, then what is told, kept and explained of it."""

from __future__ import annotations

import errno
import os
import shutil
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import clock, files, nginx
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.release import containers, diagnosis
from ansible.module_utils.flask_deploy.switch import concluding, progress, settling, switch, unit

from tests.deploys import begin, deploy, prepare, settled

WORKER = {"processes": {"worker": {"command": "work", "count": 1}}}
BAD = {"well": False, "reason": "9 of 9 requests failed"}


@pytest.fixture(autouse=True)
def short_looks(monkeypatch):
    monkeypatch.setattr(switch, "POLL", 0.01)


@pytest.fixture
def failing(app, engine, monkeypatch):
    """Return a function that brings a switch to where its watch, or its trial, fails: (old, new, id)."""

    def failing(part):
        old, new = deploy(app), prepare(app, build="b2", **WORKER)
        begun = begin(app, new)
        switch.move(app, progress.pending(app))
        if part == "web":
            monkeypatch.setattr(switch.watch, "watch", lambda *given: BAD)
            (engine.place / "containers" / f"shop-{new}" / "running").unlink()
        else:
            (engine.place / "workers-end").touch()
            progress.go_on(app, progress.pending(app), "trying")
        return old, new, begun

    return failing


@pytest.mark.parametrize("part", ["web", "worker"])
def test_the_release_before_serves_before_anybody_asks_why(app, engine, monkeypatch, failing, part):
    """Logs of an engine that hangs take half a minute, in which visitors would meet what failed."""
    old, new, begun = failing(part)
    (engine.place / "said").write_text("Traceback\nKeyError: 'QUEUE'\n")
    logs, served = engines.logs, []
    monkeypatch.setattr(engines, "logs", lambda *of: (served.append(app.serving()), logs(*of))[1])
    assert switch.carry_out(app)["result"] == "reverted"
    assert served and set(served) == {old}
    assert any("QUEUE" in line for line in progress.explained(app, new, begun))
    assert settled(app, engine, old) == []


@pytest.mark.parametrize("part", ["web", "worker"])
@pytest.mark.parametrize("broken", [(engines, "logs"), (diagnosis, "diagnose"), (progress, "explain")])
def test_what_cannot_be_explained_goes_back_all_the_same(app, engine, monkeypatch, failing, part, broken):
    def raises(*given, **more):
        raise KeyError("a log of tomorrow")

    old, new, _begun = failing(part)
    monkeypatch.setattr(*broken, raises)
    ended = switch.carry_out(app)
    assert (ended["result"], app.state(new)["state"]) == ("reverted", "rejected")
    assert settled(app, engine, old) == []


class Disk:
    """A disk that takes no more: what is new on it is refused, and what is there can be renamed and removed."""

    def __init__(self, monkeypatch, app):
        self.full, self.refused, self.root = False, [], app.root
        for name in ("write", "link"):
            monkeypatch.setattr(files, name, self.refusing(getattr(files, name)))
        time = SimpleNamespace(sleep=lambda seconds: self.room(), monotonic=switch.time.monotonic)
        monkeypatch.setattr(switch, "time", time)  # the switch's alone: other threads may wait, too

    def refusing(self, real):
        def effect(path, *more, **named):
            if self.full and path.startswith(self.root):
                self.refused.append(path)
                raise OSError(errno.ENOSPC, "No space left on device", path)
            return real(path, *more, **named)

        return effect

    def room(self):
        """There is room again by the time somebody waits for it; whoever waits has traffic where it belongs."""


@pytest.fixture
def disk(app, monkeypatch):
    return Disk(monkeypatch, app)


@pytest.mark.parametrize("part", ["web", "worker"])
def test_a_full_disk_does_not_keep_traffic_from_going_back(app, engine, failing, disk, part):
    old, new, _begun = failing(part)
    disk.full, served = True, []

    def room():
        served.append((app.serving(), progress.pending(app)["phase"]))
        disk.full = app.serving() != old and len(served) < 99

    disk.room = room
    ended = switch.carry_out(app)
    assert (old, "watching" if part == "web" else "trying") in served, "nothing could be written by then"
    assert (ended["result"], app.state(new)["state"]) == ("reverted", "rejected"), "and what is known is not lost"
    assert ended["reason"] == (BAD["reason"] if part == "web" else "process worker-1: its container ended with code 3")
    assert settled(app, engine, old) == []


def test_a_disk_that_is_full_as_traffic_moves_lets_it_go_back(app, engine, disk, monkeypatch):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new)
    link = files.link

    def fills(path, target):
        link(path, target)
        disk.full = path == app.current

    monkeypatch.setattr(files, "link", fills)
    served = []

    def room():
        served.append(app.serving())
        disk.full = False
        monkeypatch.setattr(files, "link", link)

    disk.room = room
    assert switch.carry_out(app)["result"] == "reverted"
    assert served[0] == old and settled(app, engine, old) == []


def test_a_disk_that_fills_on_the_way_back_is_waited_for_with_the_release_before(app, engine, disk):
    """systemd starts the unit again, and again, until all is told; the old release serves all the while."""
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    for step in (switch.move, switch.look, switch.wait):
        step(app, progress.pending(app))
    assert progress.pending(app)["phase"] == "reverting"
    disk.full = True
    for _start in range(2):
        with pytest.raises(OSError, match="No space left"):
            switch.carry_out(app)
        assert app.serving() == old and engine.restart(f"shop-{old}") == "unless-stopped"
    disk.full = False
    assert switch.carry_out(app)["result"] == "reverted" and settled(app, engine, old) == []


def test_a_word_that_cannot_be_written_down_is_heard_once_it_can_be(app, engine, disk):
    """What was confirmed is kept on all hosts: one whose disk is full for a while must not go back alone."""
    _old, new = deploy(app), prepare(app, build="b2")
    begun = begin(app, new)
    for step in (switch.move, switch.look):
        step(app, progress.pending(app))
    progress.decide(app, begun, True)
    disk.full = True
    with pytest.raises(OSError, match="No space left"):
        switch.carry_out(app)
    assert app.serving() == new
    disk.full = False
    assert switch.carry_out(app)["result"] == "confirmed" and app.serving() == new


@pytest.mark.parametrize("phase", ["moving", "watching", "waiting"])
def test_a_boot_on_a_full_disk_lets_the_links_go_back(app, engine, disk, phase):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=50)
    for step in {"moving": [], "watching": [switch.move]}.get(phase, [switch.move, switch.look]):
        step(app, progress.pending(app))
    disk.full = True
    for settle in (settling.settle_links, settling.settle_at_boot):
        with pytest.raises(OSError, match="No space left"):
            settle(app)
        assert app.serving() == old
    disk.full = False
    settling.settle_at_boot(app)
    assert settled(app, engine, old) == [] and app.state(new)["state"] == "reverted"


@pytest.mark.parametrize("settle", [settling.settle_links, settling.settle_at_boot])
def test_a_boot_on_a_full_disk_needs_neither_unit_to_have_been_first(app, engine, disk, settle):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new)
    switch.move(app, progress.pending(app))
    disk.full = True
    with pytest.raises(OSError, match="No space left"):
        settle(app)
    assert app.serving() == old


BROKEN = {
    "the state of what is left": (lambda app: (app, "set_state")),
    "the markers": (lambda app: (app, "mark_draining")),
    "the engine": (lambda app: (engines, "set_restarts")),
    "nginx": (lambda app: (nginx, "reload")),
    "the lock": (lambda app: (nginx, "lock")),
}


@pytest.mark.parametrize("what", BROKEN)
def test_whatever_fails_on_the_way_back_traffic_is_back(app, engine, monkeypatch, what):
    old = deploy(app)
    new = prepare(app, files={"site.conf": "server {}\n#\n", "gunicorn.conf.py": "", "exec.py": ""})
    begin(app, new, confirm=0)
    for step in (switch.move, switch.look, switch.wait):
        step(app, progress.pending(app))

    def raises(*given, **more):
        raise {"nginx": nginx.SiteError, "the lock": nginx.SiteError, "the engine": engines.EngineError}.get(
            what, PermissionError
        )("refused")

    with monkeypatch.context() as patched:
        patched.setattr(*BROKEN[what](app), raises)
        with pytest.raises(Exception, match="refused"):
            switch.carry_out(app)
        assert app.serving() == old
    assert switch.carry_out(app)["result"] == "reverted" and settled(app, engine, old) == []


@pytest.mark.parametrize("error", [engines.EngineError, OSError, KeyError])
def test_a_release_before_that_answers_is_gone_back_to_whatever_the_engine_says(app, monkeypatch, error):
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    for step in (switch.move, switch.look, switch.wait):
        step(app, progress.pending(app))

    def raises(*given):
        raise error("away")

    monkeypatch.setattr(containers, "ensure_running", raises)
    with pytest.raises(error):
        switch.revert(app, progress.pending(app))
    assert app.serving() == old and progress.pending(app)["phase"] == "reverting"


def test_a_release_whose_directory_is_gone_is_gone_back_from(app, engine):
    """Removed by hand while it was watched: there is nowhere to write that it is rejected."""
    old, new = deploy(app), prepare(app, build="b2")
    begin(app, new, confirm=0)
    switch.move(app, progress.pending(app))
    shutil.rmtree(app.path(new))
    assert switch.carry_out(app)["result"] == "reverted"
    assert app.serving() == old and progress.pending(app) is None and not os.path.exists(app.path(new))


def test_a_unit_that_cannot_be_written_ends_the_switch(app, engine, monkeypatch):
    def full(app):
        raise OSError(errno.ENOSPC, "No space left on device")

    old, new = deploy(app), prepare(app, build="b2")
    monkeypatch.setattr(unit, "ensure", full)
    begun = begin(app, new)
    assert progress.pending(app) is None and app.serving() == old
    with pytest.raises(Exception, match="No space left"):
        concluding.conclude(app, new, begun, {"web1": {"well": True}})


@pytest.fixture
def slowly(app, engine, monkeypatch):
    """Return a function that goes back to a release that takes so long to answer, by a clock that a poll sets on."""
    moment = [clock.now()]

    def sleep(_seconds):
        moment[0] += 1

    def go(takes, began=0.0, dies=False):
        old, new = deploy(app, start_timeout=60), prepare(app, build="b2")
        begin(app, new)
        switch.move(app, progress.pending(app))
        progress.go_on(app, progress.pending(app), "reverting", reason="9 of 9 requests failed", reject=True)
        if not began:
            engines.docker("stop", app.container(old))
        first = moment[0]
        ticks = (first - began) * os.sysconf("SC_CLK_TCK")
        monkeypatch.setattr(switch, "started", lambda pid: None if dies else int(ticks), raising=False)
        monkeypatch.setattr(switch, "now", lambda: moment[0])
        monkeypatch.setattr(switch, "time", SimpleNamespace(monotonic=lambda: moment[0], sleep=sleep))

        def probe(path, *_more):
            if old in path and moment[0] < first + takes:
                raise OSError("connection refused")
            return 200

        monkeypatch.setattr(nginx, "probe_socket", probe)
        ended = switch.carry_out(app)
        return ended["result"], app.serving() == old, moment[0] - first

    return go


@pytest.mark.parametrize(
    ("takes", "began", "dies", "back", "most"),
    [
        (45, 0, False, True, 45),
        (70, 0, False, False, 65),
        (45, 10, False, True, 45),
        (55, 10, False, False, 55),
        (45, 3600, False, False, 25),
        (45, 0, True, False, 25),
        (15, 3600, False, True, 15),
    ],
    ids=[
        *(
            "started by the switch",
            "and slower than it may be",
            "by the engine, at a boot",
            "and slower than it may be",
        ),
        *("runs for long and hangs", "ended as it started", "answers soon"),
    ],
)
def test_a_release_that_starts_has_its_time_to_start_before_it_is_given_up(slowly, takes, began, dies, back, most):
    """Otherwise the release that was judged bad serves on. One that runs and hangs has no more time than ever."""
    result, old_serves, waited = slowly(takes, began, dies)
    assert (result, old_serves) == (("reverted", True) if back else ("kept", False))
    assert waited <= most


def test_whoever_waits_for_a_switch_gives_the_release_before_its_time_to_start(app, engine):
    deploy(app, start_timeout=900)
    begin(app, prepare(app, build="b2"))
    known = progress.pending(app)
    assert settling.patience(known) >= settling.SETTLED_IN + 900
    unknown = {name: known[name] for name in known if name != "start"}  # an earlier version began it
    files.write_json(app.pending, unknown)
    assert settling.patience(progress.pending(app)) >= settling.SETTLED_IN + 60
